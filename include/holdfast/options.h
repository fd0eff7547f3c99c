// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "holdfast/types.h"

namespace spdlog {
class logger;
}

namespace holdfast {

/// What a full intake does with a publisher. A publish from inside a handler or a callback never
/// waits, since that may be what would make room: when the intake is full it is
/// `resource_exhausted`.
enum class IntakePolicy : std::uint8_t { block, reject };

/// What `Bus::open` does when something that was durable is damaged or missing.
enum class DamagePolicy : std::uint8_t {
  refuse,            ///< Return `data_loss`, naming what and where. Nothing is deleted.
  keep_good_prefix,  ///< Keep what is good before the damage, keep a copy of what is cut, record
                     ///< the lost sequences so that they are never used again, and report all of
                     ///< it.
};

/// How long events stay after nobody is owed them: until they are older than `age`, or more than
/// `bytes` are kept in all lanes together, whichever comes first. Zero in either = at once. Looked
/// at once a second, and whenever another step of them was published. Space is given back in the
/// background, in steps of about `bytes / 256` of the larger of the two rules, from 1 MiB to 64
/// MiB, once 16 MiB of a lane may go.
struct Retention {
  std::chrono::seconds age = std::chrono::hours(24);
  std::uint64_t bytes = std::uint64_t{256} << 20U;

  /// Nothing goes, whatever its age and however much there is. For a journal that keeps everything,
  /// and for whoever opens another program's journal: then nothing goes because of the visit, and
  /// the program's own rules hold again when it comes back.
  [[nodiscard]] static constexpr Retention forever() noexcept {
    return {std::chrono::seconds::max(), std::numeric_limits<std::uint64_t>::max()};
  }
};

/// Worker threads by class. A worker takes only events at least as urgent as its class, so that a
/// critical event never waits behind the handlers of less urgent ones. What has aged keeps its own
/// lane here: a worker of class `critical` takes no low event, however long that has waited. At
/// least one class must be `low`, or low events would never be delivered; all classes together are
/// at most 1,024.
struct Workers {
  std::uint16_t critical = 1;
  std::uint16_t high = 1;
  std::uint16_t normal = 1;
  std::uint16_t low = 1;

