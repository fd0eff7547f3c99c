// SPDX-License-Identifier: MIT
// Running the handlers of batches. What is not for the handler leaves the batch before it is
// called, each with an answer of its own, so that the rest is answered as one.
#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "core/gate.h"
#include "runtime/answer.h"
#include "runtime/batch_run.h"
#include "runtime/worker_pool.h"

namespace holdfast::runtime {

/// A member that leaves its batch: with an answer, or given back to be taken again.
struct WorkerPool::Left {
  std::size_t index = 0;
  core::Answer answer;
  bool given_back = false;
};

namespace {

RunningSlots::Running slot_of(const internal::DeliveryState& run) {
  return {run.lease.subscription, run.lease.event, run.lease.suspect};
}

}  // namespace

/// Under the lock, which it lets go of meanwhile.
void WorkerPool::run_batch(Worker& worker, std::vector<core::Lease>&& leases,
                           std::unique_lock<std::mutex>& lock) {
  internal::BatchRun batch;
  batch.common = std::make_shared<internal::DeliveryState>();
  batch.common->handle = state_.handles.at(leases.front().subscription);
  batch.common->batch = &batch;
  batch.members.reserve(leases.size());
  const auto now = clock_.now().boot;
  for (auto& lease : leases) {
    auto& member = batch.members.emplace_back(std::make_shared<internal::DeliveryState>());
    member->common = batch.common;
    enlist(*member, std::move(lease), now);
  }
  worker.run = batch.members.front().get();
  lock.unlock();
  deliver(worker, batch);
  lock.lock();
  worker.run = nullptr;
  batch.common->batch = nullptr;
  for (const auto& member : batch.members) {
    member->place.on_worker = false;
    if (member->place.abandoned) end_lease();
    state_.outstanding.remove(*member);
  }
}

void WorkerPool::deliver(Worker& worker, internal::BatchRun& batch) {
  sift(worker, batch);
  if (batch.members.empty()) return;
  const auto handle = batch.common->handle;
  if (!handle->enter()) {
    // It ended meanwhile: they stay pending.
    std::vector<Left> all(batch.members.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].index = i;
      all[i].answer.kind = core::Answer::Kind::release;
    }
    return part(worker, batch, std::move(all));
  }
  if (handle->options().condition) ask_conditions(worker, batch);
  if (!batch.members.empty()) call_handler(worker, batch);
  // Last, so that whoever has waited for the handler finds its answers given.
  handle->leave();
}

/// Reads what has to be read, and asks which of them are to be run at all.
void WorkerPool::sift(Worker& worker, internal::BatchRun& batch) {
  std::vector<Left> left;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    auto& member = *batch.members[i];
    Left leaves{i, {}, false};
    leaves.answer.kind = core::Answer::Kind::release;
    // Parked ones are as large as they turn out to be.
    if (bytes >= kBatchDeliveryBytes) {
      leaves.given_back = true;
      left.push_back(std::move(leaves));
      continue;
    }
    if (!load(member, leaves.answer) || !may_run(member, leaves.answer)) {
      left.push_back(std::move(leaves));
      continue;
    }
    if (member.lease.cleanup) {
      // For `on_cancel`, and so for itself.
      leaves.given_back = true;
      left.push_back(std::move(leaves));
      continue;
    }
    bytes += member.lease.chunk->record_bytes(member.lease.event.sequence);
  }
  if (!left.empty()) part(worker, batch, std::move(left));
}

/// Inside of the handle. While one is asked about, it alone would be to blame for a crash.
void WorkerPool::ask_conditions(Worker& worker, internal::BatchRun& batch) {
  const auto& condition = batch.common->handle->options().condition;
  std::vector<Left> left;
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    auto& member = *batch.members[i];
    slots_.begin(worker.slot, slot_of(member));
    Left leaves{i, {}, false};
    leaves.answer.kind = core::Answer::Kind::ack;
    try {
      if (!condition(member.view)) leaves.answer.kind = core::Answer::Kind::skip;
    } catch (const std::exception& error) {
      leaves.answer = to_answer(member, Outcome::retry(error.what()));
    } catch (...) {
      leaves.answer = to_answer(
          member, Outcome::retry("the condition threw something that is no std::exception"));
    }
    if (leaves.answer.kind != core::Answer::Kind::ack) left.push_back(std::move(leaves));
  }
  slots_.end(worker.slot);
  if (!left.empty()) part(worker, batch, std::move(left));
}

