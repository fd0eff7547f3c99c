// SPDX-License-Identifier: MIT
#include "core/ledger.h"

#include <algorithm>

#include "base/assert.h"

namespace holdfast::core {

void DeadLetterIndex::add(const Name& name) {
  if (names_.emplace(name, died_).second) order_.emplace(died_++, name);
}

void DeadLetterIndex::erase(const Name& name) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  order_.erase(found->second);
  names_.erase(found);
}

void DeadLetterIndex::erase(SubscriptionId subscription) {
  std::erase_if(order_, [&](const auto& each) { return each.second.first == subscription; });
  std::erase_if(names_, [&](const auto& each) { return each.first.first == subscription; });
}

DeadLetterIndex::Name DeadLetterIndex::take_oldest() {
  HOLDFAST_ASSERT(!order_.empty());
  const auto name = order_.begin()->second;
  erase(name);
  return name;
}

Ledger::Ledger(const LedgerSettings& ledger_settings)
    : settings(ledger_settings), resident_(std::make_shared<std::atomic<std::int64_t>>(0)) {
  for (const auto priority : kAllPriorities) {
    lanes[priority].retention.emplace(priority, settings.retention);
  }
}

SubscriptionState* Ledger::find(SubscriptionId id) {
  const auto found = subscriptions.find(id);
  return found == subscriptions.end() ? nullptr : found->second.get();
}

const SubscriptionState* Ledger::find(SubscriptionId id) const {
  const auto found = subscriptions.find(id);
  return found == subscriptions.end() ? nullptr : found->second.get();
}

SubscriptionState* Ledger::find(std::string_view name) {
  // By name only when somebody subscribes, so a walk will do.
  for (auto& [id, subscription] : subscriptions) {
    if (subscription->durable && subscription->record.name == name) return subscription.get();
  }
  return nullptr;
}

SubscriptionState& Ledger::add(model::SubscriptionRecord record, bool durable) {
  const auto id = record.id;
  last_id_ = std::max(last_id_, id.value);
  auto state = std::make_unique<SubscriptionState>();
  state->record = std::move(record);
  state->durable = durable;
  state->interest = std::make_shared<const Interest>(state->record);
  for (const auto lane : kAllPriorities) state->lanes[lane].reset(state->record.start[lane], {});
  router.add(state.get());
  const auto [at, inserted] = subscriptions.emplace(id, std::move(state));
  HOLDFAST_ASSERT(inserted);
  return *at->second;
}

void Ledger::erase(SubscriptionId id) {
  const auto found = subscriptions.find(id);
  if (found == subscriptions.end()) return;
  router.remove(found->second.get());
  if (found->second->attached) --attached_count;
  for (const auto lane : kAllPriorities) {
    for (auto& delayed : found->second->lanes[lane].delayed) delayed.close();
    set_timer(*found->second, lane);
  }
  dead_letters.erase(id);
  operations.forget(id);
  subscriptions.erase(found);
}

void Ledger::set_interest(SubscriptionState& subscription) {
  subscription.interest = std::make_shared<const Interest>(subscription.record);
  router.forget();
}

std::size_t Ledger::durable_count() const {
  return static_cast<std::size_t>(
      std::count_if(subscriptions.begin(), subscriptions.end(),
                    [](const auto& each) { return each.second->durable; }));
}

Sequence Ledger::floor(Priority lane) const {
  const auto& state = lanes[lane];
  auto floor = state.offered;
  if (!state.pins.empty()) floor = std::min(floor, *state.pins.begin());
  for (const auto& [id, subscription] : subscriptions) {
    floor = std::min(floor, subscription->lanes[lane].floor(state.offered));
  }
  return floor;
}

std::optional<Ledger::Standing> Ledger::standing(const SubscriptionState& subscription,
                                                 const EventView& event) const {
  if (!subscription.interest->wants(event)) return std::nullopt;
  const auto lane = event.id.priority;
  const auto floor = subscription.lanes[lane].floor(lanes[lane].offered);
  // What is committed and not offered yet is owed, but where a rewind has gone beyond it.
  if (event.id.sequence >= std::max(floor, lanes[lane].offered)) return Standing::owed;
  return subscription.lanes[lane].is_settled(event.id.sequence, lanes[lane].offered)
             ? Standing::settled
             : Standing::owed;
}

ChunkPtr Ledger::metered(ChunkPtr chunk) const {
  const auto bytes = static_cast<std::int64_t>(chunk->bytes().size());
  resident_->fetch_add(bytes, std::memory_order_relaxed);
  const auto* raw = chunk.get();
  return {raw, [owner = std::move(chunk), meter = resident_, bytes](const model::Chunk*) {
            meter->fetch_sub(bytes, std::memory_order_relaxed);
          }};
}

