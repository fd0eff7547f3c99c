// SPDX-License-Identifier: MIT
#include "core/key_order.h"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/recovery.h"
#include "core/scheduler.h"
#include "support/chunks.h"

namespace holdfast::core {
namespace {

constexpr EventId low(Sequence sequence) { return {Priority::low, sequence}; }
constexpr EventId high(Sequence sequence) { return {Priority::high, sequence}; }
constexpr EventId normal(Sequence sequence) { return {Priority::normal, sequence}; }

TEST(KeyOrder, SayingTwiceWhatIsKnownChangesNothing) {
  const model::KeyPlace first{{7, {}}, {1}, 0};
  const model::KeyPlace second{{7, {}}, {2}, 0};
  const PerLane<Sequence> everywhere{{100, 100, 100, 100}};
  KeyOrder order;
  order.add(normal(1), first);
  order.add(normal(1), second);
  order.add(normal(2), second);
  EXPECT_EQ(order.place(normal(1)).commit, first.commit) << "it stands where it stood";
  order.hold(normal(2), {.attempts = 1});
  order.hold(normal(2), {.attempts = 2});
  EXPECT_EQ(order.held_count(), 1U);
  order.set_waiting(normal(1));
  order.set_running(normal(1));
  order.set_running(normal(1));
  EXPECT_TRUE(order.take_turns(everywhere).empty());
  order.set_waiting(normal(1));
  EXPECT_TRUE(order.may_run(normal(1), everywhere)) << "it ran once";
  order.erase(normal(1));
  order.erase(normal(1));
  const auto turns = order.take_turns(everywhere);
  ASSERT_EQ(turns.size(), 1U);
  EXPECT_EQ(turns[0].second.attempts, 2U);
  EXPECT_EQ(order.held_count(), 0U);
}

TEST(KeyOrder, ThereIsASuccessorFromTheSecondOfAKeyOn) {
  KeyOrder order;
  EXPECT_FALSE(order.has_successor(normal(1)));
  order.add(normal(1), {{7, {}}, {1}, 0});
  order.add(normal(2), {{8, {}}, {1}, 0});
  EXPECT_FALSE(order.has_successor(normal(1))) << "the other is of another key";
  order.add(normal(3), {{7, {}}, {2}, 0});
  EXPECT_TRUE(order.has_successor(normal(1)));
}

TEST(KeyOrder, OnlyWhatIsHeldIsMarkedAsParkedAndAStoredOneKeepsNoCopyInMemory) {
  KeyOrder order;
  order.add(normal(1), {{7, {}}, {1}, 0});
  EXPECT_FALSE(order.mark_parked(normal(1), 5, true));
  EXPECT_FALSE(order.mark_parked(normal(9), 5, true)) << "of no key";
  for (const bool stored : {false, true}) {
    order.hold(normal(1), {.chunk = holdfast::testing::make_chunk(normal(1), 1)});
    EXPECT_TRUE(order.mark_parked(normal(1), 5, stored));
    const auto turns = order.take_turns({{100, 100, 100, 100}});
    ASSERT_EQ(turns.size(), 1U);
    EXPECT_TRUE(turns[0].second.parked);
    EXPECT_EQ(turns[0].second.chunk == nullptr, stored);
  }
}

/// A bus whose committer and worker are the test itself; every event is read into memory at once.
class KeyOrdering : public ::testing::Test {
 protected:
  void SetUp() override { make(65'536); }

  void make(std::size_t keyed_max) {
    LedgerSettings settings;
    settings.keyed_max = keyed_max;
    settings.ageing = Ageing::strict();
    ledger_.emplace(settings);
    scheduler_.emplace(*ledger_);
    model::SubscriptionRecord record;
    record.id = {1};
    record.name = "s";
    attach_to(ledger_->add(record, true));
  }
  void attach_to(SubscriptionState& subscription) {
    subscription_ = &subscription;
    attach(*ledger_, *scheduler_, subscription, {.concurrency = 8, .retry = {.attempts_max = 3}},
           now_);
  }

  template <typename Fill>
  void commit(Fill&& fill) {
    CommitPlan plan(*ledger_, {1, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    scheduler_->answered();
    for (const auto& operation : plan.finish().operations) {
      if (const auto* put = std::get_if<model::PutSettlement>(&operation)) {
        settlements_[put->record.event] = put->record;
      }
      if (const auto* put = std::get_if<model::PutOrderingKey>(&operation)) {
        keys_[put->record.key] = put->record;
      }
    }
    scheduler_->offer({number_});
  }
  EventId publish(Priority priority, const std::string& key = {}) {
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) {
      auto& events = events_.emplace_back();
      events.add({.type = "a", .priority = priority, .ordering_key = key}, 1);
      if (const auto known = keys_.find(key); known != keys_.end()) {
        events.last_admission().stored_last = known->second.last;
      }
      plan.publish(events, false, ids);
    });
    return ids.front();
  }
  /// What a worker is given next; sequence 0 = nothing.
  EventId take() {
    auto lease = scheduler_->take(Priority::low);
    if (!lease.has_value()) return {};
    leases_[lease->event] = *lease;
    return lease->event;
  }
  CommitPlan::Settlement answer(EventId event, Answer::Kind kind = Answer::Kind::ack) {
    Answer answer;
    answer.lease = leases_.at(event);
    answer.kind = kind;
    answer.delay = 1'000;
    leases_.erase(event);
    scheduler_->finish(answer.lease);
    CommitPlan::Settlement settlement;
    commit([&](CommitPlan& plan) { settlement = plan.answer(answer); });
    return settlement;
  }
  void advance(std::int64_t nanoseconds) {
    now_.bus += nanoseconds;
    now_.boot += nanoseconds;
    now_.wall += nanoseconds;
    scheduler_->advance(now_);
  }

  std::optional<Ledger> ledger_;
  std::optional<Scheduler> scheduler_;
  SubscriptionState* subscription_ = nullptr;
  base::Now now_{.wall = 1, .boot = 1, .bus = 1};
  std::uint64_t number_ = 0;
  std::deque<model::EncodedEvents> events_;
  std::map<EventId, Lease> leases_;
  std::map<EventId, model::SettlementRecord> settlements_;
  std::map<std::string, model::OrderingKeyRecord> keys_;
};

TEST_F(KeyOrdering, OneOfAKeyRunsAtATimeInOrder) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  publish(Priority::normal, "other");
  EXPECT_EQ(take(), normal(1));
  EXPECT_EQ(take(), normal(3)) << "another key goes by";
  EXPECT_EQ(take(), EventId{}) << "the first of its key runs";
  EXPECT_EQ(subscription_->keys.held_count(), 1U);
  answer(normal(1));
  EXPECT_EQ(take(), normal(2));
}

TEST_F(KeyOrdering, TheNextWaitsUntilTheAckIsPlannedNotOnlyGiven) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  scheduler_->finish(leases_.at(normal(1)));
  EXPECT_EQ(take(), EventId{});
  EXPECT_TRUE(scheduler_->take_waits_for_answers()) << "the answer is wanted now";
  EXPECT_FALSE(scheduler_->take_waits_for_answers());
}

TEST_F(KeyOrdering, ARetryHoldsUpItsKeyAndNoOther) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  publish(Priority::normal, "other");
  ASSERT_EQ(take(), normal(1));
  answer(normal(1), Answer::Kind::retry);
  EXPECT_EQ(take(), normal(4));
  EXPECT_EQ(take(), EventId{});
  advance(1'000);
  EXPECT_EQ(take(), normal(1));
  EXPECT_EQ(leases_.at(normal(1)).attempt, 2U);
  EXPECT_EQ(take(), EventId{});
  answer(normal(1));
  EXPECT_EQ(take(), normal(2));
  EXPECT_EQ(leases_.at(normal(2)).attempt, 1U) << "having waited for its key is no attempt";
  EXPECT_EQ(take(), EventId{});
}

TEST_F(KeyOrdering, ADeadLetterLetsTheNextGoOn) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  answer(normal(1), Answer::Kind::reject);
  EXPECT_EQ(take(), normal(2));
}

TEST_F(KeyOrdering, AnUrgentOneWaitsForTheLessUrgentOneBeforeIt) {
  publish(Priority::low);
  publish(Priority::low, "k");
  publish(Priority::high, "k");
  publish(Priority::high, "other");
  EXPECT_EQ(take(), high(2));
  EXPECT_EQ(take(), low(1)) << "its predecessor is behind this one";
  EXPECT_EQ(take(), low(2));
  EXPECT_EQ(take(), EventId{});
  answer(low(2));
  EXPECT_EQ(take(), high(1));
}

TEST_F(KeyOrdering, TheUrgentOneGoesFirstOnceItsPredecessorIsOver) {
  publish(Priority::low, "k");
  publish(Priority::high, "k");
  publish(Priority::low);
  ASSERT_EQ(take(), low(1));
  answer(low(1));
  EXPECT_EQ(take(), high(1)) << "and not the less urgent low:2";
}

TEST_F(KeyOrdering, WhatAnEarlierRunPublishedIsComeAfterAsWell) {
  publish(Priority::low, "k");
  // A new run of the bus knows what was published before from the journal alone.
  ledger_->key_marks = {};
  publish(Priority::high, "k");
  EXPECT_EQ(take(), low(1));
  EXPECT_EQ(take(), EventId{});
}

TEST_F(KeyOrdering, ARedrivenEventGoesBeforeWhatWaitsAndNotBesideWhatRuns) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  const auto chunk = leases_.at(normal(1)).chunk;
  answer(normal(1), Answer::Kind::reject);
  ASSERT_EQ(take(), normal(2));
  commit([&](CommitPlan& plan) {
    plan.redrive({.subscription = {1},
                  .event = normal(1),
                  .attempts = 1,
                  .reason = "why",
                  .died_at = 1,
                  .chunk = chunk->extract(1)});
  });
  advance(1);
  EXPECT_EQ(take(), EventId{});
  answer(normal(2));
  EXPECT_EQ(take(), normal(1));
  answer(normal(1));
  EXPECT_EQ(take(), normal(3));
}

