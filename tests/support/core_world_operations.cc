// SPDX-License-Identifier: MIT
// The part of the world in which events succeed together, or are undone. What must come of each
// step is worked out here from how the oracle's members stand, and written down as plain facts:
// who had what in hand is known now, and not when the journal is read again.
#include <algorithm>
#include <utility>

#include "core/token_id.h"
#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::SubscriptionId;

// --- What is asked for --------------------------------------------------------------------------

std::optional<OperationId> CoreWorld::any_operation(
    const std::function<bool(const OracleOperation&)>& which) {
  std::vector<OperationId> found;
  for (const auto& [id, operation] : oracle_.operations.all) {
    if (which(operation)) found.push_back(id);
  }
  if (found.empty()) return std::nullopt;
  return found[below(found.size())];
}

/// Mostly one for which it makes sense.
std::optional<OperationId> CoreWorld::any_operation() {
  if (chance(3)) return OperationId{1};
  if (chance(80)) {
    const auto id = any_operation(
        [](const auto& operation) { return operation.is_open() && !operation.sealed; });
    if (id.has_value()) return id;
  }
  return any_operation([](const auto&) { return true; });
}

OperationId CoreWorld::next_operation() {
  return {core::made_token(epoch_, ++operations_begun_).value};
}

/// What has ended goes, the oldest first, when there is no room.
bool CoreWorld::make_room(CommitPlan& plan, std::size_t operations, std::size_t members) {
  auto& known = oracle_.operations;
  const auto fits = [&] {
    return known.all.size() + operations <= settings_.operations_max &&
           known.member_count() + members <= settings_.operation_members_max;
  };
  while (!fits()) {
    const auto oldest = known.oldest_ended();
    if (!oldest.has_value()) break;
    expected_forgotten_.insert(*oldest);
    fact([id = *oldest](Oracle& oracle) { oracle.operations.forget(id); });
    ++counts["operation forgotten for another"];
  }
  const bool room = fits();
  require(plan.make_room(operations, members).ok() == room, "the limit of operations is another");
  if (!room) ++counts["no room for an operation"];
  return room;
}

void CoreWorld::begin(CommitPlan& plan, OperationId id) {
  OperationOptions options;
  options.sequential = chance(60);
  options.deadline = std::chrono::seconds(chance(30) ? 0 : 1 + below(300));
  plan.begin_operation(id, options);
  const auto deadline = options.deadline.count() == 0 ? 0 : now_.bus + options.deadline.count();
  fact([=, sequential = options.sequential](Oracle& oracle) {
    oracle.operations.begin(id, sequential, deadline);
  });
  ++counts["operation"];
}

/// A batch that is an operation, or one more member of one that was begun.
void CoreWorld::publish_members(CommitPlan& plan) {
  const bool begins = chance(60);
  const auto known = begins ? next_operation() : any_operation();
  if (!known.has_value()) return;
  const auto id = *known;
  const auto& events = encode(begins ? 1 + below(6) : 1, id);
  bool is_new = false;
  for (std::size_t i = 0; begins && i < events.size(); ++i) {
    is_new = is_new || !plan.is_duplicate(events, i);
  }
  if ((is_new || !begins) && !make_room(plan, is_new ? 1 : 0, events.size())) return;
  if (!admits(plan, events, begins ? id : OperationId{})) {
    ++counts["member refused"];
    return;
  }
  if (is_new) begin(plan, id);
  std::vector<EventId> ids;
  std::vector<core::Duplicate> duplicates;
  plan.publish(events, begins, ids, &duplicates);
  note_published(events, ids, duplicates, plan.number().value);
  if (is_new) seal(plan, id);
  ++counts[begins ? "batch as operation" : "member added"];
}

void CoreWorld::seal(CommitPlan& plan, OperationId id) {
  const auto found = oracle_.operations.all.find(id);
  if (found != oracle_.operations.all.end()) meet(Command::seal, id);
  const auto status = plan.seal(id);
  if (found == oracle_.operations.all.end()) {
    return require(status == StatusCode::not_found, "an operation nobody knows was sealed");
  }
  const auto& operation = found->second;
  const bool refused = !operation.is_open() && operation.state != OperationState::committed;
  require(refused ? status == StatusCode::conflict : status.ok(),
          to_string(id) + " was sealed, or was not");
  if (refused || operation.sealed) return;
  fact([id](Oracle& oracle) { oracle.operations.all.at(id).sealed = true; });
  ++counts["sealed"];
  move_on(id);
}

void CoreWorld::roll_back(CommitPlan& plan, OperationId id) {
  const auto found = oracle_.operations.all.find(id);
  if (found != oracle_.operations.all.end()) meet(Command::roll_back, id);
  const auto status = plan.roll_back(id, "no more");
  if (found == oracle_.operations.all.end()) {
    return require(status == StatusCode::not_found, "an operation nobody knows was rolled back");
  }
  const bool refused = found->second.state == OperationState::committed;
  require(refused ? status == StatusCode::conflict : status.ok(),
          to_string(id) + " was rolled back, or was not");
  if (!found->second.is_open()) return;
  ++counts["rolled back by hand"];
  go_back(id);
}

