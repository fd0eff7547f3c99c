// SPDX-License-Identifier: MIT
#include "runtime/committer.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <semaphore>
#include <string>
#include <utility>

#include "base/fail_point.h"

namespace holdfast::runtime {

namespace {

// How long what nobody waits for may stay unsynced.
constexpr std::chrono::milliseconds kBackgroundSync{100};

thread_local std::uint64_t t_handed_over = 0;

}  // namespace

std::uint64_t Committer::handed_over() noexcept { return t_handed_over; }

Committer::Committer(journal::Journal& journal, CommitNumber last, BusState& state,
                     const Options& options, const base::Clock& clock, const base::Log& log,
                     Hooks hooks)
    : journal_(journal),
      state_(state),
      options_(options),
      clock_(clock),
      log_(log),
      hooks_(std::move(hooks)),
      intake_({.events_max = options.limits.intake_events_max,
               .bytes_max = std::min(options.limits.intake_bytes_max, options.memory_budget / 4),
               .ack_linger = options.ack_linger}),
      random_(std::random_device{}()),
      planned_(last.value),
      written_(last.value),
      durable_(last.value) {}

Committer::~Committer() { stop(); }

void Committer::start() {
  commit_thread_ = std::thread([this] { commit_loop(); });
  sync_thread_ = std::thread([this] { sync_loop(); });
}

void Committer::stop(Request last) {
  intake_.close({StatusCode::unavailable, "the bus is closed"});
  if (commit_thread_.joinable()) commit_thread_.join();
  {
    // A caller may still be about to commit by itself what the thread has committed for it.
    const std::lock_guard role(commit_role_);
    if (!std::exchange(stopped_, true) && last.change) {
      std::vector<Request> requests;
      requests.push_back(std::move(last));
      commit_group(std::move(requests), false);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  sync_wanted_.notify_all();
  if (sync_thread_.joinable()) sync_thread_.join();
}

// --- Handing over -------------------------------------------------------------------------------

Status Committer::submit(Request& request, bool may_block) {
  return intake_.push(request, may_block, true);
}

Result<Committed> Committer::submit_and_wait(Request& request, bool may_block) {
  if (auto status = internal::check_may_wait(); !status.ok()) return status;
  struct Waiter {
    std::binary_semaphore ready{0};
    Result<Committed> result = Status(StatusCode::internal, "not answered");
  } waiter;
  request.done = [&waiter](Result<Committed> result) {
    waiter.result = std::move(result);
    waiter.ready.release();
  };
  const bool durable = request.durability == Durability::durable;
  const bool alone = intake_.idle();
  if (auto status = intake_.push(request, may_block, !alone); !status.ok()) return status;
  ++t_handed_over;
  // Whoever holds a role now may have looked at the intake before this request was in it, so its
  // thread is always told when the role cannot be had here.
  if (alone && commit_role_.try_lock()) {
    if (!stopped_) commit_waiting(durable);
    commit_role_.unlock();
    // Who asked for less than a sync must not be kept by one.
    if (durable && sync_role_.try_lock()) {
      sync_once();
    } else if (durable) {
      sync_wanted_.notify_one();
    }
  } else if (alone) {
    intake_.notify();
  }
  waiter.ready.acquire();
  return std::move(waiter.result);
}

void Committer::when_durable(CommitNumber commit, std::function<void(const Status&)> done) {
  Status now;
  {
    const std::lock_guard lock(mutex_);
    if (failed_.ok() && commit > durable()) {
      const auto at = std::upper_bound(
          notices_.begin(), notices_.end(), commit,
          [](CommitNumber number, const Notice& notice) { return number < notice.commit; });
      notices_.insert(at, {commit, std::move(done)});
      sync_now_ = true;
      sync_wanted_.notify_one();
      return;
    }
    if (commit > durable()) now = failed_;
  }
  done(now);
}

Status Committer::health() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

// --- Committing ---------------------------------------------------------------------------------

void Committer::commit_loop() {
  while (intake_.wait_for_work()) {
    const std::lock_guard role(commit_role_);
    commit_waiting(false);
  }
}

void Committer::commit_waiting(bool caller_syncs) noexcept {
  commit_group(intake_.take(kCommitEventsMax, kCommitBytesMax), caller_syncs);
}

/// Reads what the plan needs: nothing else commits meanwhile.
void Committer::prepare(Group& group, IdempotencyReader& keys) {
  for (auto& request : group.requests) {
    auto status = request.prepare ? request.prepare() : Status();
    if (status.ok()) status = keys.look_up(request.events);
    group.prepared.push_back(std::move(status));
  }
  // The upkeep forgets keys at its own pace. Whoever uses them faster than that makes room himself.
  if (keys.keys() > 0 && state_.ledger.idempotency.is_over()) {
    (void)keys.read_oldest(2 * keys.keys(), clock_.now().bus);
  }
}

/// With the lock, which it gives back for as long as it reads.
void Committer::look_up_answers(Group& group, IdempotencyReader& keys,
                                std::unique_lock<std::mutex>& lock) {
  std::vector<core::TxWrites*> looked_up;
  const auto note = [&](const std::unique_ptr<core::TxWrites>& tx) {
    if (tx != nullptr && tx->status.ok() && tx->events.has_admissions()) {
      looked_up.push_back(tx.get());
    }
  };
  for (const auto& answer : group.answers) note(answer.tx);
  for (const auto& batch : group.batch_answers) note(batch.tx);
  if (looked_up.empty()) return;
  state_.answers_taken = true;
  lock.unlock();
  for (auto* tx : looked_up) tx->status = keys.look_up(tx->events);
  lock.lock();
  state_.answers_taken = false;
}

/// Whether a group does more than append events and settle some.
bool Committer::changes_more(const Group& group) {
  return std::any_of(group.requests.begin(), group.requests.end(), [](const Request& request) {
    return request.change || request.decide || request.operation.has_value() ||
           request.joins_operation;
  });
}

void Committer::commit_group(std::vector<Request> requests, bool caller_syncs) noexcept {
  Group group;
  group.requests = std::move(requests);
  group.outcomes.reserve(group.requests.size());
  if (auto status = health(); !status.ok()) {
    for (auto& request : group.requests) {
      if (request.done) request.done(status);
    }
    intake_.answers_taken();
    return;
  }
  IdempotencyReader keys(journal_, state_.ledger.idempotency);
  prepare(group, keys);
  const CommitNumber number{written_.load() + 1};
  const core::CommitPlan::Place place{journal_.state().epoch, number, durable()};
  std::unique_lock lock(state_.mutex);
  // First: workers answer in stretches without the lock, and what is told between this and the
  // collecting counts for the next commit, whether or not this one has it already.
  intake_.answers_taken();
  state_.collect_answers();
  group.answers.swap(state_.answers);
  group.batch_answers.swap(state_.batch_answers);
  state_.answer_count = 0;
  look_up_answers(group, keys, lock);
  if (changes_more(group)) state_.recall_all();
  const auto now = clock_.now();
  state_.scheduler.advance(now);
  core::CommitPlan plan(state_.ledger, place, now, [this] {
    return std::uniform_real_distribution<double>(0.0, 1.0)(random_);
  });
  plan.know_keys(std::move(keys.found()));
  plan.forget_keys(keys.oldest(), keys.oldest_to());
  plan_group(plan, group);
  note_operations(plan, group);
  const bool something = !plan.empty();
  const auto* commit = something ? &plan.finish() : nullptr;
  if (something) planned_ = number.value;
  const auto due = state_.scheduler.next_due();
  const bool work = state_.scheduler.most_urgent_work().has_value();
  lock.unlock();

  if (due.has_value()) hooks_.next_due(*due);
  if (work) hooks_.work_offered();
  if (!something) {
    // Nothing to write: what was asked for holds as soon as what is written is durable.
    return complete(group, written(), caller_syncs);
  }
  HOLDFAST_FAIL_POINT("commit.planned");
  if (auto status = write(*commit); !status.ok()) {
    return refuse(group, number, status);
  }
  HOLDFAST_FAIL_POINT("commit.written");
  counters_.events += plan.event_count();
  complete(group, number, caller_syncs);
  if (!group.events_need_sync) offer();
}

Status Committer::write(const model::Commit& commit) {
  auto status = journal_.commit(commit, Durability::os);
  if (!status.ok()) {
    // What it changed will never be written: nobody need wait for that, least of all a callback
    // that this thread is about to call.
    planned_ = written_.load();
    fail(status);
    return status;
  }
  ++counters_.commits;
  return {};
}

void Committer::refuse(Group& group, CommitNumber number, const Status& cause) {
  for (std::size_t i = 0; i < group.requests.size(); ++i) {
    auto& request = group.requests[i];
    if (!request.done) continue;
    const auto& outcome = group.outcomes[i];
    if (!outcome.ok()) {
      request.done(outcome.status());
      continue;
    }
    if (cause == StatusCode::fenced) {
      request.done(cause);
      continue;
    }
    std::string what = "commit " + std::to_string(number.value);
    if (!outcome->ids.empty()) what += ", event " + to_string(outcome->ids.front());
    request.done(Status(StatusCode::indeterminate,
                        what + " may or may not be in the journal: " + cause.message()));
  }
}

/// Under `mutex_`: `done` is called when `number` is durable; when it is already, by who runs
/// `now`.
void Committer::when_durable(CommitNumber number, std::function<void(const Status&)> done,
                             std::size_t bytes, std::vector<std::function<void()>>& now) {
  if (number <= durable()) {
    now.emplace_back([done = std::move(done)] { done(Status()); });
    return;
  }
  // Notices are in the order of commits, and this is the newest of them.
  notices_.push_back({number, std::move(done), bytes});
  notice_bytes_ += bytes;
}

/// Under `mutex_`, as `when_durable`.
void Committer::complete_requests(Group& group, CommitNumber number,
                                  std::vector<std::function<void()>>& now) {
  for (std::size_t i = 0; i < group.requests.size(); ++i) {
    auto& request = group.requests[i];
    if (!request.done) continue;
    auto& outcome = group.outcomes[i];
    if (outcome.ok()) outcome->commit = number;
    if (!outcome.ok() || request.durability == Durability::os) {
      now.emplace_back([done = std::move(request.done), result = std::move(outcome)]() mutable {
        done(std::move(result));
      });
      continue;
    }
    const auto bytes = Intake::bytes_of(request);
    auto done = [done = std::move(request.done),
                 result = std::move(outcome)](const Status& status) mutable {
      if (status.ok()) return done(std::move(result));
      done(result->ids.empty() ? status
                               : status.with_context("event " + to_string(result->ids[0])));
    };
    when_durable(number, std::move(done), bytes, now);
  }
}

void Committer::complete(Group& group, CommitNumber number, bool caller_syncs) {
  std::vector<std::function<void()>> now;
  std::deque<Notice> lost;
  Status failed;
  bool sync_now = group.somebody_waits || group.events_need_sync || !group.settled.empty() ||
                  !group.operations.empty();
  {
    const std::lock_guard lock(mutex_);
    // With its notices: a sync that came in between would find nobody to tell.
    if (number > written()) {
      written_ = number.value;
      if (group.events_need_sync) unsynced_offers_.push_back(number);
    }
    complete_requests(group, number, now);
    if (!group.operations.empty()) {
      const auto bytes = group.operations.capacity() * sizeof(OperationId);
      auto tell = [this, ended = std::move(group.operations)](const Status& status) {
        if (status.ok()) tell_ended(ended);
      };
      when_durable(number, std::move(tell), bytes, now);
    }
    if (!group.settled.empty()) {
      const auto bytes = group.settled.capacity() * sizeof(SettledNote);
      settled_.push_back({number, std::move(group.settled)});
      auto tell = [this](const Status& status) {
        if (status.ok()) tell_settled();
      };
      when_durable(number, tell, bytes, now);
    }
    // Of an ephemeral subscription nothing is written, so there may be nothing to wait for.
    sync_now = sync_now && number > durable();
    limit_backlog();
    // A sync has failed since the commit was written: `fail` has not seen these.
    failed = failed_;
    if (!failed.ok()) lost = take_notices();
  }
  for (auto& done : now) done();
  tell_lost(lost, failed);
  want_sync(sync_now, caller_syncs);
}

void Committer::fail(const Status& cause) {
  std::deque<Notice> lost;
  {
    const std::lock_guard lock(mutex_);
    if (!failed_.ok()) return;
    failed_ = cause == StatusCode::fenced ? cause
                                          : Status(StatusCode::poisoned,
                                                   "an earlier write or sync failed, reopen the "
                                                   "journal and compare: " +
                                                       cause.message());
    lost = take_notices();
  }
  log_.error("holdfast: " + cause.to_string() + "; nothing more is written until it is reopened");
  {
    const std::lock_guard lock(state_.mutex);
    state_.recall_all();
    state_.scheduler.stop(true);
    state_.tell_waiters(SettleWaiter::End::failed);
  }
  tell_lost(lost, cause);
}

/// With the mutex: after a failure nothing that is not durable becomes so.
std::deque<Committer::Notice> Committer::take_notices() {
  std::deque<Notice> notices;
  notices.swap(notices_);
  while (!settled_.empty() && settled_.back().commit > durable()) settled_.pop_back();
  notice_bytes_ = 0;
  limit_backlog();
  return notices;
}

void Committer::tell_lost(std::deque<Notice>& notices, const Status& cause) {
  for (auto& notice : notices) {
    notice.done(
        Status(StatusCode::indeterminate, "commit " + std::to_string(notice.commit.value) +
                                              " may or may not survive: " + cause.message()));
  }
}

// --- Syncing ------------------------------------------------------------------------------------

void Committer::limit_backlog() {
  const auto& most = intake_.settings();
  intake_.set_backlogged(notices_.size() > most.events_max || notice_bytes_ > most.bytes_max);
}

void Committer::want_sync(bool now, bool caller_syncs) {
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    sync_now_ = sync_now_ || now;
    // Also when it is not urgent: what nobody waits for is synced a little later.
    tell = sync_now_ || sync_idle_;
  }
  if (tell && !caller_syncs) sync_wanted_.notify_one();
}

void Committer::sync_loop() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto wanted = [this] { return sync_now_ || tell_now_ || stopping_; };
      while (!wanted()) {
        if (failed_.ok() && written_ > durable_) {
          if (!sync_wanted_.wait_for(lock, kBackgroundSync, wanted)) break;
        } else {
          sync_idle_ = true;
          sync_wanted_.wait(lock);
          sync_idle_ = false;
        }
      }
      if (tell_now_) {
        tell_now_ = false;
        lock.unlock();
        tell_settled();
        continue;
      }
      if (stopping_ && (written_ == durable_ || !failed_.ok())) return;
    }
    sync_role_.lock();
    sync_once();
  }
}

