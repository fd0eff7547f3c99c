// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "core/lease.h"
#include "holdfast/delivery.h"
#include "runtime/subscription_handle.h"

namespace holdfast::internal {

/// One handler run, from the lease to the answer: what `Delivery`, `Tx` and `Deferred` speak to.
struct DeliveryState : std::enable_shared_from_this<DeliveryState> {
  std::shared_ptr<SubscriptionHandle> handle;
  core::Lease lease;
  EventView view;
  std::unique_ptr<core::TxWrites> tx;
  bool deferred = false;
  bool gated = false;  // whether its handler may run is still to be asked
  /// By whoever answers first: the handler's return, or its `Deferred`.
  std::atomic<bool> answered{false};

  [[nodiscard]] Delivery delivery() { return Delivery(this); }

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
