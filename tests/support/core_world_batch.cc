// SPDX-License-Identifier: MIT
// The part of the world in which events are handed out together, and answered as one.
#include <algorithm>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;

/// Whether what is ready of it may still wait for more. How long it has waited is known to an
/// eighth of the wait of its lane.
bool CoreWorld::lingers(const OracleSubscription& subscription) const {
  if (subscription.batch_linger == 0) return false;
  // What starts over may be all that is in memory, and what is due longer on disk behind it.
  if (has_little_memory() &&
      std::any_of(subscription.owed.begin(), subscription.owed.end(),
                  [](const auto& each) { return each.second.parked && each.second.again; })) {
    return true;
  }
  for (const auto lane : kAllPriorities) {
    const auto ready = this->ready(subscription, lane);
    for (const auto& event : {ready.out_of_turn, ready.in_turn}) {
      // What had to wait for its key was not ready before.
      if (event.has_value() && oracle_.keyed.contains(*event)) continue;
      if (!event.has_value() || Oracle::waits_for_wall_clock(subscription, *event)) continue;
      // What is on disk alone does not let others go, however long it has been due.
      const auto& owed = subscription.owed.at(*event);
      const bool may_be_on_disk = has_little_memory() || overflows(subscription, lane);
      if (owed.parked && !owed.again && may_be_on_disk) continue;
      const auto since =
          oracle_.ready_since(subscription, *event) + rule_.max_wait(event->priority) / 8;
      if (since + subscription.batch_linger <= now_.bus) return false;
    }
  }
  return true;
}

void CoreWorld::check_joined(const core::Lease& first, const std::vector<core::Lease>& others) {
  const auto id = first.subscription.value;
  const auto what = name(id, first.event);
  require(others.size() < oracle_.subscriptions.at(id).batch_size,
          "a batch is larger than it may be: " + what);
  require(!first.suspect && !first.cleanup && !first.beside, "something goes not alone: " + what);
  for (const auto& each : others) {
    require(each.subscription == first.subscription &&
                each.event.priority == first.event.priority && each.beside,
            "a batch is mixed: " + what);
    require(!each.suspect && !each.cleanup, "taken together though it is to go alone: " + what);
  }
}

void CoreWorld::check_stretch(const std::vector<core::Lease>& leases) {
  const auto& first = leases.front();
  const auto what = name(first.subscription.value, first.event);
  const auto& state = state_of(first.subscription.value);
  require(state.stretch_max > 1 && leases.size() <= state.stretch_max && state.concurrency == 1,
          "a stretch is longer than it may be: " + what);
  for (const auto& each : leases) {
    require(each.subscription == first.subscription &&
                each.event.priority == first.event.priority && each.chunk == first.chunk &&
                each.beside == (&each != &first),
            "a stretch is mixed: " + what);
    require(!each.suspect && !each.cleanup && !each.parked && !each.asks && !each.started &&
                !oracle_.keyed.contains(each.event),
            "goes with others though it is to go alone: " + what);
  }
}

/// Those of it whose handler has them.
std::vector<CoreWorld::Held> CoreWorld::take_batch(std::uint64_t batch) {
  for (auto& each : held_) {
    if (each.batch == batch && each.asks) pass_gates(each);
  }
  std::vector<Held> members;
  std::erase_if(held_, [&](const Held& each) {
    if (each.batch != batch || each.instead.has_value() || each.lease.cleanup) return false;
    members.push_back(each);
    return true;
  });
  return members;
}

void CoreWorld::answer(CommitPlan& plan, std::vector<Held> batch) {
  const auto id = batch.front().lease.subscription.value;
  auto* subscription = oracle_.find(id);
  const bool early = chance(80);
  bool whole = true;
  std::vector<bool> valid;
  std::vector<bool> cancelled;
  core::BatchAnswer answer;
  for (auto& each : batch) {
    valid.push_back(holds(each));
    cancelled.push_back(oracle_.is_cancelled(each.lease.event, each.lease.token));
    whole = whole && valid.back() && !cancelled.back();
    if (early) finish(each);
    answer.members.push_back(any_answer(each, subscription));
  }
  bool conflict = false;
  if (chance(35)) answer.tx = any_tx(batch.front(), conflict);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    meet(answer.members[i], valid[i], answer.tx != nullptr);
    note_returned(batch[i]);
  }
  // It lives until the commit is made.
  auto& kept = batch_answers_.emplace_back(std::move(answer));
  const auto* tx = kept.tx.get();
  const bool acks =
      std::any_of(kept.members.begin(), kept.members.end(),
                  [](const core::Answer& member) { return member.kind == Kind::ack; });
  const auto writes = tx == nullptr ? std::vector<core::TxWrites::StateWrite>() : tx->state;
  const bool keeps_tx = tx != nullptr && acks;
  const bool tx_fails = keeps_tx && (!tx->status.ok() || (!conflict && !tx_admitted(*tx)));
  const bool tx_again = keeps_tx && tx->status.ok() && conflict;

  const auto before = plan.event_count();
  units_.clear();
  const auto settlements = plan.answer(kept);
  require(settlements.size() == batch.size(), "not every member of a batch has its settlement");
  ++counts["batch answered"];
  if (!whole || tx_fails || tx_again) {
    require(plan.event_count() == before, "a batch that did not count published something");
  } else if (keeps_tx) {
    ++counts["batch with tx"];
    note_tx(plan, tx->events, settlements.front(), writes);
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    auto& held = batch[i];
    auto settlement = settlements[i];
    const auto& member = kept.members[i];
    if (!valid[i]) {
      require(settlement.effect == Effect::stale,
              "stale in a batch had another effect: " + name(id, held.lease.event));
      ++counts["stale in a batch"];
    } else if (cancelled[i] || oracle_.is_cancelled(held.lease.event, held.lease.token)) {
      // One of the others may have undone its operation just now.
      if (!cancelled[i]) ++counts["undone by another of its batch"];
      answer_cancelled(settlement, held, true);
      ++counts["cancelled in a batch"];
    } else if (!whole || tx_again) {
      note_run_again(held, settlement);
      ++counts[whole ? "batch in conflict" : "batch without one"];
    } else if (tx_fails && member.kind == Kind::ack) {
      fail(held, std::nullopt, settlement);
      ++counts["batch with a failed tx"];
    } else {
      check_effect(held, member, keeps_tx, settlement);
    }
    finish(held);
    if (chance(20)) note_late(held);
  }
}

}  // namespace holdfast::testing
