// SPDX-License-Identifier: MIT
// What a rewind does to a ledger, and what the commit says of it. That it gives every subscription
// exactly what it is owed, with everything else going on, is the model test's.
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/scheduler.h"
#include "support/operations.h"

namespace holdfast::core {
namespace {

constexpr Priority kLane = Priority::normal;

class RewindTest : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(Sequence start = 1) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s";
    record.start[kLane] = start;
    SubscriptionState* state = nullptr;
    commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
    attach(ledger_, scheduler_, *state, {.concurrency = 10}, now_);
    return *state;
  }
  const model::Commit& commit(const std::function<void(CommitPlan&)>& fill, bool offered = true) {
    CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    made_ = plan.finish();
    if (offered) scheduler_.offer({number_});
    return made_;
  }
  void publish(std::size_t count, bool offered = true) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i) {
      events.add({.type = "a", .payload = "", .priority = kLane}, 1);
    }
    commit(
        [&](CommitPlan& plan) {
          std::vector<EventId> ids;
          plan.publish(events, false, ids);
        },
        offered);
  }
  void answer(const Lease& lease, Answer::Kind kind = Answer::Kind::ack) {
    commit([&](CommitPlan& plan) {
      auto& answer = answers_.emplace_back();
      answer.lease = lease;
      answer.kind = kind;
      effect_ = plan.answer(answer).effect;
    });
    scheduler_.finish(lease);
  }
  CommitPlan::Rewind to(Sequence from) const {
    CommitPlan::Rewind rewind;
    for (const auto lane : kAllPriorities) rewind.from[lane] = ledger_.lanes[lane].next;
    rewind.from[kLane] = from;
    rewind.backlog[kLane].owed = ledger_.lanes[kLane].next - from;
    return rewind;
  }
  template <typename Op>
  std::vector<Op> made() const {
    return holdfast::testing::operations_of<Op>(made_);
  }

  Ledger ledger_{LedgerSettings{}};
  Scheduler scheduler_{ledger_};
  base::Now now_{.wall = 1'000'000, .boot = 5'000, .bus = 5'000};
  std::uint64_t number_ = 0;
  model::Commit made_;
  std::deque<Answer> answers_;
  CommitPlan::Settlement::Effect effect_{};
};

TEST_F(RewindTest, PutsTheCursorBackWithItsCountAndForgetsWhatIsParked) {
  auto& subscription = subscribe();
  publish(4);
  answer(*scheduler_.take(Priority::low));
  answer(*scheduler_.take(Priority::low), Answer::Kind::retry);
  detach(ledger_, subscription);
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(2)); });
  const auto cursors = made<model::PutCursor>();
  ASSERT_EQ(cursors.size(), kLaneCount);
  for (const auto& cursor : cursors) {
    if (cursor.record.lane != kLane) continue;
    EXPECT_EQ(cursor.record.floor, 2U);
    EXPECT_EQ(cursor.record.owed, 3U);
    EXPECT_EQ(cursor.record.parked, 0U);
    EXPECT_TRUE(cursor.record.ahead.empty());
  }
  ASSERT_EQ(made<model::EraseParked>().size(), 1U);
  EXPECT_TRUE(made<model::EraseParked>()[0].kept.empty());
  EXPECT_EQ(subscription.lanes[kLane].floor(5), 2U);
}

TEST_F(RewindTest, StartGoesBackWithItAndNeverForward) {
  auto& subscription = subscribe(3);
  publish(5);
  detach(ledger_, subscription);
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(5)); });
  EXPECT_EQ(made<model::PutSubscription>()[0].record.start[kLane], 3U);
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(2)); });
  EXPECT_EQ(made<model::PutSubscription>()[0].record.start[kLane], 2U);
}

TEST_F(RewindTest, EarlierFiltersAreForgotten) {
  auto& subscription = subscribe();
  detach(ledger_, subscription);
  auto record = subscription.record;
  record.earlier.push_back({{{"b"}, {}}, {{9, 9, 9, 9}}});
  commit([&](CommitPlan& plan) { plan.change(subscription, record, {}); });
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(1)); });
  EXPECT_TRUE(made<model::PutSubscription>()[0].record.earlier.empty());
  EXPECT_EQ(subscription.interest->plain_from(kLane), 1U);
}

