// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "core/idempotency.h"
#include "core/lease.h"
#include "core/ledger.h"
#include "holdfast/receipt.h"
#include "holdfast/result.h"
#include "holdfast/subscription.h"
#include "holdfast/token.h"
#include "model/chunk.h"
#include "model/commit.h"

namespace holdfast::core {

/// One commit in the making: the rules of publishing, answering and subscribing.
///
/// Each call changes the ledger at once and adds to the commit what makes the journal agree. So a
/// plan that was begun must be written; when writing fails the journal is poisoned and the ledger
/// with it, and both are rebuilt from disk. What is published becomes visible to handlers only
/// through `Scheduler::offer`, once it has its durability.
class CommitPlan {
 public:
  struct Place {
    std::uint64_t epoch = 0;
    CommitNumber number;
    CommitNumber durable_known;
  };

  /// `random` gives numbers evenly from [0, 1).
  CommitPlan(Ledger& ledger, const Place& place, base::Now now, std::function<double()> random);

  // --- Publishing -------------------------------------------------------------------------------

  /// Gives each event its id, in order. The encoded events must live until `finish`. A duplicate is
  /// not published: it gets the id of the first, and is told in `duplicates`, ascending.
  void publish(const model::EncodedEvents& events, bool atomic_batch, std::vector<EventId>& ids,
               std::vector<Duplicate>* duplicates = nullptr);
  [[nodiscard]] BatchId last_batch() const noexcept { return last_batch_; }
  void put_state(std::string name, std::string key, std::optional<std::string> value);

  // --- Idempotency keys (idempotency.cc) --------------------------------------------------------

  /// What the journal has of the keys that are about to be published under: all of it, or a
  /// duplicate is taken for new.
  void know_keys(std::vector<model::IdempotencyRecord> found);
  /// `oldest` are the uses that the journal has below number `to`. Those that hold no more go,
  /// up to the first that does.
  void forget_keys(const std::vector<model::IdempotencyUse>& oldest, std::uint64_t to);
  [[nodiscard]] bool is_duplicate(const model::EncodedEvents& events, std::size_t index) const {
    return first_of(events, index, ledger_.idempotency.range().next) != nullptr;
  }

  // --- Answers ----------------------------------------------------------------------------------

  struct Settlement {
    enum class Effect : std::uint8_t {
      settled,    ///< Ended for this subscription, as `how` says.
      parked,     ///< Comes back later.
      released,   ///< Stays pending, uncounted.
      stale,      ///< Changed nothing: not this answer's to give any more.
      run_again,  ///< The tx read something that has changed, or its batch has lost one of its
                  ///< members: nothing was written.
      refused,    ///< The event is cancelled: the answer counts for nothing; `on_cancel` is next.
    };
    Effect effect = Effect::stale;
    Settled how = Settled::acked;
    std::vector<EventId> published;     ///< By the tx, as `publish` gives them.
    std::vector<Duplicate> duplicates;  ///< Among them.
  };
  Settlement answer(Answer& answer);
  /// One for each member. The tx counts with the acks. If a member is cancelled, or not this
  /// batch's any more, the others run again, and so do all when what the tx read has changed
  /// (commit_plan_batch.cc).
  std::vector<Settlement> answer(BatchAnswer& batch);
  /// The event is taken from whoever holds it: a failed attempt with `reason`. The lease is stale
  /// afterwards.
  Settlement abandon(const Lease& lease, std::string reason);

  /// Ok, or `conflict`: `expected` is not the newest event of this ordering key; sequence 0 = there
  /// is none. `stored` is the one in the journal.
  [[nodiscard]] Status check_last(std::string_view ordering_key, EventId expected,
                                  EventId stored) const;
  /// Forgets a key, unless something that was published under it is kept.
  void forget_ordering_key(const model::OrderingKeyRecord& record);

  // --- Cancellation (commit_plan_cancel.cc) -----------------------------------------------------

