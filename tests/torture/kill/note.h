// SPDX-License-Identifier: MIT
#pragma once

// What the driver that is killed and its judge speak of: which events there are, who subscribes to
// them, and the notes that reach the judge.

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/types.h"

namespace holdfast::torture {

/// Kinds of events, by what is done with them. The dotted type is `name_of`.
enum class Type : std::uint8_t {
  work,         ///< Everyday events: three subscriptions, retries, a tx, every eighth a follow-up.
  follow,       ///< What a tx published.
  keyed,        ///< With an ordering key.
  later,        ///< Not before a moment.
  expiring,     ///< Not after a moment.
  cancellable,  ///< Under a token, or cancelled by id; slow enough to be caught.
  member,       ///< Of an operation.
  slow,         ///< Over its time-out; some are abandoned.
  fussy,        ///< Rejected, or failing until its attempts are used up, until it is redriven.
  poison,       ///< Ends the process that handles it.
  loose,        ///< Nobody subscribes.
  held,         ///< Its subscription, or its type, is paused now and then.
  once,         ///< With an idempotency key, published again and again.
};
inline constexpr std::size_t kTypes = 13;
inline constexpr std::array<std::string_view, kTypes> kTypeNames = {
    "work.item",  "follow.up", "keyed.step", "later.start", "later.expiring",
    "cancel.job", "op.member", "slow.call",  "fussy.thing", "poison.pill",
    "loose.end",  "held.back", "once.only",
};
[[nodiscard]] inline std::string_view name_of(Type type) {
  return kTypeNames[static_cast<std::size_t>(type)];
}

/// The durable subscriptions; `ephemeral` is the one that is not.
enum class Sub : std::uint8_t {
  count,
  order,
  batched,
  follow,
  keyed,
  later,
  cancellable,
  member,
  slow,
  fussy,
  poison,
  held,
  once,
  ephemeral,
};
inline constexpr std::size_t kSubs = 14;
inline constexpr std::array<std::string_view, kSubs> kSubNames = {
    "count",  "order", "batched", "follow", "keyed", "later", "cancellable",
    "member", "slow",  "fussy",   "poison", "held",  "once",  "",
};
[[nodiscard]] inline std::string_view name_of(Sub sub) {
  return kSubNames[static_cast<std::size_t>(sub)];
}
[[nodiscard]] inline std::optional<Sub> parse_sub(std::string_view name) {
  for (std::size_t i = 0; i + 1 < kSubs; ++i) {
    if (kSubNames[i] == name) return static_cast<Sub>(i);
  }
  return std::nullopt;
}

/// At most three subscriptions are owed one event: `side_of` is which of them this is.
inline constexpr std::size_t kSidesMax = 3;
[[nodiscard]] inline std::size_t side_of(Sub sub) {
  return sub == Sub::order ? 1 : sub == Sub::batched ? 2 : 0;
}
[[nodiscard]] inline std::size_t sides_of(Type type) {
  return type == Type::work ? kSidesMax : type == Type::loose ? 0 : 1;
}

/// What the driver does and the bus has; each has to have happened in a run that means anything.
enum class Feature : std::uint8_t {
  single,
  async,
  batch,
  state_batch,
  bad_batch,
  independent,
  later,
  expiring,
  cancel_id,
  cancel_token,
  token_over_many,
  token_timeout,
  cancelled_publish,
  operation,
  composite,
  roll_back,
  idempotent,
  duplicate,
  expect_last,
  conflict,
  key,
  pause_subscription,
  pause_type,
  retry,
  snooze,
  reject,
  time_out,
  abandon,
  tx,
  follow_up,
  ephemeral,
  in_stretches,
  batch_delivery,
  on_cancel,
  compensate,
  deferred,
  poison,
  redrive,
  unclaimed,
  clean_close,
};
inline constexpr std::size_t kFeatures = 40;
inline constexpr std::array<std::string_view, kFeatures> kFeatureNames = {
    "publish",
    "publish_async",
    "batch",
    "batch with state",
    "bad batch",
    "independent batch",
    "not_before",
    "expires_at",
    "cancel by id",
    "cancel by token",
    "token over many",
    "token time-out",
    "publish under a cancelled token",
    "operation",
    "composite",
    "roll_back",
    "idempotency key",
    "duplicate",
    "expect_last",
    "conflict",
    "ordering key",
    "pause of a subscription",
    "pause of a type",
    "retry",
    "snooze",
    "reject",
    "time-out",
    "abandon_after",
    "tx",
    "follow-up",
    "ephemeral",
    "in stretches",
    "batch delivery",
    "on_cancel",
    "compensate",
    "deferred",
    "poison",
    "redrive",
    "unclaimed",
    "clean close",
};

// Bits of what is special about an event, carried by its payload.
inline constexpr std::uint32_t kRejects = 1;      ///< The handler says no.
inline constexpr std::uint32_t kGivesUp = 2;      ///< It fails until its attempts are used up.
inline constexpr std::uint32_t kIsAbandoned = 4;  ///< It sleeps beyond `abandon_after`.
inline constexpr std::uint32_t kIsDeferred = 8;   ///< It is answered by a `Deferred`.

/// The beginning of each payload; what follows is a pattern that the key gives.
struct Body {
  std::uint64_t key = 0;    ///< One for each event: round, thread, number.
  std::uint64_t group = 0;  ///< Of a batch or an operation: key of its first event. 0 = alone.
  std::uint32_t size = 0;   ///< Events in the group, when all or none have to be there.
  std::uint32_t special = 0;
  Type type = Type::work;
  std::uint8_t unused[7] = {};
};
inline constexpr std::uint64_t kFollowBit = std::uint64_t{1} << 63U;
inline constexpr std::uint64_t kRoundShift = 40;
inline constexpr std::uint64_t kThreadShift = 32;
/// The key before the first that a thread gives in a round.
[[nodiscard]] inline std::uint64_t first_key(std::uint64_t round, std::uint64_t thread) {
  return round << kRoundShift | thread << kThreadShift;
}
[[nodiscard]] inline std::uint64_t round_of(std::uint64_t key) {
  return (key & ~kFollowBit) >> kRoundShift;
}
inline constexpr std::uint64_t kFollowEvery = 8;

[[nodiscard]] inline char pattern_at(std::uint64_t key, std::size_t at) {
  return static_cast<char>('a' + (key * 31 + at * 7) % 26);
}

[[nodiscard]] inline std::string encode_body(const Body& body, std::size_t padding) {
  std::string text(sizeof(Body) + padding, ' ');
  std::memcpy(text.data(), &body, sizeof(body));
  for (std::size_t i = 0; i < padding; ++i) text[sizeof(Body) + i] = pattern_at(body.key, i);
  return text;
}

/// Nothing when a byte is not what was published.
[[nodiscard]] inline std::optional<Body> decode_body(std::string_view payload) {
  Body body;
  if (payload.size() < sizeof(body)) return std::nullopt;
  std::memcpy(&body, payload.data(), sizeof(body));
  for (std::size_t i = sizeof(body); i < payload.size(); ++i) {
    if (payload[i] != pattern_at(body.key, i - sizeof(body))) return std::nullopt;
  }
  return body;
}

struct Note {
  enum class Kind : std::uint8_t {
    // Of an open.
    opened,   ///< `flag`: the last run closed it; `number`: suspects.
    suspect,  ///< `sub`, `id`, `attempt`; `flag`: it is dead now.
    found,    ///< `key` of `type` and `group`, of `size`, is `id` in `commit`; `number`: operation.
    scanned,  ///< All that is there was found.
    // Of publishers. What is asked for is noted before, what was answered after the call.
    intent,     ///< `key` of `type`, in `group` of `size`; `flag`: it is one that must be refused.
    receipt,    ///< `key` is `id` in `commit`; `flag`: it is a duplicate.
    refused,    ///< Nothing of `key` was written; `what`: the code.
    asked,      ///< `key` is about to be cancelled, or may be, by its token's time-out.
    cancelled,  ///< `key`: `what` is the `CancelOutcome`.
    undo,       ///< The operation `group` is told to roll back, or may be by its deadline.
    paused,     ///< `flag`: the type, otherwise the subscription, of `held`.
    resuming,   ///< Likewise, before it is asked for.
    did,        ///< `what`: a `Feature`.
    memory,     ///< `number`: bytes, `group`: the budget.
    // Of handlers.
    delivered,  ///< `sub` was given `key` as `id`, `attempt`; `commit`, `number`: index in it;
                ///< `group`: hash of its ordering key.
    answered,   ///< The handler of `sub` is done with `id`; `what`: the `Outcome::Kind`.
    settled,    ///< `on_settled` of `sub` told of `id`; `what`: the `Settled`.
    // Of quiet rounds.
    redriving,  ///< Dead letters of `fussy` are about to be put back.
    dead,       ///< `sub` has a dead letter of `id`.
    effect,     ///< What the tx of `sub` counted for `key`: `number`.
    undone,     ///< Likewise, of `on_cancel` and `compensate`.
    ended,      ///< Operation `number` is in the `OperationState` `what`.
    quiet,      ///< Nothing is owed to anybody any more, and all of that was told.
  };
  Kind kind = Kind::opened;
  Type type = Type::work;
  Sub sub = Sub::count;
  std::uint8_t what = 0;
  std::uint8_t flag = 0;
  std::uint8_t lane = 0;
  std::uint16_t unused = 0;
  std::uint32_t attempt = 0;
  std::uint32_t size = 0;
  std::uint64_t key = 0;
  std::uint64_t sequence = 0;
  std::uint64_t commit = 0;
  std::uint64_t group = 0;
  std::uint64_t number = 0;

  [[nodiscard]] EventId id() const { return {static_cast<Priority>(lane), sequence}; }
  void set_id(EventId id) {
    lane = static_cast<std::uint8_t>(id.priority);
    sequence = id.sequence;
  }
};

}  // namespace holdfast::torture
