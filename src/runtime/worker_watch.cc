// SPDX-License-Identifier: MIT
// Looking after the runs that are under way: which, for how long, and what becomes of those that
// take too long.
#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "runtime/batch_run.h"
#include "runtime/worker_pool.h"

namespace holdfast::runtime {

using std::chrono::nanoseconds;

namespace {

// So many runs are looked at under the lock at a time.
constexpr std::size_t kWatchedAtOnce = 256;

StuckHandler told(const internal::DeliveryState& run, base::BootTime now) {
  return {run.handle->options().name, run.lease.event, run.lease.attempt,
          nanoseconds(now - run.place.since)};
}

std::string in_milliseconds(nanoseconds span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(span).count()) +
         " ms";
}

std::string who_runs(const StuckHandler& stuck) {
  return "the handler of " + stuck.subscription + " has been running " + to_string(stuck.event) +
         " (attempt " + std::to_string(stuck.attempt) + ") for " +
         in_milliseconds(stuck.running_for);
}

}  // namespace

// --- The clock ----------------------------------------------------------------------------------

void WorkerPool::start_clock(internal::DeliveryState& run) {
  const auto after = run.handle->stop_after();
  const auto now = clock_.now();
  {
    const std::lock_guard lock(state_.mutex);
    run.place.started = now.boot;
    state_.outstanding.watch(run, now.boot + after);
  }
  next_due_(now.bus + after);
}

void WorkerPool::watch(base::BootTime now) {
  Signaller::Runs asked;
  std::vector<StuckHandler> late;
  std::vector<StuckHandler> abandoned;
  {
    const std::lock_guard lock(state_.mutex);
    auto& outstanding = state_.outstanding;
    for (std::size_t i = 0; i < kWatchedAtOnce; ++i) {
      auto* run = outstanding.take_due(now);
      if (run == nullptr) break;
      auto& whole = run->whole();
      if (whole.answered) continue;
      // A `Deferred` that finds it abandoned lets go of it without waiting for the lock.
      const auto kept = run->shared_from_this();
      if (whole.stop.note(StopReason::timed_out)) asked.push_back(whole.shared_from_this());
      if (!run->place.timed_out) {
        outstanding.note_timed_out(*run);
        whole.place.timed_out = true;
        run->place.told_stuck = true;
        late.push_back(told(*run, now));
      }
      const auto after = run->handle->abandon_after();
      if (after == 0) continue;
      if (now - run->place.started < after) {
        outstanding.watch(*run, run->place.started + after);
      } else if (!whole.answered.exchange(true)) {
        abandoned.push_back(told(*run, now));
        if (whole.batch == nullptr) {
          abandon(*run);
        } else {
          for (const auto& member : whole.batch->members) abandon(*member);
          state_.note_batch(whole.batch->members.size());
        }
      }
    }
  }
  signaller_.signal(std::move(asked));
  if (!abandoned.empty()) {
    committer_.answers_given(true);
    wake();
  }
  for (const auto& each : late) {
    log_.warn("holdfast: " + who_runs(each) + ", longer than its timeout");
  }
  for (const auto& each : abandoned) {
    log_.warn("holdfast: " + who_runs(each) + " and is abandoned: what it answers changes nothing");
  }
  if (!late.empty()) replace_stuck();
}

/// Under the lock, by whoever has answered in its stead.
void WorkerPool::abandon(internal::DeliveryState& run) {
  core::Answer answer;
  answer.lease = run.lease;
  answer.kind = core::Answer::Kind::abandon;
  answer.reason = "abandoned after " + in_milliseconds(nanoseconds(run.handle->abandon_after()));
  answer.stop = StopReason::timed_out;
  run.place.abandoned = true;
  // A handler is waited for until it returns; a `Deferred` has nothing more to say.
  if (!run.place.on_worker) {
    state_.outstanding.remove(run);
    end_lease();
  }
  state_.scheduler.finish(answer.lease);
  state_.answers.push_back(std::move(answer));
  ++state_.answer_count;
}

// --- Telling ------------------------------------------------------------------------------------

bool WorkerPool::is_stuck(const internal::DeliveryState& run, base::BootTime now) const {
  if (run.place.timed_out) return true;
  // One that is watched has a line of its own to cross. One that is not listed is of a stretch and
  // between two events: it is its worker's to change.
  return run.place.on_worker && run.place.listed && !run.place.watched.has_value() &&
         now - run.place.since >= stuck_after_.count();
}