  /// Ok, or why event `index` of `events` cannot be let in now: `cancelled` or `not_found` (its
  /// token), or as `Operation::add` (its operation, unless it is `begins`), without a trace. A
  /// duplicate of what was published before is always let in: its token does not matter.
  [[nodiscard]] Status admit(const model::EncodedEvents& events, std::size_t index,
                             OperationId begins = {}) const;
  /// `timeout` of 0 = none. Fails with `resource_exhausted`.
  Status make_token(TokenId id, std::int64_t timeout);
  struct Cancelled {
    CancelReceipt receipt;
    /// The deliveries that a handler holds: their handlers are to be told.
    std::vector<std::pair<SubscriptionId, EventId>> running;
  };
  /// `event` as it is in the journal.
  Cancelled cancel(const EventView& event, const std::string& reason);
  /// `members` are those of its events that are to be told one by one, each the `next` of a span.
  /// Fails with `not_found`.
  Result<Cancelled> cancel(TokenId id, const std::string& reason, const std::vector<Span>& members);
  /// So many more, or fewer, of the events of each token have ended (`TokenChange`).
  void shift_ended(const std::map<TokenId, std::int64_t>& ended);

  // --- Operations (commit_plan_operations.cc) ----------------------------------------------------

  /// Ok, or `resource_exhausted`: there is no room for so many more. What has ended is forgotten
  /// for them, the oldest first.
  Status make_room(std::size_t operations, std::size_t members);
  /// After `make_room`. Its members are what is published with an admission of this id.
  void begin_operation(OperationId id, const OperationOptions& options);
  /// That of which `event` is a member; 0 = none that is known.
  [[nodiscard]] OperationId operation_of(EventId event) const;
  /// Nothing more is published into it. Fails with `not_found`, `conflict`.
  Status seal(OperationId id);
  /// Likewise.
  Status roll_back(OperationId id, const std::string& reason);
  /// A pending member as it is in the journal; null = it is not kept any more.
  struct MemberEvent {
    EventId event;
    ChunkPtr chunk;
  };
  /// Subscriptions have changed, or the bus was opened: some of `pending` may be done without an
  /// answer that says so, and what goes back may go on. Returns whether there may be more.
  bool revisit(const std::vector<MemberEvent>& pending);
  /// Deliveries that handlers hold of members whose operation goes back: these are to be told.
  [[nodiscard]] const std::vector<std::pair<SubscriptionId, EventId>>& signalled() const noexcept {
    return signalled_;
  }
  /// Some operation goes back since this commit: all its events are cancelled.
  [[nodiscard]] bool went_back() const noexcept { return went_back_; }
  /// Operations that have been committed, rolled back, or failed to be.
  [[nodiscard]] const std::vector<OperationId>& ended_operations() const noexcept {
    return ended_operations_;
  }

  // --- Subscriptions ----------------------------------------------------------------------------

  /// What a new subscription finds in a lane.
  struct Backlog {
    std::uint64_t owed = 0;
    /// How many of them nobody had claimed, each from here to the next mark of retention.
    std::map<Sequence, std::uint64_t> claimed;
  };
  SubscriptionState& create(model::SubscriptionRecord record, const PerLane<Backlog>& backlog);
  /// From now on `record` holds; `owed` is what is left of its backlog, without parked events.
  void change(SubscriptionState& subscription, model::SubscriptionRecord record,
              const PerLane<std::uint64_t>& owed);
  /// `revisit` is to follow.
  void remove(SubscriptionId id);
  /// It gets nothing more, or something again. Says nothing when it is so already.
  void set_paused(SubscriptionState& subscription, bool paused);

  // --- Pauses of event types (commit_plan_pause.cc) ---------------------------------------------

  /// `pattern` must be valid. Fails with `resource_exhausted`.
  Status pause_types(std::string_view pattern);
  /// What it has held is to be put back (`HeldRelease`). Fails with `not_found`.
  Status resume_types(std::string_view pattern);
  /// What is held, as it is in the journal, comes back now.
  void release(SubscriptionState& subscription, const model::DueRecord& record);
  /// Nothing is held any more of what no pattern matches.
  void end_release();

