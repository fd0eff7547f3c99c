// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "core/ledger.h"

namespace holdfast::core {

/// Goes over all that pauses of event types hold of durable subscriptions, a part at a time, so
/// that no commit grows with how much there is. It goes over all of it anew when another pause has
/// ended meanwhile.
class HeldRelease {
 public:
  /// What one commit puts back, and the commit reads, at most.
  static constexpr std::size_t kReleasedAtOnce = 1'000;

  struct Part {
    SubscriptionId subscription;
    Priority lane = Priority::critical;
    ParkedWindow::Key from{model::kPausedDue, 0};
  };
  /// What is to be looked at next; none = all of it has been.
  [[nodiscard]] std::optional<Part> next(const Ledger& ledger);
  /// Of the part that `next` gave, all below `reached`; none = all there is.
  void done(const std::optional<ParkedWindow::Key>& reached);
  /// From the beginning.
  void restart() { at_ = {}; }

 private:
  void skip();

  Part at_;  // everything before has been looked at
  std::uint64_t ended_ = 0;
};

}  // namespace holdfast::core
