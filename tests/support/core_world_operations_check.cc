// SPDX-License-Identifier: MIT
// What moves operations on without an answer, and how each is held against the oracle.
#include <algorithm>
#include <array>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::SubscriptionId;

namespace {

constexpr std::int64_t kOperationKept = std::int64_t{24} * 3'600 * 1'000'000'000;

}  // namespace

// --- Without an answer --------------------------------------------------------------------------

/// Those that may be done because nobody is owed them any more, as whoever opens the bus, or
/// changes a subscription, looks for them.
std::vector<CommitPlan::MemberEvent> CoreWorld::pending_members() {
  std::vector<CommitPlan::MemberEvent> pending;
  for (const auto& [id, operation] : oracle_.operations.all) {
    if (!operation.is_open()) continue;
    for (auto i = operation.first_to_do(); i < operation.members.size(); ++i) {
      const auto& member = operation.members[i];
      if (member.state == MemberState::pending) {
        auto chunk = store_.chunk_of(member.event);
        for (const auto& [name, copy] : store_.parked) {
          if (chunk == nullptr && name.second == member.event &&
              store_.settlements.at(name).is_owed()) {
            chunk = copy;
          }
        }
        pending.push_back({member.event, chunk});
      }
      if (operation.sequential) break;
    }
  }
  return pending;
}

/// Whether a member that nobody has answered is done all the same. What a claim comes to whose
/// owner has gone, or wants others, nobody knows: then the core may say so.
bool CoreWorld::is_done_unanswered(EventId event) {
  if (oracle_.is_owed(event)) return false;
  const auto known = oracle_.events.find(event);
  if (known != oracle_.events.end()) {
    bool sure = false;
    bool maybe = known->second.ever_claimed;
    for (const auto& [id, subscription] : oracle_.subscriptions) {
      if (!subscription.durable || !Oracle::wants(subscription.wish, event, known->second))
        continue;
      sure = sure || event.sequence >= subscription.sure_from[event.priority];
      maybe = maybe || subscription.was_rewound;
    }
    if (sure || !maybe) return sure;
  }
  const auto at = ledger_->operations.find(event);
  return at && at.member->record.state == MemberState::done;
}

/// Nobody can do it any more.
bool CoreWorld::is_gone(const OracleMember& member) const {
  return member.state == MemberState::pending &&
         member.event.sequence < ledger_->lanes[member.event.priority].trim &&
         !oracle_.is_owed(member.event);
}

void CoreWorld::trim(CommitPlan& plan) {
  plan.trim();
  for (const auto& [id, operation] : oracle_.operations.all) {
    if (!operation.is_open() ||
        std::none_of(operation.members.begin(), operation.members.end(),
                     [this](const auto& member) { return is_gone(member); })) {
      continue;
    }
    ++counts["member gone"];
    go_back(id);
  }
}

/// Some operation that has not ended has events with it that it could not do without.
bool CoreWorld::needs_for_operation(Id id) const {
  const auto& subscription = oracle_.subscriptions.at(id);
  for (const auto& [operation_id, operation] : oracle_.operations.all) {
    if (operation.has_ended()) continue;
    for (const auto& member : operation.members) {
      const auto owed = subscription.owed.find(member.event);
      const bool parked = owed != subscription.owed.end() && owed->second.parked &&
                          (owed->second.started || owed->second.cleanup ||
                           owed->second.due == model::kTurnDue || owed->second.is_held_by_pause());
      const bool given_up = subscription.dead.contains(member.event) &&
                            subscription.dead_cleanups.contains(member.event);
      if (parked || given_up || member.kept.contains(id)) return true;
    }
  }
  return false;
}

void CoreWorld::revisit_operations() {
  revisit_due_ = false;
  bool again = true;
  while (again && !oracle_.operations.all_have_ended()) {
    commit([&](CommitPlan& plan) {
      const auto pending = pending_members();
      again = plan.revisit(pending);
      bool moved = false;
      for (const auto& [event, chunk] : pending) {
        const auto place = oracle_.operations.find(event);
        const auto& operation = oracle_.operations.all.at(place->id);
        if (!operation.is_open()) continue;
        if (is_gone(operation.members[place->index])) {
          ++counts["member found gone"];
          go_back(place->id);
        } else if (is_done_unanswered(event)) {
          set_member(event, MemberState::done);
          ++counts["done without an answer"];
          move_on(place->id);
        } else {
          continue;
        }
        moved = true;
      }
      require(again == moved, "some member is done without an answer, or is not");
      for (const auto& [id, operation] : oracle_.operations.all) {
        if (operation.goes_back()) undo(id);
      }
    });
  }
}

// --- Looking ------------------------------------------------------------------------------------

