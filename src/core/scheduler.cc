// SPDX-License-Identifier: MIT
#include "core/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace holdfast::core {

void Scheduler::offer(CommitNumber commit) {
  auto& pending = ledger_.pending_offers;
  while (!pending.empty() && pending.front().commit <= commit) {
    auto offer = std::move(pending.front());
    pending.pop_front();
    const auto lane = offer.chunk->lane();
    for (const auto& route : offer.routes) {
      auto* subscription = ledger_.find(route.subscription);
      if (subscription == nullptr) continue;
      auto& state = subscription->lanes[lane];
      const bool room = subscription->attached && (ledger_.has_room() || state.window_count() == 0);
      state.offer(route.span, room);
      list(*subscription, lane);
      want_refill(*subscription, lane);
    }
    ledger_.lanes[lane].offered = offer.chunk->last() + 1;
  }
}

bool Scheduler::is_full(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  // Once full it stays so until answers come, or what is less urgent could be taken before it.
  if (state.waits_for_answers) return true;
  if (subscription.durable || state.parked == 0) return state.is_full();
  // What an ephemeral one has put off is nowhere but in memory.
  return state.is_full() || state.parked >= kEphemeralParkedMax || !ledger_.has_room();
}

void Scheduler::note_full(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (state.has_due() || !is_full(subscription, lane)) return;
  if (!std::exchange(state.waits_for_answers, true)) {
    full_rows_.emplace_back(subscription.record.id, lane);
  }
}

void Scheduler::list(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (!subscription.attached || state.listed) return;
  if (!state.has_due() && (state.window_count() == 0 || is_full(subscription, lane))) {
    return note_full(subscription, lane);
  }
  state.listed = true;
  ready_[lane].push_back(subscription.record.id);
}

void Scheduler::refresh(SubscriptionState& subscription) {
  for (const auto lane : kAllPriorities) {
    list(subscription, lane);
    want_refill(subscription, lane);
    want_parked_refill(subscription, lane);
  }
}

void Scheduler::want_refill(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (!subscription.attached || state.refilling || state.damaged || !state.wants_refill() ||
      is_full(subscription, lane)) {
    return;
  }
  // Where memory is short only a lane that has nothing at all may read on.
  if (!ledger_.has_room() && state.window_count() > 0) return;
  state.refilling = true;
  refills_[lane].push_back({subscription.record.id, subscription.generation});
}

void Scheduler::want_parked_refill(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  const auto in_memory = state.delayed.size() + state.due_count();
  if (!subscription.attached || state.damaged ||
      !state.delayed.wants_refill(in_memory, ledger_.parked_in_memory_max())) {
    return;
  }
  state.delayed.begin_refill();
  parked_refills_[lane].push_back({subscription.record.id, subscription.generation});
}

/// Parked events that are due are on disk, and none in memory.
bool Scheduler::is_behind(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  return !state.damaged && !state.has_due() && state.delayed.is_behind(now_);
}

bool Scheduler::has_slot(const SubscriptionState& subscription, Priority lane) {
  if (subscription.in_flight >= subscription.concurrency) return false;
  if (lane == Priority::critical || subscription.concurrency < 2) return true;
  return subscription.in_flight_less_urgent + 1 < subscription.concurrency;
}

bool Scheduler::waits_for_others(const SubscriptionState& subscription, Priority lane) const {
  for (const auto urgent : kAllPriorities) {
    if (urgent >= lane) break;
    const auto& state = subscription.lanes[urgent];
    if ((state.unknown() && !state.damaged) || is_behind(subscription, urgent) ||
        (state.window_count() > 0 && is_full(subscription, urgent))) {
      return true;
    }
  }
  return is_behind(subscription, lane);
}

bool Scheduler::due_may_run(const DeliveryLane& lane) const {
  return lane.has_due() && !(lane.first_due().suspect && suspect_running_);
}

bool Scheduler::can_take(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  if (!subscription.attached || !has_slot(subscription, lane) ||
      waits_for_others(subscription, lane)) {
    return false;
  }
  return due_may_run(state) || (state.window_count() > 0 && !is_full(subscription, lane));
}

