// SPDX-License-Identifier: MIT
// What is handed out together, what waits for what, and how a batch is answered as one.
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/gate.h"
#include "core/scheduler.h"
#include "support/operations.h"

namespace holdfast::core {
namespace {

using Effect = CommitPlan::Settlement::Effect;
using Kind = Answer::Kind;

constexpr base::BusTime kSecond = 1'000'000'000;

class BatchRule : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(std::uint32_t batch_size, base::BusTime linger = 0,
                               std::uint32_t concurrency = 1) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    SubscriptionState* state = nullptr;
    commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
    attach(ledger_, scheduler_, *state,
           {.concurrency = concurrency,
            .retry = {},
            .has_on_cancel = true,
            .batch_size = batch_size,
            .batch_linger = linger},
           now_);
    return *state;
  }
  void commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    made_ = plan.finish();
    scheduler_.offer({number_});
    scheduler_.advance(now_);
  }
  std::vector<EventId> publish(std::size_t count, Priority priority = Priority::normal) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i) {
      events.add({.type = "a", .payload = payload_, .priority = priority}, 1);
    }
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
    return ids;
  }
  void pass(base::BusTime time) {
    now_.bus += time;
    now_.boot += time;
    now_.wall += time;
    scheduler_.advance(now_);
  }
  /// Empty when there is nothing to take.
  std::vector<Lease> take(Priority worker_class = Priority::low) {
    std::vector<Lease> leases;
    auto first = scheduler_.take(worker_class, &leases);
    if (first.has_value()) leases.insert(leases.begin(), *std::move(first));
    return leases;
  }
  static std::vector<std::uint64_t> sequences(const std::vector<Lease>& leases) {
    std::vector<std::uint64_t> found;
    for (const auto& lease : leases) found.push_back(lease.event.sequence);
    return found;
  }
  static BatchAnswer answer_of(const std::vector<Lease>& leases, Kind kind = Kind::ack) {
    BatchAnswer batch;
    for (const auto& lease : leases) {
      batch.members.emplace_back().lease = lease;
      batch.members.back().kind = kind;
    }
    return batch;
  }
  std::vector<CommitPlan::Settlement> answer(BatchAnswer& batch) {
    std::vector<CommitPlan::Settlement> settlements;
    for (const auto& member : batch.members) scheduler_.finish(member.lease);
    commit([&](CommitPlan& plan) { settlements = plan.answer(batch); });
    for (std::size_t i = 0; i < settlements.size(); ++i) {
      if (settlements[i].effect == Effect::run_again) {
        scheduler_.run_again(batch.members[i].lease);
      }
    }
    scheduler_.answered();
    return settlements;
  }
  void cancel(const Lease& lease) {
    commit([&](CommitPlan& plan) {
      (void)plan.cancel(lease.chunk->event(lease.event.sequence), "why");
    });
  }
  template <typename Op>
  std::vector<Op> made() const {
    return holdfast::testing::operations_of<Op>(made_);
  }

  Ledger ledger_{LedgerSettings{}};
  Scheduler scheduler_{ledger_};
  base::Now now_{.wall = kSecond, .boot = kSecond, .bus = kSecond};
  std::uint64_t number_ = 0;
  std::string payload_;
  model::Commit made_;
};

using Sequences = std::vector<std::uint64_t>;

// --- Taking -------------------------------------------------------------------------------------

TEST_F(BatchRule, WhatIsThereGoesTogetherInItsOrderUpToItsSize) {
  subscribe(3);
  publish(5);
  const auto first = take();
  EXPECT_EQ(sequences(first), (Sequences{1, 2, 3}));
  EXPECT_TRUE(take().empty()) << "a batch has the only slot";
  for (const auto& lease : first) scheduler_.finish(lease);
  EXPECT_EQ(sequences(take()), (Sequences{4, 5}));
}

TEST_F(BatchRule, ABatchTakesOneSlotAndGivesItBackOnce) {
  auto& subscription = subscribe(3, 0, 3);
  publish(12);
  const auto first = take();
  const auto second = take();
  EXPECT_EQ(first.size() + second.size(), 6U);
  EXPECT_EQ(subscription.in_flight, 2U);
  EXPECT_EQ(subscription.in_flight_less_urgent, 2U);
  EXPECT_TRUE(take().empty()) << "one slot is kept for critical";
  for (const auto& lease : first) scheduler_.finish(lease);
  EXPECT_EQ(subscription.in_flight, 1U);
  EXPECT_EQ(subscription.lanes[Priority::normal].leased, 3U);
}

