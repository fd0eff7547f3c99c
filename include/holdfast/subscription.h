// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "holdfast/batch_delivery.h"
#include "holdfast/delivery.h"
#include "holdfast/event.h"
#include "holdfast/export.h"
#include "holdfast/status.h"

namespace holdfast {

namespace internal {
class SubscriptionHandle;
}

/// When and how often a failed delivery is tried again: attempt n waits
/// min(backoff_first * 2^(n-1), backoff_max), give or take `jitter` of it, and at most 30 days.
struct RetryPolicy {
  std::uint32_t attempts_max = 5;                 ///< Then to the dead letters. At least 1.
  std::chrono::milliseconds backoff_first{200};   ///< 0 to `backoff_max`.
  std::chrono::milliseconds backoff_max{60'000};  ///< `milliseconds::max()` = none but the 30 days.
  double jitter = 0.2;                            ///< 0 to 1; drawn evenly.
};

/// Which events a subscription wants, beside their types. Empty lists match everything.
struct Match {
  std::vector<Priority> priorities{};       ///< At most 4.
  std::vector<SourceKind> source_kinds{};   ///< At most 4.
  std::vector<std::string> source_names{};  ///< At most 64, of 1 to 255 bytes.
  /// All of them. At most 64 pairs and 16 KiB together, keys 1 to 255 bytes, as for events.
  std::vector<std::pair<std::string, std::string>> metadata_equals{};
};

/// Where a durable subscription begins when its name is seen for the first time; ignored later.
struct Start {
  /// Everything that is still kept, so that the order of start-up loses nothing.
  [[nodiscard]] static Start earliest() { return Start{Earliest{}}; }
  /// What is committed from now on.
  [[nodiscard]] static Start new_only() { return Start{NewOnly{}}; }
  /// From this event on in its lane, and everything kept of commits from its own on in the others.
  [[nodiscard]] static Start position(EventId first) { return Start{first}; }
  /// What was committed at or after this moment.
  [[nodiscard]] static Start time(WallTime from) { return Start{AtTime{from}}; }

  struct Earliest {};
  struct NewOnly {};
  struct AtTime {
    WallTime from;
  };
  std::variant<Earliest, NewOnly, EventId, AtTime> value;
};

/// How a subscription ended an event.
enum class Settled : std::uint8_t {
  acked = 0,
  dead = 1,
  skipped = 2,
  cancelled = 3,  ///< It was cancelled before, and `on_cancel` or `compensate`, where one was owed,
                  ///< has acked. One that gives up makes it `dead`.
  expired = 4,    ///< `Event::expires_at` came before a handler did.
};

namespace internal {
template <typename F>
inline constexpr bool is_std_function = false;
template <typename Signature>
inline constexpr bool is_std_function<std::function<Signature>> = true;
}  // namespace internal

/// The function that works on events, or on batches of them: returns an `Outcome`, or nothing,
/// which is an ack. A handler that throws is caught and counts as a failed attempt with `what()` as
/// its reason. Threads: called on worker threads of the bus, up to `concurrency` at the same time.
template <typename D>
class BasicHandler {
 public:
  /// Empty.
  BasicHandler() noexcept = default;
  template <typename F>
  requires(!std::same_as<std::remove_cvref_t<F>, BasicHandler> && std::invocable<F&, D&>)
      BasicHandler(F function) {  // NOLINT(google-explicit-constructor)
    if constexpr (std::is_pointer_v<F> || internal::is_std_function<F>) {
      if (!function) return;
    }
    if constexpr (std::same_as<std::invoke_result_t<F&, D&>, void>) {
      function_ = [inner = std::move(function)](D& delivery) mutable {
        inner(delivery);
        return Outcome::ack();
      };
    } else {
      function_ = std::move(function);
    }
  }
  Outcome operator()(D& delivery) { return function_(delivery); }
  /// False when made of an empty `std::function` or a null pointer: `subscribe` refuses it.
  explicit operator bool() const noexcept { return function_ != nullptr; }

