// SPDX-License-Identifier: MIT
#include "runtime/replay_pace.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>

namespace holdfast::runtime {

namespace {

// What is due later than this after the first is due then: it must not wrap around.
constexpr double kLongest = 100.0 * 365 * 24 * 3'600 * 1e9;

}  // namespace

bool ReplayPace::waits() const noexcept { return speed_ > 0 && std::isfinite(speed_); }

std::chrono::nanoseconds ReplayPace::due(WallTime published_at) {
  if (!waits()) return {};
  if (last_.has_value() && published_at > *last_) {
    const auto most = static_cast<double>(gap_max_.count());
    // Of integers it is exact, but only one that is known to be small cannot overflow.
    const auto about = static_cast<double>(published_at) - static_cast<double>(*last_);
    const auto gap = about < most ? static_cast<double>(published_at - *last_) : most;
    due_ = std::min(due_ + gap / speed_, kLongest);
  }
  last_ = published_at;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(due_));
}

void wait_until(std::chrono::steady_clock::time_point due, const std::stop_token& stop,
                const std::stop_token& closing) {
  std::mutex mutex;
  std::condition_variable changed;
  const auto tell = [&] {
    const std::lock_guard lock(mutex);
    changed.notify_all();
  };
  // They go first, and so wait for one that is telling.
  const std::stop_callback stopped(stop, tell);
  const std::stop_callback closed(closing, tell);
  std::unique_lock lock(mutex);
  changed.wait_until(lock, due, [&] { return stop.stop_requested() || closing.stop_requested(); });
}

}  // namespace holdfast::runtime