void CoreWorld::expire_operations(CommitPlan& plan) {
  std::set<OperationId> expected;
  for (const auto& [id, operation] : oracle_.operations.all) {
    if (operation.is_open() && operation.deadline != 0 && operation.deadline <= now_.bus) {
      expected.insert(id);
    }
  }
  const auto expired = ledger_->operations.take_expired(now_.bus);
  require(std::set<OperationId>(expired.begin(), expired.end()) == expected,
          "other operations than these are over their deadline");
  for (const auto id : expired) {
    meet(Command::deadline, id);
    require(plan.roll_back(id, "deadline passed").ok(), "an open operation cannot be rolled back");
    ++counts["deadline"];
    go_back(id);
  }
}

void CoreWorld::operate(CommitPlan& plan) {
  if (chance(50)) expire_operations(plan);
  const auto what = below(100);
  if (what < 60) return publish_members(plan);
  if (what < 75) {
    if (!make_room(plan, 1, 0)) return;
    begin(plan, next_operation());
    ++counts["begun"];
    return;
  }
  auto id = any_operation();
  if (!id.has_value()) return;
  if (what < 90) {
    const auto before = counts["sealed"];
    seal(plan, *id);
    counts["begun and sealed"] += counts["sealed"] - before;
    return;
  }
  // Rather one that leaves something to undo.
  const auto some = any_operation([](const auto& operation) {
    return operation.is_open() &&
           std::any_of(operation.members.begin(), operation.members.end(),
                       [](const auto& member) { return !member.kept.empty(); });
  });
  if (some.has_value() && chance(80)) id = some;
  roll_back(plan, *id);
}

/// So that a run can end: what nobody has sealed is, and what will never be done goes back.
void CoreWorld::end_operations(CommitPlan& plan, bool waits) {
  std::vector<OperationId> open;
  for (const auto& [id, operation] : oracle_.operations.all) {
    if (operation.is_open()) open.push_back(id);
  }
  for (const auto id : open) {
    if (waits && oracle_.operations.all.at(id).is_open()) {
      roll_back(plan, id);
    } else if (!oracle_.operations.all.at(id).sealed) {
      seal(plan, id);
    }
  }
  std::vector<RecordStore::Name> letters;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    for (const auto& [event, started] : subscription.dead_cleanups) {
      const auto place = oracle_.operations.find(event);
      if (place.has_value() && subscription.dead.contains(event) &&
          oracle_.operations.all.at(place->id).goes_back()) {
        letters.push_back({SubscriptionId{id}, event});
      }
    }
  }
  for (const auto& letter : letters) redrive(plan, letter);
}

// --- What comes of it ---------------------------------------------------------------------------

/// What was done is kept in case that it has to be undone: also by who has given up on it, and by
/// who had begun it and passed it over then.
void CoreWorld::keep_for_undo(Id id, EventId event, const Ending& ending) {
  const auto place = oracle_.operations.find(event);
  const auto& subscription = oracle_.subscriptions.at(id);
  if (!place.has_value() || !subscription.durable || !subscription.compensates) return;
  if (!oracle_.operations.all.at(place->id).is_open() || ending.cleanup) return;
  if (ending.how != Settled::acked && ending.how != Settled::dead &&
      (ending.how != Settled::skipped || !ending.started)) {
    return;
  }
  expected_settlements_.insert({SubscriptionId{id}, event});
  fact([=](Oracle& oracle) { oracle.operations.member(event).kept.insert(id); });
  ++counts["kept for compensation"];
}

void CoreWorld::note_member_ended(Id id, EventId event, const Ending& ending) {
  const auto place = oracle_.operations.find(event);
  if (!place.has_value() || !oracle_.subscriptions.at(id).durable) return;
  const auto& operation = oracle_.operations.all.at(place->id);
  if (operation.goes_back()) {
    if (ending.cleanup) ++counts[ending.how == Settled::dead ? "undone in vain" : "compensated"];
    return undo(place->id);
  }
  if (!operation.is_open()) return;
  if (ending.how == Settled::acked || ending.how == Settled::skipped) {
    if (operation.members[place->index].state != MemberState::pending || oracle_.is_owed(event)) {
      return;
    }
    set_member(event, MemberState::done);
    return move_on(place->id);
  }
  ++counts[ending.how == Settled::dead      ? "member dead"
           : ending.how == Settled::expired ? "member expired"
                                            : "member ended as cancelled"];
  go_back(place->id);
}

/// A dead letter is gone for good, and with it what it would have undone.
void CoreWorld::note_given_up(EventId event) {
  const auto place = oracle_.operations.find(event);
  if (!place.has_value() || !oracle_.operations.all.at(place->id).goes_back()) return;
  ++counts["undone by nobody any more"];
  undo(place->id);
}

void CoreWorld::set_member(EventId event, MemberState state) {
  fact([=](Oracle& oracle) { oracle.operations.member(event).state = state; });
}

