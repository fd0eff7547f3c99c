// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/batch.h"
#include "holdfast/batch_delivery.h"
#include "holdfast/event.h"
#include "holdfast/export.h"
#include "holdfast/operation.h"
#include "holdfast/options.h"
#include "holdfast/query.h"
#include "holdfast/receipt.h"
#include "holdfast/replay.h"
#include "holdfast/result.h"
#include "holdfast/stats.h"
#include "holdfast/subscription.h"
#include "holdfast/token.h"

namespace holdfast {

template <typename T>
class Awaitable;  // holdfast/awaitable.h

namespace internal {
struct BusMaker;
}

/// A persistent event bus over one journal folder.
///
/// Order of things: an event is encoded on the caller's thread, given its sequence and written to
/// the journal with everything else that is waiting (one atomic commit), fsynced together with it,
/// and only then is its publisher told and any handler called.
///
/// Threads: every method may be called from any thread at the same time, unless it says otherwise.
/// From inside a handler everything may be called but `drain`, `close` and the destructor; from
/// inside a visitor everything but `close` and the destructor, which is undefined in either. The
/// `wait_settled` calls are not refused in a handler: they wait for a worker that may be this one,
/// up to their time-out. `condition`, `on_cancel` and `compensate` are handlers in this. What a
/// handler or a visitor throws is caught. After a fork without exec, the child must not touch the
/// bus.
///
/// Errors that every changing or waiting call can return: `unavailable` (closing or closed),
/// `poisoned` (a write or sync failed earlier: reopen), `fenced` (another writer went on with the
/// journal), `indeterminate` (this very write failed; whether it is in the journal is known after
/// reopening), `conflict` (it would wait for a commit inside a callback, `done` of a publish or
/// cancel, `on_settled` or a stop callback, and so for itself; nothing was changed). Calls that
/// read can return `data_loss` and `unavailable`, that also when the disk cannot be read; the
/// message has the reason.
class HOLDFAST_EXPORT Bus {
 public:
  /// Opens the journal in folder `path`, created (mode 0700) when missing, and recovers what a
  /// crash left. Blocks while the log is replayed (bounded by the write buffer: well under a
  /// second) and while the events that were running are read; not longer for settled events.
  ///
  /// Parent folders are not created: without them it is `unavailable`. With `Options::in_memory`
  /// nothing is done with `path`.
  ///
  /// Fails with `locked` (another process has it open, or this one; names the pid that took the
  /// lock), `not_found` (there is no journal and `Options::create_if_missing` is false),
  /// `invalid_argument` (an option out of range, an empty path, a file, a folder that is not a
  /// journal, a newer format), `unavailable` (no permission, read-only, no space; also when no
  /// thread can be started), `data_loss` (what was durable is damaged or missing; says what and
  /// where; no event data was deleted; see `Options::on_damage`).
  ///
  /// A child that was forked while the bus was open shares its lock until it execs or closes the
  /// descriptors, also when this process is killed: the journal is `locked` then, and the pid that
  /// is named is dead. Let children exec at once, or close what they do not need.
  static Result<std::unique_ptr<Bus>> open(const std::string& path, const Options& options = {});

  /// As `close`, errors ignored.
  ~Bus();
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  /// What this open found. Immutable; valid as long as the bus.
  [[nodiscard]] const RecoveryReport& recovery() const noexcept;

  // --- Publishing -------------------------------------------------------------------------------

  /// Publishes `event`. Blocks until its commit has its durability (about one fsync), then returns
  /// where it is. Two publishers are ordered by their commits; within a lane events are handed out
  /// in that order.
  ///
  /// An event whose `idempotency_key` has been used is not published again: the receipt is that of
  /// the first, once that one has the durability asked for now.
  ///
  /// Survives: `durable` power loss, `os` a crash of this process.
  /// Fails, and nothing is written, with `invalid_argument` (a limit), `resource_exhausted` (intake
  /// full under `IntakePolicy::reject` or inside a handler, or disk reserve reached), `cancelled`
  /// or `not_found` (the token it is published under), `conflict` (`PublishOptions::expect_last`),
  /// `data_loss` (what is stored of its idempotency key or ordering key is damaged).
  Result<Receipt> publish(const Event& event, const PublishOptions& options = {});

