// SPDX-License-Identifier: MIT
// Looking after the runs that are under way: which, for how long, and what becomes of those that
// take too long.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "runtime/worker_pool.h"

namespace holdfast::runtime {

using std::chrono::nanoseconds;

std::vector<RunningHandler> WorkerPool::running() const {
  std::vector<RunningHandler> running;
  const auto now = clock_.now().boot;
  const std::lock_guard lock(state_.mutex);
  // In the order in which they began, so that those that come first run for the longest.
  for (auto* run = state_.outstanding.first(); run != nullptr && running.size() < kRunningToldMax;
       run = run->place.later) {
    auto told = run->progress.told();
    running.push_back({.subscription = run->handle->options().name,
                       .event = run->lease.event,
                       .attempt = run->lease.attempt,
                       .running_for = nanoseconds(now - run->place.since),
                       .deferred = !run->place.on_worker,
                       .timed_out = run->place.timed_out,
                       .abandoned = run->place.abandoned,
                       .progress = told.fraction,
                       .note = std::move(told.note)});
  }
  return running;
}

std::vector<StuckHandler> WorkerPool::stuck() const {
  std::vector<StuckHandler> stuck;
  const auto now = clock_.now().boot;
  const std::lock_guard lock(state_.mutex);
  for (const auto& worker : workers_) {
    if (worker->run == nullptr || now - worker->run->place.since < stuck_after_.count()) continue;
    const auto& run = *worker->run;
    stuck.push_back({run.handle->options().name, run.lease.event, run.lease.attempt,
                     nanoseconds(now - run.place.since)});
  }
  return stuck;
}

}  // namespace holdfast::runtime
