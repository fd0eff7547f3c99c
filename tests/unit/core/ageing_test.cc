// SPDX-License-Identifier: MIT
#include "core/ageing.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/scheduler.h"
#include "support/ageing.h"

namespace holdfast::core {
namespace {

using holdfast::testing::kAgeing;
using holdfast::testing::kSecond;

LedgerSettings settings_with(const Ageing& ageing) {
  LedgerSettings settings;
  settings.ageing = ageing;
  return settings;
}

/// A bus with one handler for each event that is taken, and a clock that goes when it is told to.
class AgeingTest : public ::testing::Test {
 protected:
  explicit AgeingTest(const Ageing& ageing = kAgeing) : ledger_(settings_with(ageing)) {}

  SubscriptionState& subscribe(std::vector<std::string> types = {}, bool durable = true) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    record.filter.types = std::move(types);
    for (const auto lane : kAllPriorities) record.start[lane] = ledger_.lanes[lane].next;
    auto& state = ledger_.add(record, durable);
    attach(ledger_, scheduler_, state, {.concurrency = 1'000'000}, at_now());
    return state;
  }
  void publish(Priority priority, std::size_t count = 1, const std::string& type = "a") {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i)
      events.add({.type = type, .payload = "", .priority = priority}, 1);
    CommitPlan plan(ledger_, {1, {++number_}, {0}}, at_now(), [] { return 0.5; });
    std::vector<EventId> ids;
    plan.publish(events, false, ids);
    for (const auto& operation : plan.finish().operations) {
      if (const auto* append = std::get_if<model::Append>(&operation))
        chunks_[{priority, append->chunk->first()}] = append->chunk;
    }
    scheduler_.offer({number_});
  }
  void answer(const Lease& lease, Answer::Kind kind, base::BusTime delay = 0) {
    scheduler_.finish(lease);
    CommitPlan plan(ledger_, {1, {++number_}, {0}}, at_now(), [] { return 0.5; });
    Answer answer;
    answer.lease = lease;
    answer.kind = kind;
    answer.delay = delay;
    plan.answer(answer);
    plan.finish();
    scheduler_.answered();
  }
  void pass(base::BusTime time) {
    now_ += time;
    scheduler_.advance(at_now());
  }
  [[nodiscard]] base::Now at_now() const { return {.wall = 1'000, .boot = now_, .bus = now_}; }

  std::optional<Lease> take(Priority worker_class = Priority::low) {
    return scheduler_.take(worker_class);
  }
  /// The lane of the next event, settled at once; critical when there is none.
  Priority next_lane(Priority worker_class = Priority::low) {
    const auto lease = take(worker_class);
    if (!lease.has_value()) return Priority::critical;
    answer(*lease, Answer::Kind::ack);
    return lease->event.priority;
  }
  /// Reads what is wanted from disk, a whole chunk at a time.
  void read_on() {
    while (const auto refill = scheduler_.next_refill(Priority::low)) {
      const auto at = std::prev(chunks_.upper_bound({refill->lane, refill->from}));
      scheduler_.refilled(*refill, {{at->second, refill->from, at->second->last() + 1}},
                          at->second->last() + 1);
    }
  }

  base::BusTime now_ = 100 * kSecond;
  Ledger ledger_;
  Scheduler scheduler_{ledger_};
  std::uint64_t number_ = 0;
  std::map<EventId, ChunkPtr> chunks_;
};

class StrictOrderTest : public AgeingTest {
 protected:
  StrictOrderTest() : AgeingTest(Ageing::strict()) { scheduler_.advance(at_now()); }
};

// --- Moving up ----------------------------------------------------------------------------------

TEST_F(AgeingTest, BeforeItsMaxWaitAnEventWaitsForEveryMoreUrgentOne) {
  subscribe();
  pass(0);
  publish(Priority::low);
  pass(60 * kSecond - 1);
  publish(Priority::normal);
  EXPECT_EQ(next_lane(), Priority::normal);
  EXPECT_EQ(next_lane(), Priority::low);
}

TEST_F(AgeingTest, AtItsMaxWaitALowEventCompetesAsANormalOneAndIsTheOldest) {
  subscribe();
  pass(0);
  publish(Priority::low);
  pass(60 * kSecond);
  publish(Priority::high);
  publish(Priority::normal);
  EXPECT_EQ(next_lane(), Priority::high);
  EXPECT_EQ(next_lane(), Priority::low);
  EXPECT_EQ(next_lane(), Priority::normal);
}

TEST_F(AgeingTest, WhatHasAgedIsWorkAlsoWhenThereIsNothingElse) {
  subscribe();
  pass(0);
  publish(Priority::low);
  for (int level = 0; level <= 2; ++level) {
    // Whoever looks for work finds out what has aged, also one that may not take it.
    EXPECT_FALSE(take(Priority::critical).has_value());
    EXPECT_TRUE(scheduler_.most_urgent_work().has_value()) << level;
    pass(60 * kSecond);
  }
  EXPECT_EQ(next_lane(), Priority::low);
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value());
}

TEST_F(AgeingTest, AtTwiceItsMaxWaitALowEventCompetesAsAHighOneAndNeverAsACriticalOne) {
  subscribe();
  pass(0);
  publish(Priority::low);
  pass(120 * kSecond - 1);
  publish(Priority::high);
  pass(0);
  EXPECT_EQ(next_lane(), Priority::high);
  publish(Priority::high);
  publish(Priority::critical);
  pass(1);
  const auto first = take();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->event.priority, Priority::critical);
  EXPECT_EQ(next_lane(), Priority::low);
  EXPECT_EQ(next_lane(), Priority::high);
}

