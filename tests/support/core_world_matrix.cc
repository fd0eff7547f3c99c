// SPDX-License-Identifier: MIT
// What the world knows of the states of events, and which of them commands have come upon.
#include <algorithm>
#include <limits>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

namespace {

/// So many events are looked at when a command meets all of a subscription: in a crowd there are
/// thousands.
constexpr std::size_t kLookedAt = 48;

EventState state_of_taken(const Owed& owed, bool cancelled) {
  if (owed.holder == 0) return EventState::released;
  if (owed.asks) return EventState::taken;
  if (owed.idle) return EventState::turned_away;
  if (owed.cleaning) return EventState::cleaning_up;
  if (cancelled) return EventState::signalled;
  return owed.together ? EventState::in_batch : EventState::running;
}

}  // namespace

// --- States -------------------------------------------------------------------------------------

std::optional<EventState> CoreWorld::state_of(const OracleSubscription& subscription,
                                              EventId event) const {
  const auto found = subscription.owed.find(event);
  if (found == subscription.owed.end()) {
    if (subscription.dead.contains(event)) return EventState::dead;
    if (subscription.compensates && is_kept(subscription, event)) return EventState::kept;
    const auto settled = subscription.settled.find(event);
    if (settled == subscription.settled.end()) return std::nullopt;
    return settled->second > durable_ ? EventState::not_durable : EventState::settled;
  }
  const auto& owed = found->second;
  const auto limits = oracle_.limits_of(event);
  const bool cancelled = oracle_.is_cancelled(event, limits.token);
  if (owed.taken) return state_of_taken(owed, cancelled);
  if (owed.again) return EventState::starts_over;
  if (owed.suspect) return EventState::suspect;
  if (owed.cleanup || (cancelled && owed.parked && owed.started && subscription.on_cancel)) {
    const auto place = oracle_.operations.find(event);
    const bool undo = subscription.durable && place.has_value() &&
                      oracle_.operations.all.at(place->id).goes_back();
    return undo ? EventState::undo_owed : EventState::cleanup_owed;
  }
  if (cancelled) return EventState::cancelled;
  if (owed.is_held_by_pause()) return EventState::held;
  if (owed.parked && owed.due == model::kTurnDue) return EventState::turn_wait;
  if (owed.parked && !Oracle::is_due(owed, now_)) {
    const bool wall = model::clock_of(owed.due) == model::DueClock::wall;
    return wall ? EventState::scheduled : EventState::retry_wait;
  }
  if (!owed.parked && oracle_.events.at(event).commit > offered_) return EventState::unoffered;
  if (now_.wall < limits.not_before) return EventState::scheduled;
  if (limits.expires_at != 0 && now_.wall >= limits.expires_at) return EventState::expired;
  if (oracle_.waits_for_key(subscription, event)) return EventState::key_wait;
  return owed.parked ? EventState::retry_due : EventState::ready;
}

bool CoreWorld::is_kept(const OracleSubscription& subscription, EventId event) const {
  const auto place = oracle_.operations.find(event);
  if (!place.has_value()) return false;
  const auto& kept = oracle_.operations.all.at(place->id).members[place->index].kept;
  return std::any_of(kept.begin(), kept.end(),
                     [&](Id id) { return &oracle_.subscriptions.at(id) == &subscription; });
}

StateSet CoreWorld::states_of(EventId event) const {
  StateSet states;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    if (const auto state = state_of(subscription, event)) states.add(*state);
  }
  return states;
}

StateSet CoreWorld::states_of(Id id) {
  const auto& subscription = oracle_.subscriptions.at(id);
  StateSet states;
  const auto look = [&](EventId event) {
    if (const auto state = state_of(subscription, event)) states.add(*state);
  };
  auto at = subscription.owed.begin();
  if (subscription.owed.size() > kLookedAt) {
    const auto lane = any_lane();
    at = subscription.owed.lower_bound({lane, below(oracle_.next[lane])});
  }
  for (std::size_t left = kLookedAt; left > 0 && at != subscription.owed.end(); --left, ++at) {
    look(at->first);
  }
  // What somebody has lies thinly in a long row.
  auto left = kLookedAt;
  for (auto held = held_.rbegin(); held != held_.rend() && left > 0; ++held) {
    if (held->lease.subscription.value != id) continue;
    look(held->lease.event);
    --left;
  }
  if (!subscription.dead.empty()) states.add(EventState::dead);
  if (!subscription.settled.empty()) {
    look(subscription.settled.begin()->first);
    look(subscription.last_settled);
  }
  if (const auto event = any_kept(id)) look(*event);
  return states;
}

