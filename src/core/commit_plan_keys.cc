// SPDX-License-Identifier: MIT
// Ordering keys: what an event comes after, and which was the last one.
#include <algorithm>
#include <string>
#include <utility>

#include "core/commit_plan.h"
#include "model/event_codec.h"

namespace holdfast::core {

model::OrderKey CommitPlan::order_key(const model::EncodedEvents& events, std::size_t index,
                                      EventId event) {
  const auto* admission = events.admission(index);
  if (admission == nullptr || admission->order_key == 0) return {};
  model::OrderKey key{admission->order_key, ledger_.key_marks.last(admission->order_key)};
  auto last = key.after;
  for (const auto lane : kAllPriorities) {
    last[lane] = std::max(last[lane], admission->stored_last[lane]);
    // In its own lane it comes after all there are; what is trimmed is over.
    const bool matters = lane != event.priority && last[lane] >= ledger_.lanes[lane].trim;
    key.after[lane] = matters ? last[lane] : 0;
  }
  ledger_.key_marks.note(key.hash, event);
  last[event.priority] = event.sequence;
  const std::string name(model::read_event(events.record(index)).ordering_key);
  auto& record = ordering_keys_[name];
  record = {name, last, event};
  return key;
}

void CommitPlan::write_ordering_keys() {
  for (auto& [name, record] : ordering_keys_) add(model::PutOrderingKey{std::move(record)});
  ordering_keys_.clear();
}

Status CommitPlan::check_last(std::string_view ordering_key, EventId expected,
                              EventId stored) const {
  const auto own = ordering_keys_.find(ordering_key);
  auto newest = own != ordering_keys_.end() ? own->second.newest : stored;
  // What is not kept any more was the last one of nothing.
  if (newest.sequence < ledger_.lanes[newest.priority].trim) newest.sequence = 0;
  if (newest.sequence == expected.sequence &&
      (newest.sequence == 0 || newest.priority == expected.priority)) {
    return {};
  }
  const auto named = [](EventId id) {
    return id.sequence == 0 ? std::string("none") : to_string(id);
  };
  return {StatusCode::conflict, "the last event of ordering key \"" + std::string(ordering_key) +
                                    "\" is " + named(newest) + ", expected was " + named(expected)};
}

void CommitPlan::forget_ordering_key(const model::OrderingKeyRecord& record) {
  // The record may be older than what was published since it was read.
  const auto since = ledger_.key_marks.last(model::hash_key(record.key));
  const bool kept = std::any_of(kAllPriorities.begin(), kAllPriorities.end(), [&](Priority lane) {
    return std::max(record.last[lane], since[lane]) >= ledger_.lanes[lane].trim;
  });
  if (!kept) add(model::EraseOrderingKey{record.key});
}

model::KeyPlace CommitPlan::reached_place(const model::Chunk& chunk, EventId event) {
  auto place = model::key_place(chunk, event.sequence);
  place.key.after = {};
  return place;
}

void CommitPlan::note_key_change(SubscriptionState& subscription) {
  if (!subscription.awaits_turns()) return;
  auto& changes = ledger_.key_changes;
  if (changes.empty() || changes.back() != subscription.record.id) {
    changes.push_back(subscription.record.id);
  }
}

}  // namespace holdfast::core
