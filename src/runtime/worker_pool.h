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

  /// The answer of a handler or a `Deferred`.
  void answer(internal::DeliveryState& delivery, Outcome outcome);

  /// Handlers that run now, for longer than `longer_than`.
  [[nodiscard]] std::vector<StuckHandler> running(std::chrono::nanoseconds longer_than) const;

  /// Blocks until nothing is leased; false when `deadline` passed before.
  bool wait_idle(std::chrono::steady_clock::time_point deadline);

 private:
  struct Worker {
    Priority worker_class = Priority::low;
    std::size_t slot = 0;
    std::thread thread;
    // Under the bus's lock.
    bool running = false;
    base::BootTime since = 0;
    EventId event;
    std::uint32_t attempt = 0;
    std::shared_ptr<internal::SubscriptionHandle> handle;
  };

  void run(Worker& worker);
  void deliver(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery);
  static core::Answer call(internal::DeliveryState& delivery);
  bool load(internal::DeliveryState& delivery);
  /// Whether its handler is to be called; otherwise `answer` is what happens instead.
  bool may_run(internal::DeliveryState& delivery, core::Answer& answer);
  /// Reads from the journal what the scheduler wants to know; false when it wants nothing.
  bool read_on(Priority worker_class, std::unique_lock<std::mutex>& lock);
  void refill(const core::Scheduler::Refill& refill);
  void refill(const core::Scheduler::ParkedRefill& refill);
  void wake_locked();
  void give(core::Answer&& answer);

  const journal::Journal& journal_;
  BusState& state_;
  Committer& committer_;
  RunningSlots& slots_;
  const base::Clock& clock_;
  const base::Log log_;
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