TEST_F(BatchRule, ABatchIsOfOneLaneTheMostUrgentFirst) {
  subscribe(10);
  publish(2, Priority::low);
  publish(2, Priority::high);
  const auto first = take();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].event.priority, Priority::high);
  EXPECT_EQ(first[1].event.priority, Priority::high);
  for (const auto& lease : first) scheduler_.finish(lease);
  EXPECT_EQ(take().size(), 2U);
}

TEST_F(BatchRule, SubscriptionsTakeTurnsBatchByBatch) {
  subscribe(2, 0, 9);
  subscribe(2, 0, 9);
  publish(4);
  std::vector<std::uint32_t> turns;
  for (auto batch = take(); !batch.empty(); batch = take()) {
    EXPECT_EQ(batch.size(), 2U);
    turns.push_back(batch[0].subscription.value);
  }
  EXPECT_EQ(turns, (std::vector<std::uint32_t>{1, 2, 1, 2}));
}

TEST_F(BatchRule, ABatchEndsWithTheEventThatFillsItsBytes) {
  payload_ = std::string(kBatchDeliveryBytes / 4, 'x');
  subscribe(100);
  for (int i = 0; i < 6; ++i) publish(1);
  EXPECT_EQ(take().size(), 4U);
}

TEST_F(BatchRule, WhatHasAgedDoesNotTakeAlongWhatHasNot) {
  subscribe(10, 0, 9);
  publish(2, Priority::low);
  pass(130 * kSecond);  // up to high
  publish(2, Priority::low);
  publish(1, Priority::high);
  EXPECT_EQ(sequences(take()), (Sequences{1, 2}));
  const auto high = take();
  ASSERT_EQ(high.size(), 1U);
  EXPECT_EQ(high[0].event.priority, Priority::high);
  EXPECT_EQ(sequences(take()), (Sequences{3, 4}));
}

TEST_F(BatchRule, WhatWasGivenBackIsReadyAsItWas) {
  auto& subscription = subscribe(4);
  publish(4);
  const auto batch = take();
  ASSERT_EQ(batch.size(), 4U);
  for (std::size_t i = 2; i < 4; ++i) {
    scheduler_.finish(batch[i]);
    scheduler_.give_back(batch[i]);
  }
  EXPECT_EQ(subscription.in_flight, 1U) << "the rest has its slot still";
  EXPECT_FALSE(subscription.is_leased(batch[3].event));
  for (std::size_t i = 0; i < 2; ++i) scheduler_.finish(batch[i]);
  const auto again = take();
  EXPECT_EQ(sequences(again), (Sequences{3, 4}));
  EXPECT_EQ(again[0].attempt, 1U);
  EXPECT_FALSE(again[0].started) << "no handler has seen it";
}

// --- Waiting for each other ---------------------------------------------------------------------

TEST_F(BatchRule, EventsWaitForTheirBatchToBecomeFull) {
  subscribe(3, 5 * kSecond);
  publish(2);
  EXPECT_TRUE(take().empty());
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value()) << "no worker is woken for it";
  publish(2);
  EXPECT_EQ(sequences(take()), (Sequences{1, 2, 3}));
}

TEST_F(BatchRule, EventsWaitForNoLongerThanTheLinger) {
  subscribe(10, 5 * kSecond);
  publish(1);
  pass(3 * kSecond);
  publish(1);
  EXPECT_TRUE(take().empty());
  EXPECT_EQ(scheduler_.next_linger(), now_.bus + 2 * kSecond);
  EXPECT_EQ(scheduler_.next_due(), now_.bus + 2 * kSecond);
  pass(2 * kSecond);
  EXPECT_EQ(scheduler_.most_urgent_work(), Priority::normal);
  EXPECT_EQ(sequences(take()), (Sequences{1, 2}));
}

TEST_F(BatchRule, ARetryThatIsDueCountsToAFullBatch) {
  auto& s = subscribe(3, kSecond);
  publish(1);
  pass(kSecond);
  auto batch = answer_of(take(), Kind::retry);
  ASSERT_EQ(batch.members.size(), 1U);
  batch.members[0].delay = 1;
  answer(batch);
  publish(2);
  EXPECT_TRUE(take().empty()) << "two of three";
  pass(1);
  EXPECT_EQ(s.lanes[Priority::normal].due_count(), 1U);
  EXPECT_EQ(sequences(take()), (Sequences{1, 2, 3}));
}

TEST_F(BatchRule, TheRestOfAFullBatchWaitsAnew) {
  subscribe(2, 5 * kSecond, 9);
  publish(3);
  EXPECT_EQ(take().size(), 2U);
  EXPECT_TRUE(take().empty());
  publish(1);
  EXPECT_EQ(sequences(take()), (Sequences{3, 4}));
}

