// SPDX-License-Identifier: MIT
// The rules of operations, one by one: whose turn it is, what is kept, and the way back.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/rule_bench.h"

namespace holdfast::core {
namespace {

constexpr OperationId kId{77};

class OperationRule : public ::testing::Test, protected holdfast::testing::RuleBench {
 protected:
  void begin(std::size_t members, const OperationOptions& options = {}, TokenId token = {},
             OperationId id = kId) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < members; ++i) events.add({.type = "a", .token = token}, 1, id);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) {
      ASSERT_TRUE(plan.make_room(1, members).ok());
      plan.begin_operation(id, options);
      plan.publish(events, true, ids);
      ASSERT_TRUE(plan.seal(id).ok());
    });
  }
  /// As whoever subscribes again with another one.
  void change_filter(std::vector<std::string> types) {
    model::PerLane<model::Sequence> next;
    for (const auto lane : kAllPriorities) next[lane] = ledger_->lanes[lane].next;
    const auto record = with_filter(state_->record, {std::move(types), {}},
                                    ledger_->operations.oldest_pending(next), next);
    commit([&](CommitPlan& plan) { plan.change(*state_, record, {}); });
    attach();
  }
  /// What is published before this call is not kept.
  void drop() {
    settings_.retention.settled.bytes = settings_.retention.unclaimed.bytes = 0;
    start();
    // Lanes are trimmed in steps of 1 MiB.
    const std::string large(std::size_t{1} << 20U, 'x');
    model::EncodedEvents events;
    for (const auto* type : {"b", "b"}) events.add({.type = type, .payload = large}, 1);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
    if (state_ != nullptr) (void)next();
    commit([](CommitPlan& plan) { plan.trim(); });
    ASSERT_EQ(ledger_->lanes[Priority::normal].trim, ids.back().sequence);
  }
  /// Until every retry is due.
  void wait() { advance(3'600'000'000'000); }
  [[nodiscard]] OperationState state() const { return ledger_->operations.find(kId)->record.state; }
};

TEST_F(OperationRule, OnlyTheFirstThatIsNotDoneMayRun) {
  subscribe();
  begin(3);
  const auto first = take();
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(take().has_value());
  EXPECT_EQ(ledger_->operations.find(EventId{Priority::normal, 2}).member->held.size(), 1U);
  answer(*first);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 3U);
  EXPECT_EQ(state(), OperationState::committed);
  EXPECT_TRUE(store_.settlements.empty()) << "what was kept for the way back is left over";
  EXPECT_TRUE(store_.parked.empty());
}

TEST_F(OperationRule, MemberIsDoneWhenItIsAcknowledged) {
  subscribe();
  begin(2);
  ASSERT_EQ(next(), 1U);
  const auto& operation = *ledger_->operations.find(kId);
  EXPECT_EQ(operation.members[0].record.done_at, now_.wall);
  EXPECT_EQ(operation.members[1].record.done_at, 0);
}

TEST_F(OperationRule, OneThatHasEndedIsKnownForADay) {
  begin(0);
  const auto pass = [&](std::int64_t hours) {
    advance(hours * 3'600'000'000'000);
    commit([](CommitPlan& plan) { plan.trim(); });
  };
  pass(24);
  EXPECT_NE(ledger_->operations.find(kId), nullptr);
  pass(1);
  EXPECT_EQ(ledger_->operations.find(kId), nullptr);
}

TEST_F(OperationRule, WhatIsHeldIsGivenOutInItsTurnAlsoAfterARestart) {
  subscribe();
  begin(2);
  ASSERT_TRUE(take().has_value());
  EXPECT_FALSE(take().has_value());
  start();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(state(), OperationState::committed);
}

TEST_F(OperationRule, WithoutSequenceAllMayRun) {
  subscribe();
  begin(2, {.sequential = false});
  EXPECT_TRUE(take().has_value());
  EXPECT_TRUE(take().has_value());
}

TEST_F(OperationRule, GoingBackTheLastThatIsNotUndoneIsCleanedUp) {
  subscribe();
  begin(4);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(Kind::reject), 3U);
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(store_.tombstones.size(), 4U);
  const auto third = take();
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->event.sequence, 3U);
  EXPECT_TRUE(third->is_compensation());
  EXPECT_FALSE(take().has_value());
  answer(*third);
  EXPECT_EQ(next(), 2U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
  EXPECT_EQ(state_->lanes[Priority::normal].owed, 0U);
  EXPECT_TRUE(store_.settlements.empty());
}

