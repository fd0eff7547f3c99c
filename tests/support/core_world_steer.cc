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
constexpr StateSet kRare{EventState::taken, EventState::turned_away, EventState::released};
constexpr StateSet kRarest{EventState::signalled, EventState::cleaning_up, EventState::starts_over,
                           EventState::cleanup_owed, EventState::suspect};
constexpr StateSet kSeldom = kRare | StateSet{EventState::key_wait, EventState::dead};
constexpr auto kNothingNew = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kLookedAt = 64;
constexpr std::int64_t kWaitMost = std::int64_t{200} * 1'000'000'000;

}  // namespace

/// The less the better. A world is too short to find out by itself what is rare.
std::uint64_t CoreWorld::known_of(Command command, EventState state) const {
  if (StateMatrix::why_not(command, state) != nullptr) return kNothingNew;
  if (command == Command::stale_answer && state == EventState::key_wait) {
    return matrix.at(command, state);
  }
  const std::uint64_t common = kRarest.contains(state) ? 0 : kSeldom.contains(state) ? 1 : 4;
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

// --- Bringing about what is rare ----------------------------------------------------------------

/// Of those that handlers have and that are not cancelled; those that more can happen to have more
/// chances.
std::optional<CoreWorld::Held> CoreWorld::any_running() {
  std::vector<std::size_t> running;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const auto& each = held_[i];
    if (each.asks || each.instead.has_value() || each.lease.cleanup || !holds(each)) continue;
    if (oracle_.is_cancelled(each.lease.event, each.lease.token)) continue;
    const bool more = can_meet_more(each.lease.event) || is_late_as_well(each.lease);
    const bool on_cancel = oracle_.subscriptions.at(each.lease.subscription.value).on_cancel;
    running.insert(running.end(), (more ? 20 : 1) * (on_cancel ? 3 : 1), i);
  }
  if (running.empty()) return std::nullopt;
  return held_[running[below(running.size())]];
}

/// A handler's event is cancelled, and sometimes the world goes on until it is cleaned up.
void CoreWorld::bring_about() {
  if (profile_.crowded) return;
  if (chance(20)) return cancel_between_tries();
  auto one = any_running();
  for (int tries = 0; !one.has_value() && tries < 3; ++tries) {
    take(Priority::low);
    one = any_running();
  }
  if (!one.has_value()) return;
  const auto held = *one;
  const auto id = held.lease.subscription.value;
  const auto event = held.lease.event;
  ++counts["brought about"];
  if (chance(12)) {
    end_process(Command::crash);
    return meet_rare(id, event);
  }
  const auto give_answer = [&](CommitPlan& plan) {
    std::erase_if(held_, [&](const Held& each) { return each.serial == held.serial; });
    answer(plan, held);
  };
  if (chance(30)) {
    next_kind_ = pick({Kind::reject, Kind::release});
    commit(give_answer);
    return meet_rare(id, event);
  }
  commit([&](CommitPlan& plan) { cancel_event(plan, event); });
  if (chance(40)) return meet_rare(id, event);
  commit(give_answer);
  if (chance(30)) return meet_rare(id, event);
  scheduler_->advance(now_);
  for (int tries = 0; tries < 10 && take(Priority::low); ++tries) {
    pass_gates(held_.back());
    const auto lease = held_.back().lease;
    if (!lease.cleanup) continue;
    ++counts["brought to its clean-up"];
    return meet_rare(lease.subscription.value, lease.event);
  }
}

/// So that on_cancel is owed for it, and that is written nowhere.
void CoreWorld::cancel_between_tries() {
  const auto id = any_subscription([](const auto& each) { return each.durable && each.on_cancel; });
  if (!id.has_value()) return;
  const bool held = chance(50);
  for (const auto& [event, owed] : oracle_.subscriptions.at(*id).owed) {
    if (held && !owed.is_held_by_pause()) continue;
    if (!owed.parked || !owed.started || owed.taken || owed.cleanup || owed.suspect) continue;
    commit([&, event = event](CommitPlan& plan) { cancel_event(plan, event); });
    return meet_rare(*id, event);
  }
}

bool CoreWorld::can_meet_more(EventId event) const {
  const auto limits = oracle_.limits_of(event);
  const auto token = oracle_.tokens.find(limits.token);
  const auto soon = [](std::int64_t wait) { return wait > 0 && wait <= kWaitMost; };
  return soon(limits.expires_at - now_.wall) ||
         (token != oracle_.tokens.end() && !token->second.cancelled &&
          soon(token->second.deadline - now_.bus));
}

