// SPDX-License-Identifier: MIT
// Events that are put aside so that they do not hold up those behind them: they keep a copy of
// their own, and count as settled in their lane.
#include "core/commit_plan.h"

namespace holdfast::core {

void CommitPlan::park_overdue(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  while (const auto oldest = state.overdue(ledger_.lanes[lane].offered)) {
    const EventId event{lane, oldest->sequence};
    const bool released = !state.is_in_row(oldest->sequence);
    const bool idle = !state.is_with_handler(oldest->sequence);
    // Due at once if this run ends here; while it goes on the handler's answer still counts.
    if (subscription.durable) {
      add(model::PutSettlement{{.subscription = subscription.record.id,
                                .event = event,
                                .attempts = 0,
                                .due = in(0),
                                .suspect = false,
                                .last_error = {},
                                .started = oldest->begun,
                                .cleanup = false,
                                .place = subscription.keys.place(event)},
                               oldest->chunk->extract(oldest->sequence)});
    }
    note_begun(subscription, event, oldest->begun);
    leave_row(subscription, event, oldest->ticket);
    if (!state.mark_due_parked(oldest->sequence, in(0)) &&
        !subscription.keys.mark_parked(event, in(0), subscription.durable)) {
      subscription.parked_in_flight.insert_or_assign(
          event, SubscriptionState::ParkedInFlight{in(0), released, false, oldest->lease, idle});
    }
  }
}

bool CommitPlan::set_apart(const HeldBack& held, const std::vector<Span>& owed) {
  auto* subscription = ledger_.find(held.subscription);
  if (subscription == nullptr || subscription->is_served() ||
      subscription->interest != held.interest) {
    return false;
  }
  auto& state = subscription->lanes[held.lane];
  if (state.has_taken() || state.window_count() > 0 || state.live() ||
      state.covered() != held.from) {
    return false;
  }
  // The first that waits has to stay where it is.
  if (held.to == held.from && state.owed != state.parked) return false;
  for (const auto& span : owed) {
    for (auto sequence = span.next; sequence < span.end; ++sequence) {
      const EventId event{held.lane, sequence};
      if (state.is_settled(sequence, ledger_.lanes[held.lane].offered)) continue;
      add(model::PutSettlement{{.subscription = held.subscription,
                                .event = event,
                                .attempts = 0,
                                .due = in(0),
                                .suspect = false,
                                .last_error = {},
                                .started = false,
                                .cleanup = false,
                                .place = {}},
                               span.chunk->extract(sequence)});
      ++state.parked;
      state.parked_events.add(sequence);
      state.settle_ahead(sequence);
      wait_until(in(0), *subscription, event, {.started = false, .cleanup = false});
    }
  }
  const bool nothing_waits = state.owed == state.parked;
  state.pass(nothing_waits ? ledger_.lanes[held.lane].offered : held.to, nothing_waits);
  touch(*subscription, held.lane);
  return true;
}

}  // namespace holdfast::core
