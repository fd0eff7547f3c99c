// SPDX-License-Identifier: MIT
#include "core/scheduler.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "support/chunks.h"

namespace holdfast::core {
namespace {

class SchedulerTest : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(std::uint32_t concurrency, std::vector<std::string> types = {},
                               bool durable = true) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    record.filter.types = std::move(types);
    for (const auto lane : kAllPriorities) record.start[lane] = ledger_.lanes[lane].next;
    auto& state = ledger_.add(record, durable);
    attach(ledger_, scheduler_, state, {.concurrency = concurrency}, now_);
    return state;
  }

  CommitNumber publish(Priority priority, std::size_t count = 1, const std::string& type = "a") {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i)
      events.add({.type = type, .payload = "", .priority = priority}, 1);
    CommitPlan plan(ledger_, {1, {++number_}, {0}}, now_, [] { return 0.5; });
    std::vector<EventId> ids;
    plan.publish(events, false, ids);
    for (const auto& operation : plan.finish().operations) {
      if (const auto* append = std::get_if<model::Append>(&operation))
        chunks_.push_back(append->chunk);
    }
    return {number_};
  }
  void publish_and_offer(Priority priority, std::size_t count = 1, const std::string& type = "a") {
    scheduler_.offer(publish(priority, count, type));
  }

  /// What it is owed is on the disk alone then.
  void reattach(SubscriptionState& subscription) {
    detach(ledger_, subscription);
    attach(ledger_, scheduler_, subscription, {.concurrency = 2}, now_);
  }

  void answer(const Lease& lease, Answer::Kind kind) {
    scheduler_.finish(lease);
    CommitPlan plan(ledger_, {1, {++number_}, {0}}, now_, [] { return 0.5; });
    Answer answer;
    answer.lease = lease;
    answer.kind = kind;
    answer.delay = 1'000;
    plan.answer(answer);
    plan.finish();
    scheduler_.answered();
  }

  void attach_with_two_suspects(SubscriptionState& subscription) {
    subscription.lanes[Priority::normal].parked = 2;
    attach(ledger_, scheduler_, subscription, {.concurrency = 4}, now_);
    std::vector<model::DueRecord> suspects;
    for (std::uint64_t i = 1; i <= 2; ++i) {
      suspects.push_back({.subscription = subscription.record.id,
                          .event = {Priority::normal, i},
                          .attempts = 1,
                          .suspect = true});
    }
    const auto refill = scheduler_.next_parked_refill(Priority::low);
    ASSERT_TRUE(refill.has_value());
    scheduler_.refilled(*refill, suspects, std::nullopt);
    const auto by_wall_clock = scheduler_.next_parked_refill(Priority::low);
    ASSERT_TRUE(by_wall_clock.has_value());
    scheduler_.refilled(*by_wall_clock, {}, std::nullopt);
  }

  Ledger ledger_{LedgerSettings{}};
  Scheduler scheduler_{ledger_};
  base::Now now_{.wall = 1'000, .boot = 1'000, .bus = 1'000};
  std::uint64_t number_ = 0;
  std::vector<ChunkPtr> chunks_;
};

TEST_F(SchedulerTest, NothingIsHandedOutBeforeItIsOffered) {
  subscribe(4);
  const auto first = publish(Priority::normal);
  const auto second = publish(Priority::normal);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  scheduler_.offer(first);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 1U);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  scheduler_.offer(second);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 2U);
}

TEST_F(SchedulerTest, TheMostUrgentLaneGoesFirst) {
  subscribe(9);
  for (const auto lane : {Priority::low, Priority::normal, Priority::high, Priority::critical})
    publish_and_offer(lane);
  for (const auto lane : kAllPriorities) {
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(lease->event.priority, lane);
  }
}

TEST_F(SchedulerTest, AWorkerTakesOnlyLanesAtLeastAsUrgentAsItsClass) {
  subscribe(9);
  publish_and_offer(Priority::normal);
  EXPECT_FALSE(scheduler_.take(Priority::critical).has_value());
  EXPECT_FALSE(scheduler_.take(Priority::high).has_value());
  EXPECT_TRUE(scheduler_.take(Priority::normal).has_value());
}