 private:
  std::function<Outcome(D&)> function_;
};
using Handler = BasicHandler<Delivery>;
/// What it returns holds for the events of the batch that it has not answered one by one.
using BatchHandler = BasicHandler<BatchDelivery>;

/// Event types by pattern, as in `SubscribeOptions::types`. Borrows.
struct TypePattern {
  std::string_view pattern;
};

/// So many patterns can be paused at once (`Bus::pause`).
inline constexpr std::size_t kPausedTypesMax = 64;

struct SubscribeOptions {
  /// 1 to 255 bytes, no control characters (below 0x20, 0x7f): a durable subscription, whose
  /// position and settle state survive. Empty: an ephemeral one, which sees what is committed while
  /// it exists; nothing of it is stored. What it puts off (a retry, a snooze) waits in memory: with
  /// 65,536 of a lane waiting, or with the memory for events used up, it gets no more of that lane
  /// until some are due, and of less urgent ones only what has aged (`Ageing`). Of it there is no
  /// dead letter: an event that it gives up on ends as `Settled::dead`, and nothing of it is kept.
  std::string name{};
  /// Patterns over the dotted type: `*` is one token, `>` the rest. Empty = every type. At most 64.
  std::vector<std::string> types{};
  Match match{};
  /// Asked before the handler, on the worker's thread; false = the event is skipped for this
  /// subscription, durably. Must be quick and must not throw (a throw counts as a failed attempt).
  std::function<bool(const EventView&)> condition{};
  /// How many of its events, or batches of them, may be with handlers (or `Deferred`) at the same
  /// time, 1 to 65,536. With 2 or more one slot is kept for critical events: others have
  /// `concurrency` - 1. With 1 and no time-out, quick handlers get their events in stretches of at
  /// most 64 and 200 microseconds, between which other subscriptions have their turn; a more urgent
  /// event goes before the rest of one. It makes no threads: no more handlers run at once than
  /// `Options::workers` has that may take them.
  std::uint32_t concurrency = 1;
  /// Of `Bus::subscribe_batch` alone: how many events a batch has at most, 1 to 1,000
  /// (`kBatchSizeMax`). One that has 4 MiB (`kBatchDeliveryBytes`) of them has enough.
  std::uint32_t batch_size = 100;
  /// Likewise: how long an event may wait for others to make its batch full, counted from when it
  /// became ready; what is ready of other lanes then goes with it, by lane. What waits in the
  /// journal beside it, and what has to start over, does not wait. 0 = not at all, at most 1 minute
  /// (`kBatchLingerMax`). No thread waits with it.
  std::chrono::milliseconds batch_linger{0};
  RetryPolicy retry{};
  /// A run that takes longer, a `Deferred` included, gets its stop token (`StopReason::timed_out`)
  /// and is told as stuck in `stats()` and the log; another thread takes its handler's place
  /// (`Options::replaced_workers_max`). That is all: the event stays with it, time alone never
  /// gives it to anybody else, and an answer that comes late counts. 0 = none; otherwise 1 ms to 30
  /// days (`kHandlerTimeoutMax`). Measured from the start of the handler, in time that goes on
  /// while the machine sleeps and that setting the clock does not move.
  std::chrono::milliseconds timeout{0};
  /// After so long the event is taken from a run that has not answered: a failed attempt, to be
  /// tried again as `retry` says, possibly while the old handler still runs. Its slot
  /// (`concurrency`) is free then, and whatever it answers later changes nothing: its tx is
  /// dropped, and `Deferred::settle` says `stale`. Without a `timeout` it is one as well. 0 =
  /// never; otherwise `timeout` to 30 days, and at least 1 ms.
  std::chrono::milliseconds abandon_after{0};
  Start start = Start::earliest();
  /// Cleans up what the handler had begun on an event that was cancelled: called once the handler
  /// has returned, or after the next open, with a `Delivery` of its own, whose `tx` commits with
  /// its ack. Only for events that a handler has seen: others just end. That it has is known across
  /// a close, and after a crash of those that were running; not, until they are handed out again,
  /// of those whose answer was on its way or owed by a `Deferred` when the process was killed, or
  /// that were running when power was lost: cancelled before that, they just end. Fails, and is
  /// tried again, as `retry` says, with attempts of its own; dead after the last one. `timeout` and
  /// `abandon_after` hold for it as for the handler; no cancel asks it to stop. Of an event that
  /// was waiting for a retry when its token was cancelled it is called when that wait is over.
  /// Without it such an event ends at once. Threads as for the handler, of which it takes the slot.
  Handler on_cancel{};
  /// Undoes what the handler did for an event whose operation is rolled back: called for those it
  /// had acknowledged, and for those it had begun, once its handler has returned; from the last
  /// member of the operation to the first, each after the one before has acked. Delivered and tried
  /// again as for `on_cancel`, which is not called for such events then; its `tx` commits with its
  /// ack, so that what it does there happens exactly once. When it gives up, or is not there any
  /// more when it is owed, the event is a dead letter, and the operation `rollback_failed`. Of a
  /// member that everyone has acknowledged a copy is kept until its operation ends. Only of a
  /// durable subscription.
  Handler compensate{};
  /// Told once the commit that carries an outcome is durable: in the order of commits, and one at a
  /// time, so that what is told of an event last is how it stands. Runs on a thread that others
  /// wait for, of the bus or of a publisher that waits: be quick, take no lock that is held around
  /// a call to the bus, and call nothing that waits for a commit (such calls answer `conflict`).
  /// What it throws is logged. Only while it is subscribed: what is settled before or after,
  /// dropped by a rewind, or skipped by a changed filter while pending is not told.
  std::function<void(EventId, Settled)> on_settled{};
};

/// A live subscription. Its destructor ends it: no handler starts afterwards, running ones are
/// asked to stop and waited for, so that after it returns no callback runs, and the handler, the
/// condition and `on_settled` are destroyed with all that they hold. A handler may destroy its own
/// subscription: then it is not waited for, and they go when it returns. Two handlers that end each
/// other's subscriptions would wait for each other. Inside a callback (`done`, `on_settled`, a stop
/// callback) end none but, in its own `on_settled`, this one: the handlers it waits for may
/// themselves wait for that thread. A durable subscription's position stays in the journal, and
/// events go on collecting for it. Move-only; may outlive the bus. Threads: one at a time. The
/// destructor, `end` and assignment block for running handlers.
class [[nodiscard]] HOLDFAST_EXPORT Subscription {
 public:
  Subscription() noexcept;
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;
  ~Subscription();

  /// What the destructor does, earlier. Safe to call twice.
  void end();
  /// Whether it was not ended; also true after the bus is closed.
  [[nodiscard]] bool active() const noexcept { return handle_ != nullptr; }
  /// Empty for an ephemeral subscription, and after `end`. Valid until `end`.
  [[nodiscard]] const std::string& name() const noexcept;

 private:
  friend class Bus;
  explicit Subscription(std::shared_ptr<internal::SubscriptionHandle> handle) noexcept;
  std::shared_ptr<internal::SubscriptionHandle> handle_;
};

}  // namespace holdfast
