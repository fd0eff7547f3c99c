// SPDX-License-Identifier: MIT
#include "journal/rocks/commit_batch.h"

#include <limits>
#include <string>
#include <string_view>
#include <variant>

#include "base/assert.h"
#include "journal/rocks/keys.h"
#include "model/chunk.h"
#include "model/state_codec.h"

namespace holdfast::journal {

namespace {

// A batch without timestamps and of one column family takes any operation.
void check(const rocksdb::Status& status) { HOLDFAST_ASSERT(status.ok()); }

class Encoder {
 public:
  Encoder(CommitNumber number, rocksdb::WriteBatch& batch) : number_(number), batch_(batch) {}

  void operator()(const model::Append& append) {
    const auto& chunk = *append.chunk;
    put(keys::event({chunk.lane(), chunk.first()}), chunk.bytes());
  }
  void operator()(const model::PutSubscription& put_subscription) {
    encode_to(keys::subscription(put_subscription.record.id), put_subscription.record);
  }
  void operator()(const model::EraseSubscription& erase_subscription) {
    const auto id = erase_subscription.subscription;
    erase(keys::subscription(id));
    for (const auto table : {keys::Table::cursor, keys::Table::settlement, keys::Table::parked,
                             keys::Table::dead_letter, keys::Table::due}) {
      const auto from = keys::of_subscription(table, id);
      check(batch_.DeleteRange(from, keys::end_of(from)));
    }
  }
  void operator()(const model::PutCursor& put_cursor) {
    encode_to(keys::cursor(put_cursor.record.subscription, put_cursor.record.lane),
              put_cursor.record);
  }
  void operator()(const model::PutSettlement& put_settlement) {
    const auto& record = put_settlement.record;
    encode_to(keys::settlement(record.subscription, record.event), record);
    if (put_settlement.copy != nullptr) {
      put(keys::parked(record.subscription, record.event), put_settlement.copy->bytes());
    } else {
      erase(keys::due(record.subscription, record.event, put_settlement.was_due));
    }
    encode_to(keys::due(record.subscription, record.event, record.due),
              model::DueRecord{record.subscription, record.event, record.due, record.attempts,
                               record.suspect, record.started, record.cleanup});
  }
  void operator()(const model::EraseSettlement& settlement) {
    erase(keys::settlement(settlement.subscription, settlement.event));
    erase(keys::parked(settlement.subscription, settlement.event));
    erase(keys::due(settlement.subscription, settlement.event, settlement.due));
  }
  void operator()(const model::EraseParked& parked) {
    const auto id = parked.subscription;
    for (const auto lane : kAllPriorities) {
      const EventId first{lane, parked.from[lane]};
      const EventId last{lane, std::numeric_limits<model::Sequence>::max()};
      check(batch_.DeleteRange(keys::settlement(id, first),
                               keys::end_of(keys::settlement(id, last))));
      check(batch_.DeleteRange(keys::parked(id, first), keys::end_of(keys::parked(id, last))));
    }
    // These are sorted by due time, so those that stay are in between the others.
    const auto due = keys::of_subscription(keys::Table::due, id);
    check(batch_.DeleteRange(due, keys::end_of(due)));
    for (const auto& kept : parked.kept) encode_to(keys::due(id, kept.event, kept.due), kept);
  }
  void operator()(const model::PutDeadLetter& dead) {
    encode_to(keys::dead_letter(dead.record.subscription, dead.record.event), dead.record);
  }
  void operator()(const model::EraseDeadLetter& dead) {
    erase(keys::dead_letter(dead.subscription, dead.event));
  }
  void operator()(const model::PutState& state) {
    const auto key = keys::state(state.name, state.key);
    put(key, model::encode_state(state.value, number_, key));
  }
  void operator()(const model::EraseState& state) { erase(keys::state(state.name, state.key)); }
  void operator()(const model::PutRetentionMark& mark) {
    encode_to(keys::retention_mark(mark.mark.lane, mark.mark.sequence), mark.mark);
  }
  void operator()(const model::PutLostRange& lost) {
    encode_to(keys::lost_range(lost.range.lane, lost.range.from), lost.range);
  }
  void operator()(const model::PutToken& token) {
    encode_to(keys::token(token.record.id), token.record);
  }
  void operator()(const model::EraseToken& token) { erase(keys::token(token.token)); }
  void operator()(const model::PutTombstone& tombstone) {
    encode_to(keys::tombstone(tombstone.record.event), tombstone.record);
  }
  void operator()(const model::EraseTombstone& tombstone) {
    erase(keys::tombstone(tombstone.event));
  }
  void operator()(const model::PutOrderingKey& ordering) {
    encode_to(keys::ordering_key(ordering.record.key), ordering.record);
  }
  void operator()(const model::EraseOrderingKey& ordering) {
    erase(keys::ordering_key(ordering.key));
  }
  void operator()(const model::PutIdempotency& used) {
    const auto& record = used.record;
    encode_to(keys::idempotency(record.key), record);
    if (used.replaces != 0) erase(keys::idempotency_use(used.replaces));
    encode_to(keys::idempotency_use(record.use),
              model::IdempotencyUse{record.use, record.used_at, record.key});
  }
  void operator()(const model::EraseIdempotency& used) {
    erase(keys::idempotency(used.key));
    erase(keys::idempotency_use(used.use));
  }
  void operator()(const model::PutIdempotencyRange& range) {
    encode_to(std::string(keys::kIdempotencyRange), range.range);
  }
  void operator()(const model::PutPausedTypes& paused) {
    encode_to(std::string(keys::kPausedTypes), paused.record);
  }
  void operator()(const model::PutOperation& operation) {
    encode_to(keys::operation(operation.record.id), operation.record);
  }
  void operator()(const model::PutMember& member) {
    encode_to(keys::member(member.record.operation, member.record.index), member.record);
  }
  void operator()(const model::EraseOperation& operation) {
    erase(keys::operation(operation.operation));
    for (std::uint32_t index = 0; index < operation.members; ++index) {
      erase(keys::member(operation.operation, index));
    }
  }

