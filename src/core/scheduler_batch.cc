// SPDX-License-Identifier: MIT
// Events that go to a handler together, and wait for each other before; and such that go to it one
// after the other without anything in between.
#include <algorithm>
#include <utility>

#include "core/scheduler.h"

namespace holdfast::core {

// --- Taking -------------------------------------------------------------------------------------

/// Whether what is next in `place` goes with what has just been taken there.
bool Scheduler::may_join(const SubscriptionState& subscription, const Place& place) const {
  const auto& state = subscription.lanes[place.lane];
  if (waits_for_others(subscription, place.lane, place.effective())) return false;
  const bool due = due_may_run(state) && !goes_before_due(subscription, place);
  if (!due && !window_may_run(subscription, place.lane)) return false;
  // These go alone.
  if (due && (state.first_due().suspect || state.first_due().cleanup)) return false;
  if (place.level == 0) return true;
  // What has aged goes before others; what has not does not go before them in its company.
  const auto since = due ? state.first_due().since : state.window_since();
  return ageing_.level(place.lane, std::max(since, subscription.ready_from), now_.bus) >=
         place.level;
}

void Scheduler::take_others(SubscriptionState& subscription, const Place& place,
                            const Lease& first) {
  if (first.suspect || first.cleanup) return;
  // How large a parked one is nobody knows before it is read.
  const auto bytes_of = [](const Lease& lease) {
    return lease.chunk == nullptr ? 0 : lease.chunk->record_bytes(lease.event.sequence);
  };
  auto bytes = bytes_of(first);
  auto& state = subscription.lanes[place.lane];
  // What is to be cleaned up between them waits for its own turn: a batch that has lost one of its
  // members starts over whole. No more of it is looked at than a batch is large.
  std::vector<std::pair<Sequence, DeliveryLane::Due>> aside;
  while (others_->size() + 1 < subscription.batch_size && bytes < kBatchDeliveryBytes) {
    while (aside.size() < subscription.batch_size && state.has_due() && state.first_due().cleanup &&
           !state.first_due().suspect) {
      const auto sequence = state.first_due_sequence();
      aside.emplace_back(sequence, state.take_due());
    }
    if (has_keys(subscription, place.lane)) hold_back(subscription, place.lane);
    if (!may_join(subscription, place)) break;
    bytes += bytes_of(take_beside(subscription, place));
  }
  for (auto& [sequence, due] : aside) state.put_due(sequence, std::move(due));
}

/// In the slot that the first of them has.
Lease& Scheduler::take_beside(SubscriptionState& subscription, const Place& place) {
  auto& lease = others_->emplace_back(take_from(subscription, place));
  lease.beside = true;
  free_slot(subscription, place.lane);
  return lease;
}

/// Only of what is plain: nothing has to be asked or read for it, nothing waits for it, and nothing
/// has aged that other lanes would have to be looked at for after each event.
void Scheduler::take_stretch(SubscriptionState& subscription, const Place& place,
                             const Lease& first) {
  if (subscription.concurrency > 1 || aged_ > 0 || place.level > 0 || first.parked ||
      first.cleanup || first.asks || has_keys(subscription, place.lane)) {
    return;
  }
  const auto& state = subscription.lanes[place.lane];
  if (state.has_due()) return;
  // Of one chunk's events all are as plain as the first.
  const auto* chunk = first.chunk.get();
  while (others_->size() + 1 < subscription.stretch_max &&
         window_may_run(subscription, place.lane) && state.window_front().chunk.get() == chunk) {
    take_beside(subscription, place);
  }
  if (!others_->empty()) subscription.stretch_lane = place.lane;
}

// --- Waiting for each other ---------------------------------------------------------------------

/// Whether all that is ready of `subscription` still waits for more; sees to it that it does not
/// for too long. Once one lane need not wait, none does: the more urgent go first, as always.
bool Scheduler::lingers(SubscriptionState& subscription) {
  auto first = AgeingRule::kNever;
  for (const auto lane : kAllPriorities) {
    const auto& state = subscription.lanes[lane];
    if (state.listed) return false;
    if (state.has_due()) {
      const auto& due = state.first_due();
      // Suspects and clean-ups go alone, and what starts over has waited before.
      if (due.suspect || due.cleanup || !due.parked) return false;
    } else if (state.window_count() == 0 || is_full(subscription, lane)) {
      continue;
    }
    const auto ready = state.window_count() + state.due_count();
    if (ready >= subscription.batch_size || (state.window_count() > 0 && !state.live())) {
      return false;
    }
    first = std::min(first, ready_since(subscription, lane));
  }
  const auto until = first + subscription.batch_linger;
  if (until <= now_.bus) return false;
  if (!subscription.lingers_until.has_value() || until < *subscription.lingers_until) {
    subscription.lingers_until = until;
    lingering_.emplace(until, subscription.record.id);
  }
  return true;
}

/// One of its rows has been listed: so is what has waited in the others.
void Scheduler::list_beside(SubscriptionState& subscription) {
  for (const auto lane : kAllPriorities) list(subscription, lane);
}

void Scheduler::end_lingering() {
  while (!lingering_.empty() && lingering_.begin()->first <= now_.bus) {
    const auto [until, id] = *lingering_.begin();
    lingering_.erase(lingering_.begin());
    auto* subscription = ledger_.find(id);
    if (subscription == nullptr || subscription->lingers_until != until) continue;
    subscription->lingers_until.reset();
    refresh(*subscription);
  }
}

std::optional<base::BusTime> Scheduler::next_linger() const {
  if (lingering_.empty()) return std::nullopt;
  return lingering_.begin()->first;
}

}  // namespace holdfast::core
