// SPDX-License-Identifier: MIT
// Operations: whose turn it is, what is kept in case they go back, and how they do.
//
// The rules are those of a saga (H. Garcia-Molina, K. Salem, "Sagas", SIGMOD 1987): members run
// forward, and once one has failed what the others have done is compensated, from the last to the
// first, each until it has succeeded. Here every step is part of the commit that makes it known, so
// that no crash comes between a step and its record.
#include <algorithm>
#include <string>
#include <utility>

#include "core/commit_plan.h"
#include "core/reason.h"

namespace holdfast::core {

namespace {

/// One that has ended can be asked about for so long.
constexpr base::BusTime kOperationKept = std::int64_t{24} * 3'600 * 1'000'000'000;
/// So that one commit does not grow with how many there were; the rest goes with the next.
constexpr std::size_t kOperationsForgottenAtOnce = 100;

std::string gone(EventId event) {
  return to_string(event) + " is not kept any more, and was never done";
}

Status stands_otherwise(const model::OperationRecord& record) {
  return {StatusCode::conflict,
          with_reason(to_string(record.id) + " is " + std::string(to_string(record.state)),
                      record.reason)};
}

}  // namespace

// --- Building one -------------------------------------------------------------------------------

Status CommitPlan::make_room(std::size_t operations, std::size_t members) {
  const auto& settings = ledger_.settings;
  auto& known = ledger_.operations;
  const auto fits = [&] {
    return known.size() + operations <= settings.operations_max &&
           known.member_count() + members <= settings.operation_members_max;
  };
  while (!fits()) {
    const auto oldest = known.oldest_ended();
    if (!oldest.has_value()) break;
    forget_operation(*oldest);
  }
  if (fits()) return {};
  if (known.size() + operations > settings.operations_max) {
    return {StatusCode::resource_exhausted,
            "there are " + std::to_string(known.size()) +
                " operations that have not ended, limits.operations_max is " +
                std::to_string(settings.operations_max)};
  }
  return {StatusCode::resource_exhausted, "operations that have not ended have " +
                                              std::to_string(known.member_count()) + " events, " +
                                              std::to_string(members) +
                                              " more is over limits.operation_members_max = " +
                                              std::to_string(settings.operation_members_max)};
}

void CommitPlan::begin_operation(OperationId id, const OperationOptions& options) {
  model::OperationRecord record;
  record.id = id;
  record.sequential = options.sequential;
  record.begun_at = now_.wall;
  record.deadline = options.deadline.count() > 0 ? now_.bus + options.deadline.count() : 0;
  touch_operation(ledger_.operations.add(std::move(record)));
}

Status CommitPlan::admit_member(OperationId id) const {
  const auto* operation = std::as_const(ledger_.operations).find(id);
  if (operation == nullptr) return unknown_operation(id);
  if (!operation->is_open()) return stands_otherwise(operation->record);
  if (operation->record.sealed) {
    return {StatusCode::conflict, to_string(id) + " is sealed: nothing can be added any more"};
  }
  if (operation->members.size() < kOperationMembersMax) return {};
  return {StatusCode::resource_exhausted,
          to_string(id) + " has " + std::to_string(operation->members.size()) +
              " events, the limit is " + std::to_string(kOperationMembersMax)};
}

void CommitPlan::note_member(const model::EncodedEvents::Admission& admission, EventId event) {
  if (admission.operation.value == 0) return;
  auto* operation = ledger_.operations.find(admission.operation);
  if (operation == nullptr) return;
  auto& member = ledger_.operations.add(
      *operation, {.operation = admission.operation,
                   .index = static_cast<std::uint32_t>(operation->members.size()),
                   .event = event,
                   .token = admission.token});
  operation->record.members = static_cast<std::uint32_t>(operation->members.size());
  touch_operation(*operation);
  add(model::PutMember{member.record});
}

OperationId CommitPlan::operation_of(EventId event) const {
  const auto at = ledger_.operations.find(event);
  return at ? at.operation->record.id : OperationId{};
}

Status CommitPlan::seal(OperationId id) {
  auto* operation = ledger_.operations.find(id);
  if (operation == nullptr) return unknown_operation(id);
  auto& record = operation->record;
  if (operation->goes_back() || record.state == OperationState::rolled_back) {
    return stands_otherwise(record);
  }
  if (std::exchange(record.sealed, true)) return {};
  touch_operation(*operation);
  advance(*operation);
  return {};
}

void CommitPlan::touch_operation(Composite& operation) {
  if (!std::exchange(operation.dirty, true)) touched_operations_.push_back(operation.record.id);
}

void CommitPlan::put_member(Operations::Member& member, MemberState state) {
  auto& record = member.record;
  if (record.state == state) return;
  record.state = state;
  if (state == MemberState::done) record.done_at = now_.wall;
  if (state == MemberState::undone) record.undone_at = now_.wall;
  add(model::PutMember{record});
}

// --- Forward ------------------------------------------------------------------------------------

/// Whether it stands in the journal as begun: before its operation is undone, that is to be cleaned
/// up.
void CommitPlan::note_begun(const SubscriptionState& subscription, EventId event, bool begun) {
  if (!subscription.durable) return;
  const auto at = ledger_.operations.find(event);
  if (!at) return;
  if (begun) {
    at.member->begun.insert(subscription.record.id);
  } else {
    at.member->begun.erase(subscription.record.id);
  }
}

/// Whether a copy is to be kept of what is settled with `lease`: it would be compensated.
bool CommitPlan::is_kept(const SubscriptionState& subscription, const Lease& lease) {
  if (lease.cleanup || !subscription.durable || !subscription.record.compensates) return false;
  const auto at = ledger_.operations.find(lease.event);
  return at && at.operation->is_open();
}

void CommitPlan::keep_for_undo(const SubscriptionState& subscription, const Lease& lease) {
  auto place = subscription.keys.place(lease.event);
  place.key.after = {};
  add(model::PutSettlement{
      {.subscription = lease.subscription,
       .event = lease.event,
       .attempts = 0,
       .due = model::kKeptDue,
       .suspect = false,
       .last_error = {},
       .started = false,
       .cleanup = true,
       .place = place},
      lease.parked && !lease.unstored ? nullptr : lease.chunk->extract(lease.event.sequence),
      lease.due});
  ledger_.operations.find(lease.event).member->kept.insert_or_assign(lease.subscription, place);
}

/// `subscription` is not owed it any more.
void CommitPlan::note_member_ended(const SubscriptionState& subscription, const Lease& lease,
                                   Settled how, const std::string& reason) {
  const auto at = ledger_.operations.find(lease.event);
  if (!at || !subscription.durable) return;
  auto& [operation, member] = at;
  member->begun.erase(lease.subscription);
  const auto told = [&](std::string_view what) {
    return with_reason(
        to_string(lease.event) + std::string(what) + "\"" + subscription.record.name + "\"",
        reason);
  };
  const bool failed = how == Settled::dead && lease.cleanup;
  if (failed) member->failed.insert(lease.subscription);
  if (operation->goes_back()) {
    if (failed) {
      operation->record.reason =
          (operation->record.reason + "; " + told(" could not be undone by "))
              .substr(0, kReasonBytesMax);
    }
    return undo(*operation);
  }
  if (!operation->is_open()) return;
  switch (how) {
    case Settled::acked:
    case Settled::skipped:
      // It has been claimed, if by nobody else: this one may want others by now.
      if (member->record.state == MemberState::pending &&
          !ledger_.is_owed(lease.chunk->event(lease.event.sequence))) {
        put_member(*member, MemberState::done);
        advance(*operation);
      }
      return;
    case Settled::dead: return go_back(*operation, told(" was given up by "));
    case Settled::expired: return go_back(*operation, to_string(lease.event) + " has expired");
    case Settled::cancelled: return go_back(*operation, to_string(lease.event) + " is cancelled");
  }
}

void CommitPlan::advance(Composite& operation) {
  if (!operation.is_open()) return;
  auto& members = operation.members;
  const auto before = operation.turn;
  while (operation.turn < members.size() &&
         members[operation.turn].record.state == MemberState::done) {
    ++operation.turn;
  }
  if (operation.turn == members.size() && operation.record.sealed) {
    for (auto& member : members) {
      for (const auto& [id, place] : std::exchange(member.kept, {})) {
        add(model::EraseSettlement{id, member.record.event, model::kKeptDue});
      }
    }
    return end(operation, OperationState::committed);
  }
  if (operation.turn != before && operation.turn < members.size()) wake(members[operation.turn]);
}

/// Its turn has come; or nothing holds it any more.
void CommitPlan::wake(Operations::Member& member, bool also_paused) {
  for (auto at = member.held.begin(); at != member.held.end();) {
    if (at->second.due != model::kTurnDue && !also_paused) {
      ++at;
      continue;
    }
    auto held = std::move(at->second);
    auto* subscription = ledger_.find(at->first);
    at = member.held.erase(at);
    if (subscription == nullptr) continue;
    make_due(*subscription, member.record.event, held.due, std::move(held.entry));
  }
}

// --- Back ---------------------------------------------------------------------------------------

Status CommitPlan::roll_back(OperationId id, const std::string& reason) {
  auto* operation = ledger_.operations.find(id);
  if (operation == nullptr) return unknown_operation(id);
  if (operation->record.state == OperationState::committed) {
    return stands_otherwise(operation->record);
  }
  if (operation->is_open()) go_back(*operation, reason);
  return {};
}

/// Those of a token that is being cancelled.
void CommitPlan::cancel_members(TokenId token, const std::string& reason) {
  if (ledger_.operations.empty()) return;
  for (auto& [id, operation] : ledger_.operations.all()) {
    if (!operation.is_open()) continue;
    const auto found = std::find_if(
        operation.members.begin(), operation.members.end(),
        [&](const auto& member) { return member.record.token == token && decides(member); });
    if (found == operation.members.end()) continue;
    go_back(operation,
            with_reason(to_string(found->record.event) + " was cancelled with " + to_string(token),
                        reason));
  }
}

/// All its members are cancelled: nothing of it starts any more, and what runs is asked to stop.
void CommitPlan::go_back(Composite& operation, const std::string& reason) {
  went_back_ = true;
  ledger_.operations.set_state(operation, OperationState::rolling_back);
  operation.record.reason = reason.substr(0, kReasonBytesMax);
  touch_operation(operation);
  const auto why =
      (to_string(operation.record.id) + " is rolled back: " + reason).substr(0, kReasonBytesMax);
  for (auto& member : operation.members) {
    const auto event = member.record.event;
    auto& tombstones = ledger_.cancellations.tombstones[event.priority];
    if (!tombstones.contains(event.sequence)) {
      tombstones.add(event.sequence);
      add(model::PutTombstone{{event, now_.wall, why}});
    }
    for (auto& [id, subscription] : ledger_.subscriptions) {
      if (subscription->is_leased(event)) {
        signalled_.emplace_back(id, event);
        keep_for_cleanup(*subscription, event);
      } else {
        keep_begun_again(*subscription, event);
      }
    }
    // They end, since nobody has begun them; or what was begun is cleaned up.
    wake(member, true);
  }
  operation.turn = operation.members.size();
  undo(operation);
}

/// A handler has had it, and is to start over: from here on that is in the journal, and waited for.
void CommitPlan::keep_begun_again(SubscriptionState& subscription, EventId event) {
  auto& lane = subscription.lanes[event.priority];
  if (!subscription.durable || !subscription.attached || !ledger_.cleans_up(subscription, event) ||
      !lane.is_in_row(event.sequence)) {
    return;
  }
  const auto taken = lane.taken(event.sequence);
  const bool waits = lane.is_due(event.sequence) || subscription.keys.is_held(event);
  if (!waits || !taken.begun) return;
  add(model::PutSettlement{begun_cleanup(subscription, event),
                           taken.chunk->extract(event.sequence)});
  leave_row(subscription, event, taken.ticket);
  if (!lane.mark_due_parked(event.sequence, in(0), true)) {
    subscription.keys.mark_parked(event, in(0), true, true);
  }
  note_begun(subscription, event);
}

/// By somebody durable, who is not through with it.
bool CommitPlan::is_begun(const Operations::Member& member) const {
  const auto& all = ledger_.subscriptions;
  return !member.begun.empty() || std::any_of(all.begin(), all.end(), [&](const auto& each) {
    return each.second->durable && each.second->is_leased(member.record.event);
  });
}

/// What becomes of it matters to its operation: it is not done, or somebody who came later, or was
/// set back, is at it again. Of others that are done, ephemeral subscriptions alone may be owed it.
bool CommitPlan::decides(const Operations::Member& member) const {
  return member.record.state == MemberState::pending || is_begun(member);
}

/// As far as it can be undone now, from the last member to the first.
void CommitPlan::undo(Composite& operation) {
  while (operation.turn > 0) {
    auto& member = operation.members[operation.turn - 1];
    wake(member);
    undo_kept(member);
    const bool waits = is_begun(member);
    if (waits || !member.failed.empty()) {
      put_member(member, MemberState::compensating);
      const auto state = waits ? OperationState::rolling_back : OperationState::rollback_failed;
      if (operation.record.state != state) end(operation, state);
      return;
    }
    put_member(member, MemberState::undone);
    --operation.turn;
  }
  end(operation, OperationState::rolled_back);
}

/// What was acknowledged is owed again, as a clean-up.
void CommitPlan::undo_kept(Operations::Member& member) {
  const auto event = member.record.event;
  for (const auto& [id, place] : std::exchange(member.kept, {})) {
    auto* subscription = ledger_.find(id);
    if (subscription == nullptr) continue;
    auto& lane = subscription->lanes[event.priority];
    ++lane.owed;
    ++lane.parked;
    lane.parked_events.add(event.sequence);
    subscription->keys.add(event, place);
    subscription->compensations.insert(event);
    member.begun.insert(id);
    touch(*subscription, event.priority);
    make_due(*subscription, event, model::kKeptDue, {.cleanup = true});
  }
}

void CommitPlan::end(Composite& operation, OperationState state) {
  auto& record = operation.record;
  const bool goes_on = state == OperationState::rolling_back;
  record.ended_at = goes_on ? 0 : now_.wall;
  record.ended_bus = goes_on ? 0 : now_.bus;
  ledger_.operations.set_state(operation, state);
  touch_operation(operation);
  if (!goes_on) ended_operations_.push_back(record.id);
}

// --- Without an answer --------------------------------------------------------------------------

bool CommitPlan::revisit(const std::vector<MemberEvent>& pending) {
  bool moved = false;
  for (const auto& [event, chunk] : pending) {
    const auto at = ledger_.operations.find(event);
    if (!at || !at.operation->is_open() || at.member->record.state != MemberState::pending) {
      continue;
    }
    if (chunk == nullptr) {
      go_back(*at.operation, gone(event));
    } else if (ledger_.is_ended(chunk->event(event.sequence))) {
      put_member(*at.member, MemberState::done);
      advance(*at.operation);
    } else {
      continue;
    }
    moved = true;
  }
  for (auto& [id, operation] : ledger_.operations.all()) {
    if (operation.goes_back()) undo(operation);
  }
  return moved;
}

/// What is neither kept nor parked will never be done by anybody: its lane was trimmed, or whoever
/// had it parked has gone since.
void CommitPlan::note_members_gone() {
  if (ledger_.operations.all_have_ended()) return;
  const auto is_gone = [&](const Operations::Member& member) {
    const auto event = member.record.event;
    return member.record.state == MemberState::pending &&
           event.sequence < ledger_.lanes[event.priority].trim &&
           std::none_of(
               ledger_.subscriptions.begin(), ledger_.subscriptions.end(), [&](const auto& each) {
                 return each.second->durable &&
                        each.second->lanes[event.priority].parked_events.contains(event.sequence);
               });
  };
  for (auto& [id, operation] : ledger_.operations.all()) {
    if (!operation.is_open()) continue;
    const auto found = std::find_if(operation.members.begin(), operation.members.end(), is_gone);
    if (found != operation.members.end()) go_back(operation, gone(found->record.event));
  }
}

/// A dead letter is gone for good: nothing can come of it any more.
void CommitPlan::note_dropped(const DeadLetterIndex::Name& letter) {
  const auto at = ledger_.operations.find(letter.second);
  if (!at || at.member->failed.erase(letter.first) == 0) return;
  if (at.operation->goes_back()) undo(*at.operation);
}

void CommitPlan::forget_operation(OperationId id) {
  const auto* operation = ledger_.operations.find(id);
  add(model::EraseOperation{id, operation->record.members});
  ledger_.operations.erase(id);
}

void CommitPlan::reclaim_operations() {
  for (std::size_t gone = 0; gone < kOperationsForgottenAtOnce; ++gone) {
    const auto oldest = ledger_.operations.oldest_ended();
    if (!oldest.has_value() ||
        now_.bus - ledger_.operations.find(*oldest)->record.ended_bus <= kOperationKept) {
      return;
    }
    forget_operation(*oldest);
  }
}

}  // namespace holdfast::core