void Ledger::set_timer(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  for (const auto clock : model::kDueClocks) {
    const auto due = state.delayed[clock].next_due();
    auto& timer = state.timers[clock];
    if (due == timer) continue;
    if (timer.has_value()) timers[clock].erase({*timer, subscription.record.id, lane});
    if (due.has_value()) timers[clock].insert({*due, subscription.record.id, lane});
    timer = due;
  }
}

bool Ledger::is_owed(const EventView& event) const {
  const auto offered = lanes[event.id.priority].offered;
  return std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& each) {
    return each.second->durable && each.second->owes(event, offered);
  });
}

bool Ledger::is_claimed(const EventView& event) const {
  return std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& each) {
    const auto& subscription = *each.second;
    return subscription.durable &&
           (subscription.interest->wants(event) ||
            subscription.lanes[event.id.priority].parked_events.contains(event.id.sequence) ||
            dead_letters.contains({each.first, event.id}));
  });
}

bool Ledger::is_kept_apart(Priority lane, Sequence from, Sequence to) const {
  return std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& each) {
    return each.second->lanes[lane].parked_events.has_any(from, to) ||
           dead_letters.has_any(each.first, lane, from, to);
  });
}

std::size_t Ledger::parked_in_memory_max() const noexcept {
  constexpr std::size_t kFew = 16;
  const auto share = settings.parked_max / (kLaneCount * std::max<std::size_t>(attached_count, 1));
  return std::min(std::max(share, kFew), settings.parked_per_lane_max);
}

std::size_t Ledger::keyed_waiting_max() const noexcept {
  constexpr std::size_t kFew = 16;
  return std::max(settings.keyed_max / std::max<std::size_t>(attached_count, 1), kFew);
}

PerLane<Sequence> Ledger::frontier(const SubscriptionState& subscription) const noexcept {
  PerLane<Sequence> frontier;
  for (const auto lane : kAllPriorities) {
    frontier[lane] = subscription.lanes[lane].frontier(lanes[lane].offered);
  }
  return frontier;
}

void Ledger::fill(Stats& stats) const {
  for (const auto priority : kAllPriorities) {
    const auto& lane = lanes[priority];
    auto& out = stats.lanes[static_cast<std::size_t>(priority)];
    out.unclaimed = lane.retention->unclaimed();
    out.published = lane.next - 1 - lane.lost;
    out.newest = lane.next - 1;
    out.trimmed = lane.trim - 1;
  }
  stats.expired_unclaimed = expired_unclaimed;
  stats.dropped_dead_letters = dropped_dead_letters;
  stats.operations = {.open = operations.count(OperationState::open),
                      .rolling_back = operations.count(OperationState::rolling_back),
                      .rollback_failed = operations.count(OperationState::rollback_failed),
                      .committed = operations.entered(OperationState::committed),
                      .rolled_back = operations.entered(OperationState::rolled_back)};
  stats.paused_types = paused_types.record().patterns;
  stats.resident_bytes = resident_bytes();
  stats.idempotency_keys = idempotency.stored();
  for (const auto& [id, subscription] : subscriptions) {
    auto& out = stats.subscriptions.emplace_back();
    out.name = subscription->record.name;
    out.attached = subscription->attached;
    out.paused = subscription->record.paused;
    out.acked = subscription->acked;
    out.skipped = subscription->skipped;
    out.cancelled = subscription->cancelled;
    out.expired = subscription->expired;
    out.retried = subscription->retried;
    out.rejected = subscription->rejected;
    out.refused_tx = subscription->refused_tx;
    out.held = subscription->keys.held_count();
    out.last_error = subscription->last_error;
    out.blocked = subscription->blocked;
    for (const auto priority : kAllPriorities) {
      const auto& lane = subscription->lanes[priority];
      auto& counts = out.lanes[static_cast<std::size_t>(priority)];
      counts.leased = lane.leased;
      counts.dead = lane.dead;
      // A parked event that is with a handler is leased, not scheduled.
      std::uint64_t parked_leased = 0;
      for (const auto& [event, parked] : subscription->parked_in_flight) {
        if (event.priority == priority && !parked.released) ++parked_leased;
      }
      counts.paused = lane.paused;
      counts.scheduled = lane.parked - std::min(lane.parked, parked_leased + lane.paused);
      counts.ready =
          lane.owed - std::min(lane.owed, counts.scheduled + counts.leased + counts.paused);
      if (!subscription->durable) continue;
      auto& total = stats.lanes[static_cast<std::size_t>(priority)].owed;
      total.ready += counts.ready;
      total.leased += counts.leased;
      total.scheduled += counts.scheduled;
      total.paused += counts.paused;
      total.dead += counts.dead;
    }
  }
}

}  // namespace holdfast::core