TEST_F(OperationRule, EachStepIsFoundAgainAfterARestart) {
  subscribe();
  begin(3);
  start();
  EXPECT_EQ(next(), 1U);
  start();
  EXPECT_EQ(next(), 2U);
  start();
  EXPECT_EQ(next(Kind::reject), 3U);
  start();
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(next(Kind::reject), 3U);
  EXPECT_EQ(state(), OperationState::rollback_failed);
  start();
  EXPECT_EQ(state(), OperationState::rollback_failed);
  EXPECT_EQ(next(), 0U);
  const auto letter = store_.dead.begin()->second;
  EXPECT_TRUE(letter.cleanup);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.redrive(letter)); });
  start();
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(next(), 3U);
  start();
  EXPECT_EQ(next(), 2U);
  start();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, WhoDoesNotCompensateKeepsNothing) {
  subscribe(false);
  begin(2);
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(store_.parked.empty());
  EXPECT_EQ(next(Kind::reject), 2U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, MemberThatRetriesIsUndoneToo) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::retry), 1U);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(kId, "no").ok()); });
  EXPECT_EQ(state(), OperationState::rolling_back);
  wait();
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, ThoseThatRanTogetherAreUndoneFromTheLastToTheFirst) {
  subscribe();
  begin(2, {.sequential = false});
  EXPECT_EQ(next(Kind::retry), 1U);
  EXPECT_EQ(next(Kind::retry), 2U);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(kId, "no").ok()); });
  wait();
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

/// What an ephemeral subscription is still owed of it decides nothing.
TEST_F(OperationRule, CancelOfWhatIsDoneSendsNothingBack) {
  subscribe();
  const auto durable = state_->record.id;
  subscribe_ephemeral();
  begin(2);
  auto first = take();
  const auto other = take();
  ASSERT_TRUE(first.has_value() && other.has_value());
  const auto one = first->chunk->event(1);
  answer(first->subscription == durable ? *first : *other);
  commit([&](CommitPlan& plan) {
    EXPECT_EQ(plan.cancel(one, "enough").receipt.outcome, CancelOutcome::signalled);
  });
  EXPECT_EQ(state(), OperationState::open);
  commit([&](CommitPlan& plan) { (void)plan.cancel(first->chunk->event(2), "enough"); });
  EXPECT_EQ(state(), OperationState::rolling_back);
}

TEST_F(OperationRule, OldestThatHasEndedMakesRoom) {
  ledger_->settings.operations_max = 1;
  begin(0);
  EXPECT_EQ(state(), OperationState::committed);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.make_room(1, 0).ok()); });
  EXPECT_EQ(ledger_->operations.find(kId), nullptr);
  EXPECT_TRUE(store_.operations.empty());
}

TEST_F(OperationRule, CompensationThatIsGivenUpTakesThePlaceOfTheDeadLetterOfItsEvent) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::reject), 1U);
  EXPECT_EQ(next(Kind::reject), 1U);
  EXPECT_EQ(state(), OperationState::rollback_failed);
  EXPECT_EQ(state_->lanes[Priority::normal].dead, 1U);
  const auto letter = store_.dead.begin()->second;
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.redrive(letter)); });
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
  EXPECT_EQ(state_->lanes[Priority::normal].dead, 0U);
}

TEST_F(OperationRule, WhatWasBegunAndPassedOverThenIsUndoneToo) {
  subscribe();
  begin(2);
  EXPECT_EQ(next(Kind::retry), 1U);
  wait();
  EXPECT_EQ(next(Kind::skip), 1U);
  EXPECT_EQ(next(Kind::reject), 2U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, FailedCompensationIsNeededAndWhatHasEndedIsNot) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::reject), 1U);
  EXPECT_EQ(next(Kind::reject), 1U);
  EXPECT_TRUE(ledger_->operations.of(state_->record.id).has_value());
  const auto letter = store_.dead.begin()->second;
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.redrive(letter)); });
  EXPECT_EQ(next(), 1U);
  EXPECT_FALSE(ledger_->operations.of(state_->record.id).has_value());
}

TEST_F(OperationRule, WhoComesLateToACommittedOneIsFree) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::committed);
  subscribe(true, {}, 1);
  EXPECT_EQ(next(Kind::retry), 1U);
  EXPECT_FALSE(ledger_->operations.of(state_->record.id).has_value());
}

TEST_F(OperationRule, AcknowledgedIsDoneAlsoByWhoWantsOthersByNow) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::retry), 1U);
  change_filter({"b"});
  wait();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::committed);
}

TEST_F(OperationRule, ChangedFilterClaimsNothingThatWasNotWantedBefore) {
  subscribe(true, {"b"});
  begin(1);
  change_filter({"a", "b"});
  const auto chunk = store_.chunks[Priority::normal].begin()->second;
  commit([&](CommitPlan& plan) {
    EXPECT_FALSE(plan.revisit({{EventId{Priority::normal, 1}, chunk}}));
  });
  EXPECT_EQ(state(), OperationState::open);
}