 private:
  template <typename Record>
  void encode_to(const std::string& key, const Record& record) {
    put(key, model::encode(record, key));
  }
  void put(const std::string& key, std::string_view value) {
    check(batch_.Put(key, rocksdb::Slice(value.data(), value.size())));
  }
  void erase(const std::string& key) { check(batch_.Delete(key)); }

  CommitNumber number_;
  rocksdb::WriteBatch& batch_;
};

void encode_operations(const model::Commit& commit, rocksdb::WriteBatch& batch) {
  Encoder encoder(commit.number, batch);
  for (const auto& operation : commit.operations) std::visit(encoder, operation);
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

}  // namespace

Status check_storable(const model::Commit& commit) {
  for (const auto& operation : commit.operations) {
    if (const auto* append = std::get_if<model::Append>(&operation)) {
      if (append->chunk->count() > model::kChunkEventsMax) {
        return {StatusCode::invalid_argument, "chunk of " + std::to_string(append->chunk->count()) +
                                                  " events; at most " +
                                                  std::to_string(model::kChunkEventsMax)};
      }
      continue;
    }
    const auto* put = std::get_if<model::PutState>(&operation);
    const auto* erase = std::get_if<model::EraseState>(&operation);
    if ((put != nullptr && has_nul(put->name)) || (erase != nullptr && has_nul(erase->name))) {
      return {StatusCode::invalid_argument, "the name of a user state holds a NUL byte"};
    }
  }
  return {};
}

void encode_commit(const model::Commit& commit, rocksdb::WriteBatch& batch) {
  check(batch.Put(std::string(keys::kCommit), model::encode_meta(commit, keys::kCommit)));
  encode_operations(commit, batch);
}

void encode_resuming_commit(const model::Commit& commit, const model::Commit& before,
                            rocksdb::WriteBatch& batch) {
  check(batch.Put(std::string(keys::kCommit), model::encode_meta(commit, keys::kCommit)));
  check(batch.Put(std::string(keys::kResumed), model::encode_meta(before, keys::kResumed)));
  encode_operations(commit, batch);
}

}  // namespace holdfast::journal
