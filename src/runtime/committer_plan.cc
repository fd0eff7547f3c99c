// SPDX-License-Identifier: MIT
// What goes into a commit: the changes, answers and events of one group, planned under the lock.
#include <string>
#include <utility>

#include "base/status_or.h"
#include "runtime/committer.h"

namespace holdfast::runtime {

void Committer::plan_answers(core::CommitPlan& plan, Group& group) {
  for (auto& answer : group.answers) note_settlement(plan.answer(answer), answer, group);
  for (auto& batch : group.batch_answers) {
    const auto settlements = plan.answer(batch);
    for (std::size_t i = 0; i < settlements.size(); ++i) {
      note_settlement(settlements[i], batch.members[i], group);
    }
  }
  state_.scheduler.answered();
}

void Committer::note_settlement(const core::CommitPlan::Settlement& settlement,
                                const core::Answer& answer, Group& group) {
  using Effect = core::CommitPlan::Settlement::Effect;
  if (settlement.published.size() > settlement.duplicates.size() &&
      options_.durability == Durability::durable) {
    group.events_need_sync = true;
  }
  if (settlement.effect == Effect::run_again) state_.scheduler.run_again(answer.lease);
  if (settlement.effect != Effect::settled || state_.settle_listeners == 0) return;
  const auto* subscription = state_.ledger.find(answer.lease.subscription);
  group.settled.push_back({answer.lease.subscription, answer.lease.event, settlement.how,
                           subscription != nullptr && subscription->durable});
}

/// All of them were published before.
bool Committer::is_known(const core::CommitPlan& plan, const model::EncodedEvents& events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (!plan.is_duplicate(events, i)) return false;
  }
  return true;
}

/// What can only be told in the order of commits; refuses without a trace.
Status Committer::decide(core::CommitPlan& plan, Request& request, Committed& outcome) {
  if (request.decide) return request.decide(plan);
  if (request.independent) {
    leave_out(plan, request.events, outcome.errors);
    return {};
  }
  // Published again it has no place behind others any more.
  if (const auto& expect = request.expect;
      expect != nullptr && !plan.is_duplicate(request.events, 0)) {
    if (auto status = plan.check_last(expect->key, expect->last, expect->stored); !status.ok()) {
      return status;
    }
  }
  OperationId begins;
  if (request.operation.has_value()) {
    request.operation->is_new = !is_known(plan, request.events);
    begins = request.operation->id;
    if (request.operation->is_new) HOLDFAST_TRY(plan.make_room(1, request.events.size()));
  } else if (request.joins_operation) {
    HOLDFAST_TRY(plan.make_room(0, request.events.size()));
  }
  for (std::size_t i = 0; i < request.events.size(); ++i) {
    auto status = plan.admit(request.events, i, begins);
    if (status.ok()) continue;
    if (!request.atomic_batch) return status;
    return status.with_context("event " + std::to_string(i) + " of the batch");
  }
  return {};
}

/// Those of `events` that are not let in, each with its error.
void Committer::leave_out(const core::CommitPlan& plan, model::EncodedEvents& events,
                          std::vector<Status>& errors) {
  std::vector<Status> looked_at;
  bool good = true;
  for (std::size_t i = 0; i < events.size(); ++i) {
    good = looked_at.emplace_back(plan.admit(events, i)).ok() && good;
  }
  if (good) return;
  events.erase_if([&](std::size_t i) { return !looked_at[i].ok(); });
  errors = std::move(looked_at);
}

void Committer::plan_group(core::CommitPlan& plan, Group& group) {
  // Changes first: what they have read must still be so, and what is published beside them finds
  // them.
  for (std::size_t i = 0; i < group.requests.size(); ++i) {
    auto& request = group.requests[i];
    auto& outcome = group.outcomes.emplace_back(Committed{plan.number(), {}, {}, {}, {}});
    if (!group.prepared[i].ok()) {
      outcome = std::move(group.prepared[i]);
    } else if (request.change) {
      auto status = request.change(plan);
      if (!status.ok()) outcome = std::move(status);
    }
  }
  plan_answers(plan, group);
  for (std::size_t i = 0; i < group.requests.size(); ++i) {
    auto& request = group.requests[i];
    auto& outcome = group.outcomes[i];
    if (!outcome.ok()) continue;
    if (auto status = decide(plan, request, *outcome); !status.ok()) {
      outcome = std::move(status);
      continue;
    }
    publish(plan, request, *outcome);
    if (request.durability == Durability::durable) {
      group.somebody_waits = true;
      group.events_need_sync =
          group.events_need_sync || outcome->ids.size() > outcome->duplicates.size();
    }
  }
}

void Committer::publish(core::CommitPlan& plan, Request& request, Committed& committed) {
  const auto& operation = request.operation;
  if (operation.has_value() && operation->is_new) {
    plan.begin_operation(operation->id, operation->options);
    committed.operation = operation->id;
  }
  plan.publish(request.events, request.atomic_batch, committed.ids, &committed.duplicates);
  if (operation.has_value() && operation->is_new) {
    (void)plan.seal(operation->id);
  } else if (operation.has_value()) {
    committed.operation = plan.operation_of(committed.ids.front());
  }
  // All of it was written before.
  if (!request.events.empty() && committed.duplicates.size() == committed.ids.size()) return;
  if (request.atomic_batch) committed.batch = plan.last_batch();
  for (auto& write : request.state) {
    plan.put_state(std::move(write.name), std::move(write.key), std::move(write.value));
  }
}

/// Under the lock: what became of operations.
void Committer::note_operations(const core::CommitPlan& plan, Group& group) {
  if (!plan.signalled().empty()) hooks_.cancelled(plan.signalled());
  if (plan.went_back()) state_.look_again();
  if (!state_.operation_waiters.empty()) group.operations = plan.ended_operations();
}

}  // namespace holdfast::runtime