TEST_F(OperationRule, MemberThatIsDroppedUnclaimedSendsItBack) {
  begin(1);
  drop();
  EXPECT_EQ(state(), OperationState::rolled_back);
  EXPECT_NE(ledger_->operations.find(kId)->record.reason.find("normal:1 is not kept"),
            std::string::npos);
  start();
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, MemberThatIsParkedWhenItsLaneIsTrimmedGoesOn) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::retry), 1U);
  drop();
  EXPECT_EQ(state(), OperationState::open);
  wait();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::committed);
}

TEST_F(OperationRule, MemberThatWasParkedWithWhoHasGoneSendsItBack) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::retry), 1U);
  drop();
  commit([&](CommitPlan& plan) { plan.remove(state_->record.id); });
  EXPECT_EQ(state(), OperationState::open);
  commit([](CommitPlan& plan) { plan.trim(); });
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, MemberThatIsFoundGoneSendsItBack) {
  begin(2);
  commit([&](CommitPlan& plan) {
    EXPECT_TRUE(plan.revisit({{EventId{Priority::normal, 1}, nullptr}}));
  });
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, CompensationEndsNoEventOfATokenASecondTime) {
  const TokenId token{5};
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.make_token(token, 0).ok()); });
  subscribe();
  begin(2, {}, token);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(Kind::reject), 2U);
  EXPECT_EQ(ledger_->cancellations.find(token)->record.ended, 2U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
  EXPECT_EQ(ledger_->cancellations.find(token)->record.ended, 2U);
}

TEST_F(OperationRule, WhoIsNotWaitedForIsNotHeldForEver) {
  subscribe();
  model::SubscriptionRecord record;
  record.id = ledger_->next_id();
  auto& ephemeral = ledger_->add(record, false);
  core::attach(*ledger_, *scheduler_, ephemeral, {8, {}, true}, now_);
  begin(1, {.sequential = false});
  auto first = take();
  auto second = take();
  ASSERT_TRUE(first.has_value() && second.has_value());
  if (first->subscription != record.id) std::swap(first, second);
  answer(*second);
  EXPECT_EQ(state(), OperationState::committed);
  answer(*first);

  const OperationId other{78};
  begin(2, {.sequential = false}, {}, other);
  std::vector<Lease> leases;
  while (auto lease = take()) leases.push_back(*lease);
  ASSERT_EQ(leases.size(), 4U);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(other, "no").ok()); });
  for (const auto& lease : leases) {
    if (lease.subscription != record.id) answer(lease);
  }
  const auto last = take();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->event.sequence, 3U);
  answer(*last);
  for (const auto& lease : leases) {
    if (lease.subscription == record.id && lease.event == last->event) answer(lease);
  }
  // One of the two is the clean-up of the ephemeral one, whose turn is over.
  std::set<model::SubscriptionId> given;
  while (const auto lease = take()) given.insert(lease->subscription);
  EXPECT_TRUE(given.contains(record.id));
}

TEST_F(OperationRule, HandlerThatIsToStartOverHasBegun) {
  subscribe();
  begin(2);
  EXPECT_EQ(next(), 1U);
  const auto second = take();
  ASSERT_TRUE(second.has_value());
  scheduler_->finish(*second);
  scheduler_->run_again(*second);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(kId, "no").ok()); });
  EXPECT_EQ(state(), OperationState::rolling_back);
  start();
  EXPECT_EQ(next(), 2U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, WhatDiesWithTheProcessInItsOnlyAttemptIsKeptWithItsCopy) {
  subscribe();
  begin(1);
  const auto lease = take();
  ASSERT_TRUE(lease.has_value());
  start();
  commit([&](CommitPlan& plan) {
    EXPECT_TRUE(plan.accuse({.subscription = lease->subscription,
                             .event = lease->event,
                             .attempts = state_->record.attempts_max - 1,
                             .chunk = lease->chunk}));
  });
  EXPECT_TRUE(store_.parked.contains({lease->subscription, lease->event}));
  start();
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, WhatIsAccusedIsNotHeldAnyMore) {
  subscribe();
  begin(2);
  ASSERT_TRUE(take().has_value());
  EXPECT_FALSE(take().has_value());
  const EventId second{Priority::normal, 2};
  start();
  commit([&](CommitPlan& plan) {
    EXPECT_FALSE(plan.accuse({.subscription = state_->record.id,
                              .event = second,
                              .parked = true,
                              .due = model::kTurnDue,
                              .chunk = store_.parked.at({state_->record.id, second})}));
  });
  wait();
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(kId, "no").ok()); });
  EXPECT_EQ(store_.due_times.size(), 1U) << "it is put back twice";
}

}  // namespace
}  // namespace holdfast::core
