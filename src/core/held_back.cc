// SPDX-License-Identifier: MIT
#include "core/held_back.h"

#include <algorithm>

namespace holdfast::core {

std::vector<HeldBack> held_back(const Ledger& ledger, Sequence sequences_min) {
  std::vector<HeldBack> all;
  for (const auto& [id, subscription] : ledger.subscriptions) {
    if (!subscription->durable || subscription->is_served()) continue;
    for (const auto lane : kAllPriorities) {
      const auto& state = subscription->lanes[lane];
      const auto offered = ledger.lanes[lane].offered;
      // While somebody of before is still at work, or nothing is unread, reading moves no floor.
      if (state.has_taken() || state.live() || state.window_count() > 0) continue;
      const auto waiting = state.owed - state.parked;
      if (waiting > HeldBack::kEventsMax || state.covered() + sequences_min >= offered) continue;
      all.push_back({id, lane, state.covered(), waiting == 0 ? state.covered() : offered,
                     subscription->interest});
    }
  }
  return all;
}

bool find_held_back(HeldBack& held, const ChunkPtr& chunk, std::vector<Span>& owed) {
  const auto end = std::min(chunk->last() + 1, held.to);
  for (auto sequence = std::max(chunk->first(), held.from); sequence < end; ++sequence) {
    if (!held.interest->wants(chunk->event(sequence))) continue;
    const bool has_key = model::key_place(*chunk, sequence).key.hash != 0;
    if (has_key || owed.size() == HeldBack::kEventsMax) {
      held.to = sequence;
      return false;
    }
    owed.push_back({chunk, sequence, sequence + 1});
  }
  return true;
}

}  // namespace holdfast::core
