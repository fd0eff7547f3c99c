// SPDX-License-Identifier: MIT
#include "core/attachment.h"

#include <algorithm>
#include <set>
#include <utility>

namespace holdfast::core {

namespace {

/// Those due first come first, so that they are the ones that find room in memory.
void delay_all(Ledger& ledger, SubscriptionState& subscription,
               const std::vector<model::SettlementRecord>& parked, base::Now now, bool rebooted) {
  std::vector<std::pair<base::BootTime, const model::SettlementRecord*>> by_due;
  by_due.reserve(parked.size());
  for (const auto& record : parked) by_due.emplace_back(due_time(record, now, rebooted), &record);
  std::sort(by_due.begin(), by_due.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second->event) < std::pair(b.first, b.second->event);
  });
  for (const auto& [due, record] : by_due) {
    ledger.delay(subscription, due,
                 {.subscription = record->subscription,
                  .generation = subscription.generation,
                  .event = record->event,
                  .attempts = record->attempts,
                  .suspect = record->suspect,
                  .chunk = nullptr});
  }
}

void forget_delayed(Ledger& ledger, SubscriptionState& subscription) {
  const auto id = subscription.record.id;
  std::erase_if(ledger.delayed, [&](const auto& entry) { return entry.second.subscription == id; });
  for (auto& lane : subscription.lanes) lane.delayed = 0;
  subscription.spilled = false;
}

}  // namespace

base::BootTime due_time(const model::SettlementRecord& record, base::Now now, bool rebooted) {
  const auto left = rebooted ? record.due_wall - now.wall : record.due_boot - now.boot;
  return now.boot + std::clamp<std::int64_t>(left, 0, std::max<std::int64_t>(record.delay, 0));
}

void attach(Ledger& ledger, Scheduler& scheduler, SubscriptionState& subscription,
            std::uint32_t concurrency, const RetryPolicy& retry,
            const std::vector<model::SettlementRecord>& parked, base::Now now, bool rebooted) {
  for (const auto priority : kAllPriorities) {
    auto& lane = subscription.lanes[priority];
    const auto offered = ledger.lanes[priority].offered;
    const auto floor = lane.floor(offered);
    lane.reset(floor, lane.ahead(floor), floor >= offered);
    lane.leased = 0;
    lane.refilling = false;
    lane.damaged = false;
  }
  ++subscription.generation;
  subscription.attached = true;
  subscription.concurrency = concurrency;
  subscription.retry = retry;
  subscription.in_flight = 0;
  subscription.in_flight_less_urgent = 0;
  subscription.parked_in_flight.clear();
  subscription.blocked.clear();
  forget_delayed(ledger, subscription);
  delay_all(ledger, subscription, parked, now, rebooted);
  scheduler.advance(now.boot);
  scheduler.refresh(subscription);
}

void detach(Ledger& ledger, SubscriptionState& subscription) {
  subscription.attached = false;
  for (auto& lane : subscription.lanes) lane.drop_window();
  forget_delayed(ledger, subscription);
}

bool wants_reload(const SubscriptionState& subscription) {
  if (!subscription.attached || !subscription.spilled) return false;
  std::uint64_t in_memory = 0;
  for (const auto& lane : subscription.lanes) in_memory += lane.delayed;
  return in_memory < Ledger::kDelayedPerSubscriptionMax / 2;
}

void reload_parked(Ledger& ledger, Scheduler& scheduler, SubscriptionState& subscription,
                   std::vector<model::SettlementRecord> parked, base::Now now, bool rebooted) {
  std::erase_if(parked, [&](const auto& record) {
    return subscription.parked_in_flight.contains(record.event) ||
           subscription.lanes[record.event.priority].is_due(record.event.sequence);
  });
  forget_delayed(ledger, subscription);
  delay_all(ledger, subscription, parked, now, rebooted);
  scheduler.advance(now.boot);
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
