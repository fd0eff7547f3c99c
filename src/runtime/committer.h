// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "holdfast/options.h"
#include "journal/journal.h"
#include "runtime/bus_state.h"
#include "runtime/idempotency_reader.h"
#include "runtime/intake.h"
#include "runtime/request.h"

namespace holdfast::runtime {

/// One commit takes no more than this, so that a critical event behind it does not wait long.
inline constexpr std::size_t kCommitEventsMax = 1'000;
inline constexpr std::size_t kCommitBytesMax = std::size_t{2} << 20U;

/// Makes commits: the one place where the journal is written and the ledger changes.
///
///     intake + answers ─► plan (under the lock) ─► Journal::commit ─► sync ─► tell, offer events
///                         `── commit role ───────────────────────'  `─ sync role ─'
///
/// Two roles, each held by one thread at a time: one commits, one syncs, so that the next group is
/// written while the last one is being synced. Each role has a thread of its own; a caller that
/// waits for its event and finds nobody at work takes both roles itself, which spares it four
/// thread switches.
class Committer {
 public:
  struct Hooks {
    std::function<void()> work_offered;           ///< Workers may find something.
    std::function<void(base::BusTime)> next_due;  ///< A timer is needed by then.
    /// These deliveries are of events that have been cancelled. Under the lock.
    std::function<void(const std::vector<std::pair<model::SubscriptionId, EventId>>&)> cancelled;
  };

  /// `last` is the newest commit, which must be durable.
  Committer(journal::Journal& journal, CommitNumber last, BusState& state, const Options& options,
            const base::Clock& clock, const base::Log& log, Hooks hooks);
  ~Committer();

  void start();
  /// Refuses what comes from now on, commits what is there and, behind all of it, `last`, syncs,
  /// and ends both threads. The journal is not used any more afterwards.
  void stop(Request last = {});

  /// Hands `request` over; its `done` is called by another thread, or this one before returning.
  Status submit(Request& request, bool may_block);
  /// The same, and waits. Commits itself if nobody else is at it.
  Result<Committed> submit_and_wait(Request& request, bool may_block);

  /// How often this thread has had a request taken over by `submit_and_wait`: what it was told of
  /// none of these may have happened.
  static std::uint64_t handed_over() noexcept;

  void answers_given(bool urgent) { intake_.answers_given(urgent); }

  /// Blocks until the commit that is being made, if there is one, is written.
  void wait_written() { const std::lock_guard role(commit_role_); }
  /// The newest that has changed the ledger: when it is not `written`, the journal says less than
  /// that.
  [[nodiscard]] CommitNumber planned() const noexcept { return {planned_.load()}; }
  /// Calls `read` while no commit is being made.
  template <typename Read>
  auto between_commits(Read&& read) {
    const std::lock_guard role(commit_role_);
    return read();
  }

  [[nodiscard]] CommitNumber written() const noexcept { return {written_.load()}; }
  [[nodiscard]] CommitNumber durable() const noexcept { return {durable_.load()}; }
  /// `done` is called once `commit` is durable, or with why it will not be.
  void when_durable(CommitNumber commit, std::function<void(const Status&)> done);
  /// Ok, or why nothing can be written any more.
  [[nodiscard]] Status health() const;
  [[nodiscard]] std::size_t intake_events() const { return intake_.events(); }

  struct Counters {
    std::atomic<std::uint64_t> commits{0};
    std::atomic<std::uint64_t> syncs{0};
    std::atomic<std::uint64_t> events{0};
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

 private:
  struct Notice {
    CommitNumber commit;
    std::function<void(const Status&)> done;
    std::size_t bytes = 0;  // of what waits with it
  };
  struct SettledNote {
    model::SubscriptionId subscription;
    EventId event;
    Settled how;
    bool durable;  // the subscription
  };
  struct SettledNotes {
    CommitNumber commit;
    std::vector<SettledNote> notes;
  };
  struct Group {
    std::vector<Request> requests;
    std::vector<Status> prepared;
    std::vector<Result<Committed>> outcomes;
    std::vector<core::Answer> answers;
    std::vector<core::BatchAnswer> batch_answers;
    std::vector<SettledNote> settled;
    std::vector<OperationId> operations;  // that have ended, if anybody waits for any
    bool events_need_sync = false;        // events in it may not be offered before
    bool somebody_waits = false;          // for its durability
  };

