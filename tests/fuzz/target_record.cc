// SPDX-License-Identifier: MIT
// State records of every kind. An input is the length of a key, the key, and a value without its
// checksum; what a chunk in it has is made right as well.
#include <algorithm>
#include <string>
#include <variant>

#include "fuzz/repair.h"
#include "fuzz/same.h"
#include "fuzz/targets.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/record_codec.h"
#include "model/chunk.h"
#include "model/state_codec.h"

namespace holdfast::fuzz {

namespace {

namespace keys = journal::keys;

struct Encoder {
  std::string_view key;
  std::string operator()(const model::ChunkPtr& chunk) const { return std::string(chunk->bytes()); }
  std::string operator()(const model::ParkedEvent& parked) const {
    return std::string(parked.chunk->bytes());
  }
  std::string operator()(const model::StateRecord& state) const {
    return model::encode_state(state.value, state.version, key);
  }
  template <typename Record>
  std::string operator()(const Record& record) const {
    return model::encode(record, key);
  }
};

/// What every reader takes for granted of a record that was accepted.
struct Limits {
  template <typename Record>
  void operator()(const Record&) const {}
  void operator()(const model::ChunkPtr& chunk) const { FUZZ_CHECK(chunk->count() >= 1); }
  void operator()(const model::ParkedEvent& parked) const {
    FUZZ_CHECK(parked.chunk->count() == 1 && parked.chunk->contains(parked.event.sequence));
  }
  void operator()(const model::DeadLetterRecord& letter) const {
    FUZZ_CHECK(letter.chunk->count() == 1 && letter.chunk->contains(letter.event.sequence));
  }
  void operator()(const model::CursorRecord& cursor) const {
    const auto& ahead = cursor.ahead;
    FUZZ_CHECK(std::adjacent_find(ahead.begin(), ahead.end(), std::greater_equal<>()) ==
               ahead.end());
    FUZZ_CHECK(ahead.empty() || ahead.front() > cursor.floor);
  }
  void operator()(const model::LostRange& range) const { FUZZ_CHECK(range.from <= range.to); }
  void operator()(const model::OrderingKeyRecord& record) const {
    FUZZ_CHECK(!record.key.empty() && record.newest.priority <= Priority::low);
  }
  void operator()(const model::IdempotencyRecord& record) const {
    FUZZ_CHECK(!record.key.empty() && record.event.priority <= Priority::low);
  }
  void operator()(const model::IdempotencyRange& range) const {
    FUZZ_CHECK(range.first <= range.next);
  }
  void operator()(const model::OperationRecord& operation) const {
    FUZZ_CHECK(operation.state <= OperationState::rollback_failed);
  }
  void operator()(const model::MemberRecord& member) const {
    FUZZ_CHECK(member.state <= MemberState::undone && member.event.priority <= Priority::low &&
               member.event.sequence != 0);
  }
  void operator()(const model::SubscriptionRecord& record) const {
    for (const auto lane : record.filter.match.priorities) FUZZ_CHECK(lane <= Priority::low);
    for (const auto kind : record.filter.match.source_kinds) {
      FUZZ_CHECK(kind <= SourceKind::external);
    }
  }
};

void check_meta(std::string_view key, const std::string& value) {
  if (key == keys::kJournal) {
    const auto meta = model::decode_journal_meta(key, value);
    if (!meta.ok()) return;
    note_accepted();
    const auto again = model::decode_journal_meta(key, model::encode(*meta, key));
    FUZZ_CHECK(again.ok() && again->format == meta->format && again->uuid == meta->uuid &&
               again->created_at == meta->created_at);
    return;
  }
  const auto commit = model::decode_meta(key, value);
  if (!commit.ok()) return;
  note_accepted();
  const auto again = model::decode_meta(key, model::encode_meta(*commit, key));
  FUZZ_CHECK(again.ok() && same(*commit, *again));
}

void check_record(std::string_view key, const std::string& value) {
  if (key == keys::kJournal || key == keys::kCommit || key == keys::kResumed) {
    return check_meta(key, value);
  }
  const auto record = journal::decode_record(key, value);
  if (!record.ok()) {
    FUZZ_CHECK(record.status() == StatusCode::data_loss && !record.status().message().empty());
    return;
  }
  note_accepted();
  std::visit(Limits{}, *record);
  const auto again = journal::decode_record(key, std::visit(Encoder{key}, *record));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(same(*record, *again));
}

}  // namespace

void run_record(std::string_view input) {
  if (input.empty()) return;
  const auto length =
      std::min<std::size_t>(static_cast<unsigned char>(input.front()) % 48, input.size() - 1);
  const auto key = input.substr(1, length);
  const std::string value(input.substr(1 + length));
  check_record(key, value);
  const bool is_chunk = key.starts_with("e") || key.starts_with("p");
  if (!is_chunk) return check_record(key, sealed_with_chunk(key, value));
  auto chunk = value;
  repair_chunk(chunk);
  check_record(key, chunk);
}

}  // namespace holdfast::fuzz