TEST_F(SchedulerTest, SubscriptionsOfALaneTakeTurns) {
  subscribe(9);
  subscribe(9);
  publish_and_offer(Priority::normal, 3);
  std::vector<std::uint32_t> turns;
  while (const auto lease = scheduler_.take(Priority::low))
    turns.push_back(lease->subscription.value);
  EXPECT_EQ(turns, (std::vector<std::uint32_t>{1, 2, 1, 2, 1, 2}));
}

TEST_F(SchedulerTest, OneSlotIsKeptForCriticalWhenThereAreTwoOrMore) {
  auto& subscription = subscribe(3);
  publish_and_offer(Priority::high, 5);
  publish_and_offer(Priority::low, 5);
  std::vector<Lease> leases;
  while (auto lease = scheduler_.take(Priority::low)) leases.push_back(*lease);
  EXPECT_EQ(leases.size(), 2U);
  publish_and_offer(Priority::critical, 2);
  auto critical = scheduler_.take(Priority::low);
  ASSERT_TRUE(critical.has_value());
  EXPECT_EQ(critical->event.priority, Priority::critical);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_EQ(subscription.in_flight, 3U);
  scheduler_.finish(leases[0]);
  critical = scheduler_.take(Priority::low);
  ASSERT_TRUE(critical.has_value());
  EXPECT_EQ(critical->event.priority, Priority::critical);
}

TEST_F(SchedulerTest, WithOneSlotAllLanesShareIt) {
  subscribe(1);
  publish_and_offer(Priority::low, 2);
  const auto lease = scheduler_.take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  publish_and_offer(Priority::critical);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  scheduler_.finish(*lease);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.priority, Priority::critical);
}

TEST_F(SchedulerTest, ALaneOfWhichNothingIsInMemoryHoldsUpLessUrgentOnesOfTheSameSubscription) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  detach(ledger_, subscription);
  publish_and_offer(Priority::normal);
  attach(ledger_, scheduler_, subscription, {.concurrency = 2}, now_);
  EXPECT_EQ(scheduler_.most_urgent_work(), Priority::high);
  auto high = scheduler_.next_refill(Priority::low);
  auto normal = scheduler_.next_refill(Priority::low);
  ASSERT_TRUE(high.has_value());
  ASSERT_TRUE(normal.has_value());
  ASSERT_EQ(high->lane, Priority::high);
  scheduler_.refilled(*normal, {{chunks_[1], 1, 2}}, 2);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  scheduler_.refilled(*high, {{chunks_[0], 1, 2}}, 2);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.priority, Priority::high);
}

TEST_F(SchedulerTest, ALaneThatCannotBeReadStandsStillSaysWhyAndHoldsUpNothingElse) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  publish_and_offer(Priority::normal);
  reattach(subscription);
  const auto high = scheduler_.next_refill(Priority::low);
  const auto normal = scheduler_.next_refill(Priority::low);
  scheduler_.refill_failed(*high, {StatusCode::data_loss, "chunk high:1: checksum is wrong"});
  EXPECT_EQ(subscription.blocked, "data_loss: chunk high:1: checksum is wrong");
  scheduler_.refilled(*normal, {{chunks_[1], 1, 2}}, 2);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.priority, Priority::normal);
  EXPECT_FALSE(scheduler_.next_refill(Priority::low).has_value());
  EXPECT_EQ(ledger_.floor(Priority::high), 1U) << "what is owed stays owed";
}

