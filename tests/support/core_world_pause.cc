// SPDX-License-Identifier: MIT
// The part of the world in which event types pause, and what was held of them is put back.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::SubscriptionId;

// --- Oracle -------------------------------------------------------------------------------------

bool Oracle::is_type_paused(const std::string& type) const {
  return std::any_of(paused_types.begin(), paused_types.end(), [&](const std::string& pattern) {
    return matches(split(pattern), split(type));
  });
}

// --- Pausing ------------------------------------------------------------------------------------

void CoreWorld::pause_types(CommitPlan& plan, const std::string& pattern) {
  meet(Command::pause_types, all_states());
  require(plan.pause_types(pattern).ok(), "a pattern cannot be paused");
  if (oracle_.paused_types.contains(pattern)) ++counts["pause types again"];
  // What is there already writes nothing.
  if (!oracle_.paused_types.contains(pattern)) {
    fact([=](Oracle& oracle) { oracle.paused_types.insert(pattern); });
  }
  ++counts["pause types"];
}

void CoreWorld::resume_types(CommitPlan& plan, const std::string& pattern) {
  const bool known = oracle_.paused_types.contains(pattern);
  if (known) meet(Command::resume_types, all_states());
  require(plan.resume_types(pattern) == (known ? StatusCode::ok : StatusCode::not_found),
          "a pattern is paused otherwise");
  if (!known) return;
  fact([=](Oracle& oracle) {
    oracle.paused_types.erase(pattern);
    for (const auto& [id, subscription] : oracle.subscriptions) {
      if (subscription.durable && subscription.holds_any()) oracle.releasing = true;
    }
  });
  for (auto& [id, subscription] : oracle_.subscriptions) {
    if (subscription.durable) continue;
    for (auto& [event, owed] : subscription.owed) {
      if (!owed.is_held_by_pause() || oracle_.is_type_paused(owed.type)) continue;
      owed.due = now_.bus;
      ++counts["put back of an ephemeral one"];
    }
  }
  ++counts["resume types"];
}

void CoreWorld::resume_all_types(CommitPlan& plan) {
  while (!oracle_.paused_types.empty()) {
    resume_types(plan, std::string(*oracle_.paused_types.begin()));
  }
}

void CoreWorld::pause_or_resume_types(CommitPlan& plan) {
  auto pattern = pick<std::string>({"a.x", "a.>", "*.x", "c", "b.y.z", ">"});
  if (const auto rare = chance(40) ? rare_one() : std::nullopt; rare.has_value()) {
    const auto known = oracle_.events.find(rare->second);
    if (known != oracle_.events.end()) pattern = known->second.type;
  }
  if (oracle_.paused_types.empty() && pattern != ">") return pause_types(plan, pattern);
  if (chance(35)) return pause_types(plan, pattern);
  resume_types(
      plan, chance(80) && !oracle_.paused_types.empty() ? *oracle_.paused_types.begin() : pattern);
}

/// What its answer makes of an event that the gate wanted to be held: looked at again.
model::DueTime CoreWorld::held_until(const Held& held, const EventView& event) {
  const bool is_turn = held.lease.cleanup ? oracle_.operations.may_be_undone(held.lease.event)
                                          : oracle_.operations.may_run(held.lease.event);
  if (!is_turn) {
    ++counts["held for its turn"];
    return model::kTurnDue;
  }
  if (!held.lease.cleanup && oracle_.is_type_paused(std::string(event.type))) {
    return model::paused_due(event.expires_at);
  }
  ++counts["free meanwhile"];
  return model::due_at_bus(now_.bus);
}

// --- Putting back -------------------------------------------------------------------------------

