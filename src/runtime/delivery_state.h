// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "base/clock.h"
#include "core/lease.h"
#include "holdfast/delivery.h"
#include "runtime/progress.h"
#include "runtime/stop_request.h"
#include "runtime/subscription_handle.h"

namespace holdfast::runtime {

class Stretch;

}  // namespace holdfast::runtime

namespace holdfast::internal {

struct BatchRun;

/// One handler run, from the lease to the answer: what `Delivery`, `Tx` and `Deferred` speak to.
struct DeliveryState : std::enable_shared_from_this<DeliveryState> {
  DeliveryState() = default;
  ~DeliveryState() { HOLDFAST_ASSERT(!place.listed); }
  DeliveryState(const DeliveryState&) = delete;
  DeliveryState& operator=(const DeliveryState&) = delete;

  std::shared_ptr<SubscriptionHandle> handle;
  core::Lease lease;
  EventView view;
  std::unique_ptr<core::TxWrites> tx;
  bool deferred = false;
  /// By whoever answers first: the handler's return, its `Deferred`, or the clock, which abandons
  /// it.
  std::atomic<bool> answered{false};
  StopRequest stop;
  Progress progress;

  /// Of a batch: what its members have in common, the stop request, the progress, the tx, and
  /// whether they were answered. Never changed while the run is listed; null for one that is alone.
  std::shared_ptr<DeliveryState> common;
  BatchRun* batch = nullptr;  ///< Of `common`, while it is with a worker. Under the bus's lock.
  std::optional<Outcome> outcome;  ///< Of a member, before the batch is answered.
  /// What is asked to stop, and answers: itself or its batch.
  [[nodiscard]] DeliveryState& whole() noexcept { return common == nullptr ? *this : *common; }

  /// Of one whose event is given to its handler in a stretch: that. Set under the bus's lock.
  runtime::Stretch* stretch = nullptr;

  /// Its place among the runs that are under way (`runtime::Outstanding`). Under the bus's lock.
  struct Place {
    DeliveryState* earlier = nullptr;
    DeliveryState* later = nullptr;
    DeliveryState* next_in_bucket = nullptr;
    bool listed = false;
    bool on_worker = false;  ///< Its handler has not returned.
    bool timed_out = false;
    bool told_stuck = false;  ///< In the log.
    bool abandoned = false;
    base::BootTime since = 0;    ///< When it was taken.
    base::BootTime started = 0;  ///< When its handler was called, if it has a time-out.
    std::optional<base::BootTime> watched{};  ///< When the clock has something to do with it.
  };
  Place place;

  [[nodiscard]] Delivery delivery() { return Delivery(this); }

  /// For the next run. Nobody else may know of this one any more.
  void reset() {
    reset_run();
    stretch = nullptr;
    place = {};
  }
  /// The same, for the next of its stretch: all that is the handler's.
  void reset_run() {
    tx.reset();
    tx_bytes = 0;
    deferred = false;
    answered = false;
    stop.reset();
    progress.reset();
  }

  core::TxWrites& open_tx();
  /// The first error sticks.
  void fail_tx(Status status);
  /// Whether a tx of `writes` writes, with `bytes` more than before, is within its limits.
  bool tx_may_grow(std::size_t writes, std::size_t bytes);
  std::size_t tx_bytes = 0;
  /// The tx holds only if what was read is still so; the status of the tx.
  Status note_read(core::StateReads::Read read);
};

}  // namespace holdfast::internal