TEST_F(SchedulerTest, ALaneThatCannotBeReadForNowIsTriedAgainAndGoesOn) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  reattach(subscription);
  const Status busy(StatusCode::unavailable, "Too many open files");
  EXPECT_TRUE(scheduler_.refill_failed(*scheduler_.next_refill(Priority::low), busy));
  EXPECT_EQ(subscription.blocked, busy.to_string());
  EXPECT_EQ(scheduler_.next_due(), now_.bus + Scheduler::kReadAgainAfter);
  now_.bus += Scheduler::kReadAgainAfter - 1;
  scheduler_.advance(now_);
  EXPECT_FALSE(scheduler_.next_refill(Priority::low).has_value()) << "not in a busy loop";
  now_.bus += 1;
  scheduler_.advance(now_);
  EXPECT_FALSE(scheduler_.refill_failed(scheduler_.next_refill(Priority::low).value(), busy))
      << "the same once more is no news";
  now_.bus += Scheduler::kReadAgainAfter;
  scheduler_.advance(now_);
  EXPECT_EQ(subscription.blocked, busy.to_string()) << "until it could be read";
  scheduler_.refilled(scheduler_.next_refill(Priority::low).value(), {{chunks_[0], 1, 2}}, 2);
  EXPECT_EQ(subscription.blocked, "");
  EXPECT_FALSE(scheduler_.next_due().has_value());
  EXPECT_EQ(scheduler_.take(Priority::low)->event.priority, Priority::high);
}

TEST_F(SchedulerTest, AnAttachmentTriesAtOnceAndNotOnceMoreForTheEarlier) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  reattach(subscription);
  scheduler_.refill_failed(*scheduler_.next_refill(Priority::low),
                           {StatusCode::unavailable, "Too many open files"});
  reattach(subscription);
  EXPECT_EQ(subscription.blocked, "");
  scheduler_.refill_failed(*scheduler_.next_refill(Priority::low),
                           {StatusCode::data_loss, "checksum is wrong"});
  now_.bus += Scheduler::kReadAgainAfter;
  scheduler_.advance(now_);
  EXPECT_FALSE(scheduler_.next_refill(Priority::low).has_value());
  EXPECT_EQ(subscription.blocked, "data_loss: checksum is wrong");
}

TEST_F(SchedulerTest, DamageIsToldBeforeWhatMayPass) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  publish_and_offer(Priority::normal);
  reattach(subscription);
  const auto high = scheduler_.next_refill(Priority::low);
  const auto normal = scheduler_.next_refill(Priority::low);
  EXPECT_TRUE(scheduler_.refill_failed(*high, {StatusCode::data_loss, "checksum is wrong"}));
  EXPECT_FALSE(scheduler_.refill_failed(*normal, {StatusCode::unavailable, "busy"}));
  EXPECT_EQ(subscription.blocked, "data_loss: checksum is wrong");
  now_.bus += Scheduler::kReadAgainAfter;
  scheduler_.advance(now_);
  scheduler_.refilled(scheduler_.next_refill(Priority::low).value(), {{chunks_[1], 1, 2}}, 2);
  EXPECT_EQ(subscription.blocked, "data_loss: checksum is wrong");
  EXPECT_EQ(scheduler_.take(Priority::low)->event.priority, Priority::normal);
}

TEST_F(SchedulerTest, WhatMayPassIsToldUntilEachLaneCanBeRead) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  publish_and_offer(Priority::normal);
  reattach(subscription);
  const auto high = scheduler_.next_refill(Priority::low).value();
  scheduler_.refill_failed(high, {StatusCode::unavailable, "busy"});
  const auto normal = scheduler_.next_refill(Priority::low).value();
  scheduler_.refilled(normal, {{chunks_[1], 1, 2}}, 2);
  EXPECT_EQ(subscription.blocked, "unavailable: busy");
  now_.bus += Scheduler::kReadAgainAfter;
  scheduler_.advance(now_);
  scheduler_.refilled(scheduler_.next_refill(Priority::low).value(), {{chunks_[0], 1, 2}}, 2);
  EXPECT_EQ(subscription.blocked, "");
}

