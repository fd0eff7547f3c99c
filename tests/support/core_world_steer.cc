// SPDX-License-Identifier: MIT
// The part of the world that loads the dice, so that commands also meet what is rarely there.
#include <algorithm>
#include <limits>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;

namespace {

/// Events are in these for a moment, or come to be in them seldom.
constexpr StateSet kRare{EventState::taken,        EventState::turned_away, EventState::signalled,
                         EventState::cleaning_up,  EventState::released,    EventState::starts_over,
                         EventState::cleanup_owed, EventState::suspect};
constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kWaitMost = 100'000 * kMillisecond;

}  // namespace

// --- Events -------------------------------------------------------------------------------------

std::optional<EventId> CoreWorld::any_event() {
  if (!held_.empty() && chance(50)) return held_[below(held_.size())].lease.event;
  if (oracle_.events.empty()) return std::nullopt;
  const auto at = static_cast<std::ptrdiff_t>(below(oracle_.events.size()));
  return std::next(oracle_.events.begin(), at)->first;
}

std::optional<EventId> CoreWorld::rarest_event(Command command,
                                               const std::function<bool(EventId)>& fits) {
  std::optional<EventId> best;
  auto fewest = std::numeric_limits<std::uint64_t>::max();
  const auto look = [&](const OracleSubscription& subscription, EventId event) {
    const auto state = state_of(subscription, event);
    if (!state.has_value() || StateMatrix::why_not(command, *state) != nullptr) return;
    const auto met = matrix.at(command, *state);
    if (met >= fewest || !fits(event)) return;
    best = event;
    fewest = met;
  };
  if (!held_.empty()) {
    for (int left = 8; left > 0; --left) {
      const auto& lease = held_[below(held_.size())].lease;
      look(oracle_.subscriptions.at(lease.subscription.value), lease.event);
    }
  }
  const auto id = any_subscription([](const auto& each) { return !each.owed.empty(); });
  if (!id.has_value()) return best;
  const auto& subscription = oracle_.subscriptions.at(*id);
  const auto lane = any_lane();
  auto at = subscription.owed.lower_bound({lane, below(oracle_.next[lane])});
  for (int left = 24; left > 0 && at != subscription.owed.end(); --left, ++at) {
    look(subscription, at->first);
  }
  if (!subscription.dead.empty()) look(subscription, subscription.dead.begin()->first);
  return best;
}

std::optional<EventId> CoreWorld::event_to_cancel() {
  if (chance(50)) {
    const auto found = rarest_event(Command::cancel_event, [](EventId) { return true; });
    if (found.has_value()) return found;
  }
  return any_event();
}

std::optional<TokenId> CoreWorld::token_to_cancel() {
  if (chance(50)) {
    const auto found = rarest_event(Command::cancel_token, [this](EventId event) {
      return oracle_.tokens.contains(oracle_.limits_of(event).token);
    });
    if (found.has_value()) return oracle_.limits_of(*found).token;
  }
  return any_token();
}

std::string CoreWorld::key_to_publish() {
  if (!chance(20)) return any_key();
  const auto key_of = [this](EventId event) {
    const auto known = oracle_.events.find(event);
    return known == oracle_.events.end() ? std::string() : known->second.idempotency_key;
  };
  const auto found = rarest_event(Command::publish_again, [&](EventId event) {
    const auto first = first_of(key_of(event));
    return first.has_value() && first->event == event;
  });
  return found.has_value() ? key_of(*found) : any_key();
}

/// Of those that may be answered late, one of whose event something else has become.
std::size_t CoreWorld::late_to_answer() {
  auto best = below(late_.size());
  auto fewest = std::numeric_limits<std::uint64_t>::max();
  for (int left = 6; left > 0; --left) {
    const auto index = below(late_.size());
    const auto& lease = late_[index].lease;
    const auto* subscription = oracle_.find(lease.subscription.value);
    if (subscription == nullptr) continue;
    const auto state = state_of(*subscription, lease.event);
    if (!state.has_value() || matrix.at(Command::stale_answer, *state) >= fewest) continue;
    best = index;
    fewest = matrix.at(Command::stale_answer, *state);
  }
  return best;
}

/// What nobody has for long stays a little, to be met by others.
bool CoreWorld::takes_its_time(const Held& held) {
  if (profile_.crowded || !chance(60)) return false;
  return held.instead.has_value() || held.lease.cleanup ||
         oracle_.is_cancelled(held.lease.event, held.lease.token);
}

