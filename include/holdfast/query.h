// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/export.h"
#include "holdfast/types.h"

namespace holdfast {

/// Where an event stands, over all durable subscriptions: the first of these that is true of any.
enum class EventState : std::uint8_t {
  leased = 0,     ///< Some handler holds it (known to the live bus only; a view says `ready`).
  scheduled = 1,  ///< Waits for a retry, the end of a snooze, or `Event::not_before`.
  ready = 2,      ///< Owed to some subscription.
  unclaimed = 3,  ///< No durable subscription has matched it yet.
  dead = 4,       ///< Given up on by some subscription.
  settled = 5,    ///< Everyone who wanted it has ended it; kept for a while (`Retention`).
  /// Cancelled, and no handler has it. Goes before all but `leased`. An event whose token was
  /// cancelled looks `settled` once everyone who was owed it has passed it by.
  cancelled = 6,
  expired = 7,  ///< Nobody has ended it, and nobody will be given it: `Event::expires_at` is over.
  paused = 8,   ///< It would be `ready`, but its type is paused (`Bus::pause(TypePattern)`).
};
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(EventState state) noexcept;
/// Nothing for any other text.
[[nodiscard]] HOLDFAST_EXPORT std::optional<EventState> parse_event_state(
    std::string_view text) noexcept;

/// Which events to visit. The default is all of them.
struct ScanFilter {
  std::vector<std::string> types{};    ///< Patterns; empty = all.
  std::vector<Priority> priorities{};  ///< Empty = all.
  std::vector<EventState> states{};    ///< Empty = all.
  std::uint64_t from_sequence = 1;     ///< In every lane that is visited.
  std::uint64_t to_sequence = std::numeric_limits<std::uint64_t>::max();  ///< Inclusive.
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

/// Called once an event, by lane and sequence; returns false to stop. The view lives for the call.
using ScanVisitor = std::function<bool(const EventView& event, EventState state)>;

/// An event as `get` returns it.
struct StoredEvent {
  EventId id;
  CommitNumber commit;
  BatchId batch_id;
  WallTime published_at = 0;
  EventState state = EventState::ready;
  OwnedEvent event;
  /// By itself or, with `token`, together with what was published under it.
  struct Cancelled {
    WallTime at = 0;
    std::string reason;
    TokenId token;
  };
  std::optional<Cancelled> cancelled;
  /// What each durable subscription that is owed it, or gave up on it, has to say.
  struct Standing {
    std::string subscription;
    EventState state = EventState::ready;
    std::uint32_t attempts = 0;  ///< Counted so far.
    WallTime next_try = 0;       ///< When scheduled.
    std::string last_error;
  };
  std::vector<Standing> standings;
};

/// An event that was given up on, with its history and its own copy of the event, so that it
/// outlives the event's place in the lane.
struct DeadLetter {
  std::string subscription;
  EventId id;
  std::uint32_t attempts = 0;
  std::string reason;
  WallTime died_at = 0;
  OwnedEvent event;
};

/// Called once a dead letter, by subscription, lane and sequence; returns false to stop. The letter
/// lives for the call.
using DeadLetterVisitor = std::function<bool(const DeadLetter& letter)>;

/// Which dead letters. The default is all that the default `Limits::dead_letters_max` keeps.
struct DeadLetterFilter {
  std::string subscription{};        ///< Empty = every one.
  std::vector<std::string> types{};  ///< Patterns; empty = all.
  std::optional<EventId> id{};
  std::uint64_t limit = 100'000;
};

}  // namespace holdfast