TEST_F(RewindTest, AnswerOfAnEarlierHandlerIsStale) {
  auto& subscription = subscribe();
  publish(2);
  const auto taken = *scheduler_.take(Priority::low);
  const auto retried = *scheduler_.take(Priority::low);
  answer(retried, Answer::Kind::snooze);
  detach(ledger_, subscription);
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(1)); });
  answer(taken);
  EXPECT_EQ(effect_, CommitPlan::Settlement::Effect::stale);
  EXPECT_EQ(subscription.lanes[kLane].owed, 2U);
  EXPECT_EQ(subscription.lanes[kLane].leased, 0U);
}

TEST_F(RewindTest, GoesBeyondWhatIsCommittedAndNotOfferedYet) {
  auto& subscription = subscribe();
  publish(3);
  publish(2, false);
  detach(ledger_, subscription);
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(6)); }, false);
  EXPECT_EQ(subscription.lanes[kLane].floor(ledger_.lanes[kLane].offered), 6U);
  for (const auto& cursor : made<model::PutCursor>()) {
    if (cursor.record.lane == kLane) {
      EXPECT_EQ(cursor.record.floor, 6U) << "it would come back after a crash";
    }
  }
  publish(1);
  EXPECT_EQ(subscription.lanes[kLane].owed, 1U);
  // Nobody was there when it was offered, so it is to be read.
  attach(ledger_, scheduler_, subscription, {.concurrency = 100}, now_);
  const auto refill = scheduler_.next_refill(Priority::low);
  ASSERT_TRUE(refill.has_value());
  EXPECT_EQ(refill->from, 6U);
}

TEST_F(RewindTest, AHandlerThatComesBeforeTheOfferIsNotGivenWhatWasSkipped) {
  auto& subscription = subscribe();
  publish(2, false);
  detach(ledger_, subscription);
  commit([&](CommitPlan& plan) { plan.rewind(subscription, to(3)); }, false);
  attach(ledger_, scheduler_, subscription, {.concurrency = 100}, now_);
  publish(1);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 3U);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(RewindTest, WhatStaysParkedStaysOwed) {
  auto& subscription = subscribe();
  publish(3);
  answer(*scheduler_.take(Priority::low), Answer::Kind::retry);
  const auto due = made<model::PutSettlement>()[0].record.due;
  detach(ledger_, subscription);
  auto rewind = to(3);
  rewind.parked_before[kLane] = 3;
  rewind.kept = {{subscription.record.id, {kLane, 1}, due, 1, false}};
  commit([&](CommitPlan& plan) { plan.rewind(subscription, rewind); });
  EXPECT_EQ(made<model::EraseParked>()[0].from[kLane], 3U);
  EXPECT_EQ(made<model::EraseParked>()[0].kept.size(), 1U);
  EXPECT_EQ(subscription.lanes[kLane].owed, 2U);
  EXPECT_EQ(subscription.lanes[kLane].parked, 1U);
}

TEST_F(RewindTest, WhatNobodyHadClaimedIsClaimed) {
  publish(4);
  auto& subscription = subscribe(5);
  detach(ledger_, subscription);
  EXPECT_EQ(ledger_.lanes[kLane].retention->unclaimed(), 4U);
  auto rewind = to(2);
  rewind.backlog[kLane].claimed[1] = 3;
  commit([&](CommitPlan& plan) { plan.rewind(subscription, rewind); });
  EXPECT_EQ(ledger_.lanes[kLane].retention->unclaimed(), 1U);
  ASSERT_EQ(made<model::PutRetentionMark>().size(), 1U);
  EXPECT_EQ(made<model::PutRetentionMark>()[0].mark.unclaimed, 1U);
}

TEST_F(RewindTest, DeadLetterOfWhatIsOwedAgainIsErased) {
  auto& subscription = subscribe();
  publish(1);
  answer(*scheduler_.take(Priority::low), Answer::Kind::reject);
  detach(ledger_, subscription);
  auto rewind = to(1);
  rewind.dead = {{kLane, 1}};
  commit([&](CommitPlan& plan) { plan.rewind(subscription, rewind); });
  ASSERT_EQ(made<model::EraseDeadLetter>().size(), 1U);
  EXPECT_EQ(subscription.lanes[kLane].dead, 0U);
  EXPECT_EQ(ledger_.dead_letters.size(), 0U);
}

}  // namespace
}  // namespace holdfast::core
