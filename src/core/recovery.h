// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "core/ledger.h"
#include "holdfast/status.h"
#include "model/records.h"

namespace holdfast::core {

/// Folds what is in a journal into a ledger. Pure: the caller reads the records and hands them
/// over, in this order: subscriptions, cursors, retention marks, operations and their members, dead
/// letters, settlements, and at any time lost ranges, tokens, tombstones and the range of
/// idempotency keys, each in the order of its keys; then, lane by lane, the chunks from `tail_from`
/// on. What is read does not grow with settled events, nor with pending ones but for those that are
/// parked: cursors carry counts, and only events since they were written are counted again.
class Recovery {
 public:
  Recovery(Ledger& ledger, const PerLane<Sequence>& next, const PerLane<Sequence>& trim);

  Status add(model::Record&& record);

  /// Where the chunks that must be read begin; `next` when there are none.
  [[nodiscard]] Sequence tail_from(Priority lane);
  void add_chunk(const ChunkPtr& chunk);

  /// After everything was added. Fails with `data_loss`.
  Status finish();

 private:
  void add_cursor(SubscriptionState& subscription, const model::CursorRecord& record);
  void add_lost(const model::LostRange& range);
  void add_parked(SubscriptionState& subscription, const model::SettlementRecord& record);
  Status add_member(const model::MemberRecord& record);

  Ledger& ledger_;
  PerLane<Sequence> recount_from_{{1, 1, 1, 1}};
  PerLane<Sequence> lost_to_{{1, 1, 1, 1}};  // below this the lost ranges are counted
  std::vector<std::pair<WallTime, DeadLetterIndex::Name>> dead_;
};

}  // namespace holdfast::core