TEST_F(BatchRule, WhenOneLaneNeedNotWaitTheMoreUrgentGoFirst) {
  subscribe(2, 5 * kSecond, 9);
  publish(1, Priority::high);
  EXPECT_TRUE(take().empty());
  publish(2, Priority::normal);
  const auto first = take();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].event.priority, Priority::high);
  EXPECT_EQ(take().size(), 2U);
}

TEST_F(BatchRule, WhatStartsOverDoesNotWait) {
  subscribe(10, 5 * kSecond);
  publish(2);
  pass(5 * kSecond);
  auto batch = take();
  ASSERT_EQ(batch.size(), 2U);
  for (const auto& lease : batch) {
    scheduler_.finish(lease);
    scheduler_.run_again(lease);
  }
  EXPECT_EQ(sequences(take()), (Sequences{1, 2}));
}

TEST_F(BatchRule, WhatStartsOverGoesTogetherPastACleanUpBetween) {
  auto& subscription = subscribe(3);
  auto& lane = subscription.lanes[Priority::normal];
  publish(4);
  const auto first = take();
  ASSERT_EQ(first.size(), 3U);
  for (const auto& lease : first) scheduler_.finish(lease);
  for (const Sequence each : {1U, 2U, 3U}) {
    lane.put_due(each, {.parked = true, .cleanup = each == 2, .chunk = first[0].chunk});
  }
  EXPECT_EQ(sequences(take()), (Sequences{1, 3, 4}));
  EXPECT_TRUE(lane.is_due(2));
}

TEST_F(BatchRule, OfManyCleanUpsBetweenThemOnlyAsManyAsABatchIsLargeAreLookedPast) {
  auto& subscription = subscribe(2);
  auto& lane = subscription.lanes[Priority::normal];
  publish(6);
  const auto first = take();
  for (const auto& lease : first) scheduler_.finish(lease);
  ASSERT_EQ(sequences(first), (Sequences{1, 2}));
  const auto put = [&](Sequence sequence, bool cleanup) {
    lane.put_due(sequence, {.parked = true, .cleanup = cleanup, .chunk = first[0].chunk});
  };
  put(1, false);
  for (const Sequence each : {2U, 3U, 4U}) put(each, true);
  put(5, false);
  const auto taken = take();
  EXPECT_EQ(sequences(taken), (Sequences{1}));
  for (const Sequence each : {2U, 3U, 4U, 5U}) EXPECT_TRUE(lane.is_due(each)) << each;
}

TEST_F(BatchRule, ASuspectGoesAlone) {
  auto& subscription = subscribe(10, 5 * kSecond);
  publish(2);
  auto& lane = subscription.lanes[Priority::normal];
  pass(5 * kSecond);
  auto batch = take();
  ASSERT_EQ(batch.size(), 2U);
  batch[0].suspect = batch[1].suspect = true;
  for (const auto& lease : batch) {
    scheduler_.finish(lease);
    scheduler_.give_back(lease);
  }
  ASSERT_EQ(lane.due_count(), 2U);
  EXPECT_EQ(sequences(take()), (Sequences{1}));
  EXPECT_TRUE(take().empty());
}

TEST_F(BatchRule, ASuspectGoesWithNobodyElseEither) {
  subscribe(10);
  publish(3);
  auto batch = take();
  ASSERT_EQ(batch.size(), 3U);
  batch[1].suspect = true;
  for (const auto& lease : batch) {
    scheduler_.finish(lease);
    scheduler_.give_back(lease);
  }
  for (const std::uint64_t expected : {1, 2, 3}) {
    const auto alone = take();
    EXPECT_EQ(sequences(alone), (Sequences{expected}));
    for (const auto& lease : alone) scheduler_.finish(lease);
  }
}

// --- Answering ----------------------------------------------------------------------------------

TEST_F(BatchRule, EachMemberHasItsOwnOutcomeInOneCommit) {
  auto& subscription = subscribe(4);
  publish(4);
  auto batch = answer_of(take());
  batch.members[1].kind = Kind::retry;
  batch.members[2].kind = Kind::reject;
  batch.members[3].kind = Kind::snooze;
  const auto settlements = answer(batch);
  EXPECT_EQ(settlements[0].effect, Effect::settled);
  EXPECT_EQ(settlements[0].how, Settled::acked);
  EXPECT_EQ(settlements[1].effect, Effect::parked);
  EXPECT_EQ(settlements[2].how, Settled::dead);
  EXPECT_EQ(settlements[3].effect, Effect::parked);
  EXPECT_EQ(made<model::PutSettlement>().size(), 2U);
  EXPECT_EQ(made<model::PutDeadLetter>().size(), 1U);
  EXPECT_EQ(made<model::PutCursor>().size(), 1U);
  EXPECT_EQ(subscription.acked, 1U);
  EXPECT_EQ(subscription.in_flight, 0U);
}