  void commit_loop();
  void sync_loop();
  // A commit or a sync that stops half-way, for lack of memory say, would leave what memory knows
  // apart from the journal, and everybody waiting. So the process ends there (std::terminate), as
  // in any crash.

  /// With the commit role. `caller_syncs`: whoever calls this will sync, so nobody else is woken
  /// for it.
  void commit_group(std::vector<Request> requests, bool caller_syncs) noexcept;
  /// The same, of what is in the intake.
  void commit_waiting(bool caller_syncs) noexcept;
  void plan_group(core::CommitPlan& plan, Group& group);
  void plan_answers(core::CommitPlan& plan, Group& group);
  void note_settlement(const core::CommitPlan::Settlement& settlement, const core::Answer& answer,
                       Group& group);
  void note_operations(const core::CommitPlan& plan, Group& group);
  void tell_ended(const std::vector<OperationId>& operations);
  static bool is_known(const core::CommitPlan& plan, const model::EncodedEvents& events);
  static Status decide(core::CommitPlan& plan, Request& request, Committed& outcome);
  static void leave_out(const core::CommitPlan& plan, model::EncodedEvents& events,
                        std::vector<Status>& errors);
  static void publish(core::CommitPlan& plan, Request& request, Committed& committed);
  void prepare(Group& group, IdempotencyReader& keys);
  [[nodiscard]] static bool changes_more(const Group& group);
  void look_up_answers(Group& group, IdempotencyReader& keys, std::unique_lock<std::mutex>& lock);
  Status write(const model::Commit& commit);
  void refuse(Group& group, CommitNumber number, const Status& cause);
  void when_durable(CommitNumber number, std::function<void(const Status&)> done, std::size_t bytes,
                    std::vector<std::function<void()>>& now);
  void complete_requests(Group& group, CommitNumber number,
                         std::vector<std::function<void()>>& now);
  /// What was asked for is in commit `number`, which is written.
  void complete(Group& group, CommitNumber number, bool caller_syncs);
  void sync_once() noexcept;
  void want_sync(bool now, bool caller_syncs);
  void offer();
  void tell_settled();
  void tell_settled(const std::vector<SettledNote>& notes);
  void fail(const Status& cause);
  std::deque<Notice> take_notices();
  static void tell_lost(std::deque<Notice>& notices, const Status& cause);
  /// Under `mutex_`: keeps what is written and not synced within what the intake may hold.
  void limit_backlog();

  journal::Journal& journal_;
  BusState& state_;
  const Options& options_;
  const base::Clock& clock_;
  const base::Log log_;
  const Hooks hooks_;
  Intake intake_;

  std::mutex commit_role_;
  std::mt19937_64 random_;  // under the commit role
  bool stopped_ = false;    // likewise

  std::mutex sync_role_;
  std::atomic<std::uint64_t> planned_{0};
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> durable_{0};

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable sync_wanted_;
  bool sync_now_ = false;
  // The thread waits without a limit: nothing is unsynced, as far as it knows.
  bool sync_idle_ = false;
  bool stopping_ = false;
  std::deque<Notice> notices_;  // by commit
  std::size_t notice_bytes_ = 0;
  std::deque<SettledNotes> settled_;          // by commit
  bool telling_settled_ = false;              // some thread does
  bool tell_now_ = false;                     // the thread that syncs goes on with it
  std::deque<CommitNumber> unsynced_offers_;  // commits whose events wait for their sync
  Status failed_;

  Counters counters_;
  std::thread commit_thread_;
  std::thread sync_thread_;
};

}  // namespace holdfast::runtime
