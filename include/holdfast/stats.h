// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/status.h"
#include "holdfast/types.h"

namespace holdfast {

/// Counts of one lane, or of one subscription in one lane. Kept as things happen, never scanned.
struct LaneStats {
  std::uint64_t ready = 0;      ///< Owed and waiting for a worker.
  std::uint64_t leased = 0;     ///< With a handler or a `Deferred` now.
  std::uint64_t scheduled = 0;  ///< Waiting for a retry, the end of a snooze, or, once its turn has
                                ///< come, `Event::not_before`.
  std::uint64_t paused = 0;     ///< Came to the front and is held, since its type is paused
                                ///< (`Stats::paused_types`).
  std::uint64_t dead = 0;       ///< Dead letters kept.
};

struct SubscriptionStats {
  std::string name;       ///< Empty for an ephemeral one.
  bool attached = false;  ///< A handler is subscribed now.
  bool paused = false;    ///< By `Bus::pause`, until `Bus::resume`.
  std::array<LaneStats, kLaneCount> lanes{};
  std::uint64_t acked = 0;  ///< Since the bus was opened, as the next six.
  std::uint64_t skipped = 0;
  std::uint64_t cancelled = 0;  ///< Ended because they were cancelled.
  std::uint64_t expired = 0;    ///< Ended because their time was over.
  std::uint64_t retried = 0;
  std::uint64_t rejected = 0;    ///< Put into the dead letters.
  std::uint64_t refused_tx = 0;  ///< Runs repeated because state that was read had changed.
  std::uint64_t held = 0;        ///< Now: taken from their lanes, waiting for an earlier event of
                                 ///< their `Event::ordering_key`.
  std::string last_error;        ///< Reason of the newest failed attempt.
  /// Not empty: delivery of a lane stands still, and why (damage, or no reading for now).
  std::string blocked;
};

/// A handler or `Deferred` that has had its event for longer than `SubscribeOptions::timeout`, or,
/// a handler without one, for longer than `Options::stuck_after`. At most `kRunningToldMax` are
/// told.
struct StuckHandler {
  std::string subscription;  ///< Empty for an ephemeral one.
  EventId event;
  std::uint32_t attempt = 0;
  std::chrono::nanoseconds running_for{};
};

/// An event that is with a handler, or with a `Deferred`.
struct RunningHandler {
  std::string subscription;  ///< Empty for an ephemeral one.
  EventId event;
  std::uint32_t attempt = 0;
  std::chrono::nanoseconds running_for{};
  bool deferred = false;           ///< The handler has returned, and its `Deferred` is owed.
  bool timed_out = false;          ///< It is over `SubscribeOptions::timeout`.
  bool abandoned = false;          ///< The event was taken from it: its answer changes nothing.
  std::optional<double> progress;  ///< The latest that it told, 0 to 1.
  std::string note;                ///< Told with it.
};

/// `Stats::running` has no more than this: those that have been running for the longest.
inline constexpr std::size_t kRunningToldMax = 256;

/// Lanes over all durable subscriptions.
struct BusLaneStats {
  LaneStats owed;               ///< Summed over subscriptions.
  std::uint64_t unclaimed = 0;  ///< Events that no durable subscription has matched.
  std::uint64_t published = 0;  ///< Events, ever, in this journal. Sequences in a range that is
                                ///< lost do not count: whether they were events nobody can know.
  std::uint64_t newest = 0;     ///< Sequences up to this one were given out, or are lost.
  std::uint64_t trimmed = 0;    ///< Sequences up to this one are gone from the lane.
};

/// Batches, since the bus was opened.
struct BatchStats {
  std::uint64_t published = 0;       ///< Of which anything was written, whatever their mode.
  std::uint64_t refused = 0;         ///< Of which nothing was.
  std::uint64_t events = 0;          ///< In those that were published.
  std::uint64_t events_refused = 0;  ///< Left out of independent ones.
  /// From the call to the answer, of those that were published: all together, and the longest.
  std::chrono::nanoseconds commit_time{};
  std::chrono::nanoseconds commit_time_max{};
  std::uint64_t delivered = 0;   ///< Given to handlers of `Bus::subscribe_batch`.
  std::uint64_t deliveries = 0;  ///< Events in those.
};

/// Operations, by where they stand.
struct OperationStats {
  std::uint64_t open = 0;
  std::uint64_t rolling_back = 0;
  std::uint64_t rollback_failed = 0;
  std::uint64_t committed = 0;  ///< Since the bus was opened, as the next.
  std::uint64_t rolled_back = 0;
};

struct Stats {
  std::array<BusLaneStats, kLaneCount> lanes{};
  std::vector<SubscriptionStats> subscriptions;
  std::vector<StuckHandler> stuck;
  std::vector<RunningHandler> running;  ///< Longest first, at most `kRunningToldMax`.
  std::size_t replaced_workers = 0;     ///< Stuck ones whose place another thread has now.
  std::uint64_t dropped_dead_letters =
      0;                               ///< Over `Limits::dead_letters_max`, since it was opened.
  std::uint64_t idempotency_keys = 0;  ///< Uses of keys that are stored; what is over its limit or
                                       ///< age goes within seconds.
  std::vector<std::string> paused_types;  ///< Patterns, by `Bus::pause(TypePattern)`; in the order
                                          ///< of bytes.
  CommitNumber commit;                    ///< Newest written.
  CommitNumber durable_commit;            ///< Newest fsynced.
  std::uint64_t commits = 0;              ///< Since the bus was opened, as the next four.
  std::uint64_t syncs = 0;
  std::uint64_t events_published = 0;
  std::uint64_t publishes_refused = 0;  ///< Intake full or disk reserve reached.
  std::uint64_t expired_unclaimed = 0;  ///< Dropped by `Options::unclaimed_retention`.
  BatchStats batches;
  OperationStats operations;
  std::size_t intake_events = 0;      ///< Now waiting for the committer.
  std::size_t resident_bytes = 0;     ///< Event bytes held in memory for delivery.
  std::size_t engine_bytes = 0;       ///< RocksDB's memory (write buffers, caches, tables).
  std::uint64_t disk_bytes = 0;       ///< Of the journal.
  std::uint64_t disk_free_bytes = 0;  ///< Of its file system.
  Status health;                      ///< `poisoned` once a write or sync failed.
};

/// What an open found and did.
struct RecoveryReport {
  bool created = false;  ///< The journal was new.
  bool clean = true;     ///< The last run closed it; false after a crash.
  std::array<std::uint64_t, kLaneCount> pending{};  ///< Owed deliveries and unclaimed events.
  /// Deliveries that were running when the process ended. They run one at a time, until they are
  /// acked or have failed. Their attempt is counted, unless one of them was such a suspect already:
  /// then it is the one that is blamed. That of events that were with a handler as one batch is not
  /// counted either, so that one bad event does not use up the attempts of its neighbours.
  struct Suspect {
    std::string subscription;
    EventId event;
    std::uint32_t attempt = 0;
    bool dead = false;  ///< It was the last attempt: now a dead letter.
  };
  std::vector<Suspect> suspects;
  std::uint64_t bytes_cut = 0;  ///< Of unsynced data at the end of the log; a copy is kept.
  std::string cut_copy;         ///< Where, empty if nothing was cut.
  /// Sequences that are lost and will never be used again, [from, to].
  struct LostRange {
    Priority priority = Priority::normal;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  std::vector<LostRange> lost;
  std::string damage;                       ///< What was found and cut under `keep_good_prefix`.
  std::chrono::nanoseconds open_time{};     ///< Locking, checking and replaying the engine.
  std::chrono::nanoseconds recover_time{};  ///< Rebuilding what memory knows.
};

}  // namespace holdfast