bool CoreWorld::is_late_as_well(const core::Lease& lease) const {
  return std::any_of(late_.begin(), late_.end(), [&](const Held& each) {
    return each.lease.subscription == lease.subscription && each.lease.event == lease.event;
  });
}

/// One in a state that is rare, whichever of those there are; or that can meet what few can.
std::optional<std::pair<CoreWorld::Id, EventId>> CoreWorld::rare_one() {
  std::array<std::vector<std::pair<Id, EventId>>, kStateCount> found;
  const auto look = [&](Id id, const OracleSubscription& subscription, EventId event) {
    const auto state = *state_of(subscription, event);
    const bool more = can_meet_more(event);
    const bool rare = (kRare | kRarest).contains(state) || subscription.paused;
    if (!rare && !more) return;
    auto& these = found[static_cast<std::size_t>(state)];
    these.insert(these.end(), more ? 6 : 1, {id, event});
  };
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    auto left = kLookedAt;
    for (auto at = subscription.owed.begin(); at != subscription.owed.end() && left > 0;
         ++at, --left) {
      const auto& owed = at->second;
      if (owed.taken || owed.again || owed.suspect || owed.started) {
        look(id, subscription, at->first);
      }
    }
    if (subscription.dead.contains(subscription.last_dead)) {
      look(id, subscription, subscription.last_dead);
    }
    for (left = 2; left > 0 && !subscription.dead.empty(); --left) {
      const auto index = static_cast<std::ptrdiff_t>(below(subscription.dead.size()));
      look(id, subscription, std::next(subscription.dead.begin(), index)->first);
    }
  }
  std::vector<EventState> states;
  for (std::size_t i = 0; i < kStateCount; ++i) {
    const auto state = static_cast<EventState>(i);
    if (!found[i].empty()) states.insert(states.end(), kRarest.contains(state) ? 3 : 1, state);
  }
  if (states.empty()) return std::nullopt;
  const auto& these = found[static_cast<std::size_t>(states[below(states.size())])];
  return these[below(these.size())];
}

/// Until it is due, it expires or its token times out; 0 = not soon.
std::int64_t CoreWorld::wait_for(Command command, Id id, EventId event) {
  const auto limits = oracle_.limits_of(event);
  std::int64_t wait = 0;
  if (command == Command::expiry) {
    wait = limits.expires_at - now_.wall;
  } else if (command == Command::token_timeout) {
    const auto token = oracle_.tokens.find(limits.token);
    if (token == oracle_.tokens.end() || token->second.cancelled) return 0;
    wait = token->second.deadline - now_.bus;
  } else {
    const auto& owed = oracle_.subscriptions.at(id).owed.at(event);
    wait = !owed.parked || owed.taken ? limits.not_before - now_.wall
           : model::clock_of(owed.due) == model::DueClock::wall
               ? owed.due - model::due_at_wall(now_.wall)
               : owed.due - now_.bus;
  }
  return wait > kWaitMost ? 0 : std::max<std::int64_t>(wait, 0);
}

bool CoreWorld::can_meet(Command command, Id id, EventId event) {
  const auto& subscription = oracle_.subscriptions.at(id);
  const auto state = state_of(subscription, event);
  if (StateMatrix::why_not(command, *state) != nullptr) return false;
  switch (command) {
    case Command::publish_again: {
      const auto known = oracle_.events.find(event);
      if (known == oracle_.events.end()) return false;
      const auto first = first_of(known->second.idempotency_key);
      return first.has_value() && first->event == event;
    }
    case Command::cancel_token: return oracle_.tokens.contains(oracle_.limits_of(event).token);
    case Command::token_timeout:
    case Command::due:
    case Command::expiry: return wait_for(command, id, event) > 0;
    case Command::stale_answer: {
      core::Lease lease;
      lease.subscription.value = id;
      lease.event = event;
      return is_late_as_well(lease);
    }
    case Command::detach: return subscription.durable && subscription.attached;
    case Command::change_filter: return subscription.durable && !profile_.steady;
    case Command::remove: return !subscription.durable || !profile_.steady;
    case Command::attach: return subscription.durable;
    case Command::rewind:
      return subscription.durable && !needs_for_operation(id) &&
             std::none_of(subscription.owed.begin(), subscription.owed.end(),
                          [](const auto& each) { return each.second.cleanup; });
    case Command::pause: return subscription.durable && !subscription.paused;
    case Command::resume: return subscription.paused;
    case Command::pause_types: return true;
    case Command::resume_types: return !oracle_.paused_types.empty();
    case Command::cancel_event:
    case Command::crash:
    case Command::power_loss:
    case Command::clean_end: return true;
    default: return false;
  }
}

