// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

#include "holdfast/types.h"

namespace holdfast::runtime {

/// When each event of a replay is due, reckoned from the first.
class ReplayPace {
 public:
  /// As `ReplayOptions`, checked.
  ReplayPace(double speed, std::chrono::nanoseconds gap_max) : speed_(speed), gap_max_(gap_max) {}

  [[nodiscard]] bool waits() const noexcept;
  /// How long after the first event the next one is due, which was published then.
  std::chrono::nanoseconds due(WallTime published_at);

 private:
  double speed_;
  std::chrono::nanoseconds gap_max_;
  std::optional<WallTime> last_;
  double due_ = 0;  // ns
};

/// Waits until `due`, or until one of them is stopped.
void wait_until(std::chrono::steady_clock::time_point due, const std::stop_token& stop,
                const std::stop_token& closing);

}  // namespace holdfast::runtime
