// SPDX-License-Identifier: MIT
#include "core/idempotency.h"

#include <algorithm>
#include <utility>

#include "core/commit_plan.h"
#include "model/event_codec.h"

namespace holdfast::core {

void IdempotencyKeys::know(model::IdempotencyRecord record) {
  auto key = record.key;
  records_.insert_or_assign(std::move(key), std::move(record));
}

const model::IdempotencyRecord* IdempotencyKeys::find(std::string_view key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? nullptr : &found->second;
}

// --- In a commit --------------------------------------------------------------------------------

void CommitPlan::know_keys(std::vector<model::IdempotencyRecord> found) {
  for (auto& record : found) keys_.know(std::move(record));
}

/// The event that `events[index]` is a duplicate of; null = it is none. `next_use` is what the
/// first of `events` would be.
const model::IdempotencyRecord* CommitPlan::first_of(const model::EncodedEvents& events,
                                                     std::size_t index,
                                                     std::uint64_t next_use) const {
  const auto* admission = events.admission(index);
  if (admission == nullptr || admission->idempotency_key == 0) return nullptr;
  const auto* known = keys_.find(model::read_event(events.record(index)).idempotency_key);
  const auto& window = ledger_.idempotency;
  return known != nullptr && window.holds(known->use, known->used_at, now_.bus, next_use) ? known
                                                                                          : nullptr;
}

void CommitPlan::note_key(const model::EncodedEvents& events, std::size_t index, EventId event,
                          BatchId batch) {
  const auto* admission = events.admission(index);
  if (admission->idempotency_key == 0) return;
  const auto key = model::read_event(events.record(index)).idempotency_key;
  // One that holds no more is still stored, or its place in the order of age is.
  const auto* before = keys_.find(key);
  const auto replaces = before == nullptr ? 0 : before->use;
  model::IdempotencyRecord record{.key = std::string(key),
                                  .use = ledger_.idempotency.use(),
                                  .event = event,
                                  .commit = commit_.number,
                                  .batch = batch,
                                  .token = admission->token,
                                  .used_at = now_.bus};
  keys_changed_ = true;
  add(model::PutIdempotency{record, replaces});
  keys_.know(std::move(record));
}

void CommitPlan::forget_keys(const std::vector<model::IdempotencyUse>& oldest, std::uint64_t to) {
  auto& window = ledger_.idempotency;
  const auto before = window.range().first;
  auto first = std::max(before, std::min(to, window.range().next));
  for (const auto& use : oldest) {
    if (use.number < before) continue;
    if (window.holds(use.number, use.used_at, now_.bus)) {
      first = use.number;
      break;
    }
    add(model::EraseIdempotency{use.number, use.key});
  }
  window.forget_below(first);
  keys_changed_ = keys_changed_ || first != before;
}

}  // namespace holdfast::core
