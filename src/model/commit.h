// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "holdfast/types.h"
#include "model/chunk.h"
#include "model/ids.h"
#include "model/records.h"

namespace holdfast::model {

// What a commit can do to a journal. These are operations of the domain, not keys and values: a
// store maps all of one commit to whatever it can write atomically (RocksDB: one WriteBatch).
//
// Adding one: here, in each journal, in the conformance suite, and in core's recovery fold.

struct Append {
  ChunkPtr chunk;
};
struct PutSubscription {
  SubscriptionRecord record;
};
/// With everything of it: cursors, settlements, parked events and dead letters.
struct EraseSubscription {
  SubscriptionId subscription;
};
struct PutCursor {
  CursorRecord record;
};
/// `copy` is given when the event is parked for the first time; null leaves the copy that is there,
/// and then `was_due` says when it was due up to now.
struct PutSettlement {
  SettlementRecord record;
  ChunkPtr copy;
  DueTime was_due = 0;
};
/// With its parked event. `due` as in its record.
struct EraseSettlement {
  SubscriptionId subscription;
  EventId event;
  DueTime due = 0;
};
/// All settlements of a subscription, with their parked events, from `from` on in each lane. `kept`
/// are those before it, in their order: all that are left.
struct EraseParked {
  SubscriptionId subscription;
  PerLane<Sequence> from;
  std::vector<DueRecord> kept;
};
struct PutDeadLetter {
  DeadLetterRecord record;
};
struct EraseDeadLetter {
  SubscriptionId subscription;
  EventId event;
};
/// The version stored with it is the commit's number.
struct PutState {
  std::string name;
  std::string key;
  std::string value;
};
struct EraseState {
  std::string name;
  std::string key;
};
struct PutRetentionMark {
  RetentionMark mark;
};
struct PutLostRange {
  LostRange range;
};

struct PutToken {
  TokenRecord record;
};
struct EraseToken {
  TokenId token;
};
struct PutTombstone {
  TombstoneRecord record;
};
struct EraseTombstone {
  EventId event;
};

struct PutOrderingKey {
  OrderingKeyRecord record;
};
struct EraseOrderingKey {
  std::string key;
};
/// `replaces` is the use that the key had up to now; 0 = none.
struct PutIdempotency {
  IdempotencyRecord record;
  std::uint64_t replaces = 0;
};
struct EraseIdempotency {
  std::uint64_t use = 0;
  std::string key;
};
struct PutIdempotencyRange {
  IdempotencyRange range;
};

struct PutOperation {
  OperationRecord record;
};
struct PutMember {
  MemberRecord record;
};
/// With so many members.
struct EraseOperation {
  OperationId operation;
  std::uint32_t members = 0;
};

struct PutPausedTypes {
  PausedTypesRecord record;
};

using Operation =
    std::variant<Append, PutSubscription, EraseSubscription, PutCursor, PutSettlement,
                 EraseSettlement, PutDeadLetter, EraseDeadLetter, PutState, EraseState,
                 PutRetentionMark, PutLostRange, PutToken, EraseToken, PutTombstone, EraseTombstone,
                 EraseParked, PutOrderingKey, EraseOrderingKey, PutIdempotency, EraseIdempotency,
                 PutIdempotencyRange, PutOperation, PutMember, EraseOperation, PutPausedTypes>;

/// One atomic step of a journal. `(epoch, number)` is how a store finds out that somebody else has
/// written meanwhile.
struct Commit {
  std::uint64_t epoch = 0;
  CommitNumber number;
  CommitNumber durable_known;  ///< Newest commit known to be fsynced when this one was made.
  base::Now written_at;
  PerLane<Sequence> next{{1, 1, 1, 1}};  ///< After this commit.
  PerLane<Sequence> trim{{1, 1, 1, 1}};  ///< Sequences below may be reclaimed once this is durable.
  bool clean = false;                    ///< The last one of a proper close.
  std::vector<Operation> operations;
};

}  // namespace holdfast::model