StateSet CoreWorld::all_states() {
  StateSet states;
  for (const auto& [id, subscription] : oracle_.subscriptions) states = states | states_of(id);
  return states;
}

// --- What a command meets -----------------------------------------------------------------------

void CoreWorld::meet(Command command, EventState state) {
  const auto* why_not = StateMatrix::why_not(command, state);
  require(why_not == nullptr, "met " + StateMatrix::name(command, state) + ", though " +
                                  (why_not == nullptr ? "" : why_not));
  matrix.count(command, state);
}

void CoreWorld::meet(Command command, StateSet states) {
  for (std::size_t i = 0; i < kStateCount; ++i) {
    const auto state = static_cast<EventState>(i);
    if (states.contains(state)) meet(command, state);
  }
}

void CoreWorld::meet(Command command, Id id, EventId event) {
  const auto* subscription = oracle_.find(id);
  if (subscription == nullptr) return;
  if (const auto state = state_of(*subscription, event)) meet(command, *state);
}

void CoreWorld::meet(Command command, EventId event) {
  for (const auto& [id, subscription] : oracle_.subscriptions) meet(command, id, event);
}

/// Of each of its members, with those who decide about it: who is owed a member that is done does
/// not, as one that was set back.
void CoreWorld::meet(Command command, OperationId id_of) {
  StateSet states;
  const auto& operation = oracle_.operations.all.at(id_of);
  for (const auto& member : operation.members) {
    for (const auto& [id, subscription] : oracle_.subscriptions) {
      const bool again =
          member.state == MemberState::done && subscription.owed.contains(member.event);
      if (!subscription.durable || again) continue;
      const auto state = state_of(subscription, member.event);
      if (!state.has_value()) continue;
      // Of a handler that had outlived its attachment when the process died: it is cleaned up after
      // as that of any cancelled event.
      if (operation.has_ended() && *state == EventState::cleanup_owed) continue;
      states.add(*state);
    }
  }
  meet(command, states);
}

void CoreWorld::meet(const core::Answer& answer, bool valid, bool with_tx) {
  const auto id = answer.lease.subscription.value;
  const auto event = answer.lease.event;
  if (!valid) return meet(Command::stale_answer, id, event);
  switch (answer.kind) {
    case Kind::ack: return meet(with_tx ? Command::ack_with_tx : Command::ack, id, event);
    case Kind::retry: return meet(Command::retry, id, event);
    case Kind::snooze: return meet(Command::snooze, id, event);
    case Kind::reject: return meet(Command::reject, id, event);
    case Kind::release: return meet(Command::release, id, event);
    case Kind::skip: return meet(Command::skip, id, event);
    case Kind::abandon: return meet(Command::abandon, id, event);
    case Kind::drop: return meet(Command::drop, id, event);
    case Kind::postpone: return meet(Command::postpone, id, event);
    case Kind::hold: return meet(Command::hold, id, event);
  }
}

void CoreWorld::meet_token(Command command, const OracleToken& token) {
  StateSet states;
  auto left = kLookedAt;
  // The newest; of the others there is less and less left.
  for (auto at = token.events.rbegin(); at != token.events.rend() && left > 0; ++at, --left) {
    states = states | states_of(*at);
  }
  meet(command, states);
}

/// Time goes on by so much, and some have waited for that.
void CoreWorld::meet_time(std::int64_t nanoseconds) {
  if (profile_.crowded && !chance(5)) return;
  auto then = now_;
  then.bus += nanoseconds;
  then.wall += nanoseconds;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    for (const auto& [event, owed] : subscription.owed) {
      const bool waits = owed.parked && !owed.taken && !owed.again && !Oracle::is_due(owed, now_);
      if (waits && Oracle::is_due(owed, then)) meet(Command::due, id, event);
    }
  }
  const auto passes = [&](WallTime time) { return now_.wall < time && time <= then.wall; };
  for (const auto& [event, limits] : oracle_.limits) {
    if (passes(limits.expires_at)) meet(Command::expiry, event);
    if (!passes(limits.not_before)) continue;
    for (const auto& [id, subscription] : oracle_.subscriptions) {
      const auto owed = subscription.owed.find(event);
      if (owed == subscription.owed.end() || (owed->second.parked && !owed->second.taken)) continue;
      const auto state = state_of(subscription, event);
      if (StateMatrix::why_not(Command::due, *state) == nullptr) meet(Command::due, *state);
    }
  }
}

}  // namespace holdfast::testing