/// What the plan says of operations beside what it writes.
void CoreWorld::check_operations(const CommitPlan& plan, const model::Commit& made) {
  const auto& signalled = plan.signalled();
  require(std::set<RecordStore::Name>(signalled.begin(), signalled.end()) == expected_signalled_,
          "others are asked to stop than those who run what goes back");
  require(plan.went_back() == went_back_, "an operation goes back, or does not");
  auto ended = plan.ended_operations();
  std::sort(ended.begin(), ended.end());
  std::sort(expected_ended_.begin(), expected_ended_.end());
  require(ended == expected_ended_, "other operations have ended");
  for (const auto& each : made.operations) {
    const auto* erased = std::get_if<model::EraseOperation>(&each);
    if (erased == nullptr || expected_forgotten_.erase(erased->operation) > 0) continue;
    const auto id = erased->operation;
    const auto& operation = oracle_.operations.all.at(id);
    require(operation.has_ended() && now_.bus - operation.ended > kOperationKept,
            to_string(id) + " was forgotten early");
    fact([id](Oracle& oracle) { oracle.operations.forget(id); });
    ++counts["operation forgotten"];
  }
  require(expected_forgotten_.empty(), "an operation was not forgotten for another");
}

void CoreWorld::compare_member(const OracleOperation& operation, const OracleMember& member) {
  const auto event = member.event;
  const auto what = "member " + to_string(event);
  const auto at = ledger_->operations.find(event);
  require(bool(at), what + " is unknown");
  require(at.member->record.state == member.state,
          what + " is " + std::string(to_string(at.member->record.state)) + ", not " +
              std::string(to_string(member.state)));
  std::set<Id> kept;
  for (const auto& [id, place] : at.member->kept) kept.insert(id.value);
  require(kept == member.kept, what + " is kept for others");
  for (const auto id : member.kept) {
    const RecordStore::Name name{SubscriptionId{id}, event};
    const auto stored = store_.settlements.find(name);
    require(stored != store_.settlements.end() && stored->second.due == model::kKeptDue &&
                stored->second.cleanup && !stored->second.started &&
                store_.due_times.contains(RecordStore::due_name(name, model::kKeptDue)),
            what + " is not kept as one that may be undone");
    require(store_.parked.contains(name), what + " is kept without its copy");
  }
  if (operation.has_ended()) {
    require(kept.empty(), what + " is kept though its operation has ended");
  } else {
    compare_standing(member, *at.member);
  }
}

/// With whom it waits for its turn, who has begun it and left it for later, or is to undo it, and
/// who has given that up.
void CoreWorld::compare_standing(const OracleMember& member, const core::Operations::Member& core) {
  const auto what = "member " + to_string(member.event);
  std::set<SubscriptionId> held;
  std::set<SubscriptionId> begun;
  std::set<SubscriptionId> failed;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    const SubscriptionId each{id};
    if (subscription.dead.contains(member.event) &&
        subscription.dead_cleanups.contains(member.event)) {
      failed.insert(each);
    }
    const auto found = subscription.owed.find(member.event);
    if (found == subscription.owed.end() || !found->second.parked) continue;
    const auto& owed = found->second;
    if (owed.due == model::kTurnDue || owed.is_held_by_pause()) held.insert(each);
    if (subscription.durable && (owed.started || owed.cleanup)) begun.insert(each);
  }
  std::set<SubscriptionId> core_held;
  for (const auto& [id, entry] : core.held) core_held.insert(id);
  require(core_held == held, what + " is held for others");
  require(core.begun == begun, what + " was begun by others");
  require(core.failed == failed, what + " was undone in vain by others");
}

void CoreWorld::compare_operations() {
  const auto& known = oracle_.operations;
  require(ledger_->operations.size() == known.all.size() &&
              ledger_->operations.member_count() == known.member_count() &&
              store_.operations.size() == known.all.size() &&
              store_.members.size() == known.member_count(),
          "not the same operations");
  std::array<std::uint64_t, 5> count{};
  for (const auto& [id, operation] : known.all) {
    const auto* core = std::as_const(ledger_->operations).find(id);
    require(core != nullptr, to_string(id) + " is unknown");
    require(core->record.state == operation.state,
            to_string(id) + " is " + std::string(to_string(core->record.state)) + ", not " +
                std::string(to_string(operation.state)));
    const auto& stored = store_.operations.at(id);
    require(stored.state == operation.state && stored.sealed == operation.sealed &&
                stored.sequential == operation.sequential &&
                stored.deadline == operation.deadline && stored.ended_bus == operation.ended &&
                stored.members == operation.members.size(),
            to_string(id) + " is stored differently");
    require(
        core->record.sealed == operation.sealed && core->members.size() == operation.members.size(),
        to_string(id) + " has other members");
    for (std::uint32_t i = 0; i < operation.members.size(); ++i) {
      const auto& member = operation.members[i];
      require(core->members[i].record.event == member.event, to_string(id) + " has other members");
      const auto& record = store_.members.at({id, i});
      require(record.event == member.event && record.state == member.state,
              "a member is stored differently: " + to_string(member.event));
      compare_member(operation, member);
    }
    ++count[static_cast<std::size_t>(operation.state)];
  }
  for (std::size_t i = 0; i < count.size(); ++i) {
    require(ledger_->operations.count(static_cast<OperationState>(i)) == count[i],
            "operations are counted wrong by how they stand");
  }
}

}  // namespace holdfast::testing
