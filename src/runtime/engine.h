// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "core/held_release.h"
#include "core/token_change.h"
#include "holdfast/bus.h"
#include "journal/journal.h"
#include "runtime/bus_state.h"
#include "runtime/committer.h"
#include "runtime/delivery_state.h"
#include "runtime/event_reader.h"
#include "runtime/running_slots.h"
#include "runtime/signaller.h"
#include "runtime/worker_pool.h"

namespace holdfast::runtime {

/// When a call that may take `timeout` is over: not before now, and within a year, so that neither
/// the shortest nor the longest time-out there is wraps around.
std::chrono::steady_clock::time_point deadline_after(std::chrono::nanoseconds timeout);

/// A bus at work: the journal, what is known of it, and the threads. `Bus` is its public face; each
/// part is one file: engine_open.cc, engine_publish.cc, engine_subscribe.cc, engine_upkeep.cc.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const std::filesystem::path& folder,
                                              const Options& options);
  /// Over a journal that somebody has opened. What runs is noted in `slot_file`, or in memory alone
  /// if that is empty. For tests, which keep journals elsewhere than on the machine's disk.
  static Result<std::unique_ptr<Engine>> open(std::unique_ptr<journal::Journal> journal,
                                              const std::filesystem::path& slot_file,
                                              const Options& options);
  ~Engine();

  [[nodiscard]] const RecoveryReport& recovery() const noexcept { return recovery_; }

  // --- Publishing (engine_publish.cc) ---
  /// Checks and encodes `event` onto the end of `out`.
  /// With `operation` as a member of that one.
  Status encode(const Event& event, model::EncodedEvents& out, OperationId operation = {}) const;
  Result<Receipt> publish(const Event& event, const PublishOptions& options);
  Result<CancellableReceipt> publish_cancellable(const Event& event, const PublishOptions& options);
  Status publish_async(const Event& event, std::function<void(Result<Receipt>)> done,
                       const PublishOptions& options);
  // engine_publish_batch.cc
  Result<BatchReceipt> publish_batch(std::span<const OwnedEvent> events,
                                     const BatchOptions& options);
  /// Counts the batch that was begun then in `Stats::batches`; returns `outcome`.
  Result<BatchReceipt> counted(std::chrono::steady_clock::time_point begun,
                               Result<BatchReceipt> outcome);
  Status publish_batch_async(std::span<const OwnedEvent> events,
                             std::function<void(Result<BatchReceipt>)> done,
                             const BatchOptions& options);
  Result<BatchReceipt> commit_batch(model::EncodedEvents events,
                                    std::vector<core::TxWrites::StateWrite> state,
                                    const BatchOptions& options);
  [[nodiscard]] CommitNumber durable_commit() const noexcept { return committer_->durable(); }
  Status wait_durable(CommitNumber commit);

  // --- Cancelling (engine_cancel.cc) ---
  using CancelTarget = std::variant<TokenId, EventId>;
  Result<CancellationToken> make_token(const TokenOptions& options);
  Result<CancellationToken> token(TokenId id) const;
  [[nodiscard]] bool is_cancelled(TokenId id) const;
  Result<CancelReceipt> cancel(const CancelTarget& target, const std::string& reason);
  Status cancel_async(const CancelTarget& target, const std::string& reason,
                      std::function<void(Result<CancelReceipt>)> done);

  // --- Operations (engine_operations.cc) ---
  Result<Operation> begin_operation(const OperationOptions& options);
  Result<Operation> find_operation(OperationId id) const;
  Result<Receipt> add_member(OperationId id, const Event& event, const PublishOptions& options);
  Status seal(OperationId id);
  Status roll_back(OperationId id, std::string_view reason);
  Status wait_settled(OperationId id, std::chrono::steady_clock::time_point deadline);
  /// The beginning of a new one with so many members.
  Result<Request::Beginning> begin_with(const OperationOptions& options, std::size_t members);

  // --- Handling (engine_subscribe.cc) ---
  Result<std::shared_ptr<internal::SubscriptionHandle>> subscribe(SubscribeOptions options,
                                                                  Handler handler,
                                                                  BatchHandler batch_handler = {});
  /// Returns whom the caller is to tell that they should stop, once it holds no lock.
  [[nodiscard]] Signaller::Runs detach(const internal::SubscriptionHandle& handle);
  Status remove_subscription(std::string_view name);
  // engine_pause.cc
  Status set_paused(std::string_view name, bool paused);
  Status pause_types(std::string_view pattern);
  Status resume_types(std::string_view pattern);
  Status answer(internal::DeliveryState& delivery, const Outcome& outcome);
  /// A `Deferred` is going to answer.
  void hand_over(internal::DeliveryState& delivery);
  Status wait_settled(EventId id, std::chrono::steady_clock::time_point deadline);
  Result<std::uint64_t> redrive(const DeadLetterFilter& filter);

  // --- Time travel (engine_replay.cc, engine_rewind.cc) ---
  Result<ReplayReceipt> replay(const ReplayOptions& options, const ReplayHandler& handler) const;
  Result<ReplayReceipt> replay(const ReplayOptions& options, Engine& into) const;
  /// As one commit, durable when it returns.
  Status publish_step(model::EncodedEvents events);
  Result<RewindReceipt> rewind(std::string_view name, const Start& position);

  // --- Looking ---
  /// The right to read the journal: closing waits for it. Empty once it is closed.
  class Reading {
   public:
    explicit Reading(const Engine& engine) : engine_(engine) {
      // Readers that keep coming must not keep it from being let go.
      if (!engine.letting_go_) lock_ = std::shared_lock(engine.journal_mutex_);
      ++depth_;
      // What is only on its way to a handler is with none.
      const std::lock_guard lock(engine.state_.mutex);
      engine.state_.recall_all();
    }
    ~Reading() { --depth_; }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    /// Whether this thread reads now: in a visitor, say.
    static bool inside() { return depth_ > 0; }
    [[nodiscard]] Status status() const {
      if (lock_.owns_lock() && engine_.journal_ != nullptr) return {};
      return {StatusCode::unavailable, "the bus is closed"};
    }
    const EventReader* operator->() const { return engine_.reader_.get(); }

   private:
    inline static thread_local int depth_ = 0;
    std::shared_lock<std::shared_mutex> lock_;
    const Engine& engine_;
  };
  [[nodiscard]] Reading reading() const { return Reading(*this); }
  [[nodiscard]] Result<std::optional<StoredEvent>> get(EventId id) const;
  [[nodiscard]] Result<std::optional<std::string>> state(std::string_view name,
                                                         std::string_view key) const {
    return reader_->state(name, key);
  }
  Status scan_state(std::string_view name, std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visitor) const {
    return reader_->scan_state(name, prefix, visitor);
  }
  /// What a read that begins now is sure to see.
  [[nodiscard]] CommitNumber visible_commit() const noexcept { return committer_->written(); }
  [[nodiscard]] Stats stats() const;

  // --- Ending (engine_upkeep.cc) ---
  Status drain(std::chrono::nanoseconds timeout);
  Status close();

 private:
  Engine(const Options& options, std::unique_ptr<journal::Journal> journal);

  // engine_open.cc
  Status first_commit(const std::vector<RunningSlots::Running>& slots);
  void fill_report();
  Status start();

  // engine_publish.cc
  Status check_open() const;
  Status check_disk(std::size_t bytes);
  Result<Committed> publish_one(const Event& event, const PublishOptions& options,
                                OperationId operation = {});
  [[nodiscard]] bool may_block() const;
  Result<std::optional<model::OrderingKeyRecord>> stored_key(std::string_view key) const;
  Status encode_one(const Event& event, const PublishOptions& options, Request& request,
                    OperationId operation = {}) const;
  Status encode_all(std::span<const OwnedEvent> events, model::EncodedEvents& out,
                    OperationId operation = {}) const;
  Status encode_whole(std::span<const OwnedEvent> events, const BatchOptions& options,
                      Request& request);
  Result<BatchReceipt> publish_whole(std::span<const OwnedEvent> events,
                                     const BatchOptions& options);
  Status publish_whole_async(std::span<const OwnedEvent> events,
                             const std::function<void(Result<BatchReceipt>)>& done,
                             const BatchOptions& options);
  Result<Committed> run(Request& request);

  // engine_publish_batch.cc
  struct Independent;
  Status encode_each(std::span<const OwnedEvent> events, const BatchOptions& options,
                     Independent& batch) const;
  Result<std::shared_ptr<Independent>> begin_each(std::span<const OwnedEvent> events,
                                                  const BatchOptions& options);
  Status submit_parts(const std::shared_ptr<Independent>& batch, bool wait);
  void part_done(Independent& batch, std::size_t part, const Result<Committed>& committed);
  void part_ended(Independent& batch);
  Result<BatchReceipt> publish_each(std::span<const OwnedEvent> events,
                                    const BatchOptions& options);
  Status publish_each_async(std::span<const OwnedEvent> events,
                            const std::function<void(Result<BatchReceipt>)>& done,
                            const BatchOptions& options);

  // engine_cancel.cc
  /// For something of which `made` counts how many there were in this run ("tokens were made").
  Result<std::uint64_t> next_id(std::atomic<std::uint64_t>& made, std::string_view what) const;
  struct Cancelling {
    CancelReceipt receipt;
    Signaller::Runs told;  ///< Whose handlers are asked to stop.
  };
  using CancellingPtr = std::shared_ptr<Cancelling>;
  Request cancel_request(EventId id, const std::string& reason, const CancellingPtr& cancelling);
  Request cancel_request(TokenId id, const std::string& reason, const CancellingPtr& cancelling);
  Result<Request> cancel_request(const CancelTarget& target, const std::string& reason,
                                 const CancellingPtr& cancelling);
  using Running = std::vector<std::pair<model::SubscriptionId, EventId>>;
  Signaller::Runs runs_of(const Running& running);
  Status read_members(TokenId id, std::vector<core::Span>& members) const;
  /// Shows `change` what it has to see: in `prepare`, while nothing else commits.
  Status read_token_change(core::TokenChange& change, model::SubscriptionId parked_of) const;
  void decided(core::CommitPlan::Cancelled&& cancelled, Cancelling& cancelling);
  void cancel_expired(base::BusTime now);

  // engine_operations.cc
  /// Of events that were encoded as such.
  [[nodiscard]] model::EncodedEvents as_members(const model::EncodedEvents& events,
                                                OperationId operation) const;
  Status revisit_operations();
  void roll_back_expired(base::BusTime now);

  // engine_subscribe.cc
  /// What a subscription finds when it comes, or is set back to, read in two passes: all that is
  /// there, without stopping anybody, and then, between two commits, the little that has come
  /// since.
  struct Backlog {
    model::PerLane<core::CommitPlan::Backlog> lanes;
    /// What the others want: an event that nobody wanted until now is claimed.
    std::vector<core::InterestPtr> others;
    /// Settled already, ahead of the floor it is read from.
    model::PerLane<std::vector<model::Sequence>> ahead;
    /// Of retention, as they are when a pass begins: what is claimed is counted by them.
    model::PerLane<std::vector<model::Sequence>> marks;
  };
  void forget(const internal::SubscriptionHandle& handle);
  Status commit_answers();
  Request look_at_settling(EventId id, SettleWaiter& waiter, bool& wait);
  Status outcome_of(const SettleWaiter& waiter, const Status& status) const;
  Status wait_settled_once(EventId id, std::chrono::steady_clock::time_point deadline,
                           SettleWaiter& waiter);
  Result<model::SubscriptionId> attach_durable(
      const SubscribeOptions& options,
      const std::function<std::shared_ptr<internal::SubscriptionHandle>(model::SubscriptionId)>&
          make_handle);
  Result<model::PerLane<model::Sequence>> start_of(const Start& start) const;
  Status read_backlog(const core::Interest& interest, model::PerLane<model::Sequence>& from,
                      const model::PerLane<model::Sequence>& to, Backlog& backlog) const;

  // engine_replay.cc
  class Access;

  // engine_rewind.cc
  struct Rewinding;
  Result<Start> kept_position(const Start& position, bool& trimmed) const;
  Status begin_rewind(Rewinding& rewinding) const;
  Status read_for_rewind(Rewinding& rewinding) const;
  Status read_parked(Rewinding& rewinding) const;
  Status check_no_cleanup(const Rewinding& rewinding) const;
  Status check_no_operation(const Rewinding& rewinding) const;
  Status change_rewound(core::CommitPlan& plan, Rewinding& rewinding);

  // engine_pause.cc
  struct Held;
  Status read_held(Held& held) const;
  bool release(core::HeldRelease& pass, const core::HeldRelease::Part& part, model::DueTime last);
  /// Returns whether there is more to do at once.
  bool release_held();
  void release_expired();

  // engine_upkeep.cc
  void upkeep_loop();
  void upkeep();
  /// The upkeep has something to do by then.
  void wake_upkeep(base::BusTime by);
  bool look_at_disk(std::uint64_t wanted);
  void tell_of_dropped_dead_letters();
  std::vector<model::OrderingKeyRecord> ordering_keys_to_forget();
  void forget_idempotency_keys();
  Status flush();
  Signaller::Runs begin_shutdown();

  const Options options_;
  base::BusClock clock_;
  const base::Log log_;
  std::unique_ptr<journal::Journal> journal_;
  mutable BusState state_;
  Signaller signaller_;
  std::unique_ptr<RunningSlots> slots_;
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<EventReader> reader_;
  std::shared_ptr<EngineLink> link_ = std::make_shared<EngineLink>();
  RecoveryReport recovery_;

  mutable std::shared_mutex journal_mutex_;  // exclusive = to let the journal go
  std::atomic<bool> letting_go_{false};
  std::mutex subscribe_mutex_;  // one subscribes at a time
  std::atomic<bool> closed_{false};
  std::stop_source closing_;  // who waits outside of the bus's own threads ends
  std::mutex close_mutex_;
  std::atomic<bool> disk_low_{false};
  std::atomic<std::uint64_t> unlooked_bytes_{0};  // published since the disk was looked at
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> tokens_made_{1};
  std::atomic<std::uint64_t> operations_begun_{1};
  mutable std::mutex batch_stats_mutex_;
  BatchStats batch_stats_;  // what is published

  std::mutex upkeep_mutex_;
  std::condition_variable upkeep_wake_;
  base::BusTime upkeep_at_ = 0;
  bool upkeep_stop_ = false;
  // How far the ordering keys were gone through, and for which trims. By the upkeep thread.
  std::string swept_to_;
  model::PerLane<model::Sequence> swept_trim_;
  core::HeldRelease held_release_;  // by the upkeep thread, as the next
  bool told_of_held_ = false;
  bool told_of_keys_ = false;       // with the commit role
  std::uint64_t told_dropped_ = 0;  // by the upkeep thread, and once it has ended by who closes
  std::thread upkeep_thread_;
};

/// Tells a caller the outcome of `what`. What its callback throws is its own affair: here others
/// wait for this thread.
template <typename Done, typename Outcome>
void tell(const base::Log& log, const Done& done, Outcome&& outcome, std::string_view what) {
  if (!done) return;
  const internal::CallbackScope scope;
  try {
    done(std::forward<Outcome>(outcome));
  } catch (...) {
    log.error("holdfast: the callback of " + std::string(what) + " threw");
  }
}

/// As the bus was opened, unless the publisher has `chosen`.
Result<Durability> durability_of(const std::optional<Durability>& chosen, Durability otherwise);
/// That `span` is not negative, and at most 365 days.
Status check_within_a_year(std::string_view what, std::chrono::nanoseconds span);
/// Of a single event.
Receipt receipt_of(const Committed& committed);
/// Of those of its events that were let in.
BatchReceipt batch_receipt_of(const Committed& committed);
Status check_batch_size(std::size_t events);
Status check_batch_bytes(std::size_t bytes);

/// Whether this thread is running a handler of any bus: it must not wait for room that it may have
/// to make, nor for itself.
bool inside_handler();

}  // namespace holdfast::runtime
