// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <utility>

#include "base/status_or.h"
#include "runtime/answer.h"
#include "runtime/engine.h"

namespace holdfast::runtime {

namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr base::BusTime kUpkeepInterval = 1'000'000'000;
// A cursor that is further behind than this is written, so that no open has to count more again.
constexpr model::Sequence kCursorLag = 65'536;
// Ordering keys that are looked at in each round.
constexpr std::size_t kOrderingKeysSweptAtOnce = 4'096;
constexpr std::uint64_t kIdempotencyKeysForgottenAtOnce = 10'000;

}  // namespace

bool inside_handler() { return internal::inside_any_handler(); }

void Engine::wake_upkeep(base::BusTime by) {
  const std::lock_guard lock(upkeep_mutex_);
  if (by >= upkeep_at_) return;
  upkeep_at_ = by;
  upkeep_wake_.notify_one();
}

void Engine::upkeep_loop() {
  auto next_upkeep = clock_.now().bus + kUpkeepInterval;
  while (true) {
    const auto clock = clock_.now();
    const auto now = clock.bus;
    cancel_expired(now);
    roll_back_expired(now);
    workers_->watch(clock.boot);
    workers_->recall_slow(clock.boot);
    {
      const std::lock_guard lock(state_.mutex);
      state_.scheduler.advance(clock);
      const auto due = state_.scheduler.next_due();
      const auto watch = state_.outstanding.next_watch();
      const auto slow = state_.next_slow();
      const std::lock_guard own(upkeep_mutex_);
      upkeep_at_ = std::min(next_upkeep, due.value_or(next_upkeep));
      for (const auto& at : {watch, slow}) {
        if (at.has_value()) upkeep_at_ = std::min(upkeep_at_, *at + (now - clock.boot));
      }
    }
    workers_->wake();
    const bool more = release_held();
    if (now >= next_upkeep) {
      upkeep();
      next_upkeep = now + kUpkeepInterval;
      continue;
    }
    std::unique_lock lock(upkeep_mutex_);
    if (upkeep_stop_) return;
    if (more) continue;
    // Boot time has no condition variable; a machine that slept is noticed at the next interval.
    upkeep_wake_.wait_for(lock, nanoseconds(std::max<base::BusTime>(upkeep_at_ - now, 0)));
    if (upkeep_stop_) return;
  }
}

/// Looks how much is free; whether `wanted` more bytes would use up some of the reserve.
bool Engine::look_at_disk(std::uint64_t wanted) {
  unlooked_bytes_ = 0;
  const auto free = journal_->stats().disk_free_bytes;
  const auto reserve = options_.limits.disk_reserve_bytes;
  const bool low = free < reserve;
  if (low != disk_low_.exchange(low)) {
    log_.warn(low ? "holdfast: disk reserve reached, publishing is refused"
                  : "holdfast: the disk has room again, publishing goes on");
  }
  return low || free - reserve < wanted;
}

void Engine::tell_of_dropped_dead_letters() {
  std::uint64_t dropped = 0;
  {
    const std::lock_guard lock(state_.mutex);
    dropped = state_.ledger.dropped_dead_letters;
  }
  if (std::exchange(told_dropped_, dropped) == dropped) return;
  log_.warn("holdfast: there were more than limits.dead_letters_max = " +
            std::to_string(options_.limits.dead_letters_max) +
            " dead letters, so many of the oldest are gone since it was opened: " +
            std::to_string(dropped));
}

/// Forgets idempotency keys that are too old, or too many: so many a time that no commit gets long.
void Engine::forget_idempotency_keys() {
  {
    const std::lock_guard lock(state_.mutex);
    if (state_.ledger.idempotency.stored() == 0) return;
  }
  const auto keys = std::make_shared<IdempotencyReader>(*journal_, state_.ledger.idempotency);
  Request request;
  request.durability = Durability::os;
  request.prepare = [this, keys] {
    auto status = keys->read_oldest(kIdempotencyKeysForgottenAtOnce, clock_.now().bus);
    if (!status.ok() && !std::exchange(told_of_keys_, true)) {
      log_.error("holdfast: idempotency keys are not forgotten any more: " + status.to_string());
    }
    return status;
  };
  request.change = [keys](core::CommitPlan& plan) -> Status {
    plan.forget_keys(keys->oldest(), keys->oldest_to());
    return {};
  };
  (void)committer_->submit(request, false);
}

