// SPDX-License-Identifier: MIT
// The part of the world that brings about what is rare, and does to it what has not been done yet.
#include <algorithm>
#include <limits>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;

namespace {

constexpr auto kNothingNew = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kLookedAt = 64;
constexpr std::int64_t kWaitMost = std::int64_t{200} * 1'000'000'000;

}  // namespace

/// Before the step itself.
void CoreWorld::load_the_dice() {
  if (chance(20)) pass_some_gate();
  meet_what_starts_over();
  if (chance(5)) bring_about();
  if (chance(6)) meet_what_is_rare();
  if (profile_.operations && !profile_.crowded) {
    if (chance(8)) meet_a_member();
    if (chance(10)) bring_a_member_underway();
  }
  scheduler_->advance(now_);
}

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
    if (chance(40)) return hold_a_suspect(id, event);
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
  bring_to_clean_up();
}

void CoreWorld::bring_to_clean_up() {
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
    if (held && chance(50)) return put_back_what_was_held();
    return chance(50) ? meet_rare(*id, event) : bring_to_clean_up();
  }
}

bool CoreWorld::can_meet_more(EventId event) const {
  const auto limits = oracle_.limits_of(event);
  const auto token = oracle_.tokens.find(limits.token);
  const auto soon = [](std::int64_t wait) { return wait > 0 && wait <= kWaitMost; };
  return soon(limits.expires_at - now_.wall) || soon(deadline_of(event) - now_.bus) ||
         (token != oracle_.tokens.end() && !token->second.cancelled &&
          soon(token->second.deadline - now_.bus));
}

/// Of the operation it is a member of, which is open; 0 = there is none.
std::int64_t CoreWorld::deadline_of(EventId event) const {
  const auto place = oracle_.operations.find(event);
  if (!place.has_value()) return 0;
  const auto& operation = oracle_.operations.all.at(place->id);
  return operation.is_open() ? operation.deadline : 0;
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
    const auto state = state_of(subscription, event);
    // What it kept and will not compensate any more.
    if (!state.has_value()) return;
    const bool more = can_meet_more(event);
    const bool rare = (kRareStates | kRarestStates).contains(*state) || subscription.paused;
    if (!rare && !more) return;
    auto& these = found[static_cast<std::size_t>(*state)];
    these.insert(these.end(), more ? 6 : 1, {id, event});
  };
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    auto left = kLookedAt;
    for (auto at = subscription.owed.begin(); at != subscription.owed.end() && left > 0;
         ++at, --left) {
      const auto& owed = at->second;
      const bool waits = owed.parked && owed.due == model::kTurnDue;
      if (owed.taken || owed.again || owed.suspect || owed.started || owed.cleanup || waits) {
        look(id, subscription, at->first);
      }
    }
    if (const auto event = any_kept(id)) look(id, subscription, *event);
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
    if (!found[i].empty())
      states.insert(states.end(), kRarestStates.contains(state) ? 3 : 1, state);
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
  } else if (command == Command::deadline) {
    wait = deadline_of(event) - now_.bus;
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
    case Command::deadline:
    case Command::expiry: return wait_for(command, id, event) > 0;
    case Command::seal:
    case Command::roll_back: return oracle_.operations.find(event).has_value();
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
  // What few can meet goes before what all can, and there what is seldom done.
  static constexpr std::size_t kFew = 11;
  static constexpr std::array<Command, 16> kFirst = {
      Command::token_timeout, Command::expiry,    Command::deadline,   Command::stale_answer,
      Command::due,           Command::rewind,    Command::resume,     Command::cancel_token,
      Command::publish_again, Command::seal,      Command::roll_back,  Command::change_filter,
      Command::pause,         Command::clean_end, Command::power_loss, Command::crash};
  const auto* subscription = oracle_.find(id);
  const auto state = subscription == nullptr ? std::nullopt : state_of(*subscription, event);
  if (!state.has_value()) return std::nullopt;
  const bool rare = (kRareStates | kRarestStates).contains(*state);
  // That is the end of all that is rare, and costs time; so not often.
  const bool may_end = chance(*state == EventState::starts_over ? 90 : 12);
  std::optional<Command> best;
  auto least = kNothingNew;
  const auto first = below(kCommandCount);
  for (std::size_t i = 0; i < kCommandCount; ++i) {
    const auto command = static_cast<Command>((first + i) % kCommandCount);
    const auto rank =
        static_cast<std::size_t>(std::find(kFirst.begin(), kFirst.end(), command) - kFirst.begin());
    if ((!rare && rank >= kFew) || !can_meet(command, id, event)) continue;
    if (ends_process(command) && !(may_end && rare)) continue;
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
    case Command::deadline:
    case Command::token_timeout: {
      const auto wait = wait_for(command, id, event);
      meet_time(wait);
      advance(wait);
      if (command == Command::due || command == Command::expiry) return;
      return commit([&](CommitPlan& plan) {
        if (command == Command::token_timeout) return cancel_timed_out(plan);
        expire_operations(plan);
      });
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
      case Command::seal: return seal(plan, oracle_.operations.find(event)->id);
      case Command::roll_back: return roll_back(plan, oracle_.operations.find(event)->id);
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
    answer_late(plan, below(command == Command::rewind ? 12 : 2));
  });
}

void CoreWorld::answer_late(CommitPlan& plan, std::uint64_t count) {
  for (; count > 0 && !late_.empty(); --count) {
    std::swap(late_[late_to_answer()], late_.back());
    const auto held = late_.back();
    late_.pop_back();
    answer(plan, held);
  }
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