/// Inside of the handle.
void WorkerPool::call_handler(Worker& worker, internal::BatchRun& batch) {
  auto& common = *batch.common;
  const auto& members = batch.members;
  common.lease.subscription = members.front()->lease.subscription;
  std::vector<RunningSlots::Running> slots;
  slots.reserve(members.size());
  for (const auto& member : members) slots.push_back(slot_of(*member));
  slots_.begin(worker.slot, slots);
  if (common.handle->stop_after() != 0) start_clock(*members.front());
  std::optional<std::string> threw;
  auto returned = Outcome::ack();
  try {
    auto given = batch.delivery();
    returned = common.handle->batch_handler()(given);
  } catch (const std::exception& error) {
    threw = error.what();
  } catch (...) {
    threw = "the handler threw something that is no std::exception";
  }
  slots_.end(worker.slot);
  if (common.answered.exchange(true)) return;
  core::BatchAnswer answer;
  answer.tx = std::move(common.tx);
  answer.members.reserve(members.size());
  for (const auto& member : members) {
    answer.members.push_back(
        to_answer(*member, threw.has_value() ? Outcome::retry(*threw)
                                             : std::move(member->outcome).value_or(returned)));
    member->lease.chunk.reset();
  }
  give(batch, std::move(answer));
}

/// Those `left`, in their order, are not of the batch any more. The slot stays with the rest, if
/// there is one.
void WorkerPool::part(Worker& worker, internal::BatchRun& batch, std::vector<Left>&& left) {
  bool first = false;
  bool urgent = false;
  std::vector<std::shared_ptr<internal::DeliveryState>> gone;
  {
    const std::lock_guard lock(state_.mutex);
    bool has_slot = false;
    for (const auto& each : left) {
      gone.push_back(std::move(batch.members[each.index]));
      has_slot = has_slot || !gone.back()->lease.beside;
    }
    std::erase(batch.members, nullptr);
    if (has_slot && !batch.members.empty()) {
      for (const auto& each : gone) each->lease.beside = true;
      batch.members.front()->lease.beside = false;
    }
    worker.run = batch.members.empty() ? nullptr : batch.members.front().get();
    first = !state_.has_answers();
    for (std::size_t i = 0; i < gone.size(); ++i) {
      auto& run = *gone[i];
      run.answered = true;
      run.place.on_worker = false;
      state_.outstanding.remove(run);
      state_.scheduler.finish(run.lease);
      end_lease();
      if (left[i].given_back) continue;
      auto& answer = left[i].answer;
      answer.lease = run.lease;
      answer.ran = false;
      urgent = is_urgent(answer) || urgent;
      state_.answers.push_back(std::move(answer));
      urgent = counts_as_urgent(1) || urgent;
    }
    for (auto i = gone.size(); i-- > 0;) {
      if (left[i].given_back) state_.scheduler.give_back(gone[i]->lease);
    }
    first = first && state_.has_answers();
    wake_locked();
  }
  if (first || urgent) committer_.answers_given(urgent);
}

void WorkerPool::give(internal::BatchRun& batch, core::BatchAnswer&& answer) {
  const auto count = answer.members.size();
  bool urgent = (answer.tx != nullptr && !answer.tx->empty()) ||
                std::any_of(answer.members.begin(), answer.members.end(), is_urgent);
  bool first = false;
  {
    const std::lock_guard lock(state_.mutex);
    state_.outstanding.unwatch(*batch.members.front());
    for (std::size_t i = 0; i < count; ++i) {
      urgent = urgent || is_waited_for(answer.members[i].lease);
      state_.scheduler.finish(answer.members[i].lease);
      end_lease();
    }
    first = !state_.has_answers();
    state_.batch_answers.push_back(std::move(answer));
    urgent = counts_as_urgent(count) || urgent;
    state_.note_batch(count);
  }
  if (first || urgent) committer_.answers_given(urgent);
}

}  // namespace holdfast::runtime
