// SPDX-License-Identifier: MIT
#pragma once

// Commits for tests of a journal: numbered as the next one has to be.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "journal/journal.h"
#include "support/chunks.h"

namespace holdfast::testing {

class JournalWriter {
 public:
  explicit JournalWriter(journal::Journal& journal)
      : journal_(journal),
        epoch_(journal.state().epoch),
        last_(journal.state().last_commit),
        next_(journal.state().next),
        trim_(journal.state().trim) {}

  /// The next commit as it should be, with these operations.
  [[nodiscard]] model::Commit make(std::vector<model::Operation> operations = {}) const {
    model::Commit commit;
    commit.epoch = epoch_;
    commit.number = {last_.value + 1};
    commit.durable_known = durable_;
    commit.written_at = {.wall = 1'000, .boot = 1'000, .bus = 1'000};
    commit.next = next_;
    commit.trim = trim_;
    commit.operations = std::move(operations);
    return commit;
  }

  Status commit(const model::Commit& commit, Durability durability = Durability::os) {
    const auto status = journal_.commit(commit, durability);
    if (!status.ok()) return status;
    last_ = commit.number;
    next_ = commit.next;
    trim_ = commit.trim;
    if (durability == Durability::durable) durable_ = last_;
    return status;
  }
  Status commit(std::vector<model::Operation> operations, Durability durability = Durability::os) {
    return commit(make(std::move(operations)), durability);
  }

  /// One chunk of `count` events with a payload each.
  Status append(Priority lane, std::size_t count, Durability durability = Durability::os,
                std::size_t payload_bytes = 16) {
    auto next = make();
    next.operations.emplace_back(model::Append{chunk(lane, count, payload_bytes)});
    next.next[lane] += count;
    return commit(next, durability);
  }
  Status trim(Priority lane, model::Sequence upto, Durability durability = Durability::os) {
    auto next = make();
    next.trim[lane] = upto;
    return commit(next, durability);
  }

  [[nodiscard]] CommitNumber last() const { return last_; }
  [[nodiscard]] CommitNumber durable() const { return durable_; }
  void note_synced() { durable_ = last_; }
  [[nodiscard]] model::Sequence next(Priority lane) const { return next_[lane]; }

 private:
  [[nodiscard]] model::ChunkPtr chunk(Priority lane, std::size_t count, std::size_t bytes) const {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i) {
      // Not compressible, so that sizes on disk are what they look like, and never the same twice.
      std::string payload;
      auto state = (next_[lane] + i) * 0x9e3779b97f4a7c15U + static_cast<std::uint64_t>(lane) + 1;
      while (payload.size() < bytes) {
        state ^= state << 13U;
        state ^= state >> 7U;
        state ^= state << 17U;
        payload.append(reinterpret_cast<const char*>(&state), sizeof(state));
      }
      payload.resize(bytes);
      events.add({.type = "a.b", .payload = payload, .priority = lane}, 1'000);
    }
    model::ChunkBuilder builder;
    for (std::size_t i = 0; i < count; ++i) {
      builder.add(events.record(i), events.entry(i), static_cast<std::uint32_t>(i), {});
    }
    return builder.finish({lane, next_[lane]}, {last_.value + 1}, 1'000);
  }

  journal::Journal& journal_;
  std::uint64_t epoch_;
  CommitNumber last_;
  CommitNumber durable_;
  model::PerLane<model::Sequence> next_;
  model::PerLane<model::Sequence> trim_;
};

/// The chunks of a scan, and how it ended.
struct Scanned {
  std::vector<model::ChunkPtr> chunks;
  Status status;

  [[nodiscard]] std::size_t events() const {
    std::size_t sum = 0;
    for (const auto& chunk : chunks) sum += chunk->count();
    return sum;
  }
};

inline Scanned scan_lane(const journal::JournalReader& journal, Priority lane,
                         model::Sequence from = 1,
                         model::Sequence to = std::numeric_limits<model::Sequence>::max()) {
  Scanned scanned;
  scanned.status = journal.scan(journal::EventRange{lane, from, to}, [&](model::Record&& record) {
    scanned.chunks.push_back(std::get<model::ChunkPtr>(std::move(record)));
    return true;
  });
  return scanned;
}

/// All records of a scan of one kind.
template <typename T>
std::vector<T> scan_all(const journal::JournalReader& journal, const journal::ScanSpec& spec) {
  std::vector<T> all;
  const auto status = journal.scan(spec, [&](model::Record&& record) {
    all.push_back(std::get<T>(std::move(record)));
    return true;
  });
  if (!status.ok()) all.clear();
  return all;
}

}  // namespace holdfast::testing
