// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "holdfast/result.h"
#include "holdfast/status.h"
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

/// What became of a batch: one receipt an event, in the order given.
///
/// All or nothing: all with one commit, but for duplicates, which have that of the first. When all
/// are duplicates, `commit` is the newest of theirs, and `batch_id` the batch in which they all
/// were published first, or 0. Independent (`BatchMode::independent`): each event is there or has
/// an error of its own, and the receipt of one that has is empty.
struct BatchReceipt {
  BatchId batch_id;  ///< 0 for an independent one.
  /// Of `BatchOptions::operation`; 0 without. When all events are duplicates, that of the first of
  /// them, if it is still known.
  OperationId operation_id{};
  CommitNumber commit;  ///< Of an independent one the newest; 0 when nothing of it was written.
  std::vector<Receipt> receipts;
  /// Empty when all were written. Otherwise one an event, ok for those that were.
  std::vector<Status> errors;

  /// Event `index`, which must be one of the batch: its receipt, or why it was not written.
  [[nodiscard]] Result<Receipt> result(std::size_t index) const {
    if (!errors.empty() && !errors[index].ok()) return errors[index];
    return receipts[index];
  }
  /// How many were not written.
  [[nodiscard]] std::size_t refused() const {
    return static_cast<std::size_t>(std::count_if(
        errors.begin(), errors.end(), [](const Status& status) { return !status.ok(); }));
  }
};

}  // namespace holdfast