/// With the sync role, which it gives back before it calls anybody.
void Committer::sync_once() noexcept {
  std::unique_lock role(sync_role_, std::adopt_lock);
  CommitNumber target;
  {
    const std::lock_guard lock(mutex_);
    sync_now_ = false;
    target = written();
    if (!failed_.ok() || target == durable()) return;
  }
  intake_.set_sync_in_flight(true);
  const auto status = journal_.sync();
  HOLDFAST_FAIL_POINT("commit.synced");
  if (!status.ok()) {
    role.unlock();
    fail(status);
    intake_.set_sync_in_flight(false);
    return;
  }
  ++counters_.syncs;
  std::vector<Notice> reached;
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    durable_ = target.value;
    while (!notices_.empty() && notices_.front().commit <= target) {
      notice_bytes_ -= notices_.front().bytes;
      reached.push_back(std::move(notices_.front()));
      notices_.pop_front();
    }
    while (!unsynced_offers_.empty() && unsynced_offers_.front() <= target) {
      unsynced_offers_.pop_front();
    }
    limit_backlog();
    // Somebody may have come to wait for a later commit meanwhile.
    more = !notices_.empty() || !unsynced_offers_.empty();
    sync_now_ = sync_now_ || more;
  }
  intake_.set_sync_in_flight(false);
  role.unlock();
  if (more) sync_wanted_.notify_one();
  for (auto& notice : reached) notice.done(Status());
  offer();
}