TEST_F(KeyOrdering, ItsPlaceIsStoredWithWhatIsParkedAndHoldsAfterARestart) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  answer(normal(1), Answer::Kind::retry);
  const auto stored = settlements_.at(normal(1));
  EXPECT_EQ(stored.place.key.hash, model::hash_key("k"));
  EXPECT_EQ(stored.place.commit, CommitNumber{1});

  Ledger again({});
  Recovery recovery(again, {{1, 1, 3, 1}}, {{1, 1, 1, 1}});
  ASSERT_TRUE(recovery.add(model::Record(subscription_->record)).ok());
  ASSERT_TRUE(recovery.add(model::Record(stored)).ok());
  EXPECT_TRUE(recovery.finish().ok());
  const auto& keys = again.find(SubscriptionId{1})->keys;
  EXPECT_TRUE(keys.contains(normal(1)));
  const model::KeyPlace next{{model::hash_key("k"), {}}, {2}, 0};
  EXPECT_FALSE(keys.may_run(normal(2), next, {{9, 9, 9, 9}}));
}

TEST_F(KeyOrdering, NothingIsPutAsideFromALaneThatWaitsForAnswers) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  auto& lane = subscription_->lanes[Priority::normal];
  lane.waits_for_answers = true;
  scheduler_->refresh(*subscription_);
  EXPECT_EQ(take(), EventId{});
  EXPECT_EQ(subscription_->keys.held_count(), 0U);
  lane.waits_for_answers = false;
  scheduler_->refresh(*subscription_);
  EXPECT_EQ(take(), EventId{});
  EXPECT_EQ(subscription_->keys.held_count(), 1U);
}

