// SPDX-License-Identifier: MIT
// Pauses of event types: what is held until it may be handed out, and how it comes back.
#include <string>
#include <utility>
#include <vector>

#include "core/commit_plan.h"

namespace holdfast::core {

void CommitPlan::put_paused_types() { add(model::PutPausedTypes{ledger_.paused_types.record()}); }

Status CommitPlan::pause_types(std::string_view pattern) {
  auto& paused = ledger_.paused_types;
  if (paused.contains(pattern)) return {};
  if (paused.record().patterns.size() >= kPausedTypesMax) {
    return {StatusCode::resource_exhausted, std::to_string(paused.record().patterns.size()) +
                                                " patterns are paused, the limit is " +
                                                std::to_string(kPausedTypesMax)};
  }
  paused.add(pattern);
  put_paused_types();
  return {};
}

Status CommitPlan::resume_types(std::string_view pattern) {
  auto& paused = ledger_.paused_types;
  if (!paused.contains(pattern)) {
    return {StatusCode::not_found, "the pattern \"" + std::string(pattern) + "\" is not paused"};
  }
  paused.erase(pattern);
  // In this commit, or a crash would leave held for ever what is held.
  for (const auto& [id, subscription] : ledger_.subscriptions) {
    for (const auto& lane : subscription->lanes) {
      if (subscription->durable && lane.paused > 0) paused.set_releasing(true);
    }
  }
  put_paused_types();
  for (auto& [id, subscription] : ledger_.subscriptions) {
    if (!subscription->durable) release_ephemeral(*subscription);
  }
  return {};
}

/// It was turned away because it was not its turn, or was paused: which it may not be any more.
void CommitPlan::hold(SubscriptionState& subscription, const Lease& lease) {
  const auto event = lease.chunk->event(lease.event.sequence);
  auto due = in(0);
  if (!ledger_.operations.is_turn_of(lease.event, lease.cleanup)) {
    due = model::kTurnDue;
  } else if (!lease.cleanup && ledger_.paused_types.matches(event.type)) {
    due = model::paused_due(event.expires_at);
  }
  park(subscription, lease,
       {lease.attempt - 1, due, {}, lease.started, lease.cleanup, lease.suspect});
  if (model::clock_of(due) != model::DueClock::none) return;
  if (const auto at = ledger_.operations.find(lease.event)) {
    at.member->held.insert_or_assign(
        lease.subscription,
        Operations::Held{due,
                         {lease.attempt - 1, lease.suspect, lease.started, lease.cleanup, {}}});
  }
}

/// What is parked under `was_due`, at which it never comes back, is due now.
void CommitPlan::make_due(SubscriptionState& subscription, EventId event, model::DueTime was_due,
                          ParkedWindow::Entry entry) {
  auto& lane = subscription.lanes[event.priority];
  if (subscription.durable) {
    add(model::PutSettlement{{.subscription = subscription.record.id,
                              .event = event,
                              .attempts = entry.attempts,
                              .due = in(0),
                              .suspect = entry.suspect,
                              .last_error = {},
                              .started = entry.started,
                              .cleanup = entry.cleanup,
                              .place = subscription.keys.place(event)},
                             nullptr,
                             was_due});
  } else {
    auto known = lane.delayed[model::DueClock::none].take({was_due, event.sequence});
    if (!known.has_value()) return;
    entry = *std::move(known);
  }
  if (model::is_paused_due(was_due)) --lane.paused;
  wait_until(in(0), subscription, event, std::move(entry));
}

void CommitPlan::release(SubscriptionState& subscription, const model::DueRecord& record) {
  const auto event = record.event;
  if (!subscription.lanes[event.priority].parked_events.contains(event.sequence)) return;
  if (const auto at = ledger_.operations.find(event)) {
    // Its operation has done so meanwhile.
    if (at.member->held.erase(record.subscription) == 0) return;
  }
  make_due(subscription, event, record.due,
           {record.attempts, record.suspect, record.started, record.cleanup, nullptr});
}

/// All at once: nothing of it is stored.
void CommitPlan::release_ephemeral(SubscriptionState& subscription) {
  for (const auto lane : kAllPriorities) {
    std::vector<ParkedWindow::Key> released;
    subscription.lanes[lane].delayed[model::DueClock::none].each(
        [&](const ParkedWindow::Key& key, const ParkedWindow::Entry& entry) {
          const bool held = model::is_paused_due(key.due) &&
                            ledger_.paused_types.matches(entry.chunk->event(key.sequence).type);
          if (model::is_paused_due(key.due) && !held) released.push_back(key);
        });
    for (const auto& key : released) {
      const EventId event{lane, key.sequence};
      if (const auto at = ledger_.operations.find(event)) {
        at.member->held.erase(subscription.record.id);
      }
      make_due(subscription, event, key.due, {});
    }
  }
}

void CommitPlan::end_release() {
  ledger_.paused_types.set_releasing(false);
  put_paused_types();
}

}  // namespace holdfast::core
