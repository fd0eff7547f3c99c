// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
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
#include "runtime/signaller.h"
#include "runtime/stretch.h"

namespace holdfast::runtime {

/// The threads that run handlers, by class, and that read backlogs from disk when nothing is left
/// in memory. While a handler is stuck another thread has the place of its own (worker_watch.cc).
/// Handlers of batches: worker_batch.cc. Events in a stretch: worker_stretch.cc.
/// All waiting is on the bus's one lock.
class WorkerPool {
 public:
  /// `next_due` has the clock look no later than at a moment of bus time.
  WorkerPool(const journal::Journal& journal, BusState& state, Committer& committer,
             Signaller& signaller, RunningSlots& slots, const Options& options,
             const base::Clock& clock, const base::Log& log,
             std::function<void(base::BusTime)> next_due);
  ~WorkerPool();

  static std::size_t count(const Workers& workers);
  /// How many threads there may be, those in the place of others included.
  static std::size_t slot_count(const Options& options);

  void start();
  /// Waits for running handlers.
  void stop();

  /// Something may be ready: wakes as many workers as are needed.
  void wake();

  /// The answer of a `Deferred`.
  void answer(internal::DeliveryState& delivery, const Outcome& outcome);
  /// A `Deferred` whose answer nobody can take any more.
  void forget(internal::DeliveryState& delivery);
  /// The event is of a stretch, and will be answered by a `Deferred`. On its worker.
  void hand_over(internal::DeliveryState& delivery);
  /// Recalls stretches whose handler keeps them waiting.
  void recall_slow(base::BootTime now);

  // --- Looking after those that run (worker_watch.cc) ---
  /// Asks those whose time-out has come to stop, and abandons those whose time for that has. On the
  /// clock's thread, as the next two; a limited number at a time.
  void watch(base::BootTime now);
  /// Logs who has become stuck without having a time-out.
  void tell_stuck();
  /// Gives the places of stuck handlers to other threads, and lets those go that are not needed any
  /// more.
  void replace_stuck();
  [[nodiscard]] std::size_t replaced() const;
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
    // Under the bus's lock.
    internal::DeliveryState* run = nullptr;  // with its handler now
    bool replaced = false;                   // another thread has its place
    bool ended = false;                      // only to be joined
    bool started = true;                     // false = its thread is still to be had
    Stretch stretch{};
  };

  void run(Worker& worker);
  void leave_place(Worker& worker);
  void start_clock(internal::DeliveryState& run);
  void abandon(internal::DeliveryState& run);
  void end_lease();
  [[nodiscard]] bool is_stuck(const internal::DeliveryState& run, base::BootTime now) const;
  [[nodiscard]] std::vector<std::unique_ptr<Worker>> take_ended();
  bool start_thread(Worker& worker);
  static void renew(std::shared_ptr<internal::DeliveryState>& delivery);
  void begin(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery,
             core::Lease&& lease, base::BootTime now);
  void enlist(internal::DeliveryState& delivery, core::Lease&& lease, base::BootTime now);
  void note_taken(internal::DeliveryState& delivery, core::Lease&& lease, base::BootTime now);
  void deliver(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery);
  static core::Answer call(internal::DeliveryState& delivery);
  bool load(internal::DeliveryState& delivery, core::Answer& instead);
  /// Whether its handler is to be called; otherwise `answer` is what happens instead.
  bool may_run(internal::DeliveryState& delivery, core::Answer& answer);
  /// Reads from the journal what the scheduler wants to know; false when it wants nothing.
  bool read_on(Priority worker_class, std::unique_lock<std::mutex>& lock);
  void refill(const core::Scheduler::Refill& refill);
  void refill(const core::Scheduler::ParkedRefill& refill);
  void wake_locked();
  void give(internal::DeliveryState& delivery, core::Answer&& answer);
  bool counts_as_urgent(std::size_t count);
  /// Another event of its ordering key waits for this one to be settled.
  [[nodiscard]] bool is_waited_for(const core::Lease& lease) const;

  // worker_stretch.cc
  void run_stretch(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery,
                   std::vector<core::Lease>&& leases, std::unique_lock<std::mutex>& lock);
  void deliver(Worker& worker, Stretch& stretch);
  void deliver_one(Worker& worker, Stretch& stretch);
  [[nodiscard]] bool end_stretch(Worker& worker, Stretch& stretch);

  // worker_batch.cc
  struct Left;
  void run_batch(Worker& worker, std::vector<core::Lease>&& leases,
                 std::unique_lock<std::mutex>& lock);
  void deliver(Worker& worker, internal::BatchRun& batch);
  void sift(Worker& worker, internal::BatchRun& batch);
  void ask_conditions(Worker& worker, internal::BatchRun& batch);
  void call_handler(Worker& worker, internal::BatchRun& batch);
  void part(Worker& worker, internal::BatchRun& batch, std::vector<Left>&& left);
  void give(internal::BatchRun& batch, core::BatchAnswer&& answer);

  const journal::Journal& journal_;
  BusState& state_;
  Committer& committer_;
  Signaller& signaller_;
  RunningSlots& slots_;
  const base::Clock& clock_;
  const base::Log log_;
  const std::chrono::nanoseconds stuck_after_;
  const bool in_stretches_;
  const std::size_t replaced_max_;
  const std::function<void(base::BusTime)> next_due_;
  std::atomic<base::BootTime> last_unreadable_{std::numeric_limits<base::BootTime>::min() / 2};
  std::mutex start_mutex_;  // of threads in the place of others; before the bus's lock

  // Under the bus's lock; once it is stopping nothing comes to it or goes.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::size_t> free_slots_;
  std::size_t replaced_ = 0;
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