std::optional<Lease> Scheduler::take(Priority worker_class) {
  if (stopped_) return std::nullopt;
  for (const auto lane : kAllPriorities) {
    if (lane > worker_class) break;
    auto& ready = ready_[lane];
    // What cannot run now leaves the list; whatever makes it ready again lists it again.
    for (auto left = ready.size(); left > 0; --left) {
      auto* subscription = ledger_.find(ready.front());
      ready.pop_front();
      if (subscription == nullptr) continue;
      subscription->lanes[lane].listed = false;
      if (!can_take(*subscription, lane)) {
        note_full(*subscription, lane);
        continue;
      }
      auto lease = take_from(*subscription, lane);
      list(*subscription, lane);
      want_refill(*subscription, lane);
      want_parked_refill(*subscription, lane);
      return lease;
    }
  }
  return std::nullopt;
}

Lease Scheduler::take_from(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  Lease lease;
  lease.subscription = subscription.record.id;
  lease.generation = subscription.generation;
  lease.number = ++last_lease_;
  if (due_may_run(state)) {
    lease.event = {lane, state.first_due_sequence()};
    auto due = state.take_due();
    lease.attempt = due.attempts + 1;
    lease.chunk = std::move(due.chunk);
    lease.ticket = due.ticket;
    lease.parked = due.parked;
    lease.due = due.due;
    lease.suspect = due.suspect;
    if (due.parked) {
      subscription.parked_in_flight.insert_or_assign(
          lease.event, SubscriptionState::ParkedInFlight{due.due, false, lease.number});
    } else {
      state.set_lease(lease.ticket, lease.number);
    }
    suspect_running_ = suspect_running_ || due.suspect;
  } else {
    auto taken = state.take();
    lease.event = {lane, taken.sequence};
    lease.chunk = std::move(taken.chunk);
    lease.ticket = taken.ticket;
    state.set_lease(lease.ticket, lease.number);
  }
  ++state.leased;
  ++subscription.in_flight;
  if (lane != Priority::critical) ++subscription.in_flight_less_urgent;
  return lease;
}

void Scheduler::finish(const Lease& lease) {
  if (lease.suspect) suspect_running_ = false;
  auto* subscription = ledger_.find(lease.subscription);
  if (subscription != nullptr && subscription->generation == lease.generation) {
    const auto lane = lease.event.priority;
    --subscription->lanes[lane].leased;
    --subscription->in_flight;
    if (lane != Priority::critical) --subscription->in_flight_less_urgent;
    refresh(*subscription);
  }
  if (!lease.suspect) return;
  for (auto& [id, other] : ledger_.subscriptions) refresh(*other);
}

void Scheduler::run_again(const Lease& lease) {
  auto* subscription = ledger_.find(lease.subscription);
  if (subscription == nullptr || subscription->generation != lease.generation) return;
  auto& state = subscription->lanes[lease.event.priority];
  // It may have been parked meanwhile, for having held up the floor.
  const auto parked = subscription->parked_in_flight.extract(lease.event);
  if (parked.empty() && !state.is_taken(lease.ticket)) return;
  if (parked.empty()) state.set_lease(lease.ticket, 0);
  state.put_due(lease.event.sequence, {.parked = !parked.empty(),
                                       .suspect = lease.suspect,
                                       .attempts = lease.attempt - 1,
                                       .due = parked.empty() ? 0 : parked.mapped().due,
                                       .chunk = lease.chunk,
                                       .ticket = lease.ticket});
  refresh(*subscription);
}

void Scheduler::answered() {
  for (const auto& [id, lane] : std::exchange(full_rows_, {})) {
    auto* subscription = ledger_.find(id);
    if (subscription == nullptr) continue;
    subscription->lanes[lane].waits_for_answers = false;
    refresh(*subscription);
  }
}

void Scheduler::advance(base::BusTime now) {
  now_ = std::max(now_, now);
  auto& timers = ledger_.timers;
  while (!timers.empty() && timers.begin()->due <= now_) {
    const auto timer = *timers.begin();
    auto& subscription = *ledger_.find(timer.subscription);
    auto& state = subscription.lanes[timer.lane];
    while (auto due = state.delayed.take_due(now_)) {
      auto& [key, entry] = *due;
      state.put_due(key.sequence, {.parked = true,
                                   .suspect = entry.suspect,
                                   .attempts = entry.attempts,
                                   .due = key.due,
                                   .chunk = std::move(entry.chunk),
                                   .ticket = 0});
    }
    ledger_.set_timer(subscription, timer.lane);
    refresh(subscription);
  }
}

std::optional<base::BusTime> Scheduler::next_due() const {
  if (ledger_.timers.empty()) return std::nullopt;
  return ledger_.timers.begin()->due;
}

void Scheduler::stop(bool stopped) {
  stopped_ = stopped;
  if (stopped) return;
  for (auto& [id, subscription] : ledger_.subscriptions) refresh(*subscription);
}

