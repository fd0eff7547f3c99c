// SPDX-License-Identifier: MIT
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "core/commit_plan.h"
#include "core/reason.h"

namespace holdfast::core {

namespace {

/// A token that nothing is left of, and that nobody has published under for so long, is forgotten.
constexpr base::BusTime kTokenIdle = std::int64_t{24} * 3'600 * 1'000'000'000;
/// So that one commit does not grow with how much was cancelled; the rest goes with the next.
constexpr std::size_t kReclaimedAtOnce = 10'000;

}  // namespace

// --- Tokens -------------------------------------------------------------------------------------

Status CommitPlan::admit(const model::EncodedEvents& events, std::size_t index,
                         OperationId begins) const {
  const auto* admission = events.admission(index);
  if (admission == nullptr || is_duplicate(events, index)) return {};
  if (admission->operation.value != 0 && admission->operation != begins) {
    auto status = admit_member(admission->operation);
    if (!status.ok()) return status;
  }
  if (admission->token.value == 0) return {};
  const auto* token = ledger_.cancellations.find(admission->token);
  if (token == nullptr) {
    return {StatusCode::not_found,
            to_string(admission->token) + " was never made, or is forgotten by now"};
  }
  if (!token->cancelled()) return {};
  return {StatusCode::cancelled,
          with_reason(to_string(admission->token) + " is cancelled", token->record.reason)};
}

Status CommitPlan::make_token(TokenId id, std::int64_t timeout) {
  auto& cancellations = ledger_.cancellations;
  if (cancellations.token_count() >= ledger_.settings.tokens_max) {
    return {StatusCode::resource_exhausted, "there are " +
                                                std::to_string(cancellations.token_count()) +
                                                " cancellation tokens, limits.tokens_max is " +
                                                std::to_string(ledger_.settings.tokens_max)};
  }
  model::TokenRecord record;
  record.id = id;
  record.made_at = now_.bus;
  record.used_at = now_.bus;
  record.deadline = timeout > 0 ? now_.bus + timeout : 0;
  touch_token(cancellations.add(std::move(record)));
  return {};
}

void CommitPlan::touch_token(Cancellations::Token& token) {
  if (!std::exchange(token.dirty, true)) touched_tokens_.push_back(token.record.id);
}

void CommitPlan::note_published(TokenId id, EventId event) {
  auto* token = ledger_.cancellations.find(id);
  if (token == nullptr) return;
  auto& record = token->record;
  auto& first = record.first[event.priority];
  if (first == 0) first = event.sequence;
  record.last[event.priority] = event.sequence;
  record.used_at = now_.bus;
  ++record.published;
  touch_token(*token);
}

/// `subscription` is not owed the event any more; whether anybody is.
void CommitPlan::note_ended(const SubscriptionState& subscription, const Lease& lease) {
  if (lease.token.value == 0 || !subscription.durable || lease.chunk == nullptr) return;
  // It ended when it was acknowledged.
  if (lease.is_compensation()) return;
  auto* token = ledger_.cancellations.find(lease.token);
  // What a cancel has counted stands.
  if (token == nullptr || token->cancelled() ||
      !ledger_.is_ended(lease.chunk->event(lease.event.sequence)))
    return;
  ++token->record.ended;
  touch_token(*token);
}

void CommitPlan::shift_ended(const std::map<TokenId, std::int64_t>& ended) {
  for (const auto& [id, change] : ended) {
    auto* token = ledger_.cancellations.find(id);
    if (token == nullptr || token->cancelled() || change == 0) continue;
    auto& count = token->record.ended;
    count = change < 0
                ? count - std::min(count, static_cast<std::uint64_t>(-change))
                : std::min(count + static_cast<std::uint64_t>(change), token->record.published);
    touch_token(*token);
  }
}

// --- Cancelling ---------------------------------------------------------------------------------

/// How it stands in the journal from the cancellation on.
model::SettlementRecord CommitPlan::begun_cleanup(const SubscriptionState& subscription,
                                                  EventId event) const {
  return {.subscription = subscription.record.id,
          .event = event,
          .attempts = 0,
          .due = in(0),
          .suspect = false,
          .last_error = {},
          .started = true,
          .cleanup = true,
          .place = subscription.keys.place(event)};
}

/// A handler has begun something that `on_cancel` will have to clean up, whatever happens to this
/// process: written down with the cancellation itself.
void CommitPlan::keep_for_cleanup(SubscriptionState& subscription, EventId event) {
  if (!subscription.durable || !ledger_.cleans_up(subscription, event)) return;
  note_begun(subscription, event);
  auto& lane = subscription.lanes[event.priority];
  const auto record = begun_cleanup(subscription, event);
  LeaseNumber lease = 0;
  const auto parked = subscription.parked_in_flight.find(event);
  if (parked != subscription.parked_in_flight.end()) {
    if (parked->second.cleanup) return;
    lease = parked->second.lease;
    add(model::PutSettlement{record, nullptr, parked->second.due});
    lane.delayed[model::clock_of(parked->second.due)].remove({parked->second.due, event.sequence});
  } else {
    const auto taken = lane.taken(event.sequence);
    lease = taken.lease;
    add(model::PutSettlement{record, taken.chunk->extract(event.sequence)});
    leave_row(subscription, event, taken.ticket);
  }
  subscription.parked_in_flight.insert_or_assign(
      event, SubscriptionState::ParkedInFlight{record.due, false, true, lease});
}

CommitPlan::Cancelled CommitPlan::cancel(const EventView& event, const std::string& reason) {
  Cancelled cancelled;
  auto& receipt = cancelled.receipt;
  receipt.already_cancelled = ledger_.cancellations.is_cancelled(event.id, event.token);
  const bool ended = !receipt.already_cancelled && ledger_.is_ended(event);
  for (auto& [id, subscription] : ledger_.subscriptions) {
    if (!subscription->is_leased(event.id)) continue;
    cancelled.running.emplace_back(id, event.id);
    // A delivery of a cancelled event that is with somebody is its clean-up.
    if (!receipt.already_cancelled) keep_for_cleanup(*subscription, event.id);
  }
  receipt.outcome = !cancelled.running.empty() ? CancelOutcome::signalled
                    : ended                    ? CancelOutcome::too_late
                                               : CancelOutcome::prevented;
  receipt.events.push_back({event.id, receipt.outcome});
  receipt.prevented = receipt.outcome == CancelOutcome::prevented ? 1 : 0;
  receipt.signalled = receipt.outcome == CancelOutcome::signalled ? 1 : 0;
  receipt.too_late = receipt.outcome == CancelOutcome::too_late ? 1 : 0;
  if (receipt.already_cancelled) {
    cancelled.running.clear();
  } else if (receipt.outcome != CancelOutcome::too_late) {
    ledger_.cancellations.tombstones[event.id.priority].add(event.id.sequence);
    add(model::PutTombstone{{event.id, now_.wall, reason}});
    if (const auto at = ledger_.operations.find(event.id);
        at && at.operation->is_open() && decides(*at.member)) {
      go_back(*at.operation, with_reason(to_string(event.id) + " was cancelled", reason));
    }
  }
  return cancelled;
}

Result<CommitPlan::Cancelled> CommitPlan::cancel(TokenId id, const std::string& reason,
                                                 const std::vector<Span>& members) {
  auto* token = ledger_.cancellations.find(id);
  if (token == nullptr) {
    return Status(StatusCode::not_found, to_string(id) + " was never made, or is forgotten by now");
  }
  Cancelled cancelled;
  auto& receipt = cancelled.receipt;
  receipt.already_cancelled = token->cancelled();
  std::set<EventId> running;
  for (const auto& [event, subscription_id] : token->running) {
    auto* subscription = ledger_.find(subscription_id);
    if (subscription == nullptr || !subscription->is_leased(event)) continue;
    running.insert(event);
    if (receipt.already_cancelled) continue;
    cancelled.running.emplace_back(subscription_id, event);
    keep_for_cleanup(*subscription, event);
  }
  auto& record = token->record;
  receipt.signalled = running.size();
  receipt.too_late = std::min(record.ended, record.published);
  receipt.prevented =
      record.published - std::min(record.published, receipt.too_late + receipt.signalled);
  receipt.outcome = receipt.signalled > 0                            ? CancelOutcome::signalled
                    : receipt.prevented > 0 || record.published == 0 ? CancelOutcome::prevented
                                                                     : CancelOutcome::too_late;
  for (const auto event : running) {
    if (receipt.events.size() == kCancelEventsListed) break;
    receipt.events.push_back({event, CancelOutcome::signalled});
  }
  for (const auto& member : members) {
    if (receipt.events.size() == kCancelEventsListed) break;
    const auto event = member.chunk->event(member.next);
    // Of an earlier cancel only the counts are known.
    if (receipt.already_cancelled || running.contains(event.id)) continue;
    receipt.events.push_back(
        {event.id, ledger_.is_ended(event) ? CancelOutcome::too_late : CancelOutcome::prevented});
  }
  if (receipt.already_cancelled) return cancelled;
  ledger_.cancellations.drop_deadline(id);
  record.cancelled_in = commit_.number;
  record.cancelled_at = now_.wall;
  record.reason = reason;
  touch_token(*token);
  cancel_members(id, reason);
  return cancelled;
}

// --- Answers of what is cancelled ---------------------------------------------------------------

CommitPlan::Settlement CommitPlan::end(SubscriptionState& subscription, const Lease& lease,
                                       Settled how) {
  switch (how) {
    case Settled::acked: ++subscription.acked; break;
    case Settled::skipped: ++subscription.skipped; break;
    case Settled::cancelled: ++subscription.cancelled; break;
    case Settled::expired: ++subscription.expired; break;
    case Settled::dead: break;
  }
  // What was begun and passed over then may have left something as well.
  const bool did = how == Settled::acked || (how == Settled::skipped && lease.started);
  settle(subscription, lease, did && is_kept(subscription, lease));
  note_member_ended(subscription, lease, how, {});
  return {Settlement::Effect::settled, how, {}};
}

CommitPlan::Settlement CommitPlan::refuse_cancelled(SubscriptionState& subscription,
                                                    const Answer& answer) {
  const auto& lease = answer.lease;
  const auto parked = subscription.parked_in_flight.find(lease.event);
  const bool kept = parked != subscription.parked_in_flight.end() && parked->second.cleanup;
  const bool began = answer.ran || lease.started;
  if (!began || !ledger_.cleans_up(subscription, lease.event)) {
    return end(subscription, lease, Settled::cancelled);
  }
  if (kept) {
    // It is in the journal as it has to be: it only begins to wait for its turn.
    subscription.parked_in_flight.erase(parked);
    wait_until(lease.due, subscription, lease.event, {0, false, true, true, nullptr});
    subscription.keys.set_waiting(lease.event);
    note_key_change(subscription);
  } else {
    park(subscription, lease, {0, in(0), {}, /*started=*/true, /*cleanup=*/true});
  }
  return {Settlement::Effect::refused, Settled::cancelled, {}};
}

// --- Reclaiming ---------------------------------------------------------------------------------

/// Marks go once nothing is left that they could apply to.
void CommitPlan::reclaim_cancellations() {
  auto& cancellations = ledger_.cancellations;
  for (const auto lane : kAllPriorities) {
    auto& tombstones = cancellations.tombstones[lane];
    if (tombstones.empty()) continue;
    std::vector<Sequence> gone;
    tombstones.each_below(ledger_.lanes[lane].trim, [&](Sequence sequence) {
      if (gone.size() < kReclaimedAtOnce && !ledger_.is_kept_apart(lane, sequence, sequence)) {
        gone.push_back(sequence);
      }
    });
    for (const auto sequence : gone) {
      tombstones.remove(sequence);
      add(model::EraseTombstone{{lane, sequence}});
    }
  }
  std::vector<TokenId> forgotten;
  for (const auto& [id, token] : cancellations.tokens()) {
    const auto& record = token.record;
    const bool waits = !token.cancelled() &&
                       (record.deadline > now_.bus || now_.bus - record.used_at < kTokenIdle);
    const bool kept = std::any_of(kAllPriorities.begin(), kAllPriorities.end(), [&](auto lane) {
      return record.last[lane] >= ledger_.lanes[lane].trim ||
             (record.last[lane] != 0 &&
              ledger_.is_kept_apart(lane, record.first[lane], record.last[lane]));
    });
    if (!waits && !kept) forgotten.push_back(id);
  }
  for (const auto id : forgotten) {
    cancellations.erase(id);
    add(model::EraseToken{id});
  }
}

}  // namespace holdfast::core
