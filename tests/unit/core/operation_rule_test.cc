// SPDX-License-Identifier: MIT
// The rules of operations, one by one: whose turn it is, what is kept, and the way back.
#include <vector>

#include <gtest/gtest.h>

#include "support/rule_bench.h"

namespace holdfast::core {
namespace {

constexpr OperationId kId{77};

class OperationRule : public ::testing::Test, protected holdfast::testing::RuleBench {
 protected:
  void begin(std::size_t members, const OperationOptions& options = {}) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < members; ++i) events.add({.type = "a"}, 1, kId);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) {
      ASSERT_TRUE(plan.make_room(1, members).ok());
      plan.begin_operation(kId, options);
      plan.publish(events, true, ids);
      ASSERT_TRUE(plan.seal(kId).ok());
    });
  }
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
  now_.bus += 3'600'000'000'000;
  scheduler_->advance(now_);
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
  now_.bus += 3'600'000'000'000;
  scheduler_->advance(now_);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, OldestThatHasEndedMakesRoom) {
  ledger_->settings.operations_max = 1;
  begin(0);
  EXPECT_EQ(state(), OperationState::committed);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.make_room(1, 0).ok()); });
  EXPECT_EQ(ledger_->operations.find(kId), nullptr);
  EXPECT_TRUE(store_.operations.empty());
}

}  // namespace
}  // namespace holdfast::core