TEST_F(BatchRule, TheTxIsWrittenOnceWithTheAcks) {
  subscribe(3);
  publish(3);
  auto batch = answer_of(take());
  batch.members[0].kind = Kind::retry;
  batch.tx = std::make_unique<TxWrites>();
  batch.tx->state.push_back({"s", "key", "value"});
  batch.tx->events.add({.type = "next", .payload = ""}, 1);
  const auto settlements = answer(batch);
  EXPECT_EQ(settlements[0].effect, Effect::parked);
  EXPECT_EQ(settlements[1].effect, Effect::settled);
  EXPECT_EQ(settlements[0].published.size(), 1U);
  EXPECT_EQ(made<model::PutState>().size(), 1U);
  EXPECT_EQ(made<model::Append>().size(), 1U);
}

TEST_F(BatchRule, WithoutAnAckTheTxIsDropped) {
  subscribe(2);
  publish(2);
  auto batch = answer_of(take(), Kind::retry);
  batch.tx = std::make_unique<TxWrites>();
  batch.tx->state.push_back({"s", "key", "value"});
  for (const auto& settlement : answer(batch)) EXPECT_EQ(settlement.effect, Effect::parked);
  EXPECT_TRUE(made<model::PutState>().empty());
}

TEST_F(BatchRule, ATxThatFailedFailsThoseThatWereAcked) {
  auto& subscription = subscribe(2);
  publish(2);
  auto batch = answer_of(take());
  batch.members[1].kind = Kind::reject;
  batch.tx = std::make_unique<TxWrites>();
  batch.tx->status = {StatusCode::invalid_argument, "too large"};
  const auto settlements = answer(batch);
  EXPECT_EQ(settlements[0].effect, Effect::parked);
  EXPECT_EQ(settlements[1].how, Settled::dead);
  EXPECT_EQ(subscription.retried, 1U);
}

TEST_F(BatchRule, AllRunAgainUncountedWhenWhatTheTxReadHasChanged) {
  auto& subscription = subscribe(3);
  publish(3);
  auto batch = answer_of(take());
  batch.members[1].kind = Kind::retry;
  batch.tx = std::make_unique<TxWrites>();
  batch.tx->reads.reads.push_back({StateVersions::full_key("s", "key"), false, {number_}});
  commit([](CommitPlan& plan) { plan.put_state("s", "key", "other"); });
  for (const auto& settlement : answer(batch)) EXPECT_EQ(settlement.effect, Effect::run_again);
  EXPECT_EQ(subscription.refused_tx, 1U);
  const auto again = take();
  EXPECT_EQ(sequences(again), (Sequences{1, 2, 3}));
  for (const auto& lease : again) EXPECT_EQ(lease.attempt, 1U);
}

TEST_F(BatchRule, WhenOneIsCancelledTheOthersRunAgainUncountedAndTheTxIsDropped) {
  auto& subscription = subscribe(3);
  publish(3);
  const auto leases = take();
  cancel(leases[1]);
  auto batch = answer_of(leases);
  batch.tx = std::make_unique<TxWrites>();
  batch.tx->state.push_back({"s", "key", "value"});
  const auto settlements = answer(batch);
  EXPECT_EQ(settlements[0].effect, Effect::run_again);
  EXPECT_EQ(settlements[1].effect, Effect::refused);
  EXPECT_EQ(settlements[2].effect, Effect::run_again);
  EXPECT_TRUE(made<model::PutState>().empty());
  EXPECT_EQ(subscription.acked, 0U);
  const auto cleanup = take();
  const auto again = cleanup.size() == 1 ? take() : cleanup;
  // Its clean-up is due at once as well, and goes alone.
  std::vector<Lease> all = again;
  if (cleanup.size() == 1) all.insert(all.end(), cleanup.begin(), cleanup.end());
  for (const auto& lease : all) EXPECT_EQ(lease.cleanup, lease.event.sequence == 2);
}

TEST_F(BatchRule, AnAnswerOfABatchThatWasAbandonedChangesNothing) {
  subscribe(2, 0, 4);
  publish(2);
  const auto leases = take();
  commit([&](CommitPlan& plan) {
    for (const auto& lease : leases) {
      EXPECT_EQ(plan.abandon(lease, "too late").effect, Effect::parked);
    }
  });
  auto batch = answer_of(leases);
  batch.tx = std::make_unique<TxWrites>();
  batch.tx->state.push_back({"s", "key", "value"});
  for (const auto& settlement : answer(batch)) EXPECT_EQ(settlement.effect, Effect::stale);
  EXPECT_TRUE(made<model::PutState>().empty());
}

}  // namespace
}  // namespace holdfast::core