  /// The short form: normal priority, source system.
  Result<Receipt> publish(std::string_view type, Payload payload);

  /// Publishes without waiting. `done` is called exactly once, with what `publish` would have
  /// returned, on a thread that others wait for, of the bus or of a publisher that waits: be quick,
  /// take no lock that is held around a call to the bus, and call nothing that waits for a commit
  /// (such calls answer `conflict`; `publish_async` is fine). It may run before this call has
  /// returned; what it throws is logged. An empty `done` is allowed. A refusal that is known at
  /// once is returned, and `done` is not called then. An `ordering_key` is looked up on the disk
  /// first. With `IntakePolicy::block` it waits for room in the intake.
  Status publish_async(const Event& event, std::function<void(Result<Receipt>)> done,
                       const PublishOptions& options = {});
  /// The same as a future. Its `get` never throws.
  [[nodiscard]] std::future<Result<Receipt>> publish_future(const Event& event,
                                                            const PublishOptions& options = {});

  /// As something to `co_await`, which gives a `Result<Receipt>`: see `holdfast/awaitable.h`, which
  /// has to be included for it.
  [[nodiscard]] Awaitable<Receipt> publish_awaitable(const Event& event,
                                                     const PublishOptions& options = {});

  /// Publishes `events` as one atomic commit: after any crash all of them are there or none. One
  /// bad event, or one whose token is cancelled, and nothing is written; the error names its index
  /// and why. Blocks and fails as `publish`. At most 100,000 events and 64 MiB encoded; an empty
  /// span is `invalid_argument`.
  ///
  /// With `BatchMode::independent` each event stands for itself: the good ones are written, and the
  /// others have their errors in the receipt, which is returned also when none was good. It fails
  /// for what is no event's own: a limit of the whole batch, or whatever kept everything from being
  /// written. What keeps only the rest (the intake is full, a write failed) is the error of each
  /// event of the rest.
  ///
  /// Events whose `idempotency_key` has been used, also by one before them in the batch, get the
  /// receipt of the first, and the others are written. So a batch all of whose events have keys can
  /// be tried again whole.
  Result<BatchReceipt> publish_batch(std::span<const OwnedEvent> events,
                                     const BatchOptions& options = {});
  /// `publish_batch` without waiting: encodes `events`, which only have to live for the call, and
  /// calls `done` exactly once with what `publish_batch` would have returned, on a thread and under
  /// the rules of `publish_async`. A refusal that is known at once is returned, and `done` is not
  /// called then. An `ordering_key` is looked up on the disk first. With `IntakePolicy::block` it
  /// waits for room in the intake.
  Status publish_batch_async(std::span<const OwnedEvent> events,
                             std::function<void(Result<BatchReceipt>)> done,
                             const BatchOptions& options = {});
  /// The same as a future. Its `get` never throws.
  [[nodiscard]] std::future<Result<BatchReceipt>> publish_batch_future(
      std::span<const OwnedEvent> events, const BatchOptions& options = {});
  /// As `publish_awaitable`.
  [[nodiscard]] Awaitable<BatchReceipt> publish_batch_awaitable(std::span<const OwnedEvent> events,
                                                                const BatchOptions& options = {});
  /// Builds an atomic commit of events and user state step by step.
  [[nodiscard]] Batch batch();

  /// The newest commit that survives power loss.
  [[nodiscard]] CommitNumber durable_commit() const noexcept;
  /// Blocks until `commit` is durable, and sees to it that it becomes so.
  /// Fails with `invalid_argument` for a commit that does not exist yet.
  Status wait_durable(CommitNumber commit);

  // --- Cancelling -------------------------------------------------------------------------------