TEST_F(AgeingTest, AmongEqualsTheOneThatHasBeenReadyLongestGoesFirst) {
  subscribe();
  pass(0);
  publish(Priority::normal);
  pass(kSecond);
  publish(Priority::low);
  pass(14 * kSecond);
  publish(Priority::high);
  pass(110 * kSecond);
  // 125 s, 124 s and 110 s old: all are as high.
  EXPECT_EQ(next_lane(), Priority::normal);
  EXPECT_EQ(next_lane(), Priority::low);
  EXPECT_EQ(next_lane(), Priority::high);
}

TEST_F(AgeingTest, InsideALaneItStaysTheOrderOfSequences) {
  subscribe();
  pass(0);
  for (int i = 0; i < 20; ++i) {
    publish(Priority::low);
    publish(Priority::normal);
    pass(9 * kSecond);
  }
  std::map<Priority, std::uint64_t> last;
  for (int i = 0; i < 40; ++i) {
    const auto lease = take();
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(lease->event.sequence, ++last[lease->event.priority]);
    pass(kSecond / 2);
  }
}

TEST_F(AgeingTest, SubscriptionsTakeTurnsInTheirLaneWhoseverBacklogHasAged) {
  subscribe({"old"});
  subscribe({"new"});
  pass(0);
  publish(Priority::normal, 10, "old");
  pass(100 * kSecond);
  publish(Priority::normal, 10, "new");
  std::vector<std::uint32_t> turns;
  while (const auto lease = take()) turns.push_back(lease->subscription.value);
  ASSERT_EQ(turns.size(), 20U);
  for (std::size_t i = 0; i < turns.size(); ++i) EXPECT_EQ(turns[i], 1 + i % 2) << i;
}

TEST_F(AgeingTest, OfALaneOnlyWhatHasAgedGoesBeforeMoreUrgentOnes) {
  subscribe({"fresh"});
  subscribe({"old"});
  subscribe({"urgent"});
  pass(0);
  publish(Priority::normal, 2, "old");
  pass(20 * kSecond);
  publish(Priority::normal, 2, "fresh");
  publish(Priority::high, 2, "urgent");
  std::vector<std::uint32_t> turns;
  while (const auto lease = take()) turns.push_back(lease->subscription.value);
  EXPECT_EQ(turns, (std::vector<std::uint32_t>{2, 2, 3, 3, 1, 1}));
}

TEST_F(AgeingTest, WithAClockThatStandsStillNothingAges) {
  subscribe();
  pass(0);
  publish(Priority::low, 40);
  publish(Priority::normal, 100);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(next_lane(), Priority::normal) << i;
  EXPECT_EQ(next_lane(), Priority::low);
}

