// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace holdfast::tool {

/// One line on standard error that follows the work; only on a terminal, otherwise nothing at all.
/// Threads: one.
class Progress {
 public:
  /// `bytes_total`: of the input; 0 when nobody knows.
  explicit Progress(std::uint64_t bytes_total);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// At most ten times a second something is drawn, so it may be called often.
  void update(std::uint64_t bytes_read, std::uint64_t events);
  /// Takes the line away, for other output.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  const bool is_shown_;
  const std::uint64_t bytes_total_;
  const Clock::time_point begun_ = Clock::now();
  Clock::time_point next_ = begun_;
  bool is_drawn_ = false;
};

/// "12,300/s"
[[nodiscard]] std::string rate(std::uint64_t events, std::chrono::nanoseconds duration);

}  // namespace holdfast::tool
