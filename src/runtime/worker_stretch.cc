// SPDX-License-Identifier: MIT
// Running the handler of one event after the other, with the bus's lock at the ends of a stretch
// alone: a lock and its wake-ups cost more than a quick handler.
#include <algorithm>
#include <chrono>
#include <utility>

#include "runtime/answer.h"
#include "runtime/worker_pool.h"

namespace holdfast::runtime {

namespace {

using std::chrono::steady_clock;

// A stretch ends after so long, for the sake of other subscriptions and of who waits for answers;
// what is left of it is ready as it was.
constexpr std::chrono::microseconds kStretchFor{200};

}  // namespace

/// Under the lock, which it lets go of meanwhile.
void WorkerPool::run_stretch(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery,
                             std::vector<core::Lease>&& leases,
                             std::unique_lock<std::mutex>& lock) {
  const auto now = clock_.now();
  renew(delivery);
  note_taken(*delivery, core::Lease(leases.front()), now.boot);
  auto& stretch = worker.stretch;
  stretch.start(*delivery, std::move(leases));
  delivery->stretch = &stretch;
  worker.run = delivery.get();
  state_.stretches.push_back(&stretch);
  const auto handle = delivery->handle;
  lock.unlock();

  next_due_(now.bus + Stretch::kSlowAfter);
  const bool entered = handle->enter();
  if (entered) {
    deliver(worker, stretch);
  } else {
    // It ended meanwhile: they stay pending.
    core::Answer release;
    release.lease = stretch.first();
    release.kind = core::Answer::Kind::release;
    release.ran = false;
    delivery->answered = true;
    stretch.answer(std::move(release));
  }
  lock.lock();
  const bool urgent = end_stretch(worker, stretch);
  const bool has_answers = state_.has_answers();
  lock.unlock();
  if (has_answers) committer_.answers_given(urgent);
  // Last, so that whoever has waited for the handler finds its answers given.
  if (entered) handle->leave();
  lock.lock();
}

/// Inside of the handle.
void WorkerPool::deliver(Worker& worker, Stretch& stretch) {
  auto& run = stretch.run();
  const auto until = steady_clock::now() + kStretchFor;
  while (true) {
    deliver_one(worker, stretch);
    // A `Deferred` has it now, and may be answering it.
    if (run.stretch == nullptr || steady_clock::now() >= until) return;
    auto* lease = stretch.next();
    if (lease == nullptr) return;
    run.reset_run();
    run.lease = *lease;
    if (!stretch.begin()) return;
  }
}

void WorkerPool::deliver_one(Worker& worker, Stretch& stretch) {
  auto& run = stretch.run();
  auto& lease = run.lease;
  run.view = lease.chunk->event(lease.event.sequence);
  slots_.begin(worker.slot, {lease.subscription, lease.event, lease.suspect});
  auto answer = call(run);
  slots_.end(worker.slot);
  if (run.stretch == nullptr) return;
  run.answered = true;
  answer.tx = std::move(run.tx);
  const bool urgent = is_urgent(answer);
  stretch.answer(std::move(answer));
  if (urgent) committer_.answers_given(true);
}

/// Under the lock. Whether its answers are a reason to commit now.
bool WorkerPool::end_stretch(Worker& worker, Stretch& stretch) {
  auto& run = stretch.run();
  const bool is_whole = !stretch.is_recalled() && stretch.next() == nullptr;
  state_.recall(stretch);
  std::erase(state_.stretches, &stretch);
  worker.run = nullptr;
  run.place.on_worker = false;
  auto* subscription = state_.ledger.find(stretch.first().subscription);
  if (subscription != nullptr && subscription->stretch_max > 1) {
    using core::SubscriptionState;
    // By a half at most: one that was held up by something else than its handler is no measure.
    const auto length = is_whole ? 2 * subscription->stretch_max
                                 : std::max(subscription->stretch_max / 2, stretch.begun());
    subscription->stretch_max =
        std::clamp(length, SubscriptionState::kStretchMin, SubscriptionState::kStretchMax);
  }
  const bool urgent = counts_as_urgent(state_.collect_answers(stretch));
  if (stretch.is_handed_over()) {
    if (run.answered) state_.outstanding.remove(run);
    return urgent;
  }
  state_.outstanding.remove(run);
  state_.scheduler.finish_stretch(stretch.first());
  end_lease();
  return urgent;
}

void WorkerPool::hand_over(internal::DeliveryState& delivery) {
  const std::lock_guard lock(state_.mutex);
  auto& stretch = *std::exchange(delivery.stretch, nullptr);
  state_.recall(stretch);
  // The slot goes with it.
  delivery.lease.beside = false;
  stretch.hand_over();
}

void WorkerPool::recall_slow(base::BootTime now) {
  std::size_t count = 0;
  bool urgent = false;
  {
    const std::lock_guard lock(state_.mutex);
    for (auto* stretch : state_.stretches) {
      if (now - stretch->run().place.since < Stretch::kSlowAfter) continue;
      state_.recall(*stretch);
      count += state_.collect_answers(*stretch);
    }
    urgent = counts_as_urgent(count);
  }
  if (count > 0) committer_.answers_given(urgent);
}

}  // namespace holdfast::runtime