void CoreWorld::meet_what_is_rare() {
  if (profile_.crowded) return;
  const auto target = rare_one();
  if (target.has_value()) meet_rare(target->first, target->second);
}

/// Before somebody takes it again.
void CoreWorld::meet_what_starts_over() {
  const auto one = std::exchange(starts_over_, std::nullopt);
  if (one.has_value() && !profile_.crowded) meet_rare(one->first, one->second);
}

/// Does to it what has not been done yet to one in its state.
void CoreWorld::meet_rare(Id id, EventId event) {
  std::optional<Command> command;
  do {
    command = least_known(id, event);
    if (!command.has_value()) return;
    ++counts["met something rare"];
    give(*command, id, event);
    scheduler_->advance(now_);
  } while (command == Command::pause || chance(30));
}

std::optional<Command> CoreWorld::least_known(Id id, EventId event) {
  // What few can meet goes before what all can.
  static constexpr std::array<Command, 11> kForFew = {
      Command::token_timeout, Command::expiry,     Command::stale_answer, Command::due,
      Command::rewind,        Command::resume,     Command::cancel_token, Command::publish_again,
      Command::clean_end,     Command::power_loss, Command::crash};
  const auto* subscription = oracle_.find(id);
  const auto state = subscription == nullptr ? std::nullopt : state_of(*subscription, event);
  if (!state.has_value()) return std::nullopt;
  const bool rare = (kRare | kRarest).contains(*state);
  // That is the end of all that is rare, and costs time; so not often.
  const bool may_end = chance(*state == EventState::starts_over ? 60 : 12);
  std::optional<Command> best;
  auto least = kNothingNew;
  const auto first = below(kCommandCount);
  for (std::size_t i = 0; i < kCommandCount; ++i) {
    const auto command = static_cast<Command>((first + i) % kCommandCount);
    const auto rank = static_cast<std::size_t>(std::find(kForFew.begin(), kForFew.end(), command) -
                                               kForFew.begin());
    if ((!rare && rank == kForFew.size()) || !can_meet(command, id, event)) continue;
    const bool ends = command == Command::crash || command == Command::power_loss ||
                      command == Command::clean_end;
    if (ends && !(may_end && rare)) continue;
    const auto known = 16 * matrix.at(command, *state) + rank;
    if (known >= least) continue;
    best = command;
    least = known;
  }
  return best;
}

void CoreWorld::give(Command command, Id id, EventId event) {
  switch (command) {
    case Command::crash:
    case Command::power_loss:
    case Command::clean_end: return end_process(command);
    case Command::due:
    case Command::expiry:
    case Command::token_timeout: {
      const auto wait = wait_for(command, id, event);
      meet_time(wait);
      advance(wait);
      if (command != Command::token_timeout) return;
      return commit([this](CommitPlan& plan) { cancel_timed_out(plan); });
    }
    default: break;
  }
  commit([&](CommitPlan& plan) {
    switch (command) {
      case Command::publish_again:
        next_key_ = oracle_.events.at(event).idempotency_key;
        return publish(plan);
      case Command::cancel_event: return cancel_event(plan, event);
      case Command::cancel_token:
        return cancel_token(plan, oracle_.limits_of(event).token, command);
      case Command::stale_answer: return answer_late(plan, id, event);
      case Command::detach: return detach(id);
      case Command::remove: return remove(plan, id);
      case Command::pause: return set_paused(plan, id, true);
      case Command::resume: return set_paused(plan, id, false);
      case Command::pause_types: return pause_types(plan, "a.x");
      case Command::resume_types:
        return resume_types(plan, std::string(*oracle_.paused_types.begin()));
      case Command::rewind: rewind(plan, id); break;
      case Command::change_filter:
        change_filter(plan, id);
        attach(id);
        break;
      default: attach(id);
    }
    // Whoever had something of it may answer before somebody has it again.
    for (auto left = below(command == Command::rewind ? 6 : 2); left > 0 && !late_.empty();
         --left) {
      const auto& lease = late_[late_to_answer()].lease;
      answer_late(plan, lease.subscription.value, EventId(lease.event));
    }
  });
}

void CoreWorld::answer_late(CommitPlan& plan, Id id, EventId event) {
  const auto at = std::find_if(late_.begin(), late_.end(), [&](const Held& each) {
    return each.lease.subscription.value == id && each.lease.event == event;
  });
  const auto held = *at;
  late_.erase(at);
  answer(plan, held);
}

}  // namespace holdfast::testing