  /// A token for any number of events (`Event::token`). Durable when it returns: it is found again
  /// by its id after a restart. It is forgotten by itself once nothing is left of what was
  /// published under it, and 24 hours (of the journal's own time) after something was, or at once
  /// when it is cancelled. Its time-out begins with this call. Blocks for one commit. Fails with
  /// `invalid_argument` (the time-out), `resource_exhausted` (`Limits::tokens_max`; 4,294,967,295
  /// tokens made since the bus was opened).
  Result<CancellationToken> make_token(const TokenOptions& options = {});
  /// The token of this id, of an earlier run as well. May read the disk. Fails with `not_found`
  /// when it was never made, or is forgotten: it is never taken for one that could still cancel.
  /// Fails also with `invalid_argument` (an id that no event can have), `data_loss`, `unavailable`.
  [[nodiscard]] Result<CancellationToken> token(TokenId id) const;
  /// Publishes `event` so that it can be cancelled by itself: the receipt's token stands for this
  /// one event, and costs nothing; nothing else can be published under it. With `Event::token` it
  /// is published under that one. Otherwise as `publish`; any event can be cancelled by its id as
  /// well.
  Result<CancellableReceipt> publish_cancellable(const Event& event,
                                                 const PublishOptions& options = {});

  /// Cancels a token, with everything that was published under it, or a single event. Decided in
  /// the order of commits, and durable when it returns. From then on, in this and every later run,
  /// no handler starts on an event that was *prevented*; a handler that has one is asked to stop
  /// (`Delivery::stop_token`), at once, and its ack and `tx` are refused; then, and also after a
  /// crash, `SubscribeOptions::on_cancel` gets to clean up. An event that everyone who was owed it
  /// had ended before is *too late*. An event that nobody has claimed yet can be cancelled too.
  /// Publishing under a cancelled token fails with `cancelled`; so does what was handed to
  /// `publish_async` under it before and is not committed yet: a cancel waits for none of it.
  ///
  /// Blocks for one commit, whatever the number of events, after reading what the receipt lists (at
  /// most 4 MiB of events). Handlers are asked to stop once it is decided, not before: an ack that
  /// was given earlier counts, and the receipt says so. Stop is requested before it returns; stop
  /// callbacks run on this thread or on one of the bus's own, and may still be running then.
  /// `reason` is kept, its first `kReasonBytesMax` bytes. Cancelling again changes nothing and says
  /// how it stands. May be called from inside a handler, for its own event as well. Fails with
  /// `not_found` (no such event or token, or not kept any more), `invalid_argument` (no event can
  /// have this id; the empty token), `data_loss` (the event is damaged).
  Result<CancelReceipt> cancel(TokenId token, std::string_view reason = {});
  Result<CancelReceipt> cancel(EventId id, std::string_view reason = {});
  /// `cancel` without waiting for the commit; stop callbacks run on a thread of the bus's own.
  /// `done` as for `publish_async`, with what `cancel` would have returned. As many as
  /// `Limits::intake_events_max` may be on their way to a commit; beyond that `Options::intake`
  /// says whether it blocks or fails with `resource_exhausted`, which it does inside a handler.
  Status cancel_async(TokenId token, std::string_view reason,
                      std::function<void(Result<CancelReceipt>)> done);
  Status cancel_async(EventId id, std::string_view reason,
                      std::function<void(Result<CancelReceipt>)> done);
  /// The same as a future. Its `get` never throws.
  [[nodiscard]] std::future<Result<CancelReceipt>> cancel_future(TokenId token,
                                                                 std::string_view reason = {});
  [[nodiscard]] std::future<Result<CancelReceipt>> cancel_future(EventId id,
                                                                 std::string_view reason = {});
  /// As `publish_awaitable`.
  [[nodiscard]] Awaitable<CancelReceipt> cancel_awaitable(TokenId token,
                                                          std::string_view reason = {});
  [[nodiscard]] Awaitable<CancelReceipt> cancel_awaitable(EventId id, std::string_view reason = {});

  // --- Operations -------------------------------------------------------------------------------