TEST_F(KeyOrdering, AnotherAttachmentBeginsInOrderAgain) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  ASSERT_EQ(take(), EventId{});
  detach(*ledger_, *subscription_);
  attach_to(*subscription_);
  EXPECT_EQ(subscription_->keys.size(), 0U);
  const auto refill = scheduler_->next_refill(Priority::low);
  ASSERT_TRUE(refill.has_value());
  EXPECT_EQ(refill->from, 1U);
}

TEST_F(KeyOrdering, ALaneStandsStillAtTheNextThatWouldHaveToWaitOverTheLimit) {
  make(64);  // a quarter of them may wait for others
  for (int i = 0; i < 40; ++i) publish(Priority::normal, "k");
  publish(Priority::normal);
  publish(Priority::low);
  ASSERT_EQ(take(), normal(1));
  EXPECT_EQ(take(), low(1)) << "the lane stands still, others do not";
  EXPECT_EQ(take(), EventId{});
  EXPECT_EQ(subscription_->keys.held_count(), 16U);
  // Nothing is lost by it: all of them come, in their order.
  for (Sequence sequence = 1; sequence <= 40; ++sequence) {
    answer(normal(sequence));
    if (sequence == 24) {
      // With 16 of 40 left behind the one that runs, the one without a key is reached.
      EXPECT_EQ(take(), normal(25));
      EXPECT_EQ(take(), normal(41));
    } else if (sequence < 40) {
      ASSERT_EQ(take(), normal(sequence + 1));
    }
  }
  EXPECT_EQ(take(), EventId{});
}

