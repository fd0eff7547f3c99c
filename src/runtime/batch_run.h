// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <vector>

#include "holdfast/batch_delivery.h"
#include "runtime/delivery_state.h"

namespace holdfast::internal {

/// The runs of one batch, on one worker: what `BatchDelivery` speaks to. Those that turn out not to
/// be for the handler leave it before it is called.
struct BatchRun {
  std::vector<std::shared_ptr<DeliveryState>> members;  ///< Changed under the bus's lock.
  std::shared_ptr<DeliveryState> common;

  [[nodiscard]] BatchDelivery delivery() { return BatchDelivery(this); }
};

}  // namespace holdfast::internal
