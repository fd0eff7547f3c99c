// SPDX-License-Identifier: MIT
// The part of the world with keys: those that order events, and those under which something is
// published twice.
#include "support/core_world.h"

namespace holdfast::testing {

std::string CoreWorld::any_ordering_key() { return "key " + std::to_string(below(4)); }

/// As whoever encodes an event finds it in the journal.
void CoreWorld::note_stored_key(model::EncodedEvents& events, const std::string& key) {
  const auto stored = store_.ordering_keys.find(key);
  if (stored == store_.ordering_keys.end()) return;
  events.last_admission().stored_last = stored->second.last;
}

/// What somebody may expect to be the last of a key.
void CoreWorld::expect_last(const core::CommitPlan& plan) {
  const auto key = any_ordering_key();
  EventId last;
  if (const auto known = oracle_.by_key.find(key); known != oracle_.by_key.end()) {
    last = known->second.back();
    if (last.sequence < ledger_->lanes[last.priority].trim) last = {};
  }
  const auto stored = store_.ordering_keys.find(key);
  const auto newest = stored == store_.ordering_keys.end() ? EventId{} : stored->second.newest;
  require(plan.check_last(key, last, newest).ok(), "the last of a key is not known");
  const EventId other{last.priority, last.sequence + 1};
  require(plan.check_last(key, other, newest) == StatusCode::conflict, "any last of a key will do");
  ++counts[last.sequence == 0 ? "no last of a key" : "last of a key"];
}

std::string CoreWorld::any_key() {
  return chance(30) ? "k" + std::to_string(below(chance(50) ? 12 : 300)) : "";
}

std::optional<OracleUse> CoreWorld::first_of(const std::string& key, std::size_t together) const {
  if (key.empty()) return std::nullopt;
  return oracle_.first_of(key, settings_.idempotency, now_.bus, together);
}

/// As the upkeep does it: some of the oldest are read and shown.
void CoreWorld::forget_keys(core::CommitPlan& plan) {
  const auto first = store_.key_range.first;
  const auto to = std::min(store_.key_range.next, first + 1 + below(40));
  std::vector<model::IdempotencyUse> oldest;
  for (auto at = store_.key_uses.lower_bound(first); at != store_.key_uses.end() && at->first < to;
       ++at) {
    oldest.push_back(at->second);
  }
  plan.forget_keys(oldest, to);
}

/// No key is forgotten that still counts, nor the place of another one.
void CoreWorld::check_forgotten(const model::Commit& made) {
  for (const auto& operation : made.operations) {
    const auto* erased = std::get_if<model::EraseIdempotency>(&operation);
    if (erased == nullptr) continue;
    require(store_.key_uses.at(erased->use).key == erased->key, "another key was forgotten");
    const auto first = first_of(erased->key);
    // It may have been used again in this very commit.
    require(!first.has_value() || first->commit == made.number.value, "a key was forgotten early");
    ++counts["key forgotten"];
  }
}

void CoreWorld::compare_keys() {
  require(ledger_->idempotency.range() == store_.key_range,
          "the range of keys is stored differently");
  require(store_.keys.size() == store_.key_uses.size(), "a use of a key is left over");
  for (const auto& [number, use] : store_.key_uses) {
    const auto& record = store_.keys.at(use.key);
    require(record.use == number && record.used_at == use.used_at,
            "the order of age has another use of " + use.key);
    require(number >= store_.key_range.first && number < store_.key_range.next,
            "a use is stored that is out of the range");
  }
}

}  // namespace holdfast::testing