TEST_F(SchedulerTest, ParkedEventsThatCannotBeReadForNowAreReadFromWhereTheyWere) {
  auto& subscription = subscribe(4);
  subscription.lanes[Priority::normal].parked = 1;
  attach(ledger_, scheduler_, subscription, {.concurrency = 4}, now_);
  const auto first = scheduler_.next_parked_refill(Priority::low);
  ASSERT_TRUE(first.has_value());
  scheduler_.refill_failed(*first, {StatusCode::unavailable, "Too many open files"});
  scheduler_.refilled(scheduler_.next_parked_refill(Priority::low).value(), {}, std::nullopt);
  now_.bus += Scheduler::kReadAgainAfter;
  scheduler_.advance(now_);
  const auto again = scheduler_.next_parked_refill(Priority::low);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->clock, first->clock);
  EXPECT_EQ(again->from, first->from);
  scheduler_.refilled(
      *again,
      {{.subscription = subscription.record.id, .event = {Priority::normal, 1}, .attempts = 1}},
      std::nullopt);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 1U);
}

TEST_F(SchedulerTest, ARefillOfAnEarlierAttachmentIsIgnored) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::normal, 2);
  reattach(subscription);
  const auto old = scheduler_.next_refill(Priority::low);
  ASSERT_TRUE(old.has_value());
  attach(ledger_, scheduler_, subscription, {.concurrency = 2}, now_);
  scheduler_.refilled(*old, {{chunks_[0], 1, 3}}, 3);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(SchedulerTest, WhatAnEarlierAttachmentCouldNotReadStopsNobody) {
  const Status damaged(StatusCode::data_loss, "checksum is wrong");
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::normal, 2);
  subscription.lanes[Priority::normal].parked = 1;
  reattach(subscription);
  const auto old = scheduler_.next_refill(Priority::low).value();
  const auto old_parked = scheduler_.next_parked_refill(Priority::low).value();
  reattach(subscription);
  EXPECT_FALSE(scheduler_.refill_failed(old, damaged));
  EXPECT_FALSE(scheduler_.refill_failed(old_parked, damaged));
  EXPECT_EQ(subscription.blocked, "");
  // Nor one that is gone.
  const auto newer = scheduler_.next_refill(Priority::low).value();
  const auto newer_parked = scheduler_.next_parked_refill(Priority::low).value();
  detach(ledger_, subscription);
  ledger_.erase(subscription.record.id);
  EXPECT_FALSE(scheduler_.refill_failed(newer, damaged));
  EXPECT_FALSE(scheduler_.refill_failed(newer_parked, damaged));
}

TEST_F(SchedulerTest, ALaneThatWasToBeReadAgainIsForgottenWithItsSubscription) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::high);
  reattach(subscription);
  scheduler_.refill_failed(*scheduler_.next_refill(Priority::low),
                           {StatusCode::unavailable, "Too many open files"});
  detach(ledger_, subscription);
  ledger_.erase(subscription.record.id);
  now_.bus += Scheduler::kReadAgainAfter;
  scheduler_.advance(now_);
  EXPECT_FALSE(scheduler_.next_refill(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.next_due().has_value());
}

TEST_F(SchedulerTest, ALaneThatNeedsNoReadingAnyMoreIsNotRead) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::normal, 2);
  reattach(subscription);
  auto& lane = subscription.lanes[Priority::normal];
  lane.refill({{chunks_[0], 1, 3}}, 3, true);
  EXPECT_FALSE(scheduler_.next_refill(Priority::low).has_value());
  EXPECT_FALSE(lane.refilling);
}

