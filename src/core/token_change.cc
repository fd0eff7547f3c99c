// SPDX-License-Identifier: MIT
#include "core/token_change.h"

namespace holdfast::core {

bool TokenChange::ends(const EventView& event) const {
  const auto lane = event.id.priority;
  const auto& bus_lane = ledger_.lanes[lane];
  bool claimed = event.id.sequence < bus_lane.trim;
  for (const auto& [id, subscription] : ledger_.subscriptions) {
    if (!subscription->durable || id == after_.subscription) continue;
    if (subscription->owes(event, bus_lane.offered)) return false;
    claimed = claimed || subscription->interest->wants(event) ||
              ledger_.dead_letters.contains({id, event.id});
  }
  if (after_.interest == nullptr) return claimed;
  const auto* known = ledger_.find(after_.subscription);
  const bool wants = after_.interest->wants(event);
  const bool dead = known != nullptr && ledger_.dead_letters.contains({known->record.id, event.id});
  const bool settled =
      known != nullptr && known->lanes[lane].is_settled(event.id.sequence, bus_lane.offered);
  const bool parked = known != nullptr && known->has_parked(event.id);
  const bool owed = after_.owed_from.has_value()
                        ? (wants && event.id.sequence >= (*after_.owed_from)[lane]) ||
                              (parked && event.id.sequence < after_.parked_before[lane])
                        : parked || (wants && !settled);
  return !owed && (claimed || wants || dead);
}

void TokenChange::add(const EventView& event) {
  if (event.token.value == 0) return;
  const auto before = ledger_.is_ended(event) ? 1 : 0;
  const auto after = ends(event) ? 1 : 0;
  if (before != after) ended_[event.token] += after - before;
}

}  // namespace holdfast::core
