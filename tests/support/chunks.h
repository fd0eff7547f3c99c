// SPDX-License-Identifier: MIT
#pragma once

// Chunks and events for tests that need some and do not care how they are made.

#include <string>
#include <vector>

#include "holdfast/event.h"
#include "model/chunk.h"

namespace holdfast::testing {

/// A chunk of events with these types, each with its type as payload.
inline model::ChunkPtr make_chunk(EventId first, const std::vector<std::string>& types,
                                  CommitNumber commit = {1}, WallTime published_at = 1'000) {
  model::EncodedEvents events;
  for (const auto& type : types) {
    events.add({.type = type, .payload = type, .priority = first.priority}, published_at);
  }
  model::ChunkBuilder builder;
  for (std::size_t i = 0; i < events.size(); ++i) {
    builder.add(events.record(i), events.entry(i), static_cast<std::uint32_t>(i), {});
  }
  return builder.finish(first, commit, published_at);
}

/// A chunk of `count` events of one type.
inline model::ChunkPtr make_chunk(EventId first, std::size_t count, const std::string& type = "a.b",
                                  CommitNumber commit = {1}) {
  return make_chunk(first, std::vector<std::string>(count, type), commit);
}

}  // namespace holdfast::testing
