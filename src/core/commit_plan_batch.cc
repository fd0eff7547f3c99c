// SPDX-License-Identifier: MIT
// What a batch's handler has answered.
#include <algorithm>
#include <utility>

#include "core/commit_plan.h"

namespace holdfast::core {

std::vector<CommitPlan::Settlement> CommitPlan::answer(BatchAnswer& batch) {
  using Effect = Settlement::Effect;
  std::vector<Settlement> settlements(batch.members.size());
  auto* subscription = ledger_.find(batch.members.front().lease.subscription);
  std::vector<Answer*> held;
  // First all are looked at: what was done for the batch was done for each of them.
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    auto& member = batch.members[i];
    forget_running(member.lease);
    if (subscription == nullptr || !holds(*subscription, member)) continue;
    if (ledger_.cancellations.is_cancelled(member.lease.event, member.lease.token)) {
      settlements[i] = refuse_cancelled(*subscription, member);
      continue;
    }
    settlements[i].effect = Effect::run_again;
    held.push_back(&member);
  }
  if (held.size() < batch.members.size()) return settlements;

  const bool acks = std::any_of(held.begin(), held.end(), [](const Answer* member) {
    return member->kind == Answer::Kind::ack;
  });
  TxEffect tx;
  if (batch.tx != nullptr && acks) tx = apply(*subscription, *batch.tx);
  if (tx.outdated) return settlements;
  settlements.assign(settlements.size(), {});
  for (std::size_t i = 0; i < batch.members.size(); ++i) {
    auto& member = batch.members[i];
    // One of them may have undone the operation of another: what was done for that one is undone
    // as well.
    if (!holds(*subscription, member)) continue;
    if (ledger_.cancellations.is_cancelled(member.lease.event, member.lease.token)) {
      settlements[i] = refuse_cancelled(*subscription, member);
      continue;
    }
    const bool failed = !tx.failed.ok() && member.kind == Answer::Kind::ack;
    settlements[i] = failed ? fail(*subscription, member.lease, std::nullopt, tx.failed.to_string())
                            : apply(*subscription, member);
  }
  settlements.front().published = std::move(tx.published);
  settlements.front().duplicates = std::move(tx.duplicates);
  return settlements;
}

}  // namespace holdfast::core
