// SPDX-License-Identifier: MIT
#include "core/gate.h"

namespace holdfast::core {

namespace {

Verdict verdict_of(Ledger& ledger, Lease& lease, const EventView& event, WallTime now) {
  lease.token = event.token;
  const auto* subscription = ledger.find(lease.subscription);
  const bool current = subscription != nullptr && subscription->generation == lease.generation;
  if (lease.cleanup || ledger.cancellations.is_cancelled(lease.event, lease.token)) {
    const bool owes_cleanup = lease.cleanup || lease.started;
    // What was acknowledged of an operation that goes back is not let go for want of a handler.
    const bool has_handler =
        current && (lease.is_compensation() || ledger.cleans_up(*subscription, lease.event));
    if (!has_handler || !owes_cleanup) return Verdict::cancelled;
    if (!ledger.operations.is_turn_of(lease.event, true)) return Verdict::hold;
    // The attempts of the handler are over; `on_cancel` has its own.
    if (!lease.cleanup) lease.attempt = 1;
    lease.cleanup = true;
    return Verdict::clean_up;
  }
  if (event.expires_at != 0 && now >= event.expires_at) return Verdict::expired;
  if (now < event.not_before) return Verdict::postpone;
  if (event.operation_id.value != 0 && !ledger.operations.is_turn_of(lease.event, false)) {
    return Verdict::hold;
  }
  if (ledger.paused_types.matches(event.type)) return Verdict::hold;
  if (auto* token = ledger.cancellations.find(lease.token); token != nullptr && current) {
    token->running.emplace(lease.event, lease.subscription);
  }
  return Verdict::run;
}

}  // namespace

void set_idle(SubscriptionState& subscription, const Lease& lease, bool idle) {
  auto& lane = subscription.lanes[lease.event.priority];
  if (!lease.parked && lane.is_held(lease.ticket, lease.number)) {
    return lane.set_idle(lease.ticket, idle);
  }
  const auto parked = subscription.parked_in_flight.find(lease.event);
  if (parked != subscription.parked_in_flight.end() && parked->second.lease == lease.number) {
    parked->second.idle = idle;
  }
}

Verdict gate(Ledger& ledger, Lease& lease, const EventView& event, WallTime now) {
  const auto verdict = verdict_of(ledger, lease, event, now);
  auto* subscription = ledger.find(lease.subscription);
  if (subscription != nullptr && subscription->generation == lease.generation) {
    set_idle(*subscription, lease, verdict != Verdict::run && verdict != Verdict::clean_up);
  }
  return verdict;
}

}  // namespace holdfast::core