void Engine::upkeep() {
  (void)look_at_disk(0);
  tell_of_dropped_dead_letters();
  workers_->tell_stuck();
  workers_->replace_stuck();
  if (!committer_->health().ok()) return;
  forget_idempotency_keys();
  release_expired();
  Request request;
  request.durability = Durability::os;
  request.change = [keys = ordering_keys_to_forget()](core::CommitPlan& plan) -> Status {
    plan.trim();
    for (const auto& key : keys) plan.forget_ordering_key(key);
    plan.refresh_cursors(kCursorLag);
    return {};
  };
  (void)committer_->submit(request, false);
}

/// Ordering keys that may be of nothing that is kept: a part of all there are, again and again for
/// as long as lanes are trimmed.
std::vector<model::OrderingKeyRecord> Engine::ordering_keys_to_forget() {
  std::vector<model::OrderingKeyRecord> keys;
  model::PerLane<model::Sequence> trim;
  {
    const std::lock_guard lock(state_.mutex);
    for (const auto lane : kAllPriorities) trim[lane] = state_.ledger.lanes[lane].trim;
  }
  if (swept_to_.empty()) {
    if (trim == swept_trim_) return keys;
    swept_trim_ = trim;
  }
  std::size_t seen = 0;
  std::string last;
  const auto open = reading();
  if (!open.status().ok()) return keys;
  const auto status = journal_->scan(journal::OrderingKeys{swept_to_}, [&](model::Record&& record) {
    auto& key = std::get<model::OrderingKeyRecord>(record);
    last = key.key;
    const bool kept = std::any_of(kAllPriorities.begin(), kAllPriorities.end(),
                                  [&](Priority lane) { return key.last[lane] >= trim[lane]; });
    if (!kept) keys.push_back(std::move(key));
    return ++seen < kOrderingKeysSweptAtOnce;
  });
  // A damaged one is told to whoever publishes under it.
  swept_to_ = status.ok() && seen == kOrderingKeysSweptAtOnce ? last : std::string();
  return keys;
}

Result<std::optional<StoredEvent>> Engine::get(EventId id) const {
  const auto open = reading();
  HOLDFAST_TRY(open.status());
  const auto before = committer_->written();
  auto found = open->get(id);
  // A commit in the making has moved the cursors in memory already, and what it parks or buries is
  // not in the journal yet: for a moment that looks as if it were settled.
  const bool looks_done =
      found.ok() && (!found->has_value() || (*found)->state == EventState::settled);
  if (!looks_done || committer_->planned() <= before) return found;
  return committer_->between_commits([&] { return open->get(id); });
}

Stats Engine::stats() const {
  Stats stats;
  {
    const std::lock_guard lock(state_.mutex);
    state_.recall_all();
    state_.ledger.fill(stats);
    stats.batches.delivered = state_.batches_delivered;
    stats.batches.deliveries = state_.batch_deliveries;
  }
  {
    const std::lock_guard lock(batch_stats_mutex_);
    const auto delivered = std::pair(stats.batches.delivered, stats.batches.deliveries);
    stats.batches = batch_stats_;
    std::tie(stats.batches.delivered, stats.batches.deliveries) = delivered;
  }
  stats.stuck = workers_->stuck();
  stats.running = workers_->running();
  stats.replaced_workers = workers_->replaced();
  stats.commit = committer_->written();
  stats.durable_commit = committer_->durable();
  const auto& counters = committer_->counters();
  stats.commits = counters.commits;
  stats.syncs = counters.syncs;
  stats.events_published = counters.events;
  stats.publishes_refused = refused_;
  stats.intake_events = committer_->intake_events();
  stats.health = committer_->health();
  const auto open = reading();
  if (!open.status().ok()) return stats;
  const auto engine = journal_->stats();
  stats.engine_bytes = engine.memory_bytes;
  stats.disk_bytes = engine.disk_bytes;
  stats.disk_free_bytes = engine.disk_free_bytes;
  return stats;
}

