// SPDX-License-Identifier: MIT
// Operations: what callers ask for them, and what moves them on without an answer.
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "core/token_id.h"
#include "model/event_codec.h"
#include "runtime/engine.h"
#include "runtime/out_of_memory.h"

namespace holdfast {

namespace {

template <typename Call>
auto with_engine(const std::shared_ptr<runtime::EngineLink>& link, OperationId id, Call&& call)
    -> decltype(call(std::declval<runtime::Engine&>())) {
  if (link == nullptr || id.value == 0) {
    return Status(StatusCode::invalid_argument, "this is no operation");
  }
  const std::shared_lock lock(link->mutex);
  if (link->engine == nullptr) return Status(StatusCode::unavailable, "the bus is closed");
  return runtime::answered([&] { return call(*link->engine); });
}

}  // namespace

Result<Receipt> Operation::add(const Event& event, const PublishOptions& options) {
  return with_engine(
      link_, id_, [&](runtime::Engine& engine) { return engine.add_member(id_, event, options); });
}

Status Operation::seal() {
  return with_engine(link_, id_, [&](runtime::Engine& engine) { return engine.seal(id_); });
}

Status Operation::roll_back(std::string_view reason) {
  return with_engine(link_, id_,
                     [&](runtime::Engine& engine) { return engine.roll_back(id_, reason); });
}

namespace runtime {

Result<Request::Beginning> Engine::begin_with(const OperationOptions& options,
                                              std::size_t members) {
  HOLDFAST_TRY(check_within_a_year("deadline of an operation", options.deadline));
  if (members > kOperationMembersMax) {
    return Status(StatusCode::invalid_argument, "the operation has " + std::to_string(members) +
                                                    " events, the limit is " +
                                                    std::to_string(kOperationMembersMax));
  }
  // Known before it is in the journal, and never used twice.
  HOLDFAST_ASSIGN(const auto id, next_id(operations_begun_, "operations were begun"));
  if (options.deadline.count() > 0) wake_upkeep(clock_.now().bus + options.deadline.count());
  return Request::Beginning{{id}, options};
}

Result<Operation> Engine::begin_operation(const OperationOptions& options) {
  HOLDFAST_ASSIGN(const auto beginning, begin_with(options, 0));
  Request request;
  request.decide = [&](core::CommitPlan& plan) -> Status {
    HOLDFAST_TRY(plan.make_room(1, 0));
    plan.begin_operation(beginning.id, beginning.options);
    return {};
  };
  HOLDFAST_TRY(run(request).status());
  return Operation(beginning.id, link_);
}

Result<Operation> Engine::find_operation(OperationId id) const {
  HOLDFAST_TRY(check_open());
  const std::lock_guard lock(state_.mutex);
  if (state_.ledger.operations.find(id) == nullptr) return core::unknown_operation(id);
  return Operation(id, link_);
}

Result<Receipt> Engine::add_member(OperationId id, const Event& event,
                                   const PublishOptions& options) {
  HOLDFAST_ASSIGN(const auto committed, publish_one(event, options, id));
  return receipt_of(committed);
}

Status Engine::seal(OperationId id) {
  Request request;
  request.decide = [&](core::CommitPlan& plan) { return plan.seal(id); };
  return run(request).status();
}

Status Engine::roll_back(OperationId id, std::string_view reason) {
  Request request;
  request.overtakes = true;
  request.decide = [&](core::CommitPlan& plan) {
    return plan.roll_back(id, std::string(internal::cut(reason, kReasonBytesMax)));
  };
  return run(request).status();
}

model::EncodedEvents Engine::as_members(const model::EncodedEvents& events,
                                        OperationId operation) const {
  model::EncodedEvents members;
  std::vector<MetadataPair> pairs;
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto view = model::read_event(events.record(i));
    view.id.priority = events.entry(i).lane;
    const auto owned = view.to_owned();
    members.add(core::borrow(owned, pairs), owned.timestamp, operation);
    const auto* admission = events.admission(i);
    if (admission != nullptr) members.last_admission().stored_last = admission->stored_last;
  }
  return members;
}

// --- Waiting ------------------------------------------------------------------------------------

Status Engine::wait_settled(OperationId id, std::chrono::steady_clock::time_point deadline) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(internal::check_may_wait());
  std::promise<void> over;
  auto waiting = over.get_future();
  SettleWaiter waiter;
  waiter.done = [&over] { over.set_value(); };
  std::multimap<OperationId, SettleWaiter*>::iterator place;
  {
    const std::lock_guard lock(state_.mutex);
    if (closed_) return {StatusCode::unavailable, "the bus is closed"};
    place = state_.operation_waiters.emplace(id, &waiter);
  }
  // Looked at between two commits: what it says is durable once this one is.
  bool wait = false;
  bool known = false;
  Request look;
  look.change = [&](core::CommitPlan&) -> Status {
    const auto* operation = state_.ledger.operations.find(id);
    known = operation != nullptr;
    wait =
        known && (operation->is_open() || operation->record.state == OperationState::rolling_back);
    return {};
  };
  auto status = committer_->submit_and_wait(look, true).status();
  if (status.ok() && !known) status = core::unknown_operation(id);
  if (status.ok() && wait && waiting.wait_until(deadline) == std::future_status::timeout) {
    status = {StatusCode::deadline_exceeded, to_string(id) + " has not ended yet"};
  }
  const std::lock_guard lock(state_.mutex);
  state_.operation_waiters.erase(place);
  return outcome_of(waiter, status);
}

// --- Without an answer --------------------------------------------------------------------------

/// Some members may be done without an answer that says so: nobody is owed them any more. Each
/// round can bring the turn of another.
Status Engine::revisit_operations() {
  {
    const std::lock_guard lock(state_.mutex);
    if (state_.ledger.operations.all_have_ended()) return {};
  }
  const auto open = reading();
  HOLDFAST_TRY(open.status());
  bool again = true;
  while (again) {
    std::vector<core::CommitPlan::MemberEvent> pending;
    Request request;
    request.prepare = [&]() -> Status {
      std::vector<EventId> events;
      {
        const std::lock_guard lock(state_.mutex);
        for (const auto& [id, operation] : state_.ledger.operations.all()) {
          if (!operation.is_open()) continue;
          for (auto i = operation.turn; i < operation.members.size(); ++i) {
            const auto& record = operation.members[i].record;
            if (record.state == MemberState::pending) events.push_back(record.event);
            if (operation.record.sequential) break;
          }
        }
      }
      for (const auto event : events) {
        auto chunk = reader_->find_event(event);
        // Of one that is damaged its delivery will tell.
        if (chunk.ok()) pending.push_back({event, *std::move(chunk)});
      }
      return {};
    };
    request.change = [&](core::CommitPlan& plan) -> Status {
      again = plan.revisit(pending);
      return {};
    };
    HOLDFAST_TRY(run(request).status());
  }
  return {};
}

void Engine::roll_back_expired(base::BusTime now) {
  std::vector<OperationId> expired;
  {
    const std::lock_guard lock(state_.mutex);
    expired = state_.ledger.operations.take_expired(now);
  }
  for (const auto id : expired) {
    Request request;
    request.overtakes = true;
    request.decide = [id](core::CommitPlan& plan) {
      const auto status = plan.roll_back(id, "deadline passed");
      // It may have been committed just before.
      return status == StatusCode::conflict || status == StatusCode::not_found ? Status() : status;
    };
    (void)committer_->submit(request, false);
  }
}

}  // namespace runtime
}  // namespace holdfast
