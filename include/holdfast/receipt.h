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
  /// Nothing was published: `id` and `commit` are those of the event that was published first under
  /// the same `Event::idempotency_key`, and that has the durability that was asked for now. It may
  /// be settled, cancelled or trimmed since.
  bool duplicate = false;
};

/// What `Bus::publish_cancellable` returns.
struct CancellableReceipt {
  Receipt receipt;
  /// The event's own, or the one it was published under; of a duplicate, those of the first.
  CancellationToken token;
};

/// What an atomic batch returns: one receipt an event, in the order given, all with one commit but
/// for duplicates, which have that of the first. When all are duplicates, `commit` is the newest of
/// theirs, and `batch_id` the batch in which they all were published first, or 0.
struct BatchReceipt {
  BatchId batch_id;
  CommitNumber commit;
  std::vector<Receipt> receipts;
};

}  // namespace holdfast