/// Under the lock: nothing more is handed out, and who runs is asked to stop. Returns who is to be
/// told.
Signaller::Runs Engine::begin_shutdown() {
  state_.recall_all();
  state_.scheduler.stop(true);
  Signaller::Runs asked;
  state_.outstanding.for_each([&](internal::DeliveryState& run) {
    auto& whole = run.whole();
    if (whole.stop.note(StopReason::shutdown)) asked.push_back(whole.shared_from_this());
  });
  return asked;
}

/// Everything that was answered and submitted before is durable after this.
Status Engine::flush() {
  Request barrier;
  return committer_->submit_and_wait(barrier, true).status();
}

steady_clock::time_point deadline_after(nanoseconds timeout) {
  return steady_clock::now() +
         std::clamp<nanoseconds>(timeout, nanoseconds(0), std::chrono::hours(24 * 365));
}

Status Engine::drain(std::chrono::nanoseconds timeout) {
  if (inside_handler()) {
    return {StatusCode::conflict,
            "drain from inside a handler or a callback would wait for itself"};
  }
  HOLDFAST_TRY(check_open());
  Signaller::Runs asked;
  {
    const std::lock_guard lock(state_.mutex);
    asked = begin_shutdown();
  }
  signaller_.tell(std::move(asked));
  const auto deadline = deadline_after(timeout);
  const bool idle = workers_->wait_idle(deadline);
  HOLDFAST_TRY(flush());
  if (idle) return {};
  std::string still;
  for (const auto& running : workers_->running()) {
    still += (still.empty() ? "" : ", ") + to_string(running.event) + " in \"" +
             running.subscription + "\"" + (running.deferred ? ", deferred" : "");
  }
  return {StatusCode::deadline_exceeded,
          "handlers still run: " + (still.empty() ? "the last has ended just now" : still)};
}

Status Engine::close() {
  if (inside_handler() || Reading::inside()) {
    return {StatusCode::conflict,
            "close from inside a handler, a callback or a visitor would wait for itself"};
  }
  const std::lock_guard one(close_mutex_);
  if (closed_) return {};
  Signaller::Runs asked;
  {
    const std::lock_guard lock(state_.mutex);
    asked = begin_shutdown();
  }
  signaller_.tell(std::move(asked));
  closed_ = true;
  // Before the workers end, since one of them may be waiting for the pace of a replay.
  closing_.request_stop();
  workers_->stop();
  {
    // From here on what outlives the bus (a Subscription, a Deferred) finds it gone.
    const std::lock_guard lock(link_->mutex);
    link_->engine = nullptr;
    const std::lock_guard own(state_.mutex);
    state_.outstanding.for_each([this](internal::DeliveryState& run) {
      state_.scheduler.finish(run.lease);
      state_.answers.push_back(unanswered_at_close(run));
    });
    state_.outstanding.clear();
  }
  {
    const std::lock_guard lock(upkeep_mutex_);
    upkeep_stop_ = true;
  }
  upkeep_wake_.notify_all();
  if (upkeep_thread_.joinable()) upkeep_thread_.join();
  signaller_.stop();

  auto status = flush();
  tell_of_dropped_dead_letters();
  {
    const std::lock_guard lock(state_.mutex);
    state_.tell_waiters(SettleWaiter::End::closed);
  }
  Request last;
  last.change = [](core::CommitPlan& plan) -> Status {
    plan.trim();
    plan.refresh_cursors(0);
    plan.mark_clean();
    return {};
  };
  last.done = [&status](const Result<Committed>& result) {
    if (status.ok()) status = result.status();
  };
  committer_->stop(std::move(last));
  letting_go_ = true;
  const std::lock_guard lock(journal_mutex_);
  journal_.reset();
  return status;
}

Engine::~Engine() {
  if (committer_ != nullptr) (void)close();
}

}  // namespace holdfast::runtime