/// A part of what is held up to `last`, with or without something else in the same commit. False =
/// there is nothing left to look at.
bool CoreWorld::put_back(core::HeldRelease& pass, model::DueTime last, bool others) {
  const auto part = pass.next(*ledger_);
  if (!part.has_value()) return false;
  const auto most = chance(50) ? 1 + below(10) : core::HeldRelease::kReleasedAtOnce;
  const RecordStore::DueName from{part->subscription, part->lane, part->from.due,
                                  part->from.sequence};
  std::vector<model::DueRecord> released;
  std::optional<core::ParkedWindow::Key> reached;
  std::size_t seen = 0;
  for (auto at = store_.due_times.lower_bound(from); at != store_.due_times.end(); ++at) {
    const auto& record = at->second;
    if (record.subscription != part->subscription || record.event.priority != part->lane ||
        record.due > last) {
      break;
    }
    if (seen++ == most) {
      reached = {record.due, record.event.sequence};
      break;
    }
    const auto& copy = store_.parked.at({record.subscription, record.event});
    const auto event = copy->event(record.event.sequence);
    const bool expired = event.expires_at != 0 && event.expires_at <= now_.wall;
    if (expired || !oracle_.is_type_paused(std::string(event.type))) released.push_back(record);
  }
  commit([&](CommitPlan& plan) {
    // What was read may be no more by the time it is changed.
    if (others && chance(10)) rewind(plan);
    if (others && chance(10)) remove(plan);
    if (others && chance(10)) cancel_some(plan);
    auto* subscription = ledger_->find(part->subscription);
    if (subscription == nullptr) return;
    for (const auto& record : released) put_back(plan, *subscription, record);
  });
  pass.done(reached);
  return true;
}

void CoreWorld::put_back(CommitPlan& plan, core::SubscriptionState& subscription,
                         const model::DueRecord& record) {
  const auto id = record.subscription.value;
  const auto event = record.event;
  const auto& owed = oracle_.subscriptions.at(id).owed;
  const auto known = owed.find(event);
  if (known != owed.end() && known->second.parked && known->second.due == record.due) {
    meet(Command::put_back, id, event);
    expected_settlements_.insert({record.subscription, event});
    fact([=, due = model::due_at_bus(now_.bus)](Oracle& oracle) {
      oracle.subscriptions.at(id).owed.at(event).due = due;
    });
    ++counts["put back"];
  }
  plan.release(subscription, record);
}

void CoreWorld::put_some_back(bool others) {
  if (!ledger_->paused_types.record().releasing) return;
  if (put_back(held_release_, model::kWallDueBegin - 1, others)) return;
  commit([&](CommitPlan& plan) {
    plan.end_release();
    fact([](Oracle& oracle) { oracle.releasing = false; });
  });
  ++counts["all put back"];
}

/// What has expired while it was held.
void CoreWorld::put_expired_back() {
  core::HeldRelease pass;
  while (put_back(pass, model::paused_due(now_.wall) - 1, false)) {
  }
}

void CoreWorld::put_all_back() {
  while (ledger_->paused_types.record().releasing) put_some_back(false);
}

void CoreWorld::compare_paused() {
  require(ledger_->paused_types.record() == store_.paused_types, "paused types are not stored");
  require(std::equal(oracle_.paused_types.begin(), oracle_.paused_types.end(),
                     store_.paused_types.patterns.begin(), store_.paused_types.patterns.end()),
          "other types are paused");
  require(oracle_.releasing == store_.paused_types.releasing,
          "what was held is put back, or not, otherwise");
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    model::PerLane<std::uint64_t> held{};
    for (const auto& [event, owed] : subscription.owed) {
      if (!owed.is_held_by_pause()) continue;
      ++held[event.priority];
      require(oracle_.is_type_paused(owed.type) || (subscription.durable && oracle_.releasing),
              "held for ever: " + name(id, event));
    }
    for (const auto lane : kAllPriorities) {
      require(state_of(id).lanes[lane].paused == held[lane],
              "what is held is counted wrong: subscription " + std::to_string(id));
    }
  }
}

}  // namespace holdfast::testing
