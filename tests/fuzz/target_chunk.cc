// SPDX-License-Identifier: MIT
// Chunks and the event records in them: as they come, and with their checksums made right.
#include <cstring>
#include <string>
#include <vector>

#include "core/event_limits.h"
#include "fuzz/repair.h"
#include "fuzz/same.h"
#include "fuzz/targets.h"
#include "model/chunk.h"
#include "model/event_codec.h"

namespace holdfast::fuzz {

namespace {

/// What `EventView` and its owner say, encoded anew.
std::string encoded_again(const EventView& event) {
  const auto owned = event.to_owned();
  std::vector<MetadataPair> pairs;
  return std::string(
      model::encode_event(core::borrow(owned, pairs), event.timestamp, event.operation_id));
}

/// At a multiple of 8, as a record has to be.
struct Aligned {
  explicit Aligned(std::string_view bytes) : words(bytes.size() / 8 + 1), size(bytes.size()) {
    std::memcpy(words.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::string_view view() const {
    return {reinterpret_cast<const char*>(words.data()), size};
  }
  std::vector<std::uint64_t> words;
  std::size_t size;
};

void check_record(std::string_view record) {
  if (!model::verify_event(record)) return;
  note_accepted();
  const auto event = model::read_event(record);
  FUZZ_CHECK(!event.type.empty());
  FUZZ_CHECK(event.type == model::read_event_type(record));
  FUZZ_CHECK(event.source.kind <= SourceKind::external);
  const bool is_conditional = event.not_before != 0 || event.expires_at != 0 ||
                              event.token.value != 0 || event.operation_id.value != 0;
  FUZZ_CHECK(is_conditional == model::is_conditional_event(record));
  const Aligned again(encoded_again(event));
  FUZZ_CHECK(model::verify_event(again.view()));
  FUZZ_CHECK(same(event, model::read_event(again.view())));
}

void check_event_of(const model::Chunk& chunk, model::Sequence sequence) {
  const auto event = chunk.event(sequence);
  FUZZ_CHECK(event.id == (EventId{chunk.lane(), sequence}));
  FUZZ_CHECK(event.type == chunk.type(sequence));
  FUZZ_CHECK(event.source.kind <= SourceKind::external);
  FUZZ_CHECK(chunk.record_bytes(sequence) <= chunk.bytes().size());
  const auto alone = chunk.extract(sequence);
  FUZZ_CHECK(alone->count() == 1 && alone->first() == sequence);
  const auto again = model::Chunk::decode(alone->bytes(), {chunk.lane(), sequence});
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(same(event, (*again)->event(sequence)));
  FUZZ_CHECK(chunk.order_key(sequence) == (*again)->order_key(sequence));
  if (model::is_conditional_event(Aligned(encoded_again(event)).view())) {
    FUZZ_CHECK(chunk.conditional() && (*again)->conditional());
  }
}

void check_chunk(std::string_view bytes) {
  // Where it is stored has to be what it says; a key names a lane that there is.
  EventId place{Priority::normal, 0};
  if (bytes.size() > 32 && static_cast<unsigned char>(bytes[32]) < kLaneCount) {
    place.priority = static_cast<Priority>(bytes[32]);
    std::memcpy(&place.sequence, bytes.data() + 8, sizeof(place.sequence));
  }
  const auto decoded = model::Chunk::decode(bytes, place);
  if (!decoded.ok()) {
    FUZZ_CHECK(decoded.status() == StatusCode::data_loss && !decoded.status().message().empty());
    return;
  }
  note_accepted();
  const auto& chunk = **decoded;
  FUZZ_CHECK(chunk.count() >= 1 && chunk.bytes() == bytes);
  FUZZ_CHECK(chunk.count() <= model::kChunkEventsMax);
  FUZZ_CHECK(chunk.first() >= 1 && chunk.last() >= chunk.first());
  for (auto sequence = chunk.first();; ++sequence) {
    check_event_of(chunk, sequence);
    if (sequence == chunk.last()) break;
  }
  FUZZ_CHECK(!model::Chunk::decode(bytes, {place.priority, place.sequence + 1}).ok());
}

}  // namespace

void run_event(std::string_view input) { check_record(Aligned(input).view()); }

void run_chunk(std::string_view input) {
  check_chunk(input);
  std::string repaired(input);
  repair_chunk(repaired);
  check_chunk(repaired);
}

}  // namespace holdfast::fuzz