void Committer::offer() {
  CommitNumber upto;
  {
    const std::lock_guard lock(mutex_);
    if (!failed_.ok()) return;
    upto = unsynced_offers_.empty() ? written() : CommitNumber{unsynced_offers_.front().value - 1};
  }
  bool work = false;
  std::optional<base::BusTime> linger;
  {
    const std::lock_guard lock(state_.mutex);
    state_.scheduler.advance(clock_.now());
    state_.scheduler.offer(upto);
    work = state_.scheduler.most_urgent_work().has_value();
    linger = state_.scheduler.next_linger();
  }
  if (linger.has_value()) hooks_.next_due(*linger);
  if (work) hooks_.work_offered();
}

void Committer::tell_ended(const std::vector<OperationId>& operations) {
  const std::lock_guard lock(state_.mutex);
  for (const auto id : operations) {
    const auto [first, last] = state_.operation_waiters.equal_range(id);
    for (auto it = first; it != last; ++it) it->second->tell(SettleWaiter::End::settled);
  }
}

/// What is durable, in the order of commits whichever thread comes first: an event can be settled
/// more than once, and what is told of it last is how it stands.
void Committer::tell_settled() {
  std::unique_lock lock(mutex_);
  if (std::exchange(telling_settled_, true)) return;
  const auto upto = durable();
  while (!settled_.empty() && settled_.front().commit <= upto) {
    const auto notes = std::move(settled_.front().notes);
    settled_.pop_front();
    lock.unlock();
    tell_settled(notes);
    lock.lock();
  }
  telling_settled_ = false;
  // Left to this thread, which may be a publisher's, by others that came meanwhile.
  tell_now_ = !settled_.empty() && settled_.front().commit <= durable();
  if (tell_now_) sync_wanted_.notify_one();
}

void Committer::tell_settled(const std::vector<SettledNote>& notes) {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(state_.mutex);
    for (const auto& note : notes) {
      const auto handle = state_.handles.find(note.subscription);
      if (handle != state_.handles.end() && handle->second->options().on_settled) {
        calls.emplace_back([this, handle = handle->second, note] {
          if (!handle->enter()) return;
          const internal::CallbackScope scope;
          try {
            handle->options().on_settled(note.event, note.how);
          } catch (...) {
            // Nobody here could do anything about it, and others wait for this thread.
            log_.error("holdfast: on_settled of a subscription threw");
          }
          handle->leave();
        });
      }
      // What ends an event is the durable ones.
      if (!note.durable) continue;
      const auto [first, last] = state_.settle_waiters.equal_range(note.event);
      for (auto it = first; it != last; ++it) it->second->note(note.subscription);
    }
  }
  for (const auto& call : calls) call();
}

}  // namespace holdfast::runtime