  /// Where a subscription is set to.
  struct Rewind {
    PerLane<Sequence> from;              ///< At or above the trim.
    PerLane<Backlog> backlog;            ///< From there on.
    PerLane<Sequence> parked_before;     ///< Parked events below stay; at most `from`.
    std::vector<model::DueRecord> kept;  ///< All of these.
    std::vector<EventId> dead;           ///< Dead letters of what is owed again.
  };
  /// It is owed what `backlog` says, and whatever its handlers hold is stale. It must be durable
  /// and have no handler. From now on its filter alone decides.
  void rewind(SubscriptionState& subscription, const Rewind& to);

  // --- Dead letters and suspects ----------------------------------------------------------------

  /// False, and nothing is done: it is of a member whose operation goes back, or has gone.
  bool redrive(const model::DeadLetterRecord& letter);

  /// The process died while this delivery was running. `counted` = it is to blame.
  /// Returns whether that was its last attempt, and it is dead now.
  struct Suspect {
    SubscriptionId subscription;
    EventId event;
    std::uint32_t attempts = 0;  ///< Counted before.
    bool parked = false;         ///< It has a parked copy already.
    model::DueTime due = 0;      ///< When parked: what its record says.
    bool cleanup = false;        ///< Likewise.
    bool started = true;         ///< Likewise.
    ChunkPtr chunk;
    bool counted = true;
  };
  bool accuse(const Suspect& suspect);

  // --- The end ----------------------------------------------------------------------------------

  /// Moves trim points as far as floors and retention allow, as each commit does that has published
  /// much, and forgets what is about events that are gone.
  void trim();
  /// Writes every cursor whose stored form is more than `lag` sequences behind; 0 = all that
  /// differ.
  void refresh_cursors(Sequence lag);
  void mark_clean() { commit_.clean = true; }
  /// Nothing has been asked of it.
  [[nodiscard]] bool empty() const noexcept;
  [[nodiscard]] CommitNumber number() const noexcept { return commit_.number; }
  [[nodiscard]] std::uint32_t event_count() const noexcept { return index_; }

  /// Completes the commit. What it publishes waits in the ledger for `Scheduler::offer`.
  const model::Commit& finish();

