// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/event.h"
#include "holdfast/export.h"
#include "holdfast/result.h"

namespace holdfast {

class Tx;
class Deferred;

namespace internal {
struct DeliveryState;
}

/// Why a run was asked to stop. The first reason holds: what comes later changes nothing.
enum class StopReason : std::uint8_t {
  none = 0,       ///< It was not.
  cancelled = 1,  ///< Its event is cancelled, by itself or by its token, or is being cancelled.
  timed_out = 2,  ///< It is over `SubscribeOptions::timeout` (or `abandon_after`).
  shutdown = 3,   ///< The bus drains or closes, or the subscription ends.
};

/// What a handler answers. A value; made by the functions below. A delay is 0 to 30 days: a longer
/// one is cut to 30 days and a negative one is 0; neither is refused. Threads: one at a time.
class Outcome {
 public:
  enum class Kind : std::uint8_t { ack, retry, snooze, reject, stopped };

  /// Done: never delivered again to this subscription once the ack is durable. Committed within
  /// `Options::ack_linger`, at once with a tx; synced about 100 ms later at most. A crash before
  /// the commit delivers again, and before the sync one of the machine; `on_settled` tells when it
  /// is over.
  [[nodiscard]] static Outcome ack() { return Outcome(Kind::ack); }
  /// Failed: again, as the subscription's retry policy says; dead after its last attempt.
  [[nodiscard]] static Outcome retry(std::string reason = {}) {
    return Outcome(Kind::retry, std::nullopt, std::move(reason));
  }
  /// Failed: again after `delay`; dead after the policy's last attempt.
  [[nodiscard]] static Outcome retry_after(std::chrono::nanoseconds delay,
                                           std::string reason = {}) {
    return Outcome(Kind::retry, delay, std::move(reason));
  }
  /// Not now: again after `delay`, and the attempt is not counted.
  [[nodiscard]] static Outcome snooze(std::chrono::nanoseconds delay) {
    return Outcome(Kind::snooze, delay);
  }
  /// Never: to the dead letters, with `reason` (its first `kReasonBytesMax` bytes, as for a retry).
  /// Of an ephemeral subscription there is no dead letter: the event ends as `Settled::dead`, and
  /// nothing of it is kept.
  [[nodiscard]] static Outcome reject(std::string reason) {
    return Outcome(Kind::reject, std::nullopt, std::move(reason));
  }
  /// "I stopped because I was asked to": after a cancel nothing more is owed but `on_cancel`; at
  /// shutdown the event stays pending, uncounted. After a time-out, and without a stop request, it
  /// counts as a failed attempt.
  [[nodiscard]] static Outcome stopped() { return Outcome(Kind::stopped); }

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::optional<std::chrono::nanoseconds>& delay() const noexcept {
    return delay_;
  }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  explicit Outcome(Kind kind, std::optional<std::chrono::nanoseconds> delay = std::nullopt,
                   std::string reason = {})
      : kind_(kind), delay_(delay), reason_(std::move(reason)) {}

  Kind kind_;
  std::optional<std::chrono::nanoseconds> delay_;
  std::string reason_;
};

/// User state seen and changed by one handler run, as part of its `Tx`.
///
/// Reads see the last commit, and this tx's own writes over it. If anything that was read (a key,
/// or a scanned prefix) was changed by another commit before this one, the whole tx is refused and
/// the handler runs again, uncounted: what it decided was decided on old values.
///
/// Keys are 1 to 255 bytes of any kind, values up to 1 MiB (`kStateValueBytesMax`), reads at most
/// 100,000 a tx (`kTxReadsMax`; a `get` that finds a write of this tx is none, a `scan` is one). A
/// write or the number of reads over a limit makes the tx fail: the first error sticks, nothing of
/// the tx is written, and the answer counts as a failed attempt with that error as its reason.
/// Valid as long as the handler runs or, got from a `Deferred`, until that is settled; not to be
/// used afterwards.
/// Threads: the one that runs the handler (or owns the `Deferred`). Reads may block on the disk.
class HOLDFAST_EXPORT TxState {
 public:
  /// The value, or nothing when absent. Fails with `invalid_argument` (a key, too many reads, an
  /// ephemeral subscription's own state), `data_loss` (what is stored is damaged), `unavailable`
  /// (the bus is closed, for a `Deferred` that outlives it).
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key);
  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  /// Calls `visitor` for each key that begins with `prefix`, in byte order, until it returns false.
  /// Reads all of them into memory first, whatever they take: no budget bounds it. Fails as `get`,
  /// and with `invalid_argument` for a visitor that is empty or threw.
  Status scan(std::string_view prefix,
              const std::function<bool(std::string_view key, std::string_view value)>& visitor);

 private:
  friend class Tx;
  TxState(internal::DeliveryState* delivery, std::string name)
      : delivery_(delivery), name_(std::move(name)) {}
  internal::DeliveryState* delivery_;
  std::string name_;
};

