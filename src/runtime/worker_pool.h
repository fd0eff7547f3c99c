// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "holdfast/options.h"
#include "holdfast/stats.h"
#include "journal/journal.h"
#include "runtime/bus_state.h"
#include "runtime/committer.h"
#include "runtime/delivery_state.h"
#include "runtime/running_slots.h"

namespace holdfast::runtime {

/// The threads that run handlers, by class, and that read backlogs from disk when nothing is left
/// in memory. All waiting is on the bus's one lock.
class WorkerPool {
 public:
  WorkerPool(const journal::Journal& journal, BusState& state, Committer& committer,
             RunningSlots& slots, const Options& options, const base::Clock& clock,
             const base::Log& log);
  ~WorkerPool();

  static std::size_t count(const Workers& workers);

  void start();
  /// Waits for running handlers.
  void stop();

  /// Something may be ready: wakes as many workers as are needed.
  void wake();

  /// The answer of a `Deferred`.
  void answer(internal::DeliveryState& delivery, const Outcome& outcome);
  /// A `Deferred` whose answer nobody can take any more.
  void forget(internal::DeliveryState& delivery);

  // --- Looking after those that run (worker_watch.cc) ---
  /// Those that have been running for the longest, at most `kRunningToldMax`.
  [[nodiscard]] std::vector<RunningHandler> running() const;
  /// Those that run for longer than they may, likewise.
  [[nodiscard]] std::vector<StuckHandler> stuck() const;

  /// Blocks until nothing is leased; false when `deadline` passed before.
  bool wait_idle(std::chrono::steady_clock::time_point deadline);

 private:
  struct Worker {
    Priority worker_class = Priority::low;
    std::size_t slot = 0;
    std::thread thread;
    internal::DeliveryState* run = nullptr;  // with its handler now; under the bus's lock
  };

  void run(Worker& worker);
  void begin(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery,
             core::Lease&& lease);
  void deliver(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery);
  core::Answer call(internal::DeliveryState& delivery);
  bool load(internal::DeliveryState& delivery);
  /// Reads from the journal what the scheduler wants to know; false when it wants nothing.
  bool read_on(Priority worker_class, std::unique_lock<std::mutex>& lock);
  void refill(const core::Scheduler::Refill& refill);
  void refill(const core::Scheduler::ParkedRefill& refill);
  void wake_locked();
  void give(internal::DeliveryState& delivery, core::Answer&& answer);

  const journal::Journal& journal_;
  BusState& state_;
  Committer& committer_;
  RunningSlots& slots_;
  const base::Clock& clock_;
  const base::Log log_;
  const std::chrono::nanoseconds stuck_after_;
  std::vector<std::unique_ptr<Worker>> workers_;

  // Under the bus's lock.
  struct Idle {
    std::condition_variable wake;
    std::uint32_t waiting = 0;
    std::uint32_t called = 0;  // of the waiting ones
  };
  model::PerLane<Idle> idle_;
  std::condition_variable leases_changed_;
  std::size_t leases_ = 0;
  bool stopping_ = false;
};

}  // namespace holdfast::runtime