 private:
  [[nodiscard]] const model::IdempotencyRecord* first_of(const model::EncodedEvents& events,
                                                         std::size_t index,
                                                         std::uint64_t next_use) const;
  void note_key(const model::EncodedEvents& events, std::size_t index, EventId event,
                BatchId batch);
  void append(std::string_view record, const model::EncodedEvents::Entry& entry, BatchId batch,
              const model::OrderKey& key);
  void trim_lanes();
  void close_chunk(Priority lane);
  void route(const ChunkPtr& chunk);
  bool holds(SubscriptionState& subscription, Answer& answer) const;
  void forget_running(const Lease& lease);
  struct TxEffect {
    Status failed;          ///< Why the ack fails; nothing was written then.
    bool outdated = false;  ///< It has read what is not so any more: likewise.
    std::vector<EventId> published;
    std::vector<Duplicate> duplicates;
  };
  TxEffect apply(SubscriptionState& subscription, TxWrites& tx);
  Settlement apply(SubscriptionState& subscription, const Answer& answer);
  void settle(SubscriptionState& subscription, const Lease& lease, bool keep = false);
  /// How an event waits that is owed apart from its cursor.
  struct Parking {
    std::uint32_t attempts = 0;
    model::DueTime due = 0;
    std::string error;
    bool started = true;
    bool cleanup = false;
    /// It goes on running alone: an attempt that is not counted clears nobody.
    bool suspect = false;
  };
  void park(SubscriptionState& subscription, const Lease& lease, Parking parking);
  /// It leaves the row of its lane, and is owed apart from the cursor.
  void leave_row(SubscriptionState& subscription, EventId event, DeliveryLane::Ticket ticket);
  void wait_until(model::DueTime due, SubscriptionState& subscription, EventId event,
                  ParkedWindow::Entry entry);
  [[nodiscard]] model::DueTime in(std::int64_t delay) const {
    return model::due_at_bus(now_.bus + delay);
  }
  void bury(SubscriptionState& subscription, const Lease& lease, std::uint32_t attempts,
            const std::string& reason);
  Settlement fail(SubscriptionState& subscription, const Lease& lease,
                  std::optional<std::int64_t> delay, const std::string& reason);
  Settlement refuse_cancelled(SubscriptionState& subscription, const Answer& answer);
  Settlement end(SubscriptionState& subscription, const Lease& lease, Settled how);
  [[nodiscard]] model::SettlementRecord begun_cleanup(const SubscriptionState& subscription,
                                                      EventId event) const;
  void keep_for_cleanup(SubscriptionState& subscription, EventId event);
  /// Where `event` of `chunk`, in which it is alone or not, stands in the order of its key, once
  /// all that it comes after has been taken.
  [[nodiscard]] static model::KeyPlace reached_place(const model::Chunk& chunk, EventId event);
  [[nodiscard]] static model::KeyPlace suspect_place(const Suspect& suspect);
  void note_key_change(SubscriptionState& subscription);
  model::OrderKey order_key(const model::EncodedEvents& events, std::size_t index, EventId event);
  void touch_token(Cancellations::Token& token);
  void note_published(TokenId token, EventId event);
  void write_ordering_keys();
  void note_ended(const SubscriptionState& subscription, const Lease& lease);
  // Operations.
  using Composite = Operations::Operation;
  void touch_operation(Composite& operation);
  void put_member(Operations::Member& member, MemberState state);
  [[nodiscard]] Status admit_member(OperationId id) const;
  void cancel_members(TokenId token, const std::string& reason);
  void note_member(const model::EncodedEvents::Admission& admission, EventId event);
  void note_begun(const SubscriptionState& subscription, EventId event, bool begun = true);
  [[nodiscard]] bool is_kept(const SubscriptionState& subscription, const Lease& lease);
  void keep_for_undo(const SubscriptionState& subscription, const Lease& lease);
  void note_member_ended(const SubscriptionState& subscription, const Lease& lease, Settled how,
                         const std::string& reason);
  void put_paused_types();
  void hold(SubscriptionState& subscription, const Lease& lease);
  void release_ephemeral(SubscriptionState& subscription);
  void make_due(SubscriptionState& subscription, EventId event, model::DueTime was_due,
                ParkedWindow::Entry entry);
  void wake(Operations::Member& member, bool also_paused = false);
  void advance(Composite& operation);
  void go_back(Composite& operation, const std::string& reason);
  void undo(Composite& operation);
  void undo_kept(Operations::Member& member);
  void keep_begun_again(SubscriptionState& subscription, EventId event);
  void note_members_gone();
  [[nodiscard]] bool is_begun(const Operations::Member& member) const;
  [[nodiscard]] bool decides(const Operations::Member& member) const;
  void end(Composite& operation, OperationState state);
  void note_dropped(const DeadLetterIndex::Name& letter);
  void forget_operation(OperationId id);
  void reclaim_operations();
  void reclaim_cancellations();
  void park_overdue(SubscriptionState& subscription, Priority lane);
  void limit_dead_letters();
  void forget_claims();
  void claim(Priority lane, const Backlog& backlog);
  void reroute_pending(SubscriptionState& subscription);
  void put_cursor(SubscriptionState& subscription, Priority lane);
  void touch(SubscriptionState& subscription, Priority lane);

  template <typename Op>
  void add(Op&& operation) {
    commit_.operations.emplace_back(std::forward<Op>(operation));
  }

  Ledger& ledger_;
  base::Now now_;
  std::function<double()> random_;
  model::Commit commit_;
  std::uint32_t index_ = 0;  // of the next event in the commit
  BatchId last_batch_;
  struct OpenChunk {
    model::ChunkBuilder builder;
    Sequence first = 0;
  };
  PerLane<OpenChunk> chunks_;
  std::vector<std::pair<SubscriptionId, Priority>> touched_;
  std::vector<TokenId> touched_tokens_;
  std::vector<OperationId> touched_operations_;
  std::vector<std::pair<SubscriptionId, EventId>> signalled_;
  std::vector<OperationId> ended_operations_;
  bool went_back_ = false;
  std::map<std::string, model::OrderingKeyRecord, std::less<>> ordering_keys_;  // published under
  IdempotencyKeys keys_;
  bool keys_changed_ = false;
  bool trimmed_ = false;
  bool marked_ = false;  // there is more that may be trimmed
};

}  // namespace holdfast::core
