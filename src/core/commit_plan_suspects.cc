// SPDX-License-Identifier: MIT
// Dead letters that are put back, and what was running when the process died.
#include <string>

#include "base/assert.h"
#include "core/commit_plan.h"

namespace holdfast::core {

bool CommitPlan::redrive(const model::DeadLetterRecord& letter) {
  auto* subscription = ledger_.find(letter.subscription);
  if (subscription == nullptr) return false;
  auto& lane = subscription->lanes[letter.event.priority];
  const auto view = letter.chunk->event(letter.event.sequence);
  // Its compensation takes care of it.
  if (view.operation_id.value != 0 && !letter.cleanup &&
      ledger_.cancellations.is_cancelled(letter.event, view.token)) {
    return false;
  }
  const bool is_compensation = letter.cleanup && !letter.started;
  if (!is_compensation && ledger_.cancellations.find(view.token) != nullptr &&
      ledger_.is_ended(view)) {
    shift_ended({{view.token, -1}});
  }
  // Of others the gate finds out.
  const bool cleanup = letter.cleanup && view.operation_id.value != 0;
  const auto place = reached_place(*letter.chunk, letter.event);
  add(model::EraseDeadLetter{letter.subscription, letter.event});
  add(model::PutSettlement{{.subscription = letter.subscription,
                            .event = letter.event,
                            .attempts = 0,
                            .due = in(0),
                            .suspect = false,
                            .last_error = letter.reason,
                            .started = letter.started,
                            .cleanup = cleanup,
                            .place = place},
                           letter.chunk});
  subscription->keys.add(letter.event, place);
  if (is_compensation) subscription->compensations.insert(letter.event);
  ledger_.dead_letters.erase({letter.subscription, letter.event});
  --lane.dead;
  ++lane.owed;
  ++lane.parked;
  lane.parked_events.add(letter.event.sequence);
  touch(*subscription, letter.event.priority);
  wait_until(in(0), *subscription, letter.event, {.started = letter.started, .cleanup = cleanup});
  if (const auto at = ledger_.operations.find(letter.event); at && cleanup) {
    at.member->failed.erase(letter.subscription);
    at.member->begun.insert(letter.subscription);
    if (at.operation->goes_back()) undo(*at.operation);
  }
  return true;
}

/// What came before it may be owed again: answers that were not written yet went with the process.
model::KeyPlace CommitPlan::suspect_place(const Suspect& suspect) {
  auto place = model::key_place(*suspect.chunk, suspect.event.sequence);
  // It is taken out of turn, so that its own lane has to come to it as well.
  if (place.key.hash != 0) place.key.after[suspect.event.priority] = suspect.event.sequence - 1;
  return place;
}

bool CommitPlan::accuse(const Suspect& suspect) {
  auto* subscription = ledger_.find(suspect.subscription);
  HOLDFAST_ASSERT(subscription != nullptr);
  auto& lane = subscription->lanes[suspect.event.priority];
  const auto view = suspect.chunk->event(suspect.event.sequence);
  // What it began before it was cancelled is for `on_cancel`, whoever is to blame.
  const bool newly_cancelled =
      !suspect.cleanup && ledger_.cancellations.is_cancelled(suspect.event, view.token);
  const auto attempts = newly_cancelled ? 0 : suspect.attempts + (suspect.counted ? 1 : 0);
  static const std::string kReason = "the process ended while its handler was running";
  if (!suspect.parked) {
    lane.settle_ahead(suspect.event.sequence);
    ++lane.parked;
    lane.parked_events.add(suspect.event.sequence);
    subscription->keys.add(suspect.event, suspect_place(suspect));
  }
  touch(*subscription, suspect.event.priority);
  // One that answered and had still to return may have been held since: it is due now instead.
  if (const auto at = ledger_.operations.find(suspect.event)) {
    at.member->held.erase(suspect.subscription);
  }
  if (suspect.parked && model::is_paused_due(suspect.due)) --lane.paused;
  if (attempts >= subscription->record.attempts_max) {
    Lease lease;
    lease.subscription = suspect.subscription;
    lease.event = suspect.event;
    lease.chunk = suspect.chunk;
    lease.parked = true;
    lease.due = suspect.due;
    lease.unstored = !suspect.parked;
    lease.token = view.token;
    lease.cleanup = suspect.cleanup;  // of what was newly cancelled nothing is counted yet
    lease.started = suspect.started;
    bury(*subscription, lease, attempts, kReason);
    return true;
  }
  add(model::PutSettlement{
      {.subscription = suspect.subscription,
       .event = suspect.event,
       .attempts = attempts,
       .due = in(0),
       .suspect = true,
       .last_error = kReason,
       .started = suspect.started,
       .cleanup = suspect.cleanup || newly_cancelled,
       .place = subscription->keys.place(suspect.event)},
      suspect.parked ? nullptr : suspect.chunk->extract(suspect.event.sequence),
      suspect.due});
  note_begun(*subscription, suspect.event);
  return false;
}

}  // namespace holdfast::core
