// SPDX-License-Identifier: MIT
#include "core/held_release.h"

namespace holdfast::core {

std::optional<HeldRelease::Part> HeldRelease::next(const Ledger& ledger) {
  if (ended_ != ledger.paused_types.ended()) {
    ended_ = ledger.paused_types.ended();
    restart();
  }
  const auto& subscriptions = ledger.subscriptions;
  auto found = subscriptions.lower_bound(at_.subscription);
  for (; found != subscriptions.end(); found = subscriptions.lower_bound(at_.subscription)) {
    const auto& [id, subscription] = *found;
    if (id != at_.subscription) at_ = {.subscription = id};
    if (subscription->durable && subscription->lanes[at_.lane].paused > 0) return at_;
    skip();
  }
  return std::nullopt;
}

void HeldRelease::skip() {
  const auto id = at_.subscription;
  if (at_.lane == Priority::low) {
    at_ = {.subscription = {id.value + 1}};
  } else {
    at_ = {.subscription = id, .lane = static_cast<Priority>(static_cast<unsigned>(at_.lane) + 1)};
  }
}

void HeldRelease::done(const std::optional<ParkedWindow::Key>& reached) {
  if (!reached.has_value()) return skip();
  at_.from = *reached;
}

}  // namespace holdfast::core
