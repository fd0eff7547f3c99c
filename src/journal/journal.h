// SPDX-License-Identifier: MIT
#pragma once

// The seam between the bus and whatever keeps its bytes.
//
// A journal is an ordered set of commits. Nothing above this file knows how they are stored;
// nothing below it knows what a lease or a handler is. Each sentence here has a test in
// tests/conformance, and a store is finished when that suite passes. Someone who wants another
// method first says which test needs it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "holdfast/result.h"
#include "holdfast/types.h"
#include "model/commit.h"
#include "model/records.h"
#include "model/state_codec.h"

namespace holdfast::journal {

/// What the journal knew when it was opened, and what opening it took.
struct JournalState {
  model::Uuid uuid{};
  std::uint32_t format = 0;
  /// The one to write commits with: one more than the last writer's. A reader gets the last
  /// writer's.
  std::uint64_t epoch = 0;
  CommitNumber last_commit;  ///< 0 = none yet.
  model::PerLane<model::Sequence> next{{1, 1, 1, 1}};
  model::PerLane<model::Sequence> trim{{1, 1, 1, 1}};
  bool created = false;   ///< By this open.
  bool clean = true;      ///< The last commit was that of a proper close, or there is none.
  bool rebooted = false;  ///< The machine was booted since the last writer opened it: unsynced data
                          ///< may be gone, and boot times that were stored mean nothing.
  base::Now last_written_at;    ///< When the last commit was made; all zero when there is none.
  std::uint64_t bytes_cut = 0;  ///< Of unsynced data at the end of the log.
  std::string cut_copy;         ///< Where they were kept.
  std::string damage;           ///< What `DamagePolicy::keep_good_prefix` gave up.
  /// Every range ever lost. Those of this open are recorded durably before it returns.
  std::vector<model::LostRange> lost;
};

struct JournalStats {
  std::size_t memory_bytes = 0;       ///< Of the engine: buffers, caches, tables.
  std::uint64_t disk_bytes = 0;       ///< Of the folder.
  std::uint64_t disk_free_bytes = 0;  ///< Of its file system; max when it has none.
};

// --- What can be looked up ----------------------------------------------------------------------

struct EventRef {
  EventId event;
};
struct SettlementRef {
  model::SubscriptionId subscription;
  EventId event;
};
struct ParkedRef {
  model::SubscriptionId subscription;
  EventId event;
};
struct DeadLetterRef {
  model::SubscriptionId subscription;
  EventId event;
};
struct StateRef {
  std::string name;
  std::string key;
};
struct TombstoneRef {
  EventId event;
};
struct OrderingKeyRef {
  std::string key;
};
struct IdempotencyRef {
  std::string key;
};
struct OperationRef {
  OperationId operation;
};
using RecordRef = std::variant<EventRef, SettlementRef, ParkedRef, DeadLetterRef, StateRef,
                               TombstoneRef, OrderingKeyRef, IdempotencyRef, OperationRef>;

// --- What can be scanned, each in key order -----------------------------------------------------

/// Chunks with any event in [from, to), clamped to what the lane holds now. They may begin before
/// `from` and end behind `to`. A gap that is not a lost range ends the scan with `data_loss`.
struct EventRange {
  Priority lane = Priority::normal;
  model::Sequence from = 1;
  model::Sequence to = std::numeric_limits<model::Sequence>::max();
};
struct Subscriptions {};
struct Cursors {};
/// By subscription, lane, sequence. From `after` on, exclusive, when given.
struct Settlements {
  std::optional<model::SubscriptionId> subscription;
  std::optional<EventId> after;  ///< Only together with `subscription`.
};
/// `DueRecord`s of the settlements of one subscription and lane by due time and sequence, from
/// there on up to those due at `last`.
struct DueTimes {
  model::SubscriptionId subscription;
  Priority lane = Priority::normal;
  model::DueTime from = std::numeric_limits<model::DueTime>::min();
  model::Sequence from_sequence = 0;
  model::DueTime last = std::numeric_limits<model::DueTime>::max();
};
struct DeadLetters {
  std::optional<model::SubscriptionId> subscription;
};
struct StateRange {
  std::string name;
  std::string prefix;
};
/// Those at or above the trim of their lane.
struct RetentionMarks {};
struct LostRanges {};
struct Tokens {};
struct Tombstones {};
/// Those behind `after`.
struct OrderingKeys {
  std::string after;
};
/// `IdempotencyUse`s with numbers in [from, to), ascending: the oldest first.
struct IdempotencyUses {
  std::uint64_t from = 0;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();
};
/// One record, or none.
struct IdempotencyRanges {};
/// One record, or none.
struct PausedTypes {};
/// By id, without their members.
struct Operations {};
/// By operation and place.
struct Members {
  std::optional<OperationId> operation;
};
using ScanSpec =
    std::variant<EventRange, Subscriptions, Cursors, Settlements, DueTimes, DeadLetters, StateRange,
                 RetentionMarks, LostRanges, Tokens, Tombstones, OrderingKeys, IdempotencyUses,
                 IdempotencyRanges, PausedTypes, Operations, Members>;

/// Receives records until it returns false.
using Sink = std::function<bool(model::Record&& record)>;

/// Threads: any, concurrently, also with a committer. Calls read the disk and may block.
class JournalReader {
 public:
  virtual ~JournalReader() = default;

  /// As of the open; does not change.
  [[nodiscard]] virtual const JournalState& state() const = 0;

  /// The record, or nothing when there is none. An event is found by the chunk that holds it.
  /// Sees every commit whose `commit` call has returned. `data_loss` for a damaged record.
  [[nodiscard]] virtual Result<std::optional<model::Record>> find(const RecordRef& ref) const = 0;

  /// Gives `sink` each record of `spec` as of the start of the call. Ok also when it stopped early.
  /// Ends with `data_loss` at a damaged record, after those before it were given.
  virtual Status scan(const ScanSpec& spec, const Sink& sink) const = 0;

  [[nodiscard]] virtual JournalStats stats() const = 0;
};

/// Threads: `commit` by one at a time; `sync`, `checkpoint` and everything of the reader by any,
/// concurrently with it.
class Journal : public JournalReader {
 public:
  /// Writes every operation of `commit`, in order, or none of them, also when the process or the
  /// machine dies in between. On ok it is visible to `find` and to scans that start later, and has
  /// `durability`: with `os` it survives this process, with `durable` power loss as well, and so
  /// does every commit before it.
  ///
  /// A commit whose epoch is not this journal's or whose number is not the next is refused with
  /// `fenced` and changes nothing; one that cannot be stored as it is (a NUL byte in the name of a
  /// user state, a chunk of more than `kChunkEventsMax` events) likewise with `invalid_argument`.
  /// On any other error nobody can know whether it was written; the journal then answers every
  /// later write and sync with `poisoned`. A failed sync is never tried again: the kernel may have
  /// dropped the dirty pages and would report success.
  virtual Status commit(const model::Commit& commit, Durability durability) = 0;

  /// Makes every commit that had returned before the call durable. Errors as for `commit`.
  virtual Status sync() = 0;

  /// A consistent copy of everything committed before the call, that can be opened as a journal of
  /// its own, in `folder`, which must not exist. `already_exists`, `unimplemented` (a store without
  /// files).
  virtual Status checkpoint(const std::filesystem::path& folder) = 0;
};

}  // namespace holdfast::journal
