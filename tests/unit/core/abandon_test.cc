// SPDX-License-Identifier: MIT
// Taking an event from a handler that has it for too long, and what its late answer is worth.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/scheduler.h"
#include "support/operations.h"

namespace holdfast::core {
namespace {

using Effect = CommitPlan::Settlement::Effect;
using Kind = Answer::Kind;

constexpr Priority kLane = Priority::normal;

class AbandonTest : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(std::uint32_t concurrency, std::uint32_t attempts_max = 5) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    SubscriptionState* state = nullptr;
    commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
    attach(ledger_, scheduler_, *state,
           {concurrency,
            {.attempts_max = attempts_max,
             .backoff_first = std::chrono::milliseconds(7),
             .jitter = 0}},
           now_);
    return *state;
  }
  void commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    made_ = plan.finish();
    scheduler_.offer({number_});
  }
  void publish(std::size_t count) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i)
      events.add({.type = "a", .payload = "", .priority = kLane}, 1);
    commit([&](CommitPlan& plan) {
      std::vector<EventId> ids;
      plan.publish(events, false, ids);
    });
  }
  Effect answer(const Lease& lease, Kind kind = Kind::ack, std::unique_ptr<TxWrites> tx = nullptr) {
    auto effect = Effect::stale;
    commit([&](CommitPlan& plan) {
      auto& answer = answers_.emplace_back();
      answer.lease = lease;
      answer.kind = kind;
      answer.tx = std::move(tx);
      effect = plan.answer(answer).effect;
    });
    return effect;
  }
  /// As the runtime does it: the slot is free before the answer is committed.
  Effect abandon(const Lease& lease) {
    scheduler_.finish(lease);
    auto effect = Effect::stale;
    commit([&](CommitPlan& plan) { effect = plan.abandon(lease, "abandoned after 20 ms").effect; });
    return effect;
  }
  std::optional<Lease> take_when_due() {
    now_.bus += 1'000'000'000;
    scheduler_.advance(now_);
    return scheduler_.take(Priority::low);
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
};

TEST_F(AbandonTest, IsAFailedAttemptThatWaitsForItsBackoffWithItsReason) {
  const auto& subscription = subscribe(1);
  publish(1);
  const auto lease = *scheduler_.take(Priority::low);
  EXPECT_EQ(abandon(lease), Effect::parked);
  const auto parked = made<model::PutSettlement>();
  ASSERT_EQ(parked.size(), 1U);
  EXPECT_EQ(parked[0].record.attempts, 1U);
  EXPECT_EQ(parked[0].record.last_error, "abandoned after 20 ms");
  EXPECT_EQ(parked[0].record.due, now_.bus + 7'000'000);
  ASSERT_NE(parked[0].copy, nullptr);
  EXPECT_EQ(subscription.retried, 1U);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  const auto again = take_when_due();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->event, lease.event);
  EXPECT_EQ(again->attempt, 2U);
}

TEST_F(AbandonTest, LateAnswerChangesNothingWhileTheEventWaits) {
  subscribe(1);
  publish(1);
  const auto lease = *scheduler_.take(Priority::low);
  abandon(lease);
  for (const auto kind : {Kind::ack, Kind::retry, Kind::reject, Kind::snooze, Kind::release}) {
    EXPECT_EQ(answer(lease, kind), Effect::stale);
    EXPECT_TRUE(made_.operations.empty());
  }
}

TEST_F(AbandonTest, LateAnswerChangesNothingWhileAnotherHandlerHasTheEvent) {
  const auto& subscription = subscribe(1);
  publish(1);
  const auto late = *scheduler_.take(Priority::low);
  abandon(late);
  const auto current = take_when_due();
  ASSERT_TRUE(current.has_value());
  EXPECT_NE(current->number, late.number);
  auto tx = std::make_unique<TxWrites>();
  tx->state.push_back({"s", "key", "late"});
  EXPECT_EQ(answer(late, Kind::ack, std::move(tx)), Effect::stale);
  EXPECT_TRUE(made_.operations.empty()) << "its tx is not there either";
  EXPECT_EQ(answer(late, Kind::reject), Effect::stale);
  EXPECT_EQ(subscription.lanes[kLane].owed, 1U);
  EXPECT_EQ(answer(*current), Effect::settled);
  EXPECT_EQ(subscription.lanes[kLane].owed, 0U);
  EXPECT_EQ(answer(late), Effect::stale);
}

TEST_F(AbandonTest, OneThatWasAbandonedTwiceKnowsBothLateAnswers) {
  subscribe(1);
  publish(1);
  const auto first = *scheduler_.take(Priority::low);
  abandon(first);
  const auto second = *take_when_due();
  EXPECT_EQ(abandon(second), Effect::parked);
  const auto third = *take_when_due();
  EXPECT_EQ(third.attempt, 3U);
  EXPECT_EQ(answer(second), Effect::stale);
  EXPECT_EQ(answer(first), Effect::stale);
  EXPECT_EQ(answer(third), Effect::settled);
}

TEST_F(AbandonTest, ComesTooLateForWhatHasBeenAnswered) {
  const auto& subscription = subscribe(1);
  publish(1);
  const auto lease = *scheduler_.take(Priority::low);
  EXPECT_EQ(answer(lease), Effect::settled);
  EXPECT_EQ(abandon(lease), Effect::stale);
  EXPECT_TRUE(made_.operations.empty());
  EXPECT_EQ(subscription.retried, 0U);
}

TEST_F(AbandonTest, AfterTheLastAttemptItIsDead) {
  const auto& subscription = subscribe(1, 1);
  publish(1);
  EXPECT_EQ(abandon(*scheduler_.take(Priority::low)), Effect::settled);
  const auto letters = made<model::PutDeadLetter>();
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].record.reason, "abandoned after 20 ms");
  EXPECT_EQ(subscription.lanes[kLane].dead, 1U);
}

TEST_F(AbandonTest, SlotIsFreeForTheNextEvent) {
  const auto& subscription = subscribe(1);
  publish(2);
  const auto first = *scheduler_.take(Priority::low);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  abandon(first);
  const auto second = scheduler_.take(Priority::low);
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(second->event, first.event);
  EXPECT_EQ(subscription.in_flight, 1U);
}

TEST_F(AbandonTest, OneThatHeldUpTheFloorAndWasParkedMayStillBeAbandoned) {
  const auto& subscription = subscribe(8);
  publish(6'000);
  const auto slow = *scheduler_.take(Priority::low);
  for (int i = 0; i < 4'500 && subscription.lanes[kLane].parked == 0; ++i) {
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value());
    scheduler_.finish(*lease);
    answer(*lease);
  }
  ASSERT_EQ(subscription.lanes[kLane].parked, 1U);
  EXPECT_EQ(abandon(slow), Effect::parked);
  EXPECT_EQ(answer(slow), Effect::stale);
  const auto again = take_when_due();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->event, slow.event);
  EXPECT_EQ(answer(slow), Effect::stale);
  EXPECT_EQ(answer(*again), Effect::settled);
}

TEST_F(AbandonTest, RunThatStartsOverIsANewLease) {
  subscribe(1);
  publish(1);
  const auto refused = *scheduler_.take(Priority::low);
  scheduler_.finish(refused);
  scheduler_.run_again(refused);
  EXPECT_EQ(answer(refused), Effect::stale) << "nobody holds it now";
  const auto again = *scheduler_.take(Priority::low);
  EXPECT_EQ(answer(refused), Effect::stale);
  EXPECT_EQ(answer(again), Effect::settled);
}

}  // namespace
}  // namespace holdfast::core