TEST_F(SchedulerTest, WhatAHandlerOfAnEarlierAttachmentGivesBackIsNotHandedOutTwice) {
  auto& subscription = subscribe(2);
  publish_and_offer(Priority::normal);
  const auto old = scheduler_.take(Priority::low).value();
  reattach(subscription);
  scheduler_.finish(old);
  scheduler_.give_back(old);
  EXPECT_FALSE(subscription.lanes[Priority::normal].has_due());
  scheduler_.refilled(scheduler_.next_refill(Priority::low).value(), {{chunks_[0], 1, 2}}, 2);
  const auto now = scheduler_.take(Priority::low).value();
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  detach(ledger_, subscription);
  ledger_.erase(subscription.record.id);
  scheduler_.finish(now);
  scheduler_.give_back(now);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(SchedulerTest, AParkedEventThatIsReadAlthoughItIsKnownIsNotTakenTwice) {
  auto& subscription = subscribe(4);
  auto& lane = subscription.lanes[Priority::normal];
  lane.parked = 3;
  attach(ledger_, scheduler_, subscription, {.concurrency = 4}, now_);
  const auto refill = scheduler_.next_parked_refill(Priority::low).value();
  const EventId due{Priority::normal, 1};
  const EventId held{Priority::normal, 2};
  lane.put_due(due.sequence, {.parked = true, .attempts = 1});
  subscription.keys.add(held, {{7, {}}, {1}, 0});
  subscription.keys.hold(held, {.parked = true, .attempts = 1});
  std::vector<model::DueRecord> read;
  for (const Sequence sequence : {1U, 2U, 3U}) {
    read.push_back({.subscription = subscription.record.id,
                    .event = {Priority::normal, sequence},
                    .attempts = 1});
  }
  scheduler_.refilled(refill, read, std::nullopt);
  EXPECT_EQ(lane.due_count(), 2U) << "1, which was, and 3";
  EXPECT_TRUE(lane.is_due(3));
  EXPECT_FALSE(lane.is_due(2));
}

TEST_F(SchedulerTest, TwoAttachmentsInARowAskForTheBacklogOnlyOnce) {
  auto& subscription = subscribe(4);
  publish_and_offer(Priority::normal, 2);
  detach(ledger_, subscription);
  attach(ledger_, scheduler_, subscription, {.concurrency = 4}, now_);
  attach(ledger_, scheduler_, subscription, {.concurrency = 4}, now_);
  std::size_t refills = 0;
  while (const auto refill = scheduler_.next_refill(Priority::low)) {
    ++refills;
    EXPECT_EQ(refill->lane, Priority::normal);
  }
  EXPECT_EQ(refills, 1U);
}

TEST_F(SchedulerTest, AStoppedOneHandsOutNothingUntilItGoesOn) {
  subscribe(2);
  publish_and_offer(Priority::normal);
  scheduler_.stop(true);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value());
  scheduler_.stop(false);
  EXPECT_TRUE(scheduler_.take(Priority::low).has_value());
}

TEST_F(SchedulerTest, SuspectsRunOneAtATimeOverAllSubscriptions) {
  auto& first = subscribe(4);
  auto& second = subscribe(4);
  publish_and_offer(Priority::normal, 2);
  for (auto* each : {&first, &second}) {
    each->lanes[Priority::normal].reset(3, {}, true);
    attach_with_two_suspects(*each);
  }
  for (int i = 0; i < 4; ++i) {
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value()) << i;
    EXPECT_TRUE(lease->suspect);
    EXPECT_EQ(lease->attempt, 2U);
    EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
    scheduler_.finish(*lease);
  }
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(SchedulerTest, TheInnocentRunBesideASuspect) {
  auto& subscription = subscribe(4);
  publish_and_offer(Priority::normal, 3);
  subscription.lanes[Priority::normal].reset(3, {}, false);
  attach_with_two_suspects(subscription);
  const auto refill = scheduler_.next_refill(Priority::low);
  scheduler_.refilled(*refill, {{chunks_[0], 3, 4}}, 4);
  EXPECT_TRUE(scheduler_.take(Priority::low)->suspect);
  const auto innocent = scheduler_.take(Priority::low);
  ASSERT_TRUE(innocent.has_value());
  EXPECT_EQ(innocent->event.sequence, 3U);
  EXPECT_FALSE(innocent->suspect);
}

TEST_F(SchedulerTest, ARunThatStartsOverKeepsItsPlaceAndItsAttempt) {
  subscribe(1);
  publish_and_offer(Priority::normal, 2);
  const auto lease = scheduler_.take(Priority::low);
  scheduler_.finish(*lease);
  scheduler_.run_again(*lease);
  const auto again = scheduler_.take(Priority::low);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->event, lease->event);
  EXPECT_EQ(again->attempt, 1U);
}