  /// Begins an operation, to which events are added one by one; `BatchOptions::operation` makes one
  /// of a whole batch. Its members are given out as any event, one after the other unless
  /// `OperationOptions::sequential` is false. Once it is sealed and every member is done (settled,
  /// and acked or skipped, by every durable subscription that wants it) it is *committed*. If
  /// before that a member is dead, cancelled or expired, the deadline passes, or
  /// `Operation::roll_back` is called, it is *rolled back*: its members that are pending are
  /// cancelled, handlers that have one are asked to stop, and what was done is undone by
  /// `SubscribeOptions::compensate`, from the last member to the first. An event that no durable
  /// subscription has claimed stays pending, and the operation with it.
  ///
  /// Durable when it returns. All of it goes on after a crash where it was. What an operation says
  /// of itself can be read for 24 hours (of the journal's own time) after it has ended, or until
  /// there is no room for a new one. Blocks for one commit.
  /// Fails with `invalid_argument` (the deadline), `resource_exhausted` (`Limits::operations_max`;
  /// 4,294,967,295 begun since the bus was opened).
  Result<Operation> begin_operation(const OperationOptions& options = {});
  /// The operation of this id, of an earlier run as well, to go on with. Does not block.
  /// Fails with `not_found`.
  [[nodiscard]] Result<Operation> find_operation(OperationId id) const;
  /// How it stands, as of a commit that may still be on its way to the disk. Does not block. Fails
  /// with `not_found` (never begun, or forgotten by now).
  [[nodiscard]] Result<OperationInfo> operation(OperationId id) const;
  /// All that are known, by id; empty once the bus is closed. With their members, so it can be
  /// large. Does not block.
  [[nodiscard]] std::vector<OperationInfo> operations() const;
  /// Blocks until it is committed, rolled back, or has failed to roll back, durably; which one of
  /// them `operation` tells. Fails with `not_found`, `deadline_exceeded`; `unavailable`, `poisoned`
  /// or `fenced` at once when the bus is closed or can write no more. A `timeout` below 0 is 0,
  /// above 365 days it is 365 days.
  Status wait_settled(OperationId id, std::chrono::nanoseconds timeout);

  // --- Handling ---------------------------------------------------------------------------------

  /// Subscribes `handler`. A durable subscription (with a name) that is new is created in a commit
  /// of its own, durable when this returns; a known one goes on where it was. A changed filter
  /// applies to later commits, and pending events that no longer match are skipped.
  ///
  /// Blocks for that commit and, with `Start::earliest` or a changed filter, for one pass over the
  /// events that are kept. With a changed filter no commit is made during that pass, so publishers
  /// wait for it; so they do, with a new name as well, while the events of tokens are read. One
  /// durable `subscribe`, `remove_subscription`, `rewind`, or `pause` or `resume` of a subscription
  /// goes on at a time; the others wait. An ephemeral one does not block.
  /// Fails with `already_exists` (the name is subscribed now), `invalid_argument` (a pattern, a
  /// name, an option), `not_found` (the event of `Start::position` is not in the journal, or not
  /// any more), `resource_exhausted` (`Limits::subscriptions_max`; or the filter changed more than
  /// 16 times with events from before each change still pending), `data_loss` (an event that had
  /// to be read is damaged).
  Result<Subscription> subscribe(SubscribeOptions options, Handler handler);
  /// Subscribes a handler that is given up to `SubscribeOptions::batch_size` events together and
  /// answers for each: one commit, and one `tx`, for all (see `BatchDelivery`). The events of a
  /// batch are of one priority, and in the order in which they would come one by one. It takes what
  /// is there; with `SubscribeOptions::batch_linger` it waits so long for more.
  ///
  /// Otherwise as `subscribe`. A batch takes one slot of `concurrency`, one turn in the order of
  /// delivery, and one thread. `condition` is asked for each event before, `on_settled` is told for
  /// each, `timeout` and `abandon_after` hold for the batch as a whole. `on_cancel` gets its events
  /// one by one. What may have killed an earlier process, so all events of a batch that was with a
  /// handler then, comes in batches of one.
  Result<Subscription> subscribe_batch(SubscribeOptions options, BatchHandler handler);
  /// The short form: an ephemeral subscription to one pattern.
  Result<Subscription> subscribe(std::string_view type, Handler handler);

