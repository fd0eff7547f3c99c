// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "load/load.h"

namespace holdfast::testing {

/// What is bounded, and by how much.
struct Bounds {
  std::uint64_t memory = 0;
  std::uint64_t disk = 0;
};

/// A window of time, and the worst of each that a sample in it has seen.
struct Window {
  double until_seconds = 0;
  std::uint64_t samples = 0;
  std::uint64_t events = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t memory_max = 0;  ///< Over that of the idle bus, without the books.
  std::uint64_t disk_max = 0;
  std::uint64_t backlog_max = 0;  ///< Deliveries that are ready, leased or scheduled.
  std::uint64_t dead = 0;         ///< Dead letters that are kept, at its end.
  std::uint64_t critical_count = 0;
  std::uint64_t critical_p99 = 0;  ///< ns.
};

/// Looks at a load while it runs.
class Samples {
 public:
  /// `load` is idle.
  Samples(MixedLoad& load, const Bounds& bounds);

  /// Looks every quarter of a second for so long, and ends a window after each `window`.
  void watch(std::chrono::milliseconds time, std::chrono::milliseconds window);

  [[nodiscard]] const std::vector<Window>& windows() const noexcept { return windows_; }
  [[nodiscard]] std::uint64_t memory_idle() const noexcept { return memory_idle_; }
  [[nodiscard]] std::uint64_t memory_exceeded() const noexcept { return memory_exceeded_; }
  [[nodiscard]] std::uint64_t disk_exceeded() const noexcept { return disk_exceeded_; }
  /// The median of the p99 of the last third of the windows over that of the first; 0 with too few.
  [[nodiscard]] double critical_growth() const;

 private:
  void look();
  void end_window();

  MixedLoad& load_;
  const Bounds bounds_;
  const std::chrono::steady_clock::time_point begun_;
  std::uint64_t memory_idle_ = 0;
  std::uint64_t memory_exceeded_ = 0;  // samples
  std::uint64_t disk_exceeded_ = 0;
  Window now_;
  std::uint64_t events_before_ = 0;
  std::uint64_t deliveries_before_ = 0;
  std::vector<Window> windows_;
};

}  // namespace holdfast::testing
