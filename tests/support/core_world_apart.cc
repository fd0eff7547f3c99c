// SPDX-License-Identifier: MIT
// The part of the world that sets apart what few events of a subscription hold back.
#include <algorithm>
#include <vector>

#include "core/held_back.h"
#include "support/core_world.h"

namespace holdfast::testing {

/// As the upkeep of a bus does it, which reads first and commits later, or too late.
void CoreWorld::look_at_held_back() {
  const auto all = core::held_back(*ledger_, below(12));
  if (all.empty()) return;
  auto held = all[below(all.size())];
  if (chance(30)) held.to = std::min(held.to, held.from + below(10));
  apart_ = ReadApart{held, {}};
  const auto& kept = store_.chunks[held.lane];
  auto at = kept.upper_bound(held.from);
  if (at != kept.begin() && std::prev(at)->second->contains(held.from)) --at;
  for (; at != kept.end() && at->first < held.to; ++at) {
    if (!core::find_held_back(apart_->held, at->second, apart_->owed)) break;
  }
}

void CoreWorld::set_apart(core::CommitPlan& plan) {
  if (!apart_.has_value()) return;
  const auto read = *std::exchange(apart_, std::nullopt);
  if (!plan.set_apart(read.held, read.owed)) {
    ++counts["set apart too late"];
    return;
  }
  ++counts["set apart"];
  const auto id = read.held.subscription.value;
  for (const auto& span : read.owed) {
    for (auto sequence = span.next; sequence < span.end; ++sequence) {
      const EventId event{read.held.lane, sequence};
      const auto* subscription = oracle_.find(id);
      const auto known = subscription->owed.find(event);
      if (known == subscription->owed.end() || known->second.parked) continue;
      require(!oracle_.keyed.contains(event), "set apart though it has a key: " + name(id, event));
      ++counts[oracle_.operations.was_member(event) ? "set apart of an operation"
                                                    : "set apart, plain"];
      expected_settlements_.insert({read.held.subscription, event});
      fact([=, now = now_](Oracle& oracle) {
        oracle.park(id, event, {.due = now.bus, .started = false});
      });
    }
  }
}

}  // namespace holdfast::testing