  /// Forgets a durable subscription, its position, retries and dead letters; user state of its name
  /// stays. Durable when it returns. An operation that waited for it alone goes on. Blocks for a
  /// commit and, where tokens have events, for reading those. Fails with `not_found`, or `conflict`
  /// while it is subscribed.
  Status remove_subscription(std::string_view name);

  /// Hands out nothing more to a durable subscription, whether a handler is subscribed now or not:
  /// what it is owed stays pending, and so does what is published meanwhile. Handlers that have
  /// their event go on, and what they answer counts; a run that has to start over waits. Durable
  /// when it returns: it stays paused across restarts until `resume`. Blocks for a commit, and not
  /// for handlers. Pausing twice is fine, and one `resume` ends it. Fails with `not_found`.
  Status pause(std::string_view subscription);
  /// Ends a pause, durably when it returns; delivery goes on at once. One that is not paused is
  /// fine. Blocks for a commit. Fails with `not_found`.
  Status resume(std::string_view subscription);

  /// Hands out nothing more of the types that `types` matches, to any subscription, now or later
  /// subscribed: what comes to the front of its lane is held (`EventState::paused`,
  /// `LaneStats::paused`), those behind it go on. It can be published and cancelled as ever, and
  /// expires when it is time; what is to be cleaned up is not held. With an `Event::ordering_key`
  /// it keeps back what comes after it. A delivery that a handler has, or is about to be given,
  /// goes on and its answer counts; when it is to be tried again it is held.
  ///
  /// Durable when it returns: the pause lasts across restarts until `resume` of the same pattern,
  /// whatever other patterns match as well. Blocks for a commit, and not for handlers. Pausing
  /// twice is fine. A paused bus pays for one match a delivery and pattern; what is held costs one
  /// small commit record each and no memory, but for an ephemeral subscription, which gets nothing
  /// more in a lane in which it has 65,536 of them. Fails with `invalid_argument` (the pattern),
  /// `resource_exhausted` (`kPausedTypesMax`).
  Status pause(TypePattern types);
  /// Ends that pause, durably when it returns. What was held comes back behind it, up to 1,000 in
  /// a commit and in the order in which it would have expired, before what is new in its lane;
  /// after a crash as well. Blocks for a commit. Fails with `not_found` (this pattern is not
  /// paused), `invalid_argument`.
  Status resume(TypePattern types);

  /// Blocks until every durable subscription that was owed `id` has settled it durably: acked it,
  /// given up on it (a dead letter) or skipped it; see `Settled`. Or until the event is cancelled
  /// or expired, which ends it for all of them: not for a handler that still has it, nor for
  /// `on_cancel` (`on_settled` tells of each). One that is not kept any more counts as settled: ok.
  /// An unclaimed event is owed to nobody yet, so this waits; so it is with one whose last
  /// subscription has let go of it, by another filter or by being removed.
  /// Fails with `not_found` (never published, or sequence 0), `invalid_argument` (an unknown
  /// priority), `data_loss` (a record of it is damaged), `deadline_exceeded`; `unavailable`,
  /// `poisoned` or `fenced` at once when the bus is closed or can write no more. A `timeout` below
  /// 0 is 0, above 365 days it is 365 days.
  Status wait_settled(EventId id, std::chrono::nanoseconds timeout);
  /// The same for all events of `batch` that were written, with one `timeout` for all of them
  /// together. Stops at the first error.
  Status wait_settled(const BatchReceipt& batch, std::chrono::nanoseconds timeout);

  // --- Looking ----------------------------------------------------------------------------------

