// SPDX-License-Identifier: MIT
// The part of the world that looks for what the dice alone hardly ever bring about: commands that
// meet members of operations, and what is released after a pause though much has happened to it.
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;

namespace {

using enum EventState;

constexpr std::int64_t kHour = std::int64_t{3'600} * 1'000'000'000;

/// Of the states that members are in while they run, or wait to.
constexpr StateSet kUnderway{taken,      running,   in_batch, released, starts_over,
                             retry_wait, retry_due, held,     suspect};
/// Of those that few but members are in.
constexpr StateSet kOfMembers{undo_owed, turn_wait, kept};

bool is_seldom(Command command, EventState state) {
  switch (command) {
    case Command::seal:
    case Command::roll_back: return (kUnderway | StateSet{kept, dead}).contains(state);
    case Command::deadline:
      return (kUnderway | StateSet{scheduled, settled, not_durable, turned_away, kept})
          .contains(state);
    case Command::token_timeout:
    case Command::due: return (kOfMembers | StateSet{cleanup_owed, suspect}).contains(state);
    case Command::crash:
    case Command::power_loss:
    case Command::clean_end: return StateSet{turn_wait, kept}.contains(state);
    default: return kOfMembers.contains(state);
  }
}

constexpr std::array<Command, 16> kSeldom = {
    Command::seal,         Command::roll_back,     Command::deadline, Command::token_timeout,
    Command::due,          Command::expiry,        Command::crash,    Command::power_loss,
    Command::clean_end,    Command::publish_again, Command::remove,   Command::cancel_event,
    Command::cancel_token, Command::change_filter, Command::pause,    Command::stale_answer};

/// The rest can happen to any event.
constexpr std::array<Command, 6> kOfFew = {Command::token_timeout, Command::expiry,
                                           Command::due,           Command::deadline,
                                           Command::cancel_token,  Command::publish_again};

}  // namespace

/// The less the better.
std::uint64_t CoreWorld::known_seldom(Command command, EventState state) const {
  const bool few = std::find(kOfFew.begin(), kOfFew.end(), command) != kOfFew.end();
  return 4 * matrix.at(command, state) + (few ? 0 : 9);
}

/// Of some operation: what has met the least, by what has hardly met it.
void CoreWorld::meet_a_member() {
  using Cell = std::pair<Command, EventState>;
  std::map<Cell, std::vector<std::pair<Id, EventId>>> found;
  for (int tries = 0; tries < 4; ++tries) {
    const auto operation_id = any_operation(
        [](const auto& operation) { return !operation.has_ended() && !operation.members.empty(); });
    if (!operation_id.has_value()) return;
    for (const auto& member : oracle_.operations.all.at(*operation_id).members) {
      for (const auto& [id, subscription] : oracle_.subscriptions) {
        const auto state = state_of(subscription, member.event);
        if (!state.has_value() || !subscription.durable) continue;
        for (const auto command : kSeldom) {
          if (!is_seldom(command, *state) || !can_meet(command, id, member.event)) continue;
          // That is the end of much that others could meet.
          const bool ends = ends_process(command) || command == Command::remove;
          if (ends && !chance(10)) continue;
          found[{command, *state}].emplace_back(id, member.event);
        }
      }
    }
  }
  if (found.empty()) return;
  auto least = found.begin();
  for (auto at = found.begin(); at != found.end(); ++at) {
    const auto known = known_seldom(at->first.first, at->first.second);
    const auto before = known_seldom(least->first.first, least->first.second);
    if (known < before || (known == before && chance(30))) least = at;
  }
  const auto [id, event] = least->second[below(least->second.size())];
  ++counts["met a member"];
  give(least->first.first, id, event);
  scheduler_->advance(now_);
}

/// Some member of an operation that stands open is given to a handler, which goes on with it, or
/// leaves it.
void CoreWorld::bring_a_member_underway() {
  for (int tries = 0; tries < 12; ++tries) {
    scheduler_->advance(now_);
    if (!take(Priority::low)) return;
    pass_gates(held_.back());
    const auto held = held_.back();
    const auto event = held.lease.event;
    const auto place = oracle_.operations.find(event);
    const bool is_member = place.has_value() && is_durable(held) && !held.instead.has_value() &&
                           oracle_.operations.all.at(place->id).is_open();
    if (is_member && chance(35)) return meet_member(held.lease.subscription.value, event);
    if (is_member && chance(12)) {
      end_process(Command::crash);
      return meet_member(held.lease.subscription.value, event);
    }
    if (!is_member && chance(50)) continue;
    held_.pop_back();
    if (is_member && !held.lease.cleanup) {
      next_kind_ = pick({Kind::ack, Kind::ack, Kind::retry, Kind::retry, Kind::release});
      // Longer than its operation may last.
      if (chance(50)) next_delay_ = kHour;
    }
    commit([&](CommitPlan& plan) { answer(plan, held); });
    if (is_member) return meet_member(held.lease.subscription.value, event);
  }
}

/// Of what hardly ever meets one in its state, what has met it the least.
void CoreWorld::meet_member(Id id, EventId event) {
  next_kind_.reset();
  next_delay_.reset();
  const auto* subscription = oracle_.find(id);
  if (subscription == nullptr) return;
  const auto state = state_of(*subscription, event);
  if (!state.has_value()) return;
  std::optional<Command> best;
  const auto first = below(kSeldom.size());
  for (std::size_t i = 0; i < kSeldom.size(); ++i) {
    const auto command = kSeldom[(first + i) % kSeldom.size()];
    if (!is_seldom(command, *state) || !can_meet(command, id, event)) continue;
    if (!best.has_value() || known_seldom(command, *state) < known_seldom(*best, *state)) {
      best = command;
    }
  }
  if (!best.has_value()) return;
  ++counts["met a member underway"];
  give(*best, id, event);
  scheduler_->advance(now_);
}

/// What was held when something happened to it is put back.
void CoreWorld::put_back_what_was_held() {
  commit([this](CommitPlan& plan) { resume_all_types(plan); });
  put_some_back(false);
}

/// The process dies in a handler, and the type of its event is paused when it is given out again.
void CoreWorld::hold_a_suspect(Id id, EventId event) {
  commit([this](CommitPlan& plan) { pause_types(plan, ">"); });
  end_process(Command::crash);
  for (int left = 12; left > 0; --left) {
    const auto* subscription = oracle_.find(id);
    if (subscription == nullptr || !subscription->durable) return;
    if (!subscription->attached) {
      commit([&](CommitPlan&) { attach(id); });
    }
    const auto owed = subscription->owed.find(event);
    if (owed == subscription->owed.end()) return;
    if (owed->second.suspect && owed->second.is_held_by_pause() && !owed->second.taken) {
      return put_back_what_was_held();
    }
    scheduler_->advance(now_);
    refill_all();
    if (!take(Priority::low)) return;
    pass_gates(held_.back());
    const auto held = held_.back();
    held_.pop_back();
    commit([&](CommitPlan& plan) { answer(plan, held); });
  }
}

}  // namespace holdfast::testing
