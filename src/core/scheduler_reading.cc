// SPDX-License-Identifier: MIT
// What the scheduler wants to have read from disk, and what becomes of it.
#include <algorithm>
#include <utility>

#include "core/scheduler.h"

namespace holdfast::core {

namespace {

/// Stored data is as it was: the system only did not let it be read now.
bool may_pass(const Status& status) { return status == StatusCode::unavailable; }

bool has_damaged_lane(const SubscriptionState& subscription) {
  return std::any_of(subscription.lanes.begin(), subscription.lanes.end(),
                     [](const auto& lane) { return lane.damaged; });
}

}  // namespace

void Scheduler::want_refill(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (!subscription.is_served() || state.refilling || state.damaged || !state.wants_refill() ||
      is_full(subscription, lane)) {
    return;
  }
  // Where memory is short only a lane that has nothing at all may read on.
  if (!ledger_.has_room() && state.window_count() > 0) return;
  state.refilling = true;
  refills_[lane].push_back({subscription.record.id, subscription.reading});
}

void Scheduler::want_parked_refill(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (!subscription.is_served() || state.damaged) return;
  for (const auto clock : model::kDueClocks) {
    auto& delayed = state.delayed[clock];
    const auto in_memory = delayed.size() + state.due_count();
    if (!delayed.wants_refill(in_memory, ledger_.parked_in_memory_max())) continue;
    delayed.begin_refill();
    parked_refills_[lane].push_back({subscription.record.id, subscription.generation, clock});
  }
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
      if (subscription == nullptr || subscription->reading != wanted.number) continue;
      auto& state = subscription->lanes[lane];
      if (!subscription->attached || !state.wants_refill()) {
        state.refilling = false;
        continue;
      }
      const auto resident = ledger_.resident_bytes();
      const auto most = ledger_.settings.resident_bytes_max;
      return Refill{.subscription = subscription->record.id,
                    .reading = subscription->reading,
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
  if (subscription == nullptr || subscription->reading != refill.reading) return;
  auto& state = subscription->lanes[refill.lane];
  state.refilling = false;
  if (!subscription->attached) return;
  const auto& offer_times = ledger_.lanes[refill.lane].offer_times;
  note_readable(*subscription);
  for (auto& span : spans) span.since = offer_times.since(span.end - 1);
  state.refill(std::move(spans), reached, reached >= ledger_.lanes[refill.lane].offered);
  give_turns(*subscription);
  refresh(*subscription);
}

bool Scheduler::refill_failed(const Refill& refill, const Status& status) {
  auto* subscription = ledger_.find(refill.subscription);
  if (subscription == nullptr || subscription->reading != refill.reading) return false;
  subscription->lanes[refill.lane].refilling = false;
  return stand_still(*subscription, refill.lane, status);
}

bool Scheduler::stand_still(SubscriptionState& subscription, Priority lane, const Status& status) {
  auto& blocked = subscription.blocked;
  bool is_news = false;
  // What has to be mended is told before what may pass.
  if (!may_pass(status) || subscription.blocked_for_now || blocked.empty()) {
    auto why = status.to_string();
    is_news = why != blocked;
    blocked = std::move(why);
    subscription.blocked_for_now = may_pass(status);
  }
  subscription.lanes[lane].damaged = true;
  if (may_pass(status)) {
    unreadable_.push_back(
        {now_.bus + kReadAgainAfter, subscription.record.id, subscription.generation, lane});
  }
  refresh(subscription);
  return is_news;
}

/// After a lane could be read.
void Scheduler::note_readable(SubscriptionState& subscription) {
  if (!subscription.blocked_for_now || has_damaged_lane(subscription)) return;
  subscription.blocked_for_now = false;
  subscription.blocked.clear();
}

void Scheduler::read_again() {
  while (!unreadable_.empty() && unreadable_.front().until <= now_.bus) {
    const auto which = unreadable_.front();
    unreadable_.pop_front();
    auto* subscription = ledger_.find(which.subscription);
    if (subscription == nullptr || subscription->generation != which.generation) continue;
    subscription->lanes[which.lane].damaged = false;
    refresh(*subscription);
  }
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
      auto& delayed = state.delayed[wanted.clock];
      const auto in_memory = delayed.size() + state.due_count();
      return ParkedRefill{.subscription = wanted.subscription,
                          .generation = subscription->generation,
                          .lane = lane,
                          .clock = wanted.clock,
                          .from = delayed.begin_refill(),
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
  note_readable(*subscription);
  auto& state = subscription->lanes[refill.lane];
  state.delayed[refill.clock].refilled(refill.from, records, reached, [&](EventId event) {
    return subscription->parked_in_flight.contains(event) || state.is_due(event.sequence) ||
           subscription->keys.is_held(event);
  });
  ledger_.set_timer(*subscription, refill.lane);
  advance(now_);
  refresh(*subscription);
}

bool Scheduler::refill_failed(const ParkedRefill& refill, const Status& status) {
  auto* subscription = ledger_.find(refill.subscription);
  if (subscription == nullptr || subscription->generation != refill.generation) return false;
  subscription->lanes[refill.lane].delayed[refill.clock].refill_failed(!may_pass(status));
  return stand_still(*subscription, refill.lane, status);
}

}  // namespace holdfast::core
