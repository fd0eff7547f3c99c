// SPDX-License-Identifier: MIT
#pragma once

#include "core/ledger.h"

namespace holdfast::core {

/// What is to be done with an event that was taken, now that somebody could be given it.
enum class Verdict : std::uint8_t {
  run,        ///< The handler gets it.
  clean_up,   ///< It is cancelled: `on_cancel` or `compensate` gets it.
  cancelled,  ///< It is cancelled, and no handler ever saw it: it ends.
  expired,    ///< Its time is over: it ends.
  postpone,   ///< Its time has not come: it is parked until `EventView::not_before`.
  hold,       ///< It is not its turn in its operation, or its type is paused: it is parked until it
              ///< may run.
};

/// Asked for every lease before its handler is called, once the event can be read; completes
/// `lease`. From here on a cancel finds the delivery as one that a handler holds, so that there is
/// no moment in between: either the cancel is seen here, or the delivery is seen by the cancel.
Verdict gate(Ledger& ledger, Lease& lease, const EventView& event, WallTime now);

/// Who has taken it is a handler, or is none. Until the gate was asked, what no handler has seen is
/// with none: then a cancel in between prevents it.
void set_idle(SubscriptionState& subscription, const Lease& lease, bool idle);

/// Whether `gate` would say anything but `run`, told without reading the event.
[[nodiscard]] inline bool needs_gate(const Ledger& ledger, const Lease& lease) {
  return lease.chunk == nullptr || lease.chunk->conditional() || lease.cleanup ||
         ledger.paused_types.any() || ledger.cancellations.has_tombstones(lease.event.priority);
}

}  // namespace holdfast::core
