// SPDX-License-Identifier: MIT
// The part of the world in which the gate is asked: at once, or some steps after an event was
// taken, when it has been cancelled meanwhile, or its time is over.
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::Verdict;

void CoreWorld::pass_gate(Held& held) {
  const auto id = held.lease.subscription.value;
  const auto event = held.lease.event;
  const auto view = held.lease.chunk->event(event.sequence);
  auto& subscription = oracle_.subscriptions.at(id);
  auto& owed = subscription.owed.at(event);
  // What was acknowledged, and is to be undone, waits for whoever can do so.
  const bool has_handler = oracle_.cleans_up(subscription, event) || held.lease.is_compensation();
  const auto expected = held.lease.cleanup || oracle_.is_cancelled(event, view.token)
                            ? (!held.begun || !has_handler               ? Verdict::cancelled
                               : oracle_.operations.may_be_undone(event) ? Verdict::clean_up
                                                                         : Verdict::hold)
                        : view.expires_at != 0 && now_.wall >= view.expires_at ? Verdict::expired
                        : now_.wall < view.not_before                          ? Verdict::postpone
                        : !oracle_.operations.may_run(event)                   ? Verdict::hold
                        : oracle_.is_type_paused(std::string(view.type))       ? Verdict::hold
                                                                               : Verdict::run;
  const auto verdict = core::gate(*ledger_, held.lease, view, now_.wall);
  require(verdict == expected, "let through otherwise: " + name(id, event));
  require(held.asks || verdict == Verdict::run, "the gate was passed by: " + name(id, event));
  require(held.lease.cleanup == (verdict == Verdict::clean_up) || verdict == Verdict::cancelled ||
              verdict == Verdict::hold,
          "a handler was given what is for on_cancel, or the other way round: " + name(id, event));
  held.asks = owed.asks = false;
  owed.idle = verdict != Verdict::run && verdict != Verdict::clean_up;
  owed.cleaning = verdict == Verdict::clean_up;
  if (owed.idle) held.instead = verdict;
  if (verdict == Verdict::clean_up) ++counts["clean-up"];
  if (verdict == Verdict::run) {
    ran_.insert({id, event});
    begun_.emplace(id, event);
  }
  if (owed.cleaning && held.lease.is_compensation()) {
    require(begun_.contains({id, event}), "undone though never begun: " + name(id, event));
    ++counts["compensation"];
  }
}

/// Its handler has answered; that of another attachment may have it as well.
void CoreWorld::note_returned(const Held& held) {
  const auto id = held.lease.subscription.value;
  const auto* subscription = oracle_.find(id);
  if (held.lease.token.value == 0 || subscription == nullptr) return;
  const auto owed = subscription->owed.find(held.lease.event);
  const bool another = owed != subscription->owed.end() && owed->second.holder != 0 &&
                       owed->second.holder != held.serial && !owed->second.idle;
  if (!another) ran_.erase({id, held.lease.event});
}

/// Those that were taken with it are asked about with it.
void CoreWorld::pass_gates(const Held& one) {
  const auto serial = one.serial;
  const auto batch = one.batch;
  for (auto& each : held_) {
    if (!each.asks || !(each.serial == serial || (batch != 0 && each.batch == batch))) continue;
    pass_gate(each);
    ++counts["gate asked late"];
  }
}

void CoreWorld::pass_some_gate() {
  if (held_.empty()) return;
  if (const auto& one = held_[below(held_.size())]; one.asks) pass_gates(one);
}

/// Its attachment is over: whatever the gate says, it changes nothing.
void CoreWorld::ask_too_late(Held held) {
  const auto chunk = store_.chunk_of(held.lease.event);
  if (chunk == nullptr) return;
  const auto view = chunk->event(held.lease.event.sequence);
  require(core::gate(*ledger_, held.lease, view, now_.wall) != Verdict::clean_up,
          "an earlier attachment is to clean up");
  ++counts["gate asked too late"];
}

}  // namespace holdfast::testing
