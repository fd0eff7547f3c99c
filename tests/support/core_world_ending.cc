// SPDX-License-Identifier: MIT
// What becomes of an event with a subscription: let in, put off, or at its end.
#include <optional>
#include <string>

#include "model/event_codec.h"
#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::SubscriptionId;

/// Under a token that is not cancelled, and into an operation that is open and not sealed.
bool CoreWorld::admits(const CommitPlan& plan, const model::EncodedEvents& events,
                       OperationId begins) {
  bool admitted = true;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto view = model::read_event(events.record(i));
    const auto token = view.token;
    const auto known = oracle_.tokens.find(token);
    const auto operation = oracle_.operations.all.find(view.operation_id);
    const bool joins = view.operation_id.value == 0 || view.operation_id == begins ||
                       (operation != oracle_.operations.all.end() && operation->second.is_open() &&
                        !operation->second.sealed);
    const bool alive = known != oracle_.tokens.end() && !known->second.cancelled;
    const bool is_duplicate = first_of(std::string(view.idempotency_key)).has_value();
    const bool good = (joins && (token.value == 0 || alive)) || is_duplicate;
    if (good && token.value != 0 && !alive) ++counts["duplicate under a cancelled token"];
    require(plan.admit(events, i, begins).ok() == good,
            "an event was let in that is to be refused");
    admitted = admitted && good;
  }
  return admitted;
}

/// Its handler was not to be called.
void CoreWorld::give_instead(core::Answer& answer, const Held& held) {
  answer.ran = false;
  answer.kind = held.instead == core::Verdict::postpone ? Kind::postpone
                : held.instead == core::Verdict::hold   ? Kind::hold
                                                        : Kind::drop;
  answer.how = held.instead == core::Verdict::expired ? Settled::expired : Settled::cancelled;
  answer.until = model::due_at_wall(held.not_before);
}

/// It was given to nobody, and waits for its time, its turn or a resume.
void CoreWorld::put_off(const Held& held, const core::Answer& answer) {
  const auto event = held.lease.event;
  const auto view = held.lease.chunk->event(event.sequence);
  const auto due = answer.kind == Kind::hold ? held_until(held, view) : answer.until;
  expected_settlements_.insert({held.lease.subscription, event});
  park(held, {.attempts = held.lease.attempt - 1,
              .due = due,
              .suspect = held.lease.suspect,
              .started = held.lease.started,
              .cleanup = held.lease.cleanup,
              .type = std::string(view.type)});
  auto& owed = oracle_.subscriptions.at(held.lease.subscription.value).owed.at(event);
  owed.taken = false;
  owed.holder = 0;
}

void CoreWorld::park(const Held& held, const Oracle::Parking& parking) {
  fact_of(held.lease.subscription.value,
          [id = held.lease.subscription.value, event = held.lease.event, parking](Oracle& oracle) {
            oracle.park(id, event, parking);
          });
}

void CoreWorld::settled(const Held& held, Settled how) {
  const auto& lease = held.lease;
  if (how == Settled::dead) ++counts["dead"];
  end(lease.subscription.value, lease.event,
      {how, lease.attempt, lease.cleanup,
       how == Settled::skipped ? lease.started : lease.started_then()});
}

void CoreWorld::end(Id id, EventId event, const Ending& ending) {
  keep_for_undo(id, event, ending);
  if (ending.how == Settled::dead) {
    died_[{SubscriptionId{id}, event}] = {now_.wall, number_ + 1};
    fact_of(id, [=](Oracle& oracle) {
      oracle.die(id, event, ending.attempts,
                 ending.cleanup ? std::optional(ending.started) : std::nullopt);
    });
  } else {
    const auto commit = oracle_.subscriptions.at(id).durable ? number_ + 1 : 0;
    fact_of(id, [=](Oracle& oracle) { oracle.settle(id, event, commit); });
  }
  note_member_ended(id, event, ending);
}

}  // namespace holdfast::testing
