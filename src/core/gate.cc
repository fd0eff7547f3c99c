// SPDX-License-Identifier: MIT
#include "core/gate.h"

namespace holdfast::core {

Verdict gate(Ledger& ledger, Lease& lease, const EventView& event, WallTime now) {
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

}  // namespace holdfast::core
