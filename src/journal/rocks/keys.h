// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/token.h"
#include "holdfast/types.h"
#include "model/due_time.h"
#include "model/ids.h"

// The key table, and the only place that knows it; docs/journal-format.md is its prose. The first
// byte of a key is its table, integers are big-endian, so that keys sort as what they name. On disk
// since format 1: never renumber, reuse or reorder.

namespace holdfast::journal::keys {

inline constexpr std::uint32_t kFormat = 5;

enum class Table : char {
  cursor = 'c',
  dead_letter = 'd',
  event = 'e',
  idempotency = 'k',
  ordering_key = 'l',
  meta = 'm',
  subscription = 'n',
  operation = 'o',
  parked = 'p',
  settlement = 's',
  cancel = 't',
  state = 'u',
  due = 'w',
};

/// Written once, when the journal is made.
inline constexpr std::string_view kJournal = "mj";
/// What the newest commit says of itself. The first operation of every commit's batch, so that
/// whoever reads the log of the engine finds it at once.
inline constexpr std::string_view kCommit = "mc";
/// What the commit said that an open went on from when it skipped numbers: the second operation of
/// the commit which that open wrote. It is how a jump in the commit numbers is told from a hole.
inline constexpr std::string_view kResumed = "mo";

/// Event types that are paused.
inline constexpr std::string_view kPausedTypes = "mp";

/// The number up to which idempotency keys have been used, and from which they are kept.
inline constexpr std::string_view kIdempotencyRange = "kr";

std::string event(EventId first);
std::string subscription(model::SubscriptionId id);
std::string cursor(model::SubscriptionId id, Priority lane);
std::string settlement(model::SubscriptionId id, EventId event);
std::string parked(model::SubscriptionId id, EventId event);
std::string dead_letter(model::SubscriptionId id, EventId event);
/// A settlement once more, sorted by subscription, lane and due time.
std::string due(model::SubscriptionId id, EventId event, model::DueTime due);
/// `name` must not contain a NUL: it ends the name.
std::string state(std::string_view name, std::string_view key);
std::string lost_range(Priority lane, model::Sequence from);
std::string retention_mark(Priority lane, model::Sequence sequence);
std::string token(TokenId id);
std::string tombstone(EventId event);
std::string ordering_key(std::string_view key);
std::string idempotency(std::string_view key);
/// The same key once more, sorted by age.
std::string idempotency_use(std::uint64_t number);
std::string operation(OperationId id);
std::string member(OperationId operation, std::uint32_t index);

/// All keys that begin with `prefix`: [prefix, end_of(prefix)).
std::string end_of(std::string_view prefix);

std::string all(Table table);
/// Of the tables that are keyed by subscription.
std::string of_subscription(Table table, model::SubscriptionId id);
std::string all_due(model::SubscriptionId id, Priority lane);
std::string all_lost_ranges();
std::string all_retention_marks();
std::string all_tokens();
std::string all_tombstones();
std::string all_operations();
std::string all_members();
std::string all_members(OperationId operation);

/// A key taken apart. Only what its table has is set.
struct Parsed {
  Table table{};
  model::SubscriptionId subscription;
  EventId event;  ///< Of a cursor only the lane.
  model::DueTime due = 0;
  std::string_view name;  ///< Of a user state.
  std::string_view key;   ///< Likewise, or an ordering key.
};
/// Nothing for a key that no table of this format has.
std::optional<Parsed> parse(std::string_view key);
/// The same for the two kinds of meta record that have a lane and a sequence.
std::optional<EventId> parse_lost_range(std::string_view key);
std::optional<EventId> parse_retention_mark(std::string_view key);
/// And for those of the table `cancel`.
std::optional<TokenId> parse_token(std::string_view key);
std::optional<EventId> parse_tombstone(std::string_view key);
/// And for those of the table `idempotency`. The first borrows.
std::optional<std::string_view> parse_idempotency(std::string_view key);
std::optional<std::uint64_t> parse_idempotency_use(std::string_view key);
/// And for those of the table `operation`.
std::optional<OperationId> parse_operation(std::string_view key);
std::optional<std::pair<OperationId, std::uint32_t>> parse_member(std::string_view key);

}  // namespace holdfast::journal::keys
