// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "holdfast/operation.h"
#include "holdfast/subscription.h"
#include "holdfast/token.h"
#include "holdfast/types.h"
#include "model/chunk.h"
#include "model/due_time.h"
#include "model/ids.h"

namespace holdfast::model {

struct FilterRecord {
  std::vector<std::string> types;
  Match match;
};

/// Events before `until` must match this as well: what was wanted before a change.
struct EarlierFilter {
  FilterRecord filter;
  PerLane<Sequence> until{{1, 1, 1, 1}};
};

/// What a durable subscription wants. Its position is in its cursors.
struct SubscriptionRecord {
  SubscriptionId id;
  std::string name;
  FilterRecord filter;
  std::vector<EarlierFilter> earlier;
  PerLane<Sequence> start{{1, 1, 1, 1}};  ///< The first sequence it may be given.
  std::uint32_t attempts_max = 5;  ///< Of its retry policy: needed when a crash leaves suspects.
  bool paused = false;             ///< It gets nothing until it is resumed.
  bool compensates = false;        ///< Its handler undoes what it has acknowledged of an operation.
};

/// A subscription's progress in one lane, as it is stored (core::Cursor is the working form).
struct CursorRecord {
  SubscriptionId subscription;
  Priority lane = Priority::normal;
  Sequence floor = 1;
  std::vector<Sequence> ahead;  ///< Settled or parked above the floor, ascending.
  std::uint64_t owed = 0;
  std::uint64_t parked = 0;
  Sequence as_of = 1;
};

/// Where an event stands among those of its ordering key. Without a key it stands nowhere.
struct KeyPlace {
  OrderKey key;
  CommitNumber commit;
  std::uint32_t index = 0;
};
/// That of the event at `sequence`, which must be in `chunk`.
[[nodiscard]] inline KeyPlace key_place(const Chunk& chunk, Sequence sequence) {
  auto key = chunk.order_key(sequence);
  if (key.hash == 0) return {};
  return {key, chunk.commit(), chunk.event(sequence).index};
}

/// A delivery that is owed but not by its cursor alone: it failed, was snoozed, put back, or was
/// running when the process died. It keeps its own copy of the event ("parked"), so that the floor,
/// and with it the space of everything settled after it, can go on without it.
struct SettlementRecord {
  SubscriptionId subscription;
  EventId event;
  std::uint32_t attempts = 0;  ///< Counted so far; of a clean-up, those of `on_cancel`.
  DueTime due = 0;
  bool suspect = false;
  std::string last_error;
  bool started = false;  ///< A handler has seen it: what it began may have to be cleaned up.
  /// It is cancelled, and `on_cancel` is owed. Without `started` it was acknowledged before its
  /// operation went back, and `compensate` is owed.
  bool cleanup = false;
  KeyPlace place{};

