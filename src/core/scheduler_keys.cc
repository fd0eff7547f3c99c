// SPDX-License-Identifier: MIT
// Events with an ordering key: what may not run yet, and when it may.
#include <utility>

#include "core/scheduler.h"

namespace holdfast::core {

bool Scheduler::has_keys(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  return !subscription.keys.empty() ||
         (state.window_count() > 0 && state.window_front().chunk->keyed());
}

/// Whatever stands still here, the first of all that wait goes on: it comes after nothing that is
/// not taken, so what holds it back runs, or has its time. So any limit will do.
void Scheduler::hold_back(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  auto& keys = subscription.keys;
  // Nothing comes after anything of its own lane in here, so this does not change meanwhile.
  const auto frontier = ledger_.frontier(subscription);
  bool moved = false;
  const auto hold = [&](EventId event, DeliveryLane::Due due) {
    if (!due.parked) state.set_idle(due.ticket, true);
    keys.hold(event, std::move(due));
    waits_for_answers_ = true;
    moved = true;
  };
  while (state.has_due()) {
    const EventId event{lane, state.first_due_sequence()};
    if (keys.may_run(event, frontier)) break;
    hold(event, state.take_due());
  }
  state.stalled = false;
  while (state.window_count() > 0 && !is_full(subscription, lane)) {
    const auto& front = state.window_front();
    const EventId event{lane, front.next};
    if (!front.chunk->keyed()) break;
    const auto place = model::key_place(*front.chunk, front.next);
    if (place.key.hash == 0) break;
    const bool may_run = keys.may_run(event, place, frontier);
    const auto most = ledger_.keyed_waiting_max();
    // Those that only wait have a quarter, so that they never keep out what they wait for.
    const bool room = keys.size() < most && (may_run || keys.held_count() == 0 ||
                                             (keys.held_count() < most / 4 && ledger_.has_room()));
    state.stalled = !room;
    if (may_run || !room) break;
    const auto since = front.since;
    auto taken = state.take();
    keys.add(event, place);
    hold(event, {.chunk = std::move(taken.chunk), .ticket = taken.ticket, .since = since});
  }
  if (!moved) return;
  want_refill(subscription, lane);
  want_parked_refill(subscription, lane);
  give_turns(subscription);
}

void Scheduler::give_turns(SubscriptionState& subscription) {
  auto& keys = subscription.keys;
  // With what it waited for there may be nothing of a key left.
  for (const auto lane : kAllPriorities) {
    if (subscription.lanes[lane].stalled) list(subscription, lane);
  }
  if (keys.empty()) return;
  const auto frontier = ledger_.frontier(subscription);
  for (const auto lane : kAllPriorities) keys.advance(lane, frontier[lane]);
  if (keys.has_changed()) {
    for (auto& [event, due] : keys.take_turns(frontier)) {
      // It was not ready before.
      due.since = now_.bus;
      subscription.lanes[event.priority].put_due(event.sequence, std::move(due));
      list(subscription, event.priority);
      ++turns_given_;
    }
  }
}

void Scheduler::note_running(SubscriptionState& subscription, const Lease& lease) {
  auto& keys = subscription.keys;
  if (lease.chunk != nullptr && lease.chunk->keyed() && !keys.contains(lease.event)) {
    keys.add(lease.event, model::key_place(*lease.chunk, lease.event.sequence));
  }
  keys.set_running(lease.event);
}

}  // namespace holdfast::core
