// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "holdfast/token.h"
#include "holdfast/types.h"

namespace holdfast {

/// What a publish returns, once its commit has the durability that was asked for.
struct Receipt {
  EventId id;
  CommitNumber commit;
  bool duplicate = false;  ///< It was in the journal already, as its idempotency key says. Always
                           ///< false so far: idempotency keys come with a later version.
};

/// What `Bus::publish_cancellable` returns.
struct CancellableReceipt {
  Receipt receipt;
  CancellationToken token;  ///< The event's own, or the one it was published under.
};

/// What an atomic batch returns: one receipt an event, in the order given, all with one commit.
struct BatchReceipt {
  BatchId batch_id;
  CommitNumber commit;
  std::vector<Receipt> receipts;
};

}  // namespace holdfast