std::vector<RunningHandler> WorkerPool::running() const {
  std::vector<RunningHandler> running;
  const auto now = clock_.now().boot;
  const std::lock_guard lock(state_.mutex);
  state_.recall_all();
  // In the order in which they began, so that those that come first run for the longest.
  for (auto* run = state_.outstanding.first(); run != nullptr && running.size() < kRunningToldMax;
       run = run->place.later) {
    auto progress = run->whole().progress.told();
    running.push_back({.subscription = run->handle->options().name,
                       .event = run->lease.event,
                       .attempt = run->lease.attempt,
                       .running_for = nanoseconds(now - run->place.since),
                       .deferred = !run->place.on_worker,
                       .timed_out = run->whole().place.timed_out,
                       .abandoned = run->place.abandoned,
                       .progress = progress.fraction,
                       .note = std::move(progress.note)});
  }
  return running;
}

std::vector<StuckHandler> WorkerPool::stuck() const {
  std::vector<StuckHandler> stuck;
  const auto now = clock_.now().boot;
  {
    const std::lock_guard lock(state_.mutex);
    state_.recall_all();
    for (const auto& [since, run] : state_.outstanding.late()) {
      if (stuck.size() == kRunningToldMax) break;
      stuck.push_back(told(*run, now));
    }
    for (const auto& worker : workers_) {
      const auto* run = worker->run;
      if (run != nullptr && !run->place.timed_out && is_stuck(*run, now)) {
        stuck.push_back(told(*run, now));
      }
    }
  }
  std::stable_sort(stuck.begin(), stuck.end(), [](const auto& left, const auto& right) {
    return left.running_for > right.running_for;
  });
  if (stuck.size() > kRunningToldMax) stuck.resize(kRunningToldMax);
  return stuck;
}

void WorkerPool::tell_stuck() {
  std::vector<StuckHandler> stuck;
  const auto now = clock_.now().boot;
  {
    const std::lock_guard lock(state_.mutex);
    state_.recall_all();
    for (const auto& worker : workers_) {
      auto* run = worker->run;
      if (run == nullptr || run->place.told_stuck || !is_stuck(*run, now)) continue;
      run->place.told_stuck = true;
      stuck.push_back(told(*run, now));
    }
  }
  for (const auto& each : stuck) log_.warn("holdfast: " + who_runs(each));
}

// --- Threads in the place of others -------------------------------------------------------------

std::size_t WorkerPool::replaced() const {
  const std::lock_guard lock(state_.mutex);
  return replaced_;
}

/// Under the lock, by a worker whose handler has returned at last: whoever has its place stays.
void WorkerPool::leave_place(Worker& worker) {
  worker.replaced = false;
  worker.ended = true;
  free_slots_.push_back(worker.slot);
  --replaced_;
}

/// Under the lock.
std::vector<std::unique_ptr<WorkerPool::Worker>> WorkerPool::take_ended() {
  const auto first = std::stable_partition(workers_.begin(), workers_.end(),
                                           [](const auto& worker) { return !worker->ended; });
  std::vector<std::unique_ptr<Worker>> ended(std::make_move_iterator(first),
                                             std::make_move_iterator(workers_.end()));
  workers_.erase(first, workers_.end());
  return ended;
}

void WorkerPool::replace_stuck() {
  const std::lock_guard starting(start_mutex_);
  std::vector<std::unique_ptr<Worker>> ended;
  std::vector<Worker*> added;
  const auto now = clock_.now().boot;
  {
    const std::lock_guard lock(state_.mutex);
    // Whoever stops the pool joins all that there are.
    if (stopping_) return;
    ended = take_ended();
    const auto count = workers_.size();
    for (std::size_t i = 0; i < count && replaced_ < replaced_max_; ++i) {
      auto& worker = *workers_[i];
      if (worker.run == nullptr || worker.replaced || !is_stuck(*worker.run, now)) continue;
      worker.replaced = true;
      ++replaced_;
      auto& other = workers_.emplace_back(std::make_unique<Worker>());
      other->worker_class = worker.worker_class;
      other->slot = free_slots_.back();
      other->started = false;
      free_slots_.pop_back();
    }
    for (const auto& worker : workers_) {
      if (!worker->started) added.push_back(worker.get());
    }
  }
  for (const auto& worker : ended) worker->thread.join();
  for (auto* worker : added) {
    // Tried again when the clock looks next.
    if (!start_thread(*worker)) return;
    worker->started = true;
  }
}

bool WorkerPool::start_thread(Worker& worker) {
  try {
    worker.thread = std::thread([this, &worker] { run(worker); });
    return true;
  } catch (const std::system_error& error) {
    log_.error("holdfast: no thread to be had in the place of a stuck one: " +
               std::string(error.what()));
    return false;
  }
}

}  // namespace holdfast::runtime
