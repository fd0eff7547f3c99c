// SPDX-License-Identifier: MIT
// What the oracle knows of the order of delivery: urgency, ageing and turns.
#include "support/core_world.h"

namespace holdfast::testing {

/// At the end of each commit, and that is enough: what one parks is not taken before its end.
void CoreWorld::note_overflow() {
  if (!profile_.crowded) return;
  const auto room = ledger_->parked_in_memory_max();
  for (auto& [id, subscription] : oracle_.subscriptions) {
    for (const auto lane : kAllPriorities) {
      auto& at_most = subscription.parked_at_most[lane];
      if (subscription.overflowed[lane] || at_most <= room) continue;
      at_most = static_cast<std::size_t>(std::count_if(
          subscription.owed.lower_bound({lane, 0}), subscription.owed.end(),
          [&](const auto& each) { return each.second.parked && each.first.priority == lane; }));
      subscription.overflowed[lane] = at_most > room;
    }
  }
}

bool CoreWorld::may_be_on_disk(const Owed& passed, const Owed& taken) {
  if (passed.again) return false;
  if (taken.again || model::clock_of(taken.due) != model::clock_of(passed.due)) return true;
  return taken.due <= passed.due;
}

std::size_t CoreWorld::level_of(const OracleSubscription& subscription, EventId event,
                                int slack) const {
  // One that had to wait for its key was not ready before.
  if (slack > 0 && oracle_.keyed.contains(event)) return 0;
  if (Oracle::waits_for_wall_clock(subscription, event)) {
    // When its time came is known to nobody who does not look all the time.
    return slack > 0 ? 0
                     : rule_.level(event.priority, 0,
                                   std::max<base::BusTime>(now_.bus - subscription.ready_from, 0));
  }
  const auto waited = now_.bus - oracle_.ready_since(subscription, event) -
                      slack * rule_.max_wait(event.priority) / 8;
  return rule_.level(event.priority, 0, std::max<base::BusTime>(waited, 0));
}

Priority CoreWorld::effective(const OracleSubscription& subscription, EventId event,
                              int slack) const {
  return core::AgeingRule::effective(event.priority, level_of(subscription, event, slack));
}

std::vector<EventId> CoreWorld::heads(const OracleSubscription& subscription, Priority lane) const {
  std::vector<EventId> heads;
  if (profile_.keys && (suspect_running_ || may_stand_still())) return heads;
  const auto ready = this->ready(subscription, lane);
  if (ready.waits_for_key && may_stand_still()) return heads;
  if (ready.out_of_turn.has_value() && (suspects_fill_memory() || overflows(subscription, lane))) {
    return heads;
  }
  if (ready.maybe_hidden && profile_.clock_jumps) return heads;
  if (suspect_may_run(subscription, ready.out_of_turn)) heads.push_back(*ready.out_of_turn);
  // Behind a suspect that has to wait nothing is sure.
  if (ready.in_turn.has_value() && (!ready.out_of_turn.has_value() || !heads.empty())) {
    heads.push_back(*ready.in_turn);
  }
  return heads;
}

/// Nothing is given before what is more urgent, by lane and by what it has waited: within a
/// subscription always, over all of them where nothing has to be read first.
void CoreWorld::check_order(const core::Lease& lease, Priority worker_class) {
  const auto event = lease.event;
  const auto what = name(lease.subscription.value, event);
  const auto& own = oracle_.subscriptions.at(lease.subscription.value);
  // As urgent as it can be; what others have waited is known to an eighth of their wait.
  const auto urgency = effective(own, event, 0);
  const bool turn = level_of(own, event, 0) > 0 &&
                    since_turn_[event.priority] + 1 >= core::Scheduler::kTakesPerTurn;
  if (urgency < event.priority) ++counts["moved up"];
  for (const auto lane : kAllPriorities) {
    if (lane > worker_class) break;
    if (lane == event.priority || (lane > event.priority && !profile_.refills_at_once)) continue;
    for (const auto& [other_id, other] : oracle_.subscriptions) {
      const bool same = &other == &own;
      if (!same && (!profile_.refills_at_once || !other.is_served() || gets_no_more(other) ||
                    lingers(other))) {
        continue;
      }
      if (!Oracle::has_slot(other, lane)) continue;
      // What has moved up far enough does not wait for a lane that gets no more for now.
      if (same && gets_no_more(other) && urgency <= lane) continue;
      if (lane > event.priority && (has_little_memory() || gets_no_more(other))) continue;
      for (const auto& head : heads(other, lane)) {
        // Of what waits on disk the age is known only once it is read.
        const auto most =
            profile_.refills_at_once && !has_little_memory() ? effective(other, head, 1) : lane;
        if (most >= urgency) continue;
        if (turn) {
          ++counts["turn"];
          return;
        }
        throw Violation("given before something more urgent, " + name(other_id, head) + ": " +
                        what);
      }
    }
  }
}

/// Of 32 takes by workers that may take it, one is of the least urgent lane with something aged.
void CoreWorld::check_turns(const core::Lease& lease, Priority worker_class) {
  const auto& own = oracle_.subscriptions.at(lease.subscription.value);
  const bool unknown =
      Oracle::waits_for_wall_clock(own, lease.event) || oracle_.keyed.contains(lease.event);
  const bool aged = !unknown && level_of(own, lease.event, 0) > 0;
  bool least = true;
  for (auto it = kAllPriorities.rbegin(); it != kAllPriorities.rend(); ++it) {
    const auto lane = *it;
    if (lane > worker_class) continue;
    ++since_turn_[lane];
    if (lane == lease.event.priority && aged) since_turn_[lane] = 0;
    if (!profile_.refills_at_once || profile_.crowded || has_little_memory()) continue;
    const bool waits = std::any_of(
        oracle_.subscriptions.begin(), oracle_.subscriptions.end(), [&](const auto& each) {
          const OracleSubscription& other = each.second;
          if (!other.is_served() || gets_no_more(other) || lingers(other) ||
              !Oracle::has_slot(other, lane)) {
            return false;
          }
          const auto ready = heads(other, lane);
          return std::any_of(ready.begin(), ready.end(),
                             [&](const EventId& head) { return level_of(other, head, 1) > 0; });
        });
    if (!waits || !least || (lane == lease.event.priority && (aged || unknown))) {
      passed_over_[lane] = 0;
    } else {
      require(++passed_over_[lane] < core::Scheduler::kTakesPerTurn,
              "lane " + std::string(to_string(lane)) + " starves");
    }
    // Of what is taken here nobody knows whether it was its turn; or it was, and had just aged.
    least = least && !waits && !(lane == lease.event.priority && (unknown || aged));
  }
}

}  // namespace holdfast::testing