  /// One thread for everything. With `Ageing::strict()` delivery is exactly by (priority,
  /// sequence).
  [[nodiscard]] static constexpr Workers single() noexcept { return {0, 0, 0, 1}; }
};

/// How long an event of a lane may wait for more urgent ones. For each time its lane's wait that it
/// has been ready it moves up one lane, up to high and never to critical; one that has waited so
/// long once has aged, a high one too, though it stays high. Of lanes that are equal then, the
/// event that has been ready longest goes first. Beside that, of 32 events or batches given out by
/// workers that may take it, at least one is of the least urgent lane in which something has aged,
/// and the other lanes get theirs as well: nothing starves, whatever is published.
///
/// An event is ready once it has its durability and a handler is subscribed and not paused, and a
/// retry or snooze once it is due: waiting begins anew when the subscription is attached or
/// resumed, so after a restart the backlog is in strict order at first. Measured in time that no
/// step of the wall clock changes. What had to stay on disk meanwhile is taken for up to an eighth
/// of its wait younger than it is, and never for older.
struct Ageing {
  bool enabled = true;
  std::chrono::milliseconds high{5'000};  ///< Each 1 ms to 30 days (`kMaxWaitMax`).
  std::chrono::milliseconds normal{15'000};
  std::chrono::milliseconds low{60'000};

  /// The most urgent lane always goes first, however long the others wait.
  [[nodiscard]] static constexpr Ageing strict() noexcept {
    Ageing strict;
    strict.enabled = false;
    return strict;
  }
};

/// For `Limits::dead_letters_max`: none ever goes by itself, so that somebody must redrive them, or
/// remove their subscription, before they fill the disk.
inline constexpr std::size_t kKeepAllDeadLetters = std::numeric_limits<std::size_t>::max();

/// Upper bounds. Each call that meets one names it, the value and the bound in its error.
struct Limits {
  /// 1 MiB; at most 64 MiB. A payload is held whole, in several copies at a time (the publisher's,
  /// the encoded event, the engine's, the handler's), so one of many MiB takes memory beyond
  /// `Options::memory_budget`.
  std::size_t payload_bytes_max = std::size_t{1} << 20U;
  /// Events that wait for the committer, and their bytes with what each publish takes beside them,
  /// never over a quarter of the budget. Both at least 1. A sixteenth of each is kept for critical
  /// events; a publish that is larger than the rest goes in when nothing else waits. What has no
  /// events (a cancel, a token, a new operation) always goes in, but for `cancel_async`: up to
  /// `intake_events_max` of them may wait beside the events.
  std::size_t intake_events_max = 65'536;
  std::size_t intake_bytes_max = std::size_t{16} << 20U;
  std::size_t subscriptions_max = 1'024;  ///< Durable ones, by name.
  std::size_t tokens_max = 10'000;        ///< Cancellation tokens that were made and
                                          ///< are not forgotten yet.
  /// Operations that are known, and their members together: those that have ended go, the oldest
  /// first, when there is no room for another. A member takes about 200 bytes of memory.
  std::size_t operations_max = 10'000;
  std::size_t operation_members_max = 100'000;
  std::size_t dead_letters_max = 100'000;  ///< The oldest go, and are logged;
                                           ///< or `kKeepAllDeadLetters`.
  /// So many uses of idempotency keys are remembered, the newest (`Event::idempotency_key`). They
  /// are on disk, about 250 bytes each, and take no memory. 0 = none: every publish is a new event.
  std::uint64_t idempotency_keys_max = 1'000'000;
  /// Free space below which publishing is refused: `publish`, batches, `Operation::add` and what is
  /// replayed into the bus. Answers, their `tx` (its events too), cancels and subscriptions go on.
  /// 0 = off.
  std::uint64_t disk_reserve_bytes = std::uint64_t{64} << 20U;
};

/// Fixed bounds that no option changes.
inline constexpr std::size_t kPayloadBytesHardMax = std::size_t{64} << 20U;
inline constexpr std::size_t kNameBytesMax = 255;  ///< Types, content types, names, state keys.
inline constexpr std::size_t kMetadataPairsMax = 64;
inline constexpr std::size_t kMetadataBytesMax = std::size_t{16} << 10U;
inline constexpr std::size_t kBatchEventsMax = 100'000;
inline constexpr std::size_t kBatchBytesMax = std::size_t{64} << 20U;
inline constexpr std::size_t kOperationMembersMax = 10'000;  ///< Of one operation.
/// Of `SubscribeOptions::batch_size` and `batch_linger`.
inline constexpr std::uint32_t kBatchSizeMax = 1'000;
inline constexpr std::chrono::milliseconds kBatchLingerMax = std::chrono::minutes(1);
/// A batch for a handler ends with the event with which it has this much, encoded.
inline constexpr std::size_t kBatchDeliveryBytes = std::size_t{4} << 20U;
inline constexpr std::size_t kReasonBytesMax = 4'096;  ///< Of an `Outcome`, or of what a handler
                                                       ///< threw; what is longer is cut.
inline constexpr std::size_t kTxWritesMax = 10'000;
inline constexpr std::size_t kTxReadsMax = 100'000;
inline constexpr std::size_t kTxBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kStateValueBytesMax = std::size_t{1} << 20U;
inline constexpr std::chrono::milliseconds kAckLingerMax = std::chrono::hours(1);
inline constexpr std::chrono::milliseconds kMaxWaitMax = std::chrono::hours(30 * 24);
inline constexpr std::chrono::milliseconds kHandlerTimeoutMax = std::chrono::hours(24 * 30);
inline constexpr std::size_t kProgressNoteBytesMax = 255;
inline constexpr std::uint32_t kReplacedWorkersMax = 1'024;
inline constexpr std::size_t kKeyedWaitingMax = 65'536;  ///< See `Event::ordering_key`.

/// For `Options::idempotency_window`: no key is forgotten for its age.
inline constexpr std::chrono::seconds kKeepIdempotencyKeys = std::chrono::seconds::max();

/// How a bus is opened. Every member has a default that is safe.
struct Options {
  bool create_if_missing = true;
  Durability durability = Durability::durable;  ///< For publishes that do not say otherwise.
  IntakePolicy intake = IntakePolicy::block;
  DamagePolicy on_damage = DamagePolicy::refuse;
  Workers workers{};
  Ageing ageing{};
  Limits limits{};
  /// The next two are not kept in the journal: they hold while this bus has it open.
  Retention retention{};            ///< For events that every subscription has settled.
  Retention unclaimed_retention{};  ///< For events that no durable subscription has matched yet.
  /// For so long an idempotency key is remembered (`Event::idempotency_key`), by time that no step
  /// of the wall clock changes. At least 0; 0 = not at all, `kKeepIdempotencyKeys` = until there
  /// are more than `Limits::idempotency_keys_max`. Not kept in the journal either: what an open
  /// with a shorter window has forgotten is forgotten.
  std::chrono::seconds idempotency_window = std::chrono::hours(24);
  std::size_t memory_budget = std::size_t{64} << 20U;  ///< Bytes, RocksDB's included; at least
                                                       ///< 16 MiB.
  /// How long a plain ack may wait for the next commit to ride in: 0 to 1 h (`kAckLingerMax`). A
  /// crash meanwhile delivers again. Counted from the end of its stretch where events come in such
  /// (`SubscribeOptions::concurrency`), or from 10 ms after it began if a handler takes longer.
  std::chrono::milliseconds ack_linger{50};
  /// A handler that runs longer is told in `stats()` and the log as stuck, unless its subscription
  /// has a `timeout`, which is the line then. At least 1 s; the largest number there is = never.
  std::chrono::seconds stuck_after{60};
  /// So many threads more than `workers` there may be, each in the place of one whose handler is
  /// stuck; when that returns, one of the two ends. 0 to 1,024 (`kReplacedWorkersMax`); 0 = stuck
  /// handlers keep their threads from everybody else.
  std::uint32_t replaced_workers_max = 8;
  /// Keeps everything in memory, for tests and throw-away buses: nothing survives `close`.
  bool in_memory = false;
  /// Where log lines go; null = nowhere. Called by the bus's threads and by callers, several at
  /// once: a logger for many threads (`_mt`). A slow sink holds up commits; a sink must not call
  /// the bus. Borrowed from spdlog, the only third-party name in this API.
  std::shared_ptr<spdlog::logger> logger{};
};

/// What a single publish may choose.
struct PublishOptions {
  /// Unset = as the bus was opened.
  std::optional<Durability> durability{};
  /// Publishes only if this is the last event of `Event::ordering_key` so far, as decided in the
  /// order of commits; otherwise `conflict`, naming the one that is, and nothing is written. With
  /// sequence 0: only if there is none. An event that is not kept any more (`Options::retention`)
  /// counts as none. Without an `ordering_key`, or with an unknown priority, it is
  /// `invalid_argument`. A duplicate (`Event::idempotency_key`) is not checked.
  std::optional<EventId> expect_last{};
};

}  // namespace holdfast
