// SPDX-License-Identifier: MIT
#include "core/recovery.h"

#include <algorithm>
#include <string>

namespace holdfast::core {

namespace {

Status orphan(std::string_view what, SubscriptionId id) {
  return {StatusCode::data_loss, std::string(what) + " of subscription " +
                                     std::to_string(id.value) + ", whose own record is missing"};
}

}  // namespace

Recovery::Recovery(Ledger& ledger, const PerLane<Sequence>& next, const PerLane<Sequence>& trim)
    : ledger_(ledger) {
  for (const auto lane : kAllPriorities) {
    ledger_.lanes[lane].next = next[lane];
    ledger_.lanes[lane].trim = trim[lane];
    // What was written before the crash is as durable as it will get: the open has synced it.
    ledger_.lanes[lane].offered = next[lane];
  }
}

void Recovery::add_cursor(SubscriptionState& subscription, const model::CursorRecord& record) {
  auto& lane = subscription.lanes[record.lane];
  // A commit that trims has found every floor past the trim point, also those stored only later.
  const auto floor = std::max(record.floor, ledger_.lanes[record.lane].trim);
  std::vector<Sequence> ahead(std::lower_bound(record.ahead.begin(), record.ahead.end(), floor),
                              record.ahead.end());
  lane.reset(floor, std::move(ahead));
  lane.owed = record.owed;
  lane.parked = record.parked;
  lane.stored_as_of = record.as_of;
}

/// Ranges may touch and overlap: a range that was given up on can hold one that was skipped before.
void Recovery::add_lost(const model::LostRange& range) {
  auto& lane = ledger_.lanes[range.lane];
  auto& counted = lost_to_[range.lane];
  const auto from = std::max(range.from, counted);
  const auto end = std::min(range.to, lane.next - 1) + 1;
  if (from >= end) return;
  lane.lost += end - from;
  counted = end;
}

void Recovery::add_parked(SubscriptionState& subscription, const model::SettlementRecord& record) {
  const auto id = record.subscription;
  const auto at = ledger_.operations.find(record.event);
  if (!record.is_owed()) {
    if (at) at.member->kept.emplace(id, record.place);
    return;
  }
  auto& lane = subscription.lanes[record.event.priority];
  lane.parked_events.add(record.event.sequence);
  if (model::is_paused_due(record.due)) ++lane.paused;
  subscription.keys.add(record.event, record.place);
  if (record.cleanup && !record.started) subscription.compensations.insert(record.event);
  if (!at) return;
  if (record.started || record.cleanup) at.member->begun.insert(id);
  if (model::clock_of(record.due) == model::DueClock::none) {
    at.member->held.emplace(
        id, Operations::Held{
                record.due, {record.attempts, record.suspect, record.started, record.cleanup, {}}});
  }
}

Status Recovery::add_member(const model::MemberRecord& record) {
  auto* operation = ledger_.operations.find(record.operation);
  if (operation == nullptr || operation->members.size() != record.index) {
    return {StatusCode::data_loss, "event " + std::to_string(record.index) + " of " +
                                       to_string(record.operation) +
                                       " does not follow what is there of it"};
  }
  ledger_.operations.add(*operation, record);
  return {};
}

Status Recovery::add(model::Record&& record) {
  if (auto* subscription = std::get_if<model::SubscriptionRecord>(&record)) {
    auto& added = ledger_.add(std::move(*subscription), true);
    for (const auto lane : kAllPriorities) {
      const auto start = std::max(added.record.start[lane], ledger_.lanes[lane].trim);
      added.lanes[lane].reset(start, {});
      added.lanes[lane].stored_as_of = start;
    }
  } else if (const auto* cursor = std::get_if<model::CursorRecord>(&record)) {
    auto* owner = ledger_.find(cursor->subscription);
    if (owner == nullptr) return orphan("cursor", cursor->subscription);
    add_cursor(*owner, *cursor);
  } else if (const auto* mark = std::get_if<model::RetentionMark>(&record)) {
    auto& lane = ledger_.lanes[mark->lane];
    // The store drops marks below the trim point when it gets to it.
    if (mark->sequence >= lane.trim) lane.retention->restore(*mark);
  } else if (const auto* letter = std::get_if<model::DeadLetterRecord>(&record)) {
    auto* owner = ledger_.find(letter->subscription);
    if (owner == nullptr) return orphan("dead letter", letter->subscription);
    ++owner->lanes[letter->event.priority].dead;
    if (const auto at = ledger_.operations.find(letter->event); at && letter->cleanup) {
      at.member->failed.insert(letter->subscription);
    }
    dead_.emplace_back(letter->died_at, DeadLetterIndex::Name{letter->subscription, letter->event});
  } else if (const auto* parked = std::get_if<model::SettlementRecord>(&record)) {
    auto* owner = ledger_.find(parked->subscription);
    if (owner == nullptr) return orphan("settlement", parked->subscription);
    add_parked(*owner, *parked);
  } else if (auto* operation = std::get_if<model::OperationRecord>(&record)) {
    ledger_.operations.add(std::move(*operation));
  } else if (const auto* member = std::get_if<model::MemberRecord>(&record)) {
    return add_member(*member);
  } else if (const auto* range = std::get_if<model::LostRange>(&record)) {
    add_lost(*range);
  } else if (auto* token = std::get_if<model::TokenRecord>(&record)) {
    ledger_.cancellations.add(std::move(*token));
  } else if (const auto* tombstone = std::get_if<model::TombstoneRecord>(&record)) {
    ledger_.cancellations.tombstones[tombstone->event.priority].add(tombstone->event.sequence);
  } else if (const auto* keys = std::get_if<model::IdempotencyRange>(&record)) {
    ledger_.idempotency.restore(*keys);
  } else if (auto* paused = std::get_if<model::PausedTypesRecord>(&record)) {
    ledger_.paused_types.restore(std::move(*paused));
  }
  return {};
}

Sequence Recovery::tail_from(Priority lane) {
  const auto& state = ledger_.lanes[lane];
  recount_from_[lane] = state.retention->recount_from(state.trim);
  auto from = recount_from_[lane];
  for (const auto& [id, subscription] : ledger_.subscriptions) {
    from = std::min(from, subscription->lanes[lane].stored_as_of);
  }
  return std::clamp(from, state.trim, state.next);
}

void Recovery::add_chunk(const ChunkPtr& chunk) {
  const auto lane = chunk->lane();
  auto& retention = *ledger_.lanes[lane].retention;
  const auto routes = ledger_.router.route(chunk, [&](Sequence sequence, bool claimed) {
    if (sequence < recount_from_[lane]) return;
    retention.note_again(sequence, chunk->record_bytes(sequence), chunk->published_at(), claimed);
  });
  for (const auto& route : routes) {
    auto& state = ledger_.find(route.subscription)->lanes[lane];
    const auto from = std::max(route.span.next, state.stored_as_of);
    if (from < route.span.end) state.owed += route.span.end - from;
  }
}

Status Recovery::finish() {
  std::sort(dead_.begin(), dead_.end());
  for (const auto& [died_at, name] : dead_) ledger_.dead_letters.add(name);
  for (const auto& [id, operation] : ledger_.operations.all()) {
    if (operation.members.size() == operation.record.members) continue;
    return {StatusCode::data_loss, to_string(id) + " has " +
                                       std::to_string(operation.members.size()) + " events of " +
                                       std::to_string(operation.record.members)};
  }
  ledger_.operations.restore_turns();
  return {};
}

}  // namespace holdfast::core