/// What commits in the same atomic write as the ack: follow-up events and user state. Either all of
/// it and the ack are there after a crash, or none. With any other outcome than `ack` the tx is
/// dropped. What it publishes is handed out once it has `Options::durability`.
///
/// At most 10,000 writes, 16 MiB and 100,000 reads of state (`kTxWritesMax`, `kTxBytesMax`,
/// `kTxReadsMax`). A write is an event or a change of state; the 16 MiB are encoded events, keys
/// and values together. Valid as `TxState`.
/// Threads: as `TxState`. Does not block, but for reads of state and `publish` with an
/// `ordering_key`, which read the disk.
class HOLDFAST_EXPORT Tx {
 public:
  /// Publishes `event` with the ack. The first error sticks and fails the ack. A token that is
  /// cancelled (or unknown) at the ack fails it as well. When its `idempotency_key` has been used
  /// by then, nothing is published, and the ack goes on.
  void publish(const Event& event);
  /// The state named as this subscription is; an ephemeral one has none (its writes fail the tx).
  [[nodiscard]] TxState state();
  /// Another named state. Its name is 1 to 255 bytes, no control characters (below 0x20, 0x7f).
  [[nodiscard]] TxState state(std::string_view name);
  /// Ok, or the first error.
  [[nodiscard]] const Status& status() const;

 private:
  friend class BatchDelivery;
  friend class Delivery;
  friend class Deferred;
  explicit Tx(internal::DeliveryState* delivery) noexcept : delivery_(delivery) {}
  internal::DeliveryState* delivery_;
};

/// One event handed to one handler. Lives as long as the handler runs.
/// Threads: the one that runs the handler; `stop_token()`, `stop_reason()` and `progress()` may be
/// used from any while it runs.
class HOLDFAST_EXPORT Delivery {
 public:
  [[nodiscard]] const EventView& event() const;
  /// From 1. Snoozed runs, runs of a refused tx, and those that stopped at shutdown are not
  /// counted. `SubscribeOptions::on_cancel` counts its own, from 1.
  [[nodiscard]] std::uint32_t attempt() const;
  /// The name of the subscription; empty for an ephemeral one.
  [[nodiscard]] std::string_view subscription() const;
  /// Asks this run to stop: when its event is cancelled, when it is over its
  /// `SubscribeOptions::timeout`, at shutdown (`drain`, `close`) and when its subscription ends.
  /// Nothing forces the handler to. What it answers late still counts, but for an event that is
  /// cancelled: then its answer and its tx are refused. Stop callbacks run on the thread that asks
  /// (who cancels, drains, closes or ends a subscription) or on one of the bus's own that only does
  /// this, and for other handlers too, so they must be quick; inside of them calls that wait for a
  /// commit answer `conflict`. A stop callback that throws ends the program (`std::terminate`).
  [[nodiscard]] std::stop_token stop_token() const;
  /// Why, from the moment on that it is asked to; it may be known shortly before the token tells.
  [[nodiscard]] StopReason stop_reason() const noexcept;
  /// How far this run is: `fraction` from 0 to 1 (what is beyond is cut to that; one that is not a
  /// number is ignored), and a note of at most 255 bytes (`kProgressNoteBytesMax`; what is longer
  /// is cut). The latest is kept in memory for `Stats::running`, and goes with the run. Does not
  /// block.
  void progress(double fraction, std::string_view note = {});
  /// See `Tx`.
  [[nodiscard]] Tx tx();
  /// Answer later, from any thread: the returned handle keeps the event, the tx and the
  /// subscription's slot (`SubscribeOptions::concurrency`) until it is settled. From then on only
  /// the handle may use the tx. What the handler returns or throws after this is ignored. Call at
  /// most once; a second handle answers nothing.
  [[nodiscard]] Deferred defer();

 private:
  friend struct internal::DeliveryState;
  explicit Delivery(internal::DeliveryState* state) noexcept : state_(state) {}
  internal::DeliveryState* state_;
};

/// An answer owed, by a move-only handle. Destroyed unanswered, it counts as a failed attempt.
/// Threads: one at a time, any. May outlive the bus: `settle` then says `unavailable`, and the
/// event is delivered again after the next open.
///
/// Empty when made without arguments, moved from, settled, or a second handle of its delivery. An
/// empty one may be destroyed, assigned to and asked: `event` is an event of nothing, `stop_token`
/// never asks to stop, `settle` says `stale`, `progress` does nothing. Only `tx` must not be
/// called: it ends the program. An unanswered one that is assigned to counts as a failed attempt,
/// as if destroyed.
class HOLDFAST_EXPORT Deferred {
 public:
  Deferred() noexcept;
  Deferred(Deferred&&) noexcept;
  Deferred& operator=(Deferred&&) noexcept;
  ~Deferred();

  /// Valid until this is settled.
  [[nodiscard]] const EventView& event() const;
  /// As those of its delivery.
  [[nodiscard]] std::stop_token stop_token() const;
  [[nodiscard]] StopReason stop_reason() const noexcept;
  void progress(double fraction, std::string_view note = {});
  /// See `Tx`. Not of an empty one.
  [[nodiscard]] Tx tx();
  /// Gives the answer. Does not wait for it to be durable (see `SubscribeOptions::on_settled`).
  /// After its subscription has ended it still counts until the name is subscribed again.
  /// Fails with `stale` when there is nothing (any more) to answer, as after
  /// `SubscribeOptions::abandon_after`, or once an ephemeral subscription has ended; with
  /// `cancelled` when its event is (this handle is settled then, its tx dropped, and `on_cancel`
  /// comes next); with `poisoned` or `fenced` when the bus can write no more (the event is
  /// delivered again after the next open), and with `unavailable` after close.
  Status settle(Outcome outcome);

 private:
  friend class Delivery;
  explicit Deferred(std::shared_ptr<internal::DeliveryState> state) noexcept;
  std::shared_ptr<internal::DeliveryState> state_;
};

}  // namespace holdfast