core::Answer::Kind CoreWorld::rarest_kind(const Held& held, Kind kind) {
  static constexpr std::array<std::pair<Kind, Command>, 7> kKinds = {{
      {Kind::ack, Command::ack},
      {Kind::retry, Command::retry},
      {Kind::snooze, Command::snooze},
      {Kind::reject, Command::reject},
      {Kind::skip, Command::skip},
      {Kind::release, Command::release},
      {Kind::abandon, Command::abandon},
  }};
  if (profile_.crowded || !holds(held) || !chance(25)) return kind;
  const auto& subscription = oracle_.subscriptions.at(held.lease.subscription.value);
  const auto state = state_of(subscription, held.lease.event);
  if (!StateSet{EventState::signalled, EventState::cleaning_up}.contains(*state)) return kind;
  return std::min_element(kKinds.begin(), kKinds.end(),
                          [&](const auto& one, const auto& other) {
                            return matrix.at(one.second, *state) < matrix.at(other.second, *state);
                          })
      ->first;
}

// --- Time ---------------------------------------------------------------------------------------

/// Until something comes to pass for an event for which it seldom does; 0 = nothing was found.
std::int64_t CoreWorld::rarest_wait() {
  std::int64_t wait = 0;
  const auto until = [&](std::int64_t nanoseconds) {
    const bool good = nanoseconds > 0 && nanoseconds <= kWaitMost;
    if (good) wait = nanoseconds;
    return good;
  };
  const auto which = pick({Command::due, Command::expiry, Command::token_timeout});
  if (which == Command::expiry) {
    rarest_event(which, [&](EventId event) {
      return until(oracle_.limits_of(event).expires_at - now_.wall);
    });
  } else if (which == Command::token_timeout) {
    rarest_event(which, [&](EventId event) {
      const auto token = oracle_.tokens.find(oracle_.limits_of(event).token);
      return token != oracle_.tokens.end() && !token->second.cancelled &&
             until(token->second.deadline - now_.bus);
    });
  } else {
    rarest_event(which, [&](EventId event) {
      return std::any_of(
          oracle_.subscriptions.begin(), oracle_.subscriptions.end(), [&](const auto& each) {
            const auto owed = each.second.owed.find(event);
            if (owed == each.second.owed.end() || !owed->second.parked) return false;
            const auto due = owed->second.due;
            const auto clock = model::clock_of(due);
            return clock != model::DueClock::none && until(due - model::due_now(clock, now_));
          });
    });
  }
  return wait;
}

void CoreWorld::wait_for_rare() {
  if (profile_.crowded) return;
  const auto wait = rarest_wait();
  if (wait == 0) return;
  meet_time(wait);
  advance(wait);
  ++counts["waited for something rare"];
  if (chance(80)) commit([this](CommitPlan& plan) { cancel_timed_out(plan); });
}

// --- Subscriptions ------------------------------------------------------------------------------

std::optional<CoreWorld::Id> CoreWorld::any_subscription(
    Command command, const std::function<bool(const OracleSubscription&)>& which) {
  if (chance(40)) return any_subscription(which);
  std::optional<Id> best;
  auto fewest = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    if (!which(subscription)) continue;
    const auto met = matrix.rarest(command, states_of(id));
    if (best.has_value() && met >= fewest) continue;
    best = id;
    fewest = met;
  }
  return best;
}

/// Does what has not been done yet to a subscription with an event in a state that is rare.
void CoreWorld::use_the_moment() {
  if (profile_.crowded) return;
  using Choice = std::pair<Command, Id>;
  std::vector<Choice> choices;
  auto fewest = std::numeric_limits<std::uint64_t>::max();
  const auto consider = [&](Command command, Id id, StateSet states) {
    const auto met = matrix.rarest(command, states);
    if (met > fewest) return;
    if (met < fewest) choices.clear();
    fewest = met;
    choices.emplace_back(command, id);
  };
  for (const auto& [id, each] : oracle_.subscriptions) {
    const auto states = states_of(id) & kRare;
    if (states.empty()) continue;
    for (const auto command : {Command::crash, Command::power_loss, Command::clean_end}) {
      consider(command, id, states);
    }
    if (!profile_.steady || !each.durable) consider(Command::remove, id, states);
    if (!each.durable) continue;
    consider(each.paused ? Command::resume : Command::pause, id, states);
    consider(Command::attach, id, states);
    if (each.attached) consider(Command::detach, id, states);
    if (!profile_.steady) consider(Command::change_filter, id, states);
    consider(Command::rewind, id, states);
  }
  if (choices.empty()) return;
  const auto [command, id] = choices[below(choices.size())];
  ++counts["used the moment"];
  if (command == Command::crash || command == Command::power_loss ||
      command == Command::clean_end) {
    return end_process(command);
  }
  commit([&, command = command, id = id](CommitPlan& plan) { give(plan, command, id); });
}

void CoreWorld::give(CommitPlan& plan, Command command, Id id) {
  switch (command) {
    case Command::remove: return remove(plan, id);
    case Command::pause: return set_paused(plan, id, true);
    case Command::resume: return set_paused(plan, id, false);
    case Command::detach: return detach(id);
    case Command::change_filter: change_filter(plan, id); return attach(id);
    case Command::rewind: return rewind(plan, id);
    default: return attach(id);
  }
}

}  // namespace holdfast::testing