TEST_F(SchedulerTest, ALaneOfWhichSoMuchWasTakenGoesOnOnceAnswersCame) {
  auto& subscription = subscribe(1'000'000);
  auto& lane = subscription.lanes[Priority::normal];
  const auto span = [&](Sequence from, Sequence to) {
    return Span{testing::make_chunk({Priority::normal, from}, to - from), from, to};
  };
  lane.reset(1, {}, true);
  constexpr Sequence kMost = DeliveryLane::kTakenMax;
  for (Sequence from = 1; from <= kMost + 64; from += 64) {
    lane.offer(span(from, from + 64), true);
    scheduler_.refresh(subscription);
    while (scheduler_.take(Priority::low).has_value()) continue;
  }
  EXPECT_TRUE(lane.is_full());
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value());
  scheduler_.answered();
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value()) << "nothing was settled";
  lane.settle(0);
  scheduler_.answered();
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, kMost + 1);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(SchedulerTest, MemoryIsBoundedButALaneWithNothingInMemoryMayAlwaysReadOn) {
  ledger_.settings.resident_bytes_max = 1;
  auto& subscription = subscribe(100);
  for (int i = 0; i < 3; ++i) publish_and_offer(Priority::normal);
  EXPECT_FALSE(ledger_.has_room());
  EXPECT_EQ(subscription.lanes[Priority::normal].window_count(), 1U);
  for (Sequence expected = 1; expected <= 3; ++expected) {
    while (const auto refill = scheduler_.next_refill(Priority::low)) {
      EXPECT_EQ(refill->bytes_max, 0U);
      scheduler_.refilled(*refill, {{chunks_[refill->from - 1], refill->from, refill->from + 1}},
                          refill->from + 1);
    }
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value()) << expected;
    EXPECT_EQ(lease->event.sequence, expected);
  }
}

TEST_F(SchedulerTest, AnEphemeralOneThatPutsOffEverythingGetsNoMoreUntilSomeOfItIsDue) {
  auto& subscription = subscribe(4, {}, false);
  auto& lane = subscription.lanes[Priority::normal];
  publish_and_offer(Priority::normal, 3);
  lane.parked = Scheduler::kEphemeralParkedMax - 1;
  answer(*scheduler_.take(Priority::low), Answer::Kind::snooze);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value());
  now_.bus += 2'000;
  scheduler_.advance(now_);
  const auto due = scheduler_.take(Priority::low);
  ASSERT_TRUE(due.has_value());
  EXPECT_EQ(due->event.sequence, 1U);
  answer(*due, Answer::Kind::ack);
  const auto next = scheduler_.take(Priority::low);
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->event.sequence, 2U);
}

TEST_F(SchedulerTest, AnEphemeralOneThatPutsOffEventsGetsNoMoreWhileTheirMemoryIsUsedUp) {
  subscribe(4, {}, false);
  publish_and_offer(Priority::normal, 3);
  ledger_.settings.resident_bytes_max = 1;
  answer(*scheduler_.take(Priority::low), Answer::Kind::snooze);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.most_urgent_work().has_value());
  // Others drain what they have, and an answer of theirs is committed.
  ledger_.settings.resident_bytes_max = std::size_t{1} << 20U;
  scheduler_.answered();
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 2U);
}

TEST_F(SchedulerTest, ADurableOneThatPutsOffEventsGoesOn) {
  subscribe(4).lanes[Priority::normal].parked = Scheduler::kEphemeralParkedMax;
  publish_and_offer(Priority::normal, 3);
  ledger_.settings.resident_bytes_max = 1;
  answer(*scheduler_.take(Priority::low), Answer::Kind::snooze);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 2U);
}

TEST_F(SchedulerTest, WhatAnEphemeralOnePutsOffDoesNotKeepItsNeighboursInMemory) {
  subscribe(4, {}, false);
  publish_and_offer(Priority::normal, 100);
  const auto before = ledger_.resident_bytes();
  answer(*scheduler_.take(Priority::low), Answer::Kind::snooze);
  while (const auto lease = scheduler_.take(Priority::low)) answer(*lease, Answer::Kind::ack);
  chunks_.clear();
  EXPECT_GT(ledger_.resident_bytes(), 0U);
  EXPECT_LT(ledger_.resident_bytes(), before / 10);
}

}  // namespace
}  // namespace holdfast::core
