// SPDX-License-Identifier: MIT
#include "runtime/worker_pool.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/duration.h"
#include "core/gate.h"
#include "runtime/answer.h"
#include "runtime/batch_run.h"

namespace holdfast::runtime {

namespace {

// One refill reads no further than this, so that a lane of events that nobody wants is gone through
// in parts.
constexpr std::size_t kRefillScanEvents = 65'536;
// Copies that the system does not let be read are told once, until there were none for so long.
constexpr base::BootTime kUnreadableAgainAfter = 60'000'000'000;

}  // namespace

WorkerPool::WorkerPool(const journal::Journal& journal, BusState& state, Committer& committer,
                       Signaller& signaller, RunningSlots& slots, const Options& options,
                       const base::Clock& clock, const base::Log& log,
                       std::function<void(base::BusTime)> next_due)
    : journal_(journal),
      state_(state),
      committer_(committer),
      signaller_(signaller),
      slots_(slots),
      clock_(clock),
      log_(log),
      stuck_after_(base::as_nanoseconds(options.stuck_after)),
      // The one order that is promised over several subscriptions is event by event.
      in_stretches_(count(options.workers) > 1 || options.ageing.enabled),
      replaced_max_(options.replaced_workers_max),
      next_due_(std::move(next_due)) {
  const std::array<std::uint16_t, kLaneCount> counts = {
      options.workers.critical, options.workers.high, options.workers.normal, options.workers.low};
  for (const auto priority : kAllPriorities) {
    for (std::uint16_t i = 0; i < counts[static_cast<std::size_t>(priority)]; ++i) {
      auto& worker = workers_.emplace_back(std::make_unique<Worker>());
      worker->worker_class = priority;
      worker->slot = workers_.size() - 1;
    }
  }
  for (auto slot = slot_count(options); slot > workers_.size(); --slot) {
    free_slots_.push_back(slot - 1);
  }
}

WorkerPool::~WorkerPool() { stop(); }

std::size_t WorkerPool::count(const Workers& workers) {
  return std::size_t{workers.critical} + workers.high + workers.normal + workers.low;
}

std::size_t WorkerPool::slot_count(const Options& options) {
  return count(options.workers) + options.replaced_workers_max;
}

void WorkerPool::start() {
  for (auto& worker : workers_) {
    worker->thread = std::thread([this, each = worker.get()] { run(*each); });
  }
}

void WorkerPool::stop() {
  {
    // A thread that is being started is one to be joined.
    const std::lock_guard starting(start_mutex_);
    const std::lock_guard lock(state_.mutex);
    stopping_ = true;
    for (auto& idle : idle_) idle.wake.notify_all();
  }
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void WorkerPool::wake() {
  const std::lock_guard lock(state_.mutex);
  wake_locked();
}

void WorkerPool::wake_locked() {
  state_.recall_overtaken();
  if (const auto until = state_.scheduler.next_linger(); until.has_value()) next_due_(*until);
  // One is enough: whoever finds something wakes the next. The least urgent class first, so that
  // the reserved workers stay free for what they are reserved for.
  const auto urgent = state_.scheduler.most_urgent_work();
  if (!urgent.has_value()) return;
  for (auto it = kAllPriorities.rbegin(); it != kAllPriorities.rend() && *it >= *urgent; ++it) {
    auto& idle = idle_[*it];
    if (idle.waiting == idle.called) continue;
    ++idle.called;
    idle.wake.notify_one();
    return;
  }
}

void WorkerPool::run(Worker& worker) {
  auto& idle = idle_[worker.worker_class];
  std::shared_ptr<internal::DeliveryState> delivery;
  std::vector<core::Lease> others;
  std::unique_lock lock(state_.mutex);
  while (!stopping_) {
    if (read_on(worker.worker_class, lock)) continue;
    const auto now = clock_.now();
    state_.scheduler.advance(now);
    others.clear();
    // Whoever waits for an answer is not to wait for those behind it.
    const bool in_stretches = in_stretches_ && state_.settle_listeners == 0;
    auto lease = state_.scheduler.take(worker.worker_class, &others, in_stretches);
    if (state_.scheduler.take_waits_for_answers() && state_.has_answers()) {
      committer_.answers_given(true);
    }
    if (!lease.has_value()) {
      // What was in front waits for its key, and what is behind it has to be read.
      if (read_on(worker.worker_class, lock)) continue;
      // What an answer has made ready may be for another class.
      wake_locked();
      ++idle.waiting;
      idle.wake.wait(lock);
      --idle.waiting;
      idle.called -= std::min<std::uint32_t>(idle.called, 1);
      continue;
    }
    wake_locked();
    // What is to be cleaned up is so one by one.
    const bool is_batch = !lease->cleanup && state_.handles.at(lease->subscription)->is_batch();
    if (is_batch || !others.empty()) {
      others.insert(others.begin(), *std::move(lease));
      is_batch ? run_batch(worker, std::move(others), lock)
               : run_stretch(worker, delivery, std::move(others), lock);
      if (worker.replaced) return leave_place(worker);
      continue;
    }
    begin(worker, delivery, std::move(*lease), now.boot);
    lock.unlock();
    deliver(worker, delivery);
    lock.lock();
    worker.run = nullptr;
    delivery->place.on_worker = false;
    if (delivery->place.abandoned) end_lease();
    if (delivery->answered) state_.outstanding.remove(*delivery);
    if (worker.replaced) return leave_place(worker);
  }
}

/// Reused, unless somebody has kept it: a Deferred, or who tells it to stop.
void WorkerPool::renew(std::shared_ptr<internal::DeliveryState>& delivery) {
  if (delivery == nullptr || delivery.use_count() > 1) {
    delivery = std::make_shared<internal::DeliveryState>();
  } else {
    delivery->reset();
  }
}

/// Under the lock: nobody else can come to know of the run before it is listed.
void WorkerPool::begin(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery,
                       core::Lease&& lease, base::BootTime now) {
  renew(delivery);
  enlist(*delivery, std::move(lease), now);
  worker.run = delivery.get();
}

/// Under the lock.
void WorkerPool::enlist(internal::DeliveryState& delivery, core::Lease&& lease,
                        base::BootTime now) {
  note_taken(delivery, std::move(lease), now);
  state_.outstanding.add(delivery);
}

/// Under the lock.
void WorkerPool::note_taken(internal::DeliveryState& delivery, core::Lease&& lease,
                            base::BootTime now) {
  delivery.handle = state_.handles.at(lease.subscription);
  delivery.lease = std::move(lease);
  delivery.place.on_worker = true;
  delivery.place.since = now;
  ++leases_;
}

void WorkerPool::deliver(Worker& worker, std::shared_ptr<internal::DeliveryState>& delivery) {
  const auto handle = delivery->handle;
  // Not run: ended meanwhile, or its copy cannot be read. It stays pending.
  core::Answer instead;
  instead.kind = core::Answer::Kind::release;
  if (!load(*delivery, instead) || !may_run(*delivery, instead) || !handle->enter()) {
    instead.lease = delivery->lease;
    instead.ran = false;
    delivery->answered = true;
    return give(*delivery, std::move(instead));
  }
  slots_.begin(worker.slot,
               {delivery->lease.subscription, delivery->lease.event, delivery->lease.suspect});
  if (handle->stop_after() != 0) start_clock(*delivery);
  auto answer = call(*delivery);
  slots_.end(worker.slot);
  if (!delivery->deferred && !delivery->answered.exchange(true)) {
    answer.tx = std::move(delivery->tx);
    delivery->lease.chunk.reset();
    give(*delivery, std::move(answer));
  }
  // Last, so that whoever has waited for the handler finds its answer given.
  handle->leave();
}

bool WorkerPool::load(internal::DeliveryState& delivery, core::Answer& instead) {
  auto& lease = delivery.lease;
  if (lease.chunk == nullptr) {
    const journal::ParkedRef copy{lease.subscription, lease.event};
    auto found = journal_.find(copy);
    if (found.ok() && !found->has_value()) {
      // A short delay can be over before the commit that parks the event is written.
      committer_.wait_written();
      found = journal_.find(copy);
    }
    auto status = found.ok() ? Status() : found.status();
    if (status.ok() && !found->has_value()) {
      status = {StatusCode::data_loss, "the copy of a parked event is missing"};
    }
    if (!status.ok()) {
      const auto tell = [&] {
        log_.error("holdfast: " + to_string(lease.event) + " of subscription " +
                   delivery.handle->options().name + " cannot be delivered: " + status.to_string());
      };
      if (status == StatusCode::unavailable) {
        // The copy is there, and the system does not let it be read now; nor that of many others.
        const auto now = clock_.now().boot;
        if (now - last_unreadable_.exchange(now) > kUnreadableAgainAfter) tell();
        instead.kind = core::Answer::Kind::postpone;
        instead.until = model::due_at_bus(clock_.now().bus + core::Scheduler::kReadAgainAfter);
        instead.reason = status.to_string();
        return false;
      }
      tell();
      const std::lock_guard lock(state_.mutex);
      if (auto* subscription = state_.ledger.find(lease.subscription); subscription != nullptr) {
        subscription->blocked = status.to_string();
        subscription->blocked_for_now = false;
      }
      return false;
    }
    lease.chunk = std::get<model::ParkedEvent>(**found).chunk;
  }
  delivery.view = lease.chunk->event(lease.event.sequence);
  return true;
}

bool WorkerPool::may_run(internal::DeliveryState& delivery, core::Answer& answer) {
  using Kind = core::Answer::Kind;
  if (!delivery.lease.asks) return true;
  const std::lock_guard lock(state_.mutex);
  switch (core::gate(state_.ledger, delivery.lease, delivery.view, clock_.now().wall)) {
    case core::Verdict::run:
    case core::Verdict::clean_up: return true;
    case core::Verdict::cancelled:
      answer.kind = Kind::drop;
      answer.how = Settled::cancelled;
      return false;
    case core::Verdict::expired:
      answer.kind = Kind::drop;
      answer.how = Settled::expired;
      return false;
    case core::Verdict::postpone:
      answer.kind = Kind::postpone;
      answer.until = model::due_at_wall(delivery.view.not_before);
      return false;
    case core::Verdict::hold: answer.kind = Kind::hold; return false;
  }
  return true;
}

core::Answer WorkerPool::call(internal::DeliveryState& delivery) {
  const auto& handle = delivery.handle;
  const auto failed = [&](std::string reason) {
    return to_answer(delivery, Outcome::retry(std::move(reason)));
  };
  try {
    const bool cleanup = delivery.lease.cleanup;
    const auto& condition = handle->options().condition;
    if (!cleanup && condition && !condition(delivery.view)) {
      core::Answer skipped;
      skipped.lease = delivery.lease;
      skipped.kind = core::Answer::Kind::skip;
      skipped.ran = false;
      return skipped;
    }
    auto given = delivery.delivery();
    if (!cleanup) return to_answer(delivery, handle->handler()(given));
    auto& handler = handle->cleanup_handler(delivery.lease, delivery.view);
    return to_answer(
        delivery,
        handler ? handler(given) : Outcome::reject("its subscription has no compensate any more"));
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("the handler threw something that is no std::exception");
  }
}

void WorkerPool::answer(internal::DeliveryState& delivery, const Outcome& outcome) {
  auto answer = to_answer(delivery, outcome);
  answer.tx = std::move(delivery.tx);
  give(delivery, std::move(answer));
  // Its slot is free, and this is no worker that would look for more.
  wake();
}

void WorkerPool::forget(internal::DeliveryState& delivery) {
  const std::lock_guard lock(state_.mutex);
  if (!delivery.place.on_worker) state_.outstanding.remove(delivery);
}

void WorkerPool::give(internal::DeliveryState& delivery, core::Answer&& answer) {
  bool urgent = is_urgent(answer);
  bool first = false;
  {
    const std::lock_guard lock(state_.mutex);
    state_.outstanding.unwatch(delivery);
    if (!delivery.place.on_worker) state_.outstanding.remove(delivery);
    state_.scheduler.finish(answer.lease);
    first = !state_.has_answers();
    urgent = urgent || is_waited_for(answer.lease);
    state_.answers.push_back(std::move(answer));
    urgent = counts_as_urgent(1) || urgent;
    end_lease();
  }
  if (first || urgent) committer_.answers_given(urgent);
}

/// Under the lock: whether `count` answers more are a reason to commit now.
bool WorkerPool::is_waited_for(const core::Lease& lease) const {
  if (state_.ledger.operations.contains(lease.event)) return true;
  const auto* subscription = state_.ledger.find(lease.subscription);
  return subscription != nullptr && subscription->keys.has_successor(lease.event);
}

bool WorkerPool::counts_as_urgent(std::size_t count) {
  const bool few = state_.answer_count < kAnswersEager;
  state_.answer_count += count;
  return state_.settle_listeners > 0 || state_.scheduler.stopped() ||
         (few && state_.answer_count >= kAnswersEager);
}

void WorkerPool::end_lease() {
  if (--leases_ == 0) leases_changed_.notify_all();
}

bool WorkerPool::read_on(Priority worker_class, std::unique_lock<std::mutex>& lock) {
  const auto parked = state_.scheduler.next_parked_refill(worker_class);
  const auto events = parked ? std::nullopt : state_.scheduler.next_refill(worker_class);
  if (!parked && !events) return false;
  wake_locked();
  lock.unlock();
  if (parked) {
    refill(*parked);
  } else {
    refill(*events);
  }
  lock.lock();
  return true;
}

void WorkerPool::refill(const core::Scheduler::ParkedRefill& refill) {
  // What was planned when this was asked for is in the journal then.
  if (committer_.planned() > committer_.written()) committer_.wait_written();
  std::vector<model::DueRecord> records;
  std::optional<core::ParkedWindow::Key> reached;
  const auto status =
      journal_.scan(journal::DueTimes{refill.subscription, refill.lane, refill.from.due,
                                      refill.from.sequence, model::last_due(refill.clock)},
                    [&](model::Record&& record) {
                      const auto& due = std::get<model::DueRecord>(record);
                      if (records.size() == refill.events_max) {
                        reached = {due.due, due.event.sequence};
                        return false;
                      }
                      records.push_back(due);
                      return true;
                    });
  const std::lock_guard lock(state_.mutex);
  if (status.ok()) {
    state_.scheduler.refilled(refill, records, reached);
  } else {
    if (state_.scheduler.refill_failed(refill, status)) {
      log_.error("holdfast: parked events of lane " + std::string(to_string(refill.lane)) +
                 " stand still for a subscription: " + status.to_string());
    }
  }
  wake_locked();
}

void WorkerPool::refill(const core::Scheduler::Refill& refill) {
  std::vector<core::Span> spans;
  auto reached = refill.from;
  std::size_t wanted = 0;
  std::size_t bytes = 0;
  const auto status = journal_.scan(
      journal::EventRange{refill.lane, refill.from, refill.to}, [&](model::Record&& record) {
        model::ChunkPtr chunk;
        {
          // Counted from here on, also while it is on its way.
          chunk = state_.ledger.metered(std::get<model::ChunkPtr>(std::move(record)));
        }
        const auto from = std::max(chunk->first(), refill.from);
        const auto to = std::min(chunk->last() + 1, refill.to);
        const auto before = wanted;
        for (auto sequence = from; sequence < to; ++sequence) {
          if (!refill.interest->wants(chunk->event(sequence))) continue;
          ++wanted;
          if (!spans.empty() && spans.back().chunk == chunk && spans.back().end == sequence) {
            ++spans.back().end;
          } else {
            spans.push_back({chunk, sequence, sequence + 1});
          }
        }
        reached = to;
        if (wanted > before) bytes += chunk->bytes().size();
        return wanted < refill.events_max && (wanted == 0 || bytes < refill.bytes_max) &&
               reached - refill.from < kRefillScanEvents;
      });
  const std::lock_guard lock(state_.mutex);
  if (status.ok()) {
    // Lost ranges hold nothing: what the scan went through is done with up to its end.
    if (wanted == 0 && reached == refill.from) reached = refill.to;
    state_.scheduler.refilled(refill, std::move(spans), reached);
  } else {
    if (state_.scheduler.refill_failed(refill, status)) {
      log_.error("holdfast: lane " + std::string(to_string(refill.lane)) +
                 " stands still for a subscription: " + status.to_string());
    }
  }
  wake_locked();
}

bool WorkerPool::wait_idle(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(state_.mutex);
  return leases_changed_.wait_until(lock, deadline, [this] { return leases_ == 0; });
}

}  // namespace holdfast::runtime