TEST_F(KeyOrdering, NoMoreKeysAreKnownThanTheLimitThoughTheyMightRun) {
  make(16);
  for (Sequence i = 1; i <= 17; ++i) publish(Priority::normal, "k" + std::to_string(i));
  for (Sequence i = 1; i <= 16; ++i) {
    ASSERT_EQ(take(), normal(i));
    answer(normal(i), Answer::Kind::retry);
  }
  EXPECT_EQ(take(), EventId{}) << "sixteen wait for their retries";
  advance(1'000'000'000);
  ASSERT_EQ(take(), normal(1));
  answer(normal(1));
  for (Sequence i = 2; i <= 17; ++i) {
    EXPECT_EQ(take(), normal(i));
    answer(normal(i));
  }
}

TEST_F(KeyOrdering, ALaneThatStandsStillGoesOnWhenItsPredecessorInAnotherIsOver) {
  make(64);
  for (int i = 0; i < 5; ++i) publish(Priority::low, "k");
  for (int i = 0; i < 30; ++i) publish(Priority::high, "k");
  for (Sequence sequence = 1; sequence <= 5; ++sequence) {
    ASSERT_EQ(take(), low(sequence));
    answer(low(sequence));
  }
  for (Sequence sequence = 1; sequence <= 30; ++sequence) {
    ASSERT_EQ(take(), high(sequence));
    answer(high(sequence));
  }
}

TEST_F(KeyOrdering, ALaneThatStandsStillGoesOnWhenNothingElseOfItsKeyIsLeft) {
  make(16);  // four may wait for others
  for (int i = 0; i < 6; ++i) publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  ASSERT_EQ(take(), EventId{});
  ASSERT_TRUE(subscription_->lanes[Priority::normal].stalled);
  for (Sequence sequence = 1; sequence < 6; ++sequence) {
    // Its slot is free before its answer is committed: only then is it the next one's turn.
    scheduler_->finish(leases_.at(normal(sequence)));
    ASSERT_EQ(take(), EventId{});
    Answer answer;
    answer.lease = leases_.at(normal(sequence));
    commit([&](CommitPlan& plan) { plan.answer(answer); });
    ASSERT_EQ(take(), normal(sequence + 1));
  }
}

TEST_F(KeyOrdering, OfAKeyThatIsOverNothingIsRemembered) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  ASSERT_EQ(take(), EventId{});
  answer(normal(1));
  ASSERT_EQ(take(), normal(2));
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), EventId{});
  // Both end in one commit, so that nobody looks in between whose turn it is.
  scheduler_->finish(leases_.at(normal(2)));
  auto& keys = subscription_->keys;
  keys.erase(normal(2));
  keys.erase(normal(3));
  EXPECT_TRUE(keys.empty());
  EXPECT_FALSE(keys.has_changed());
}

TEST_F(KeyOrdering, WhatIsHeldIsWithNobodyAlsoWhenItWasTakenBefore) {
  publish(Priority::normal, "k");
  publish(Priority::normal, "k");
  ASSERT_EQ(take(), normal(1));
  ASSERT_EQ(take(), EventId{});
  EXPECT_TRUE(subscription_->is_leased(normal(1)));
  EXPECT_FALSE(subscription_->is_leased(normal(2)));
}

TEST_F(KeyOrdering, ExpectingAnotherLastEventOfAKeyIsAConflict) {
  publish(Priority::normal, "k");
  commit([&](CommitPlan& plan) {
    EXPECT_TRUE(plan.check_last("k", normal(1), normal(1)).ok());
    const auto status = plan.check_last("k", high(1), normal(1));
    EXPECT_TRUE(status == StatusCode::conflict);
    EXPECT_NE(status.message().find("normal:1"), std::string::npos);
    EXPECT_TRUE(plan.check_last("k", {}, normal(1)) == StatusCode::conflict);
    EXPECT_TRUE(plan.check_last("unknown", {}, {}).ok());
    EXPECT_TRUE(plan.check_last("unknown", normal(1), {}) == StatusCode::conflict);
    // What the same commit publishes counts.
    auto& events = events_.emplace_back();
    events.add({.type = "a", .ordering_key = "k"}, 1);
    std::vector<EventId> ids;
    plan.publish(events, false, ids);
    EXPECT_TRUE(plan.check_last("k", normal(1), normal(1)) == StatusCode::conflict);
    EXPECT_TRUE(plan.check_last("k", normal(2), normal(1)).ok());
  });
}

TEST_F(KeyOrdering, AKeyIsForgottenOnceNothingOfItIsKept) {
  publish(Priority::normal, "k");
  const auto before = keys_.at("k");
  const auto erased = [&](const model::OrderingKeyRecord& record) {
    CommitPlan plan(*ledger_, {1, {++number_}, {0}}, now_, [] { return 0.5; });
    plan.forget_ordering_key(record);
    for (const auto& operation : plan.finish().operations) {
      if (std::holds_alternative<model::EraseOrderingKey>(operation)) return true;
    }
    return false;
  };
  EXPECT_FALSE(erased(before));
  publish(Priority::normal, "k");
  ledger_->lanes[Priority::normal].trim = 2;
  EXPECT_FALSE(erased(before)) << "more was published since that was read";
  ledger_->lanes[Priority::normal].trim = 3;
  EXPECT_TRUE(erased(before));
}

}  // namespace
}  // namespace holdfast::core
