// SPDX-License-Identifier: MIT
#include "core/gate.h"

namespace holdfast::core {

namespace {

Verdict verdict_of(Ledger& ledger, Lease& lease, const EventView& event, WallTime now) {
  lease.token = event.token;
  const auto* subscription = ledger.find(lease.subscription);
  const bool current = subscription != nullptr && subscription->generation == lease.generation;
  if (ledger.cancellations.is_cancelled(lease.event, lease.token)) {
    const bool owes_cleanup = lease.cleanup || lease.started;
    if (!current || !owes_cleanup || !subscription->has_on_cancel) return Verdict::cancelled;
    // The attempts of the handler are over; `on_cancel` has its own.
    if (!lease.cleanup) lease.attempt = 1;
    lease.cleanup = true;
    return Verdict::clean_up;
  }
  if (event.expires_at != 0 && now >= event.expires_at) return Verdict::expired;
  if (now < event.not_before) return Verdict::postpone;
  if (auto* token = ledger.cancellations.find(lease.token); token != nullptr && current) {
    token->running.emplace(lease.event, lease.subscription);
  }
  return Verdict::run;
}

/// So that a cancel meanwhile does not take it for one that a handler holds.
void set_idle(SubscriptionState& subscription, const Lease& lease) {
  auto& lane = subscription.lanes[lease.event.priority];
  if (!lease.parked && lane.is_held(lease.ticket, lease.number)) return lane.set_idle(lease.ticket);
  const auto parked = subscription.parked_in_flight.find(lease.event);
  if (parked != subscription.parked_in_flight.end() && parked->second.lease == lease.number) {
    parked->second.idle = true;
  }
}

}  // namespace

Verdict gate(Ledger& ledger, Lease& lease, const EventView& event, WallTime now) {
  const auto verdict = verdict_of(ledger, lease, event, now);
  auto* subscription = ledger.find(lease.subscription);
  if (verdict != Verdict::run && verdict != Verdict::clean_up && subscription != nullptr &&
      subscription->generation == lease.generation) {
    set_idle(*subscription, lease);
  }
  return verdict;
}

}  // namespace holdfast::core