std::optional<Priority> Scheduler::most_urgent_work() const noexcept {
  for (const auto lane : kAllPriorities) {
    if (!refills_[lane].empty() || !parked_refills_[lane].empty() ||
        (!stopped_ && !ready_[lane].empty())) {
      return lane;
    }
  }
  return std::nullopt;
}

std::optional<Scheduler::Refill> Scheduler::next_refill(Priority worker_class) {
  for (const auto lane : kAllPriorities) {
    if (lane > worker_class) break;
    while (!refills_[lane].empty()) {
      const auto wanted = refills_[lane].front();
      refills_[lane].pop_front();
      auto* subscription = ledger_.find(wanted.subscription);
      // A new attachment has asked for itself: to read for an old one as well would give events
      // twice.
      if (subscription == nullptr || subscription->generation != wanted.generation) continue;
      auto& state = subscription->lanes[lane];
      if (!subscription->attached || !state.wants_refill()) {
        state.refilling = false;
        continue;
      }
      const auto resident = ledger_.resident_bytes();
      const auto most = ledger_.settings.resident_bytes_max;
      return Refill{.subscription = subscription->record.id,
                    .generation = subscription->generation,
                    .lane = lane,
                    .from = std::max(state.covered(), ledger_.lanes[lane].trim),
                    .to = ledger_.lanes[lane].offered,
                    .interest = subscription->interest,
                    .events_max = DeliveryLane::kWindowEventsMax - state.window_count(),
                    .bytes_max = resident < most ? most - resident : 0};
    }
  }
  return std::nullopt;
}

void Scheduler::refilled(const Refill& refill, std::vector<Span> spans, Sequence reached) {
  auto* subscription = ledger_.find(refill.subscription);
  if (subscription == nullptr || subscription->generation != refill.generation) return;
  auto& state = subscription->lanes[refill.lane];
  state.refilling = false;
  if (!subscription->attached) return;
  state.refill(std::move(spans), reached, reached >= ledger_.lanes[refill.lane].offered);
  refresh(*subscription);
}

void Scheduler::refill_failed(const Refill& refill, const Status& status) {
  auto* subscription = ledger_.find(refill.subscription);
  if (subscription == nullptr || subscription->generation != refill.generation) return;
  auto& state = subscription->lanes[refill.lane];
  state.refilling = false;
  state.damaged = true;
  subscription->blocked = status.to_string();
  refresh(*subscription);
}

std::optional<Scheduler::ParkedRefill> Scheduler::next_parked_refill(Priority worker_class) {
  for (const auto lane : kAllPriorities) {
    if (lane > worker_class) break;
    while (!parked_refills_[lane].empty()) {
      const auto wanted = parked_refills_[lane].front();
      parked_refills_[lane].pop_front();
      auto* subscription = ledger_.find(wanted.subscription);
      if (subscription == nullptr || subscription->generation != wanted.generation ||
          !subscription->attached) {
        continue;
      }
      auto& state = subscription->lanes[lane];
      const auto most = ledger_.parked_in_memory_max();
      const auto in_memory = state.delayed.size() + state.due_count();
      return ParkedRefill{.subscription = wanted.subscription,
                          .generation = wanted.generation,
                          .lane = lane,
                          .from = state.delayed.begin_refill(),
                          .events_max = most - std::min(in_memory, most - 1)};
    }
  }
  return std::nullopt;
}

void Scheduler::refilled(const ParkedRefill& refill, const std::vector<model::DueRecord>& records,
                         const std::optional<ParkedWindow::Key>& reached) {
  auto* subscription = ledger_.find(refill.subscription);
  if (subscription == nullptr || subscription->generation != refill.generation ||
      !subscription->attached) {
    return;
  }
  auto& state = subscription->lanes[refill.lane];
  state.delayed.refilled(refill.from, records, reached, [&](EventId event) {
    return subscription->parked_in_flight.contains(event) || state.is_due(event.sequence);
  });
  ledger_.set_timer(*subscription, refill.lane);
  advance(now_);
  refresh(*subscription);
}

void Scheduler::refill_failed(const ParkedRefill& refill, const Status& status) {
  auto* subscription = ledger_.find(refill.subscription);
  if (subscription == nullptr || subscription->generation != refill.generation) return;
  auto& state = subscription->lanes[refill.lane];
  state.delayed.refill_failed();
  state.damaged = true;
  subscription->blocked = status.to_string();
  refresh(*subscription);
}

}  // namespace holdfast::core
