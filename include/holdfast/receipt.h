// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "holdfast/types.h"

namespace holdfast {

/// What a publish returns, once its commit has the durability that was asked for.
struct Receipt {
  EventId id;
  CommitNumber commit;
  bool duplicate = false;  ///< An idempotency key said that it is in the journal already.
};

/// What an atomic batch returns: one receipt an event, in the order given, all with one commit.
struct BatchReceipt {
  BatchId batch_id;
  CommitNumber commit;
  std::vector<Receipt> receipts;
};

}  // namespace holdfast