TEST_F(AgeingTest, WithAClockThatGoesBackNothingBecomesYoungerOrOlder) {
  subscribe();
  pass(0);
  publish(Priority::low);
  pass(60 * kSecond);
  scheduler_.advance({.bus = now_ - 1'000 * kSecond});
  publish(Priority::normal);
  EXPECT_EQ(next_lane(), Priority::low);
  publish(Priority::low);
  scheduler_.advance(at_now());
  publish(Priority::normal);
  EXPECT_EQ(next_lane(), Priority::normal);
  EXPECT_EQ(next_lane(), Priority::normal);
}

// --- Since when ---------------------------------------------------------------------------------

TEST_F(AgeingTest, ARetryIsReadyFromWhenItIsDue) {
  subscribe();
  pass(0);
  publish(Priority::low);
  answer(*take(), Answer::Kind::snooze, 50 * kSecond);
  pass(50 * kSecond + 60 * kSecond - 1);
  publish(Priority::normal);
  EXPECT_EQ(next_lane(), Priority::normal);
  publish(Priority::normal);
  pass(1);
  EXPECT_EQ(next_lane(), Priority::low);
}

TEST_F(AgeingTest, ARetryThatHasJustBecomeDueDoesNotHoldUpWhatHasAgedBehindIt) {
  subscribe();
  pass(0);
  publish(Priority::low, 2);
  answer(*take(), Answer::Kind::snooze, 60 * kSecond);
  pass(60 * kSecond);
  publish(Priority::normal);
  const auto aged = take();
  ASSERT_TRUE(aged.has_value());
  EXPECT_EQ(aged->event, (EventId{Priority::low, 2}));
  EXPECT_EQ(next_lane(), Priority::normal);
  EXPECT_EQ(take()->event, (EventId{Priority::low, 1}));
}

TEST_F(AgeingTest, ARunThatStartsOverIsReadyFromThenOn) {
  subscribe();
  pass(0);
  publish(Priority::low);
  const auto lease = take();
  pass(100 * kSecond);
  scheduler_.finish(*lease);
  scheduler_.run_again(*lease);
  pass(60 * kSecond - 1);
  publish(Priority::normal, 2);
  EXPECT_EQ(next_lane(), Priority::normal);
  pass(1);
  EXPECT_EQ(next_lane(), Priority::low);
}

TEST_F(AgeingTest, WaitingBeginsAnewWithTheHandler) {
  auto& subscription = subscribe();
  pass(0);
  publish(Priority::low);
  pass(1'000 * kSecond);
  detach(ledger_, subscription);
  attach(ledger_, scheduler_, subscription, {.concurrency = 9}, at_now());
  read_on();
  pass(60 * kSecond - 1);
  publish(Priority::normal, 2);
  EXPECT_EQ(next_lane(), Priority::normal);
  pass(1);
  EXPECT_EQ(next_lane(), Priority::low);
}

TEST_F(AgeingTest, WhatHadToStayOnDiskHasWaitedThere) {
  subscribe();
  pass(0);
  ledger_.settings.resident_bytes_max = 1;
  for (int i = 0; i < 20; ++i) {
    publish(Priority::low);
    pass(3 * kSecond);
  }
  // The last is 3 s old, the first 60 s.
  pass(57 * kSecond);
  // Now the last is as a normal one too, though it is read only when those before it are taken.
  for (int i = 0; i < 20; ++i) {
    read_on();
    publish(Priority::normal);
    EXPECT_EQ(next_lane(), Priority::low) << i;
  }
}

TEST_F(AgeingTest, WhatIsReadBehindOneThatHasJustBecomeDueIsAsOldAsItIs) {
  subscribe();
  pass(0);
  ledger_.settings.resident_bytes_max = 1;
  publish(Priority::low);
  publish(Priority::low);
  answer(*take(), Answer::Kind::snooze, 60 * kSecond);
  pass(60 * kSecond);
  read_on();
  publish(Priority::normal);
  const auto aged = take();
  ASSERT_TRUE(aged.has_value());
  EXPECT_EQ(aged->event, (EventId{Priority::low, 2}));
}

// --- One in 32 ----------------------------------------------------------------------------------

TEST_F(AgeingTest, OfThirtyTwoTakesOneGoesToTheLeastUrgentLaneThatHasAnAgedEvent) {
  subscribe();
  pass(0);
  publish(Priority::low, 5);
  publish(Priority::high, 5);
  pass(60 * kSecond);
  publish(Priority::critical, 1'000);
  std::size_t last = 0;
  std::size_t low = 0;
  for (std::size_t i = 1; low < 5; ++i) {
    const auto lease = take();
    ASSERT_TRUE(lease.has_value());
    if (lease->event.priority != Priority::low) continue;
    EXPECT_EQ(i - last, Scheduler::kTakesPerTurn) << low;
    last = i;
    ++low;
  }
}

TEST_F(AgeingTest, NothingStarvesWhateverIsPublished) {
  for (const auto flood : {Priority::critical, Priority::high, Priority::normal}) {
    const auto types = std::vector<std::string>{std::string(to_string(flood))};
    auto& subscription = subscribe(types);
    pass(0);
    for (const auto lane : kAllPriorities) publish(lane, 30, types[0]);
    std::map<Priority, std::size_t> seen;
    for (std::size_t i = 0; i < 30 * 40; ++i) {
      publish(flood, 2, types[0]);
      pass(kSecond);
      const auto lease = take();
      ASSERT_TRUE(lease.has_value());
      ++seen[lease->event.priority];
    }
    for (const auto lane : kAllPriorities) {
      EXPECT_GE(seen[lane], 30U) << to_string(lane) << " under a flood of " << types[0];
    }
    detach(ledger_, subscription);
  }
}

TEST_F(AgeingTest, ATurnWaitsForNothingThatIsStillToBeReadOrAnswered) {
  auto& subscription = subscribe({}, false);
  auto& normal = subscription.lanes[Priority::normal];
  pass(0);
  publish(Priority::normal, 3);
  publish(Priority::low, 3);
  // So much is put off that this one gets no more normal events for now.
  normal.parked = Scheduler::kEphemeralParkedMax;
  subscribe({"other"});
  pass(60 * kSecond);
  publish(Priority::critical, 100, "other");
  bool low = false;
  for (int i = 0; i < 64 && !low; ++i) {
    scheduler_.answered();
    const auto lease = take();
    ASSERT_TRUE(lease.has_value());
    low = lease->event.priority == Priority::low;
  }
  EXPECT_TRUE(low);
}

TEST_F(AgeingTest, AReservedWorkerNeverTakesALessUrgentLaneHoweverLongItHasWaited) {
  subscribe();
  pass(0);
  publish(Priority::low, 3);
  publish(Priority::normal, 3);
  pass(10'000 * kSecond);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(take(Priority::critical).has_value());
    EXPECT_FALSE(take(Priority::high).has_value());
  }
  EXPECT_EQ(next_lane(Priority::normal), Priority::normal);
  EXPECT_EQ(next_lane(Priority::normal), Priority::normal);
  EXPECT_EQ(next_lane(Priority::normal), Priority::normal);
  EXPECT_FALSE(take(Priority::normal).has_value());
  EXPECT_EQ(next_lane(Priority::low), Priority::low);
}

TEST_F(AgeingTest, TakesOfReservedWorkersDoNotCountForLanesTheyMayNotTake) {
  subscribe();
  pass(0);
  publish(Priority::low, 3);
  pass(60 * kSecond);
  publish(Priority::critical, 100);
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(take(Priority::critical)->event.priority, Priority::critical);
  }
  // A worker that may take it has its first 31 takes by urgency.
  for (int i = 0; i < 31; ++i) EXPECT_EQ(take()->event.priority, Priority::critical) << i;
  EXPECT_EQ(take(Priority::critical)->event.priority, Priority::critical) << "not its turn to give";
  EXPECT_EQ(take()->event.priority, Priority::low);
}

TEST_F(AgeingTest, AHighEventThatHasAgedHasItsTurnAmongCriticalOnes) {
  subscribe();
  pass(0);
  publish(Priority::high);
  pass(5 * kSecond);
  publish(Priority::critical, 100);
  for (int i = 0; i < 31; ++i) {
    EXPECT_EQ(take(Priority::high)->event.priority, Priority::critical) << i;
  }
  EXPECT_EQ(take(Priority::high)->event.priority, Priority::high);
}

TEST_F(AgeingTest, OneSlotStaysKeptForCriticalHoweverLongOthersHaveWaited) {
  auto& subscription = subscribe();
  subscription.concurrency = 2;
  pass(0);
  publish(Priority::low, 5);
  pass(1'000 * kSecond);
  EXPECT_TRUE(take().has_value());
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(take().has_value());
  publish(Priority::critical);
  EXPECT_EQ(take()->event.priority, Priority::critical);
}

// --- Strict -------------------------------------------------------------------------------------

TEST_F(StrictOrderTest, WithAgeingOffTheMostUrgentGoesFirstHoweverLongOthersWait) {
  subscribe();
  publish(Priority::low, 3);
  publish(Priority::normal, 3);
  publish(Priority::high, 3);
  pass(100'000 * kSecond);
  publish(Priority::critical, 200);
  std::vector<EventId> order;
  while (const auto lease = take()) order.push_back(lease->event);
  ASSERT_EQ(order.size(), 209U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

// --- Pausing ------------------------------------------------------------------------------------

TEST_F(AgeingTest, APauseIsNoWaiting) {
  auto& subscription = subscribe();
  pass(0);
  publish(Priority::low);
  subscription.record.paused = true;
  pause(subscription);
  pass(1'000 * kSecond);
  EXPECT_FALSE(take().has_value());
  subscription.record.paused = false;
  resume(scheduler_, subscription, at_now());
  read_on();
  pass(60 * kSecond - 1);
  publish(Priority::normal, 2);
  EXPECT_EQ(next_lane(), Priority::normal);
  pass(1);
  EXPECT_EQ(next_lane(), Priority::low);
}

TEST_F(AgeingTest, APausedOneKeepsNothingInMemoryAndGoesOnWhereItWas) {
  auto& subscription = subscribe();
  pass(0);
  publish(Priority::normal, 10);
  EXPECT_EQ(take()->event.sequence, 1U);
  subscription.record.paused = true;
  pause(subscription);
  publish(Priority::normal, 10);
  EXPECT_EQ(subscription.lanes[Priority::normal].window_count(), 0U);
  EXPECT_FALSE(scheduler_.next_refill(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value() && take().has_value());
  subscription.record.paused = false;
  resume(scheduler_, subscription, at_now());
  for (std::uint64_t sequence = 2; sequence <= 20; ++sequence) {
    read_on();
    const auto lease = take();
    ASSERT_TRUE(lease.has_value()) << sequence;
    EXPECT_EQ(lease->event.sequence, sequence);
  }
  EXPECT_FALSE(take().has_value());
}

TEST_F(AgeingTest, WhatWasBeingReadWhenItWasPausedIsReadAgain) {
  auto& subscription = subscribe();
  pass(0);
  publish(Priority::normal, 3);
  detach(ledger_, subscription);
  attach(ledger_, scheduler_, subscription, {.concurrency = 9}, at_now());
  const auto before = scheduler_.next_refill(Priority::low);
  ASSERT_TRUE(before.has_value());
  subscription.record.paused = true;
  pause(subscription);
  subscription.record.paused = false;
  resume(scheduler_, subscription, at_now());
  scheduler_.refilled(*before, {{chunks_[{Priority::normal, 1}], 1, 4}}, 4);
  EXPECT_FALSE(take().has_value());
  read_on();
  std::uint64_t count = 0;
  while (const auto lease = take()) EXPECT_EQ(lease->event.sequence, ++count);
  EXPECT_EQ(count, 3U);
}

TEST_F(AgeingTest, ARunThatHasToStartOverWaitsForTheEndOfThePause) {
  auto& subscription = subscribe();
  pass(0);
  publish(Priority::normal, 2);
  const auto lease = take();
  subscription.record.paused = true;
  pause(subscription);
  scheduler_.finish(*lease);
  scheduler_.run_again(*lease);
  EXPECT_FALSE(take().has_value());
  subscription.record.paused = false;
  resume(scheduler_, subscription, at_now());
  EXPECT_EQ(take()->event.sequence, 1U);
  read_on();
  EXPECT_EQ(take()->event.sequence, 2U);
}

}  // namespace
}  // namespace holdfast::core