  /// The event and where it stands; nothing when never published or no longer kept. Reads the disk.
  /// Fails with `invalid_argument` (no event can have this id: sequence 0, or an unknown priority),
  /// `data_loss` (a record of it is damaged).
  [[nodiscard]] Result<std::optional<StoredEvent>> get(EventId id) const;
  /// Visits events as they are committed now, by lane and sequence. Reads the disk; holds no lock
  /// while the visitor runs, which may call the bus. Fails with `invalid_argument` (a pattern, an
  /// empty visitor, or one that threw, which ends the visit); stops with `data_loss` at a damaged
  /// record. First reads where all parked and dead deliveries stand into memory, about 110 bytes
  /// each, which `Options::memory_budget` does not bound.
  Status scan(const ScanFilter& filter, const ScanVisitor& visitor) const;
  /// Visits dead letters as they are when it begins, one in memory at a time. Reads the disk; holds
  /// no lock while the visitor runs, which may call the bus. Fails with `not_found` (no
  /// subscription of that name), `invalid_argument` (a pattern, an empty visitor, or one that
  /// threw, which ends the visit); stops with `data_loss` at a damaged record, after those before
  /// it.
  Status scan_dead_letters(const DeadLetterFilter& filter, const DeadLetterVisitor& visitor) const;
  /// The same as a list, which has up to `DeadLetterFilter::limit` whole events in memory. With an
  /// error there is none.
  [[nodiscard]] Result<std::vector<DeadLetter>> dead_letters(
      const DeadLetterFilter& filter = {}) const;
  /// Puts dead letters back to pending with fresh attempts; returns how many. Those of an operation
  /// that was rolled back stay, but for failed compensations, with which it goes on. Each letter
  /// that is there at the call goes back at most once, also when its handler rejects it again
  /// meanwhile. Durable when it returns. Up to 256 letters go in one commit: after an error, or a
  /// crash, some may be back and the rest are letters still. Blocks, and reads the disk. No commit
  /// is made while a part is read, and each part reads the letters before it again: publishers wait
  /// meanwhile. Fails with `not_found` (no subscription of that name), `invalid_argument` (a
  /// pattern), `data_loss` (a damaged record).
  Result<std::uint64_t> redrive(const DeadLetterFilter& filter = {});
  /// A value of the named user state; nothing when absent; see `TxState`. As of the newest commit,
  /// which may not be synced yet: power loss can take it back. Reads the disk. Fails with
  /// `invalid_argument` (a name or key over its limits), `data_loss` (a damaged record).
  [[nodiscard]] Result<std::optional<std::string>> state(std::string_view name,
                                                         std::string_view key) const;
  /// Visits the keys of a named user state that begin with `prefix`, as they are when it begins, in
  /// byte order, until `visitor` returns false. Reads the disk; holds no lock while the visitor
  /// runs, which may call the bus. Fails with `invalid_argument` (a name, an empty visitor, or one
  /// that threw, which ends the visit); stops with `data_loss` at a damaged record.
  Status scan_state(
      std::string_view name, std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visitor) const;
  /// Never blocks the committer for longer than a copy of counters. Reads the sizes of the
  /// journal's files and asks the file system, so it may block on the disk. Once the bus is closed
  /// those fields are 0.
  [[nodiscard]] Stats stats() const;

  // --- Time travel ------------------------------------------------------------------------------

  /// Runs journaled events again, in their total order over all lanes, into `handler`, on this
  /// thread. Settles nothing and changes nothing. What is in the lanes is replayed: not dead
  /// letters, nor events waiting for a retry, that have left theirs.
  ///
  /// Blocks; reads the disk, a few chunks a lane at a time (up to 64 KiB of each lane or one chunk
  /// in memory). Holds no lock while the handler runs or the pace is waited for, and keeps no event
  /// from being trimmed meanwhile: see `ReplayReceipt::missed`. The handler may call the bus, and
  /// what it publishes is not replayed. A replay by time reads the lanes whole.
  /// Fails with `invalid_argument` (a pattern, a priority, `speed` negative or no number, `gap_max`
  /// negative, `from` behind `to`, a commit that does not exist, an empty handler, or one that
  /// threw, which ends the replay), `not_found` (an event that was never published or is not in its
  /// lane any more), `unavailable` once the bus is closed, also in a wait for the pace; stops with
  /// `data_loss` at a damaged record, after those before it were given.
  Result<ReplayReceipt> replay(const ReplayOptions& options, const ReplayHandler& handler) const;
  /// Publishes the events into another bus, in the same order, each with its type, payload, content
  /// type, priority, source, metadata, timestamp, `ordering_key`, `not_before` and `expires_at`
  /// (one that is over has expired there, too); without its token, `idempotency_key` and operation.
  /// Ids, commits and `published_at` are those of the other bus. Goes in atomic steps of up to 256
  /// events and 1 MiB, each durable before the next begins; all are durable when it returns.
  /// Fails as the other form, with `invalid_argument` (`into` is this bus; an event is over a limit
  /// of the other bus), and as `publish` of the other bus. With an error all events that came
  /// before it are published (or all but the step the other bus refused), and there is no receipt;
  /// the message tells how many only when it was the other bus that refused.
  Result<ReplayReceipt> replay(const ReplayOptions& options, Bus& into) const;