  /// Not only kept until its operation ends.
  [[nodiscard]] bool is_owed() const noexcept { return due != kKeptDue; }
};

struct DeadLetterRecord {
  SubscriptionId subscription;
  EventId event;
  std::uint32_t attempts = 0;
  std::string reason;
  WallTime died_at = 0;
  ChunkPtr chunk;        ///< The event alone.
  bool cleanup = false;  ///< As of its settlement: what was given up is its clean-up.
  bool started = true;   ///< Likewise.
};

/// What a handler keeps through `tx().state()`.
struct StateRecord {
  std::string name;
  std::string key;
  std::string value;
  CommitNumber version;
};

/// How many bytes of events a lane had seen when it reached `sequence`, and when that was:
/// retention is decided at these marks, without reading events.
struct RetentionMark {
  Priority lane = Priority::normal;
  Sequence sequence = 1;
  WallTime published_at = 0;
  base::BusTime published_bus = 0;
  std::uint64_t bytes_before = 0;
  std::uint64_t unclaimed = 0;  ///< Events from here to the next mark that nobody has claimed.
  Sequence counted_to = 1;      ///< Events from here on are not in `unclaimed` yet.
  /// Somebody who may have claimed some of them has gone or wants other events now: who claims one
  /// from here on may not be the first.
  bool claims_forgotten = false;
};

/// Sequences that an open skipped, [from, to].
struct LostRange {
  Priority lane = Priority::normal;
  Sequence from = 1;
  Sequence to = 1;
};

/// A settlement as the order of due times knows it.
struct DueRecord {
  SubscriptionId subscription;
  EventId event;
  DueTime due = 0;
  std::uint32_t attempts = 0;
  bool suspect = false;
  bool started = false;
  bool cleanup = false;
};

/// The copy of the event that a settlement keeps.
struct ParkedEvent {
  SubscriptionId subscription;
  EventId event;
  ChunkPtr chunk;  ///< The event alone.
};

/// A cancellation token, and how it stands with what was published under it.
struct TokenRecord {
  TokenId id;
  base::BusTime made_at = 0;
  base::BusTime used_at = 0;   ///< When something was last published under it.
  base::BusTime deadline = 0;  ///< When it cancels itself; 0 = never.
  PerLane<Sequence> first;     ///< The oldest event under it in each lane; 0 = none.
  PerLane<Sequence> last;      ///< The newest.
  std::uint64_t published = 0;
  std::uint64_t ended = 0;    ///< Of them, those that nobody is owed any more.
  CommitNumber cancelled_in;  ///< 0 = it is not.
  WallTime cancelled_at = 0;
  std::string reason;
};

/// An event that was cancelled by itself.
struct TombstoneRecord {
  EventId event;
  WallTime cancelled_at = 0;
  std::string reason;
};

/// What was published under an ordering key.
struct OrderingKeyRecord {
  std::string key;
  PerLane<Sequence> last{};  ///< In each lane nothing later than this; 0 = nothing at all.
  EventId newest;
};

/// The event that an idempotency key stands for.
struct IdempotencyRecord {
  std::string key;
  std::uint64_t use = 0;  ///< Uses of keys are numbered over the whole journal, from 1.
  EventId event;
  CommitNumber commit;
  BatchId batch;
  TokenId token;  ///< It was published under it; 0 = under none.
  base::BusTime used_at = 0;
};

/// The same use as the order of age knows it.
struct IdempotencyUse {
  std::uint64_t number = 0;
  base::BusTime used_at = 0;
  std::string key;
};

/// What is stored of the uses of idempotency keys is among [first, next).
struct IdempotencyRange {
  std::uint64_t first = 1;
  std::uint64_t next = 1;
  friend bool operator==(const IdempotencyRange&, const IdempotencyRange&) = default;
};

/// Event types of which nothing is handed out. A journal has one of these, or none.
struct PausedTypesRecord {
  std::vector<std::string> patterns;  ///< In the order of bytes, each once.
  bool releasing = false;             ///< What was held by one that has ended is being put back.
  friend bool operator==(const PausedTypesRecord&, const PausedTypesRecord&) = default;
};

/// A composite, and how it stands. Its members are records of their own.
struct OperationRecord {
  OperationId id;
  OperationState state = OperationState::open;
  bool sequential = true;
  bool sealed = false;
  std::uint32_t members = 0;
  WallTime begun_at = 0;
  WallTime ended_at = 0;        ///< Or last failed to roll back; 0 = neither.
  base::BusTime ended_bus = 0;  ///< Likewise.
  base::BusTime deadline = 0;   ///< It goes back when it is open then; 0 = never.
  std::string reason;           ///< Why it went back.
};

/// An event of an operation.
struct MemberRecord {
  OperationId operation;
  std::uint32_t index = 0;  ///< Its place in the order of the operation, from 0.
  EventId event;
  TokenId token;
  MemberState state = MemberState::pending;
  WallTime done_at = 0;
  WallTime undone_at = 0;
};

using Record =
    std::variant<ChunkPtr, SubscriptionRecord, CursorRecord, SettlementRecord, DueRecord,
                 ParkedEvent, DeadLetterRecord, StateRecord, RetentionMark, LostRange, TokenRecord,
                 TombstoneRecord, OrderingKeyRecord, IdempotencyRecord, IdempotencyUse,
                 IdempotencyRange, OperationRecord, MemberRecord, PausedTypesRecord>;

}  // namespace holdfast::model
