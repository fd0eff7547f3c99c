// SPDX-License-Identifier: MIT
#include "core/commit_plan.h"

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/scheduler.h"
#include "support/operations.h"

namespace holdfast::core {
namespace {

using Effect = CommitPlan::Settlement::Effect;
using Kind = Answer::Kind;

constexpr Priority kLane = Priority::normal;

class CommitPlanTest : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(std::uint32_t concurrency, RetryPolicy retry = {}) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    SubscriptionState* state = nullptr;
    commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
    attach(ledger_, scheduler_, *state, {concurrency, retry}, now_);
    return *state;
  }

  const model::Commit& commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    made_ = plan.finish();
    scheduler_.offer({number_});
    return made_;
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
  Effect answer(const Lease& lease, Kind kind = Kind::ack,
                const std::function<void(Answer&)>& with = {}) {
    auto effect = Effect::stale;
    commit([&](CommitPlan& plan) {
      auto& answer = answers_.emplace_back();
      answer.lease = lease;
      answer.kind = kind;
      if (with) with(answer);
      effect = plan.answer(answer).effect;
    });
    return effect;
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

TEST_F(CommitPlanTest, SplitsABigCommitIntoChunksAndNumbersItsEventsWithoutAHole) {
  publish(2'500);
  const auto appends = made<model::Append>();
  ASSERT_GE(appends.size(), 3U);
  Sequence next = 1;
  std::uint32_t index = 0;
  for (const auto& append : appends) {
    ASSERT_EQ(append.chunk->first(), next);
    ASSERT_LE(append.chunk->count(), model::kChunkEventsMax);
    for (; next <= append.chunk->last(); ++next)
      ASSERT_EQ(append.chunk->event(next).index, index++);
  }
  EXPECT_EQ(next, 2'501U);
  EXPECT_EQ(made_.next[kLane], 2'501U);
}

class TrimTest : public CommitPlanTest {
 protected:
  TrimTest() {
    ledger_.settings.retention.settled.bytes = 0;
    for (auto& lane : ledger_.lanes) lane.retention.emplace(kLane, ledger_.settings.retention);
  }
  /// Two that are large, of which the first is settled.
  void settle_the_first() {
    subscribe(1);
    publish_large(2);
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(answer(*lease), Effect::settled);
    EXPECT_EQ(made_.trim[kLane], 1U);
  }
  /// Each as large as the step in which lanes are trimmed.
  void publish_large(std::size_t count) {
    model::EncodedEvents events;
    const std::string large(std::size_t{1} << 20U, 'x');
    for (std::size_t i = 0; i < count; ++i) events.add({.type = "a", .payload = large}, 1);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
  }
};

TEST_F(TrimTest, ACommitMayDoNothingElse) {
  settle_the_first();
  CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
  EXPECT_TRUE(plan.empty());
  plan.trim();
  EXPECT_FALSE(plan.empty());
  EXPECT_EQ(plan.finish().trim[kLane], 2U);
}

TEST_F(TrimTest, APublisherTrimsWhatIsSettledByThen) {
  settle_the_first();
  publish_large(1);
  EXPECT_EQ(made_.trim[kLane], 2U);
}

TEST_F(CommitPlanTest, AnAckAndItsCursorAreOneCommit) {
  subscribe(2);
  publish(2);
  const auto first = scheduler_.take(Priority::low);
  EXPECT_EQ(answer(*first), Effect::settled);
  const auto cursors = made<model::PutCursor>();
  ASSERT_EQ(cursors.size(), 1U);
  EXPECT_EQ(cursors[0].record.floor, 2U);
  EXPECT_EQ(cursors[0].record.owed, 1U);
  EXPECT_EQ(cursors[0].record.as_of, 3U);
  EXPECT_EQ(answer(*first), Effect::stale);
  EXPECT_TRUE(made_.operations.empty());
}

TEST_F(CommitPlanTest, AFailedDeliveryIsParkedWithACopyAndDiesAfterItsLastAttempt) {
  auto& subscription = subscribe(1, {.attempts_max = 2});
  publish(1);
  auto lease = scheduler_.take(Priority::low);
  EXPECT_EQ(answer(*lease, Kind::retry), Effect::parked);
  scheduler_.finish(*lease);
  auto parked = made<model::PutSettlement>();
  ASSERT_EQ(parked.size(), 1U);
  EXPECT_EQ(parked[0].record.attempts, 1U);
  ASSERT_NE(parked[0].copy, nullptr);
  EXPECT_EQ(parked[0].copy->count(), 1U);
  EXPECT_GT(parked[0].record.due, now_.bus);
  EXPECT_EQ(made<model::PutCursor>()[0].record.floor, 2U) << "the floor goes on without it";

  now_.bus = parked[0].record.due;
  scheduler_.advance(now_);
  lease = scheduler_.take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(lease->attempt, 2U);
  lease->chunk = parked[0].copy;
  EXPECT_EQ(answer(*lease, Kind::retry), Effect::settled);
  EXPECT_EQ(made<model::EraseSettlement>().size(), 1U);
  const auto letters = made<model::PutDeadLetter>();
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].record.attempts, 2U);
  EXPECT_EQ(subscription.lanes[kLane].owed, 0U);
  EXPECT_EQ(subscription.lanes[kLane].dead, 1U);
}

TEST_F(CommitPlanTest, ASnoozeIsParkedWithItsTimeAndOldAttempts) {
  subscribe(1);
  publish(1);
  const auto lease = scheduler_.take(Priority::low);
  EXPECT_EQ(answer(*lease, Kind::snooze, [](Answer& one) { one.delay = 7'000; }), Effect::parked);
  const auto parked = made<model::PutSettlement>();
  ASSERT_EQ(parked.size(), 1U);
  EXPECT_EQ(parked[0].record.attempts, 0U);
  EXPECT_EQ(parked[0].record.due, now_.bus + 7'000);
  ASSERT_NE(parked[0].copy, nullptr);
  EXPECT_EQ(made<model::PutCursor>()[0].record.floor, 2U);
}

TEST_F(CommitPlanTest, ARejectedEventIsADeadLetterWithItsReason) {
  subscribe(1);
  publish(1);
  const auto lease = scheduler_.take(Priority::low);
  EXPECT_EQ(answer(*lease, Kind::reject, [](Answer& one) { one.reason = "no such account"; }),
            Effect::settled);
  const auto letters = made<model::PutDeadLetter>();
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].record.reason, "no such account");
  EXPECT_EQ(letters[0].record.attempts, 1U);
  EXPECT_EQ(letters[0].record.chunk->event(1).id, lease->event);
  EXPECT_EQ(made<model::PutCursor>()[0].record.floor, 2U);
}

TEST_F(CommitPlanTest, TheStateAndTheEventsOfATxAreInTheCommitOfItsAck) {
  subscribe(1);
  publish(1);
  const auto lease = scheduler_.take(Priority::low);
  const auto effect = answer(*lease, Kind::ack, [](Answer& one) {
    one.tx = std::make_unique<TxWrites>();
    one.tx->state.push_back({"s", "k", "v"});
    one.tx->events.add({.type = "follow", .payload = "1", .priority = kLane}, 1);
  });
  EXPECT_EQ(effect, Effect::settled);
  EXPECT_EQ(made<model::PutState>().size(), 1U);
  ASSERT_EQ(made<model::Append>().size(), 1U);
  EXPECT_EQ(made<model::Append>()[0].chunk->first(), 2U);
  EXPECT_EQ(made<model::PutCursor>()[0].record.floor, 2U);
}

TEST_F(CommitPlanTest, OverTheLimitTheOldestDeadLetterGoes) {
  ledger_.settings.dead_letters_max = 1;
  subscribe(2);
  publish(2);
  const auto first = scheduler_.take(Priority::low);
  scheduler_.finish(*first);
  const auto second = scheduler_.take(Priority::low);
  answer(*second, Kind::reject);
  EXPECT_TRUE(made<model::EraseDeadLetter>().empty());
  answer(*first, Kind::reject);
  const auto erased = made<model::EraseDeadLetter>();
  ASSERT_EQ(erased.size(), 1U);
  EXPECT_EQ(erased[0].event, second->event);
  EXPECT_EQ(ledger_.dropped_dead_letters, 1U);
}

/// One handler runs on while thousands of events behind it are settled.
class OverdueTest : public CommitPlanTest {
 protected:
  void SetUp() override {
    subscription_ = &subscribe(8);
    publish(6'000);
    slow_ = *scheduler_.take(Priority::low);
    for (int i = 0; i < 4'500; ++i) {
      auto lease = scheduler_.take(Priority::low);
      if (!lease.has_value()) {
        // The window is bounded and the rest would come from disk; what was taken is enough by
        // then.
        ADD_FAILURE() << "ran dry after " << i;
        return;
      }
      scheduler_.finish(*lease);
      answer(*lease);
      for (const auto& each : made<model::PutSettlement>()) parked_.push_back(each);
      if (!parked_.empty()) return;
    }
  }

  SubscriptionState* subscription_ = nullptr;
  Lease slow_;
  std::vector<model::PutSettlement> parked_;
};

TEST_F(OverdueTest, WhatHoldsUpTheFloorIsParkedSoThatTheFloorGoesOn) {
  ASSERT_EQ(parked_.size(), 1U);
  EXPECT_EQ(parked_[0].record.event, slow_.event);
  EXPECT_EQ(parked_[0].record.attempts, 0U);
  EXPECT_EQ(parked_[0].record.due, now_.bus);
  ASSERT_NE(parked_[0].copy, nullptr);
  const auto cursor = made<model::PutCursor>().at(0).record;
  EXPECT_GT(cursor.floor, DeliveryLane::kTakenSoftMax);
  EXPECT_TRUE(cursor.ahead.empty());
  EXPECT_EQ(cursor.parked, 1U);
  EXPECT_FALSE(scheduler_.take(Priority::low)->event == slow_.event) << "its handler runs on";
}

TEST_F(OverdueTest, ItsHandlerMayStillAck) {
  const auto owed = subscription_->lanes[kLane].owed;
  EXPECT_EQ(answer(slow_), Effect::settled);
  EXPECT_EQ(made<model::EraseSettlement>().size(), 1U);
  EXPECT_EQ(subscription_->lanes[kLane].owed, owed - 1);
  EXPECT_EQ(subscription_->lanes[kLane].parked, 0U);
  EXPECT_EQ(answer(slow_), Effect::stale);
}

TEST_F(OverdueTest, ItsHandlerMayStillFailAndTheCopyIsNotWrittenTwice) {
  EXPECT_EQ(answer(slow_, Kind::retry), Effect::parked);
  const auto put = made<model::PutSettlement>();
  ASSERT_EQ(put.size(), 1U);
  EXPECT_EQ(put[0].record.attempts, 1U);
  EXPECT_EQ(put[0].copy, nullptr);
  EXPECT_EQ(subscription_->lanes[kLane].parked, 1U);
}

TEST_F(OverdueTest, ARunThatStartsOverIsGivenOnce) {
  scheduler_.finish(slow_);
  scheduler_.run_again(slow_);
  const auto again = scheduler_.take(Priority::low);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->event, slow_.event);
  EXPECT_EQ(again->attempt, 1U);
  EXPECT_TRUE(again->parked);
  EXPECT_EQ(answer(*again), Effect::settled);
}

}  // namespace
}  // namespace holdfast::core
