// SPDX-License-Identifier: MIT
// The part of the world that loads the dice, so that commands also meet what is rarely there.
#include <algorithm>
#include <limits>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;

namespace {

constexpr StateSet kSeldom = kRareStates | StateSet{EventState::key_wait, EventState::dead};
constexpr auto kNothingNew = std::numeric_limits<std::uint64_t>::max();

}  // namespace

/// The less the better. A world is too short to find out by itself what is rare.
std::uint64_t CoreWorld::known_of(Command command, EventState state) const {
  if (StateMatrix::why_not(command, state) != nullptr) return kNothingNew;
  if (command == Command::stale_answer && state == EventState::key_wait) {
    return matrix.at(command, state);
  }
  const std::uint64_t common = kRarestStates.contains(state) ? 0 : kSeldom.contains(state) ? 1 : 4;
  return matrix.at(command, state) + common;
}

std::uint64_t CoreWorld::known_of(Command command, StateSet states) const {
  auto least = kNothingNew;
  for (std::size_t i = 0; i < kStateCount; ++i) {
    const auto state = static_cast<EventState>(i);
    if (states.contains(state)) least = std::min(least, known_of(command, state));
  }
  return least;
}

// --- Events -------------------------------------------------------------------------------------

std::optional<EventId> CoreWorld::any_event() {
  if (!held_.empty() && chance(50)) return held_[below(held_.size())].lease.event;
  if (oracle_.events.empty()) return std::nullopt;
  const auto at = static_cast<std::ptrdiff_t>(below(oracle_.events.size()));
  return std::next(oracle_.events.begin(), at)->first;
}

std::optional<EventId> CoreWorld::any_kept(Id id) {
  std::vector<EventId> kept;
  for (const auto& [operation_id, operation] : oracle_.operations.all) {
    for (const auto& member : operation.members) {
      if (member.kept.contains(id)) kept.push_back(member.event);
    }
  }
  if (kept.empty()) return std::nullopt;
  return kept[below(kept.size())];
}

std::optional<EventId> CoreWorld::rarest_event(Command command,
                                               const std::function<bool(EventId)>& fits) {
  std::optional<EventId> best;
  auto least = kNothingNew;
  const auto look = [&](const OracleSubscription& subscription, EventId event) {
    const auto state = state_of(subscription, event);
    if (!state.has_value()) return;
    const auto known = known_of(command, *state);
    if (known >= least || !fits(event)) return;
    best = event;
    least = known;
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
  for (int left = 2; left > 0 && !subscription.dead.empty(); --left) {
    const auto index = static_cast<std::ptrdiff_t>(below(subscription.dead.size()));
    look(subscription, std::next(subscription.dead.begin(), index)->first);
  }
  if (const auto event = any_kept(*id)) look(subscription, *event);
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

/// Mostly one that lets it in, and times out some day.
TokenId CoreWorld::token_to_publish_under() {
  auto token = any_token();
  for (int tries = 4; tries > 0 && token.has_value(); --tries) {
    const auto& known = oracle_.tokens.at(*token);
    if (!known.cancelled && known.deadline != 0) break;
    token = any_token();
  }
  return token.value_or(TokenId{});
}

std::string CoreWorld::key_to_publish() {
  if (auto key = std::exchange(next_key_, {}); !key.empty()) return key;
  if (profile_.crowded || !chance(20)) return any_key();
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
  auto least = kNothingNew;
  for (int left = profile_.crowded ? 2 : 16; left > 0; --left) {
    const auto index = below(late_.size());
    const auto& lease = late_[index].lease;
    const auto* subscription = oracle_.find(lease.subscription.value);
    if (subscription == nullptr) continue;
    const auto state = state_of(*subscription, lease.event);
    if (!state.has_value() || known_of(Command::stale_answer, *state) >= least) continue;
    best = index;
    least = known_of(Command::stale_answer, *state);
  }
  return best;
}

/// What nobody has for long stays a little, to be met by others.
bool CoreWorld::takes_its_time(const Held& held) {
  if (profile_.crowded || !chance(85)) return false;
  return held.instead.has_value() || held.lease.cleanup ||
         oracle_.is_cancelled(held.lease.event, held.lease.token);
}

core::Answer::Kind CoreWorld::rarest_kind(const Held& held, Kind kind) {
  static constexpr std::array<std::pair<Kind, Command>, 8> kKinds = {{
      {Kind::ack, Command::ack},
      {Kind::ack, Command::ack_with_tx},
      {Kind::retry, Command::retry},
      {Kind::snooze, Command::snooze},
      {Kind::reject, Command::reject},
      {Kind::skip, Command::skip},
      {Kind::release, Command::release},
      {Kind::abandon, Command::abandon},
  }};
  if (next_kind_.has_value()) return *std::exchange(next_kind_, std::nullopt);
  if (profile_.crowded || !holds(held)) return kind;
  if (held.lease.suspect && chance(40)) return Kind::snooze;
  if (!chance(70)) return kind;
  const auto& subscription = oracle_.subscriptions.at(held.lease.subscription.value);
  const auto state = *state_of(subscription, held.lease.event);
  if (!StateSet{EventState::signalled, EventState::cleaning_up}.contains(state)) return kind;
  auto least = kNothingNew;
  const auto first = below(kKinds.size());
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const auto& [each, command] = kKinds[(first + i) % kKinds.size()];
    if (matrix.at(command, state) >= least) continue;
    kind = each;
    least = matrix.at(command, state);
  }
  return kind;
}

// --- Subscriptions ------------------------------------------------------------------------------

std::optional<CoreWorld::Id> CoreWorld::any_subscription(
    Command command, const std::function<bool(const OracleSubscription&)>& which) {
  if (chance(40)) return any_subscription(which);
  std::optional<Id> best;
  auto least = kNothingNew;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    if (!which(subscription)) continue;
    const auto known = known_of(command, states_of(id));
    if (best.has_value() && known >= least) continue;
    best = id;
    least = known;
  }
  return best;
}

}  // namespace holdfast::testing