void CoreWorld::set_operation(OperationId id, OperationState state) {
  fact([=, now = now_](Oracle& oracle) { oracle.operations.set_state(id, state, now.bus); });
  ++counts["operation " + std::string(to_string(state))];
  if (state != OperationState::rolling_back) expected_ended_.push_back(id);
}

void CoreWorld::move_on(OperationId id) {
  const auto& operation = oracle_.operations.all.at(id);
  if (!operation.is_open()) return;
  const auto first = operation.first_to_do();
  if (first < operation.members.size()) return wake(operation.members[first].event);
  if (!operation.sealed) return;
  fact([id](Oracle& oracle) {
    for (auto& member : oracle.operations.all.at(id).members) member.kept.clear();
  });
  set_operation(id, OperationState::committed);
}

/// What waits for its turn is due; or whatever it waits for.
void CoreWorld::wake(EventId event, bool also_paused) {
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    const auto found = subscription.owed.find(event);
    if (found == subscription.owed.end()) continue;
    const auto& owed = found->second;
    const bool waits = owed.parked && owed.due == model::kTurnDue;
    if (!waits && !(also_paused && owed.is_held_by_pause())) continue;
    if (subscription.durable) expected_settlements_.insert({SubscriptionId{id}, event});
    fact_of(id, [=, id = id, now = now_](Oracle& oracle) {
      if (auto* held = oracle.find(id)) held->owed.at(event).due = now.bus;
    });
    ++counts["its turn has come"];
  }
}

void CoreWorld::go_back(OperationId id) {
  went_back_ = true;
  const auto members = oracle_.operations.all.at(id).members;
  fact([=, now = now_](Oracle& oracle) {
    oracle.operations.set_state(id, OperationState::rolling_back, now.bus);
    for (const auto& member : members) oracle.tombstones.insert(member.event);
  });
  ++counts["operation goes back"];
  for (const auto& member : members) {
    std::vector<std::pair<SubscriptionId, EventId>> running;
    for (const auto& [subscription_id, subscription] : oracle_.subscriptions) {
      const auto found = subscription.owed.find(member.event);
      if (found == subscription.owed.end()) continue;
      const auto& owed = found->second;
      if (subscription.attached && owed.again && owed.again_started && !owed.parked &&
          subscription.durable && oracle_.cleans_up(subscription, member.event)) {
        // It is to start over, and would be forgotten with this process.
        expected_settlements_.insert({SubscriptionId{subscription_id}, member.event});
        fact([id = subscription_id, event = member.event, now = now_](Oracle& oracle) {
          oracle.park(id, event, {.due = now.bus, .cleanup = true});
        });
        auto& waits = oracle_.subscriptions.at(subscription_id).owed.at(member.event);
        waits.again_attempts = 0;
        waits.again_cleanup = true;
        ++counts["begun again and undone"];
      }
      if (owed.holder == 0 || owed.idle) continue;
      running.emplace_back(SubscriptionId{subscription_id}, member.event);
      expected_signalled_.insert(running.back());
      ++counts["member signalled"];
    }
    expect_cleanups(running);
    wake(member.event, true);
  }
  undo(id);
}

/// Somebody durable has begun it, or is to undo it, and is not through with it.
bool CoreWorld::is_begun(EventId event) const {
  return std::any_of(oracle_.subscriptions.begin(), oracle_.subscriptions.end(),
                     [&](const auto& each) {
                       const auto found = each.second.owed.find(event);
                       if (!each.second.durable || found == each.second.owed.end()) return false;
                       const auto& owed = found->second;
                       const bool parked = owed.parked && (owed.started || owed.cleanup);
                       return parked || (owed.holder != 0 && !owed.idle);
                     });
}

/// Somebody has given up undoing it.
bool CoreWorld::is_undone_in_vain(EventId event) const {
  return std::any_of(
      oracle_.subscriptions.begin(), oracle_.subscriptions.end(), [&](const auto& each) {
        return each.second.dead.contains(event) && each.second.dead_cleanups.contains(event);
      });
}

/// From the last member to the first, as far as nothing is to be waited for.
void CoreWorld::undo(OperationId id) {
  while (true) {
    const auto& operation = oracle_.operations.all.at(id);
    const auto left = operation.left_to_undo();
    if (left == 0) return set_operation(id, OperationState::rolled_back);
    const auto member = operation.members[left - 1];
    const auto event = member.event;
    wake(event);
    for (const auto kept : member.kept) {
      expected_settlements_.insert({SubscriptionId{kept}, event});
      fact([=, now = now_](Oracle& oracle) {
        oracle.park(kept, event, {.due = now.bus, .started = false, .cleanup = true});
        oracle.operations.member(event).kept.erase(kept);
      });
      ++counts["compensation owed"];
    }
    const bool begun = is_begun(event);
    if (begun || is_undone_in_vain(event)) {
      if (member.state != MemberState::compensating) set_member(event, MemberState::compensating);
      const auto state = begun ? OperationState::rolling_back : OperationState::rollback_failed;
      if (operation.state != state) set_operation(id, state);
      return;
    }
    set_member(event, MemberState::undone);
  }
}

}  // namespace holdfast::testing
