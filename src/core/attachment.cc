// SPDX-License-Identifier: MIT
#include "core/attachment.h"

#include <algorithm>
#include <utility>

namespace holdfast::core {

void attach(Ledger& ledger, Scheduler& scheduler, SubscriptionState& subscription,
            const Attachment& attachment, const base::Now& now) {
  for (const auto priority : kAllPriorities) {
    auto& lane = subscription.lanes[priority];
    const auto offered = ledger.lanes[priority].offered;
    const auto floor = lane.floor(offered);
    lane.reset(floor, lane.ahead(floor), floor >= offered);
    lane.leased = 0;
    lane.refilling = false;
    lane.damaged = false;
    lane.stalled = false;
    for (const auto clock : model::kDueClocks) {
      lane.delayed[clock].open(subscription.durable && lane.parked > 0, model::first_due(clock));
    }
    // What an ephemeral one has held is nowhere else.
    if (!subscription.durable) {
      lane.delayed[model::DueClock::none].open(false, model::first_due(model::DueClock::none));
    }
    ledger.set_timer(subscription, priority);
  }
  if (!subscription.attached) ++ledger.attached_count;
  ++subscription.generation;
  ++subscription.reading;
  subscription.ready_from = now.bus;
  subscription.attached = true;
  subscription.concurrency = attachment.concurrency;
  subscription.retry = attachment.retry;
  subscription.has_on_cancel = attachment.has_on_cancel;
  subscription.batch_size = attachment.batch_size;
  subscription.batch_linger = attachment.batch_linger;
  subscription.lingers_until.reset();
  subscription.stretch_max = attachment.takes_stretches ? SubscriptionState::kStretchMin : 1;
  subscription.stretch_lane.reset();
  subscription.in_flight = 0;
  subscription.in_flight_less_urgent = 0;
  subscription.parked_in_flight.clear();
  subscription.forget_taken_keys();
  subscription.blocked.clear();
  subscription.blocked_for_now = false;
  scheduler.advance(now);
  scheduler.refresh(subscription);
}

void pause(SubscriptionState& subscription) {
  ++subscription.reading;
  for (auto& lane : subscription.lanes) {
    lane.drop_window();
    lane.refilling = false;
  }
}

void resume(Scheduler& scheduler, SubscriptionState& subscription, const base::Now& now) {
  subscription.ready_from = now.bus;
  scheduler.advance(now);
  scheduler.refresh(subscription);
}

void detach(Ledger& ledger, SubscriptionState& subscription) {
  if (subscription.attached) --ledger.attached_count;
  subscription.attached = false;
  for (const auto priority : kAllPriorities) {
    auto& lane = subscription.lanes[priority];
    lane.drop_waiting();
    for (auto& delayed : lane.delayed) delayed.close();
    ledger.set_timer(subscription, priority);
  }
}

model::SubscriptionRecord with_filter(const model::SubscriptionRecord& record,
                                      model::FilterRecord filter, const PerLane<Sequence>& floor,
                                      const PerLane<Sequence>& next) {
  auto changed = record;
  changed.earlier.push_back({record.filter, next});
  std::erase_if(changed.earlier, [&](const model::EarlierFilter& each) {
    return std::all_of(kAllPriorities.begin(), kAllPriorities.end(),
                       [&](Priority lane) { return each.until[lane] <= floor[lane]; });
  });
  changed.filter = std::move(filter);
  return changed;
}

}  // namespace holdfast::core