  /// Sets a durable subscription back, or forward, to `position`: it is owed every kept event from
  /// there on that its filter matches, settled or not, with fresh attempts, and nothing before it.
  /// Its filter of now alone decides, whatever it was when they were published, and so they can be
  /// older than the subscription's first start. All of it is one commit, durable when this returns.
  ///
  /// Retries and snoozes from the position on are owed as all others, at once; those before are
  /// dropped, and nobody is told (`on_settled`). Where a lane is owed from its earliest kept event
  /// on, those that are older than that and have left it stay as they are (at most 100,000, or it
  /// is `resource_exhausted`). Dead letters stay, to be redriven, but of an event that is owed
  /// again: that letter is erased. An answer that an earlier handler still owes is stale.
  ///
  /// `Start::earliest()` is everything kept, `Start::new_only()` drops what is owed. A position
  /// that is not kept any more is the earliest kept, which the receipt tells.
  /// Blocks for the commit and one pass over the events from the position on. Durable `subscribe`,
  /// `remove_subscription`, `rewind`, and `pause` and `resume` of a subscription wait for all of
  /// it; publishers wait while what came since, its dead letters, its retries and the events of
  /// tokens are read. Has the names of the letters to erase in memory, about 24 bytes each.
  /// Fails with `not_found` (no subscription of that name; an event that was never published),
  /// `conflict` (a handler is subscribed, a cancelled event still waits for its `on_cancel`, or an
  /// operation that has not ended has events with it),
  /// `invalid_argument` (an id that no event can have),
  /// `data_loss` (an event that had to be read is damaged; nothing was changed).
  Result<RewindReceipt> rewind(std::string_view subscription, const Start& position);

  // --- Ending -----------------------------------------------------------------------------------

  /// Stops handing out events, asks running handlers to stop, and waits for them, and for each
  /// `Deferred`, at most `timeout`. For good: nothing is handed out again until the journal is
  /// reopened, also to who subscribes later. Burns no attempts; what is pending stays so. Answers
  /// that arrived are committed durably. Publishing goes on.
  /// Stop callbacks run on this thread; `timeout` bounds neither them nor the commit at the end.
  /// Below 0 it is 0, above 365 days it is 365 days. Fails with `deadline_exceeded` naming the
  /// handlers that still run, at most 256. Not from inside a handler or a callback (`conflict`).
  Status drain(std::chrono::nanoseconds timeout = std::chrono::seconds(30));
  /// Asks handlers to stop, then refuses new calls with `unavailable`, also those of handlers that
  /// still run; most calls that only look go on until the journal is released. Waits for handlers
  /// and visitors without a limit, but not for a `Deferred`: its event stays pending. What is in
  /// the intake and all answers are committed durably, and the journal is released. A publisher
  /// that still waits for room may be told `unavailable`; nothing of it is written. Fails with
  /// `poisoned`, `fenced` or `indeterminate` when the last commit could not be made; the journal is
  /// released all the same. A second call is ok. Not from inside a handler, a callback or a visitor
  /// (`conflict`).
  Status close();

 private:
  struct Impl;
  friend class Batch;
  friend class JournalView;
  friend struct internal::BusMaker;
  explicit Bus(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast
