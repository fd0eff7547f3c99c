// SPDX-License-Identifier: MIT
#include "core/delivery_lane.h"

#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

using holdfast::testing::make_chunk;
using Sequences = std::vector<Sequence>;

Span span(Sequence next, Sequence end) {
  return {make_chunk({Priority::normal, next}, end - next), next, end};
}

/// A live lane that starts at 1.
DeliveryLane live_lane() {
  DeliveryLane lane;
  lane.reset(1, {});
  lane.refill({}, 1, true);
  return lane;
}

Sequences take_all(DeliveryLane& lane) {
  Sequences taken;
  while (lane.window_count() > 0) taken.push_back(lane.take().sequence);
  return taken;
}

TEST(DeliveryLane, BeginsWithNothingInMemoryAndAsksForItsBacklog) {
  DeliveryLane lane;
  lane.reset(7, {});
  EXPECT_FALSE(lane.live());
  EXPECT_EQ(lane.window_count(), 0U);
  EXPECT_FALSE(lane.has_due());
  EXPECT_TRUE(lane.unknown());
  EXPECT_TRUE(lane.wants_refill());
  EXPECT_EQ(lane.covered(), 7U);
  EXPECT_EQ(lane.floor(100), 7U);
  EXPECT_TRUE(lane.is_settled(6, 100));
  EXPECT_FALSE(lane.is_settled(7, 100));
}

TEST(DeliveryLane, AsksForNoMoreOfItsBacklogWhileSoMuchIsTaken) {
  DeliveryLane lane;
  lane.reset(1, {});
  std::vector<DeliveryLane::Ticket> tickets;
  for (Sequence next = 1; !lane.is_full(); next += 4'096) {
    ASSERT_TRUE(lane.wants_refill());
    lane.refill({span(next, next + 4'096)}, next + 4'096, false);
    while (lane.window_count() > 0) tickets.push_back(lane.take().ticket);
  }
  EXPECT_FALSE(lane.wants_refill());
  lane.settle(tickets[0]);
  EXPECT_TRUE(lane.wants_refill());
}

TEST(DeliveryLane, HandsOutInOrderAndMovesTheFloorPastWhatIsSettled) {
  auto lane = live_lane();
  lane.offer(span(1, 4), true);
  lane.offer(span(6, 8), true);
  EXPECT_EQ(lane.floor(8), 1U);
  const auto first = lane.take();
  const auto second = lane.take();
  const auto third = lane.take();
  EXPECT_EQ(first.sequence, 1U);
  EXPECT_EQ(second.sequence, 2U);
  EXPECT_EQ(third.chunk->event(third.sequence).id.sequence, 3U);
  lane.settle(second.ticket);
  EXPECT_EQ(lane.floor(8), 1U);
  EXPECT_EQ(lane.ahead(1), (Sequences{2}));
  EXPECT_TRUE(lane.is_settled(2, 8));
  EXPECT_FALSE(lane.is_settled(1, 8));
  EXPECT_FALSE(lane.is_settled(3, 8));
  lane.settle(first.ticket);
  EXPECT_EQ(lane.floor(8), 3U);
  EXPECT_TRUE(lane.ahead(3).empty());
  lane.settle(third.ticket);
  EXPECT_EQ(lane.floor(8), 6U) << "4 and 5 were never wanted";
  EXPECT_EQ(take_all(lane), (Sequences{6, 7}));
}

TEST(DeliveryLane, ALiveLaneWithNothingOwedStandsWhereTheBusStands) {
  auto lane = live_lane();
  EXPECT_EQ(lane.floor(50), 50U);
  EXPECT_FALSE(lane.unknown());
  EXPECT_FALSE(lane.wants_refill());
}

TEST(DeliveryLane, WhatFindsNoRoomIsFoundOnDiskAgain) {
  auto lane = live_lane();
  lane.offer(span(1, 3), true);
  lane.offer(span(5, 6), false);
  EXPECT_FALSE(lane.live());
  EXPECT_EQ(lane.covered(), 5U);
  lane.offer(span(8, 9), true);
  EXPECT_EQ(take_all(lane), (Sequences{1, 2})) << "nothing may overtake what is on disk";
  EXPECT_TRUE(lane.unknown());
  lane.refill({span(5, 6), span(8, 9)}, 9, true);
  EXPECT_EQ(take_all(lane), (Sequences{5, 8}));
  EXPECT_TRUE(lane.live());
}

TEST(DeliveryLane, TheWindowIsBounded) {
  auto lane = live_lane();
  Sequence next = 1;
  while (lane.live()) {
    lane.offer(span(next, next + 500), true);
    next += 500;
  }
  EXPECT_LE(lane.window_count(), DeliveryLane::kWindowEventsMax + 500);
  EXPECT_EQ(lane.covered(), next - 500);
  EXPECT_FALSE(lane.wants_refill());
  while (lane.window_count() >= DeliveryLane::kWindowEventsLow) lane.take();
  EXPECT_TRUE(lane.wants_refill());
}

TEST(DeliveryLane, ARefillLeavesOutWhatIsSettledAlready) {
  DeliveryLane lane;
  lane.reset(10, {11, 14, 15, 20, 21});
  EXPECT_TRUE(lane.is_settled(14, 100));
  EXPECT_EQ(lane.ahead(10), (Sequences{11, 14, 15, 20, 21}));
  lane.refill({span(10, 16), span(18, 23)}, 23, true);
  EXPECT_EQ(take_all(lane), (Sequences{10, 12, 13, 18, 19, 22}));
  EXPECT_EQ(lane.ahead(10), (Sequences{11, 14, 15, 20, 21}));
}

TEST(DeliveryLane, SettledOnesOfThisRunAndOfEarlierOnesAreKeptTogether) {
  DeliveryLane lane;
  lane.reset(10, {12, 16});
  lane.refill({span(10, 18)}, 18, true);
  const auto first = lane.take();
  const auto eleven = lane.take();
  const auto thirteen = lane.take();
  EXPECT_EQ(thirteen.sequence, 13U);
  lane.settle(thirteen.ticket);
  EXPECT_EQ(lane.ahead(10), (Sequences{12, 13, 16}));
  lane.settle(first.ticket);
  EXPECT_EQ(lane.floor(18), 11U);
  lane.settle(eleven.ticket);
  EXPECT_EQ(lane.floor(18), 14U);
  EXPECT_EQ(lane.ahead(14), (Sequences{16}));
}

// A refill may end anywhere, also right before an event that is settled. If the floor stood there,
// what is settled at the floor itself would be in no stored form, and be delivered again after a
// crash.
TEST(DeliveryLane, TheFloorNeverStandsAtAnEventThatIsSettled) {
  DeliveryLane lane;
  lane.reset(10, {12, 13, 15});
  lane.refill({span(10, 12)}, 12, false);
  lane.settle(lane.take().ticket);
  lane.settle(lane.take().ticket);
  EXPECT_EQ(lane.floor(100), 14U);
  EXPECT_EQ(lane.ahead(14), (Sequences{15}));
  DeliveryLane again;
  again.reset(lane.floor(100), lane.ahead(lane.floor(100)));
  EXPECT_TRUE(again.is_settled(12, 100));
  EXPECT_TRUE(again.is_settled(13, 100));
  EXPECT_FALSE(again.is_settled(14, 100));
  EXPECT_TRUE(again.is_settled(15, 100));
}

TEST(DeliveryLane, ResetPassesWhatIsSettledAtItsFloor) {
  DeliveryLane lane;
  lane.reset(10, {10, 11, 13});
  EXPECT_EQ(lane.floor(100), 12U);
  EXPECT_EQ(lane.covered(), 12U);
  EXPECT_EQ(lane.ahead(12), (Sequences{13}));
}

TEST(DeliveryLane, DroppingTheWindowForgetsNothingThatIsOwed) {
  auto lane = live_lane();
  lane.offer(span(1, 6), true);
  const auto first = lane.take();
  lane.drop_window();
  EXPECT_EQ(lane.window_count(), 0U);
  EXPECT_EQ(lane.covered(), 2U);
  EXPECT_EQ(lane.floor(6), 1U);
  lane.settle(first.ticket);
  EXPECT_EQ(lane.floor(6), 2U);
  lane.refill({span(2, 6)}, 6, true);
  EXPECT_EQ(take_all(lane), (Sequences{2, 3, 4, 5}));
}

TEST(DeliveryLane, ALaneThatHadNothingInMemoryStaysLiveWhenItsWindowIsDropped) {
  auto lane = live_lane();
  lane.drop_window();
  EXPECT_TRUE(lane.live());
  EXPECT_EQ(lane.floor(9), 9U);
  lane.offer(span(9, 10), false);
  EXPECT_EQ(lane.floor(20), 9U);
}

TEST(DeliveryLane, ATicketIsGoodUntilItsEventIsSettled) {
  auto lane = live_lane();
  lane.offer(span(1, 4), true);
  const auto first = lane.take();
  const auto second = lane.take();
  EXPECT_TRUE(lane.is_taken(first.ticket));
  EXPECT_TRUE(lane.is_in_row(1));
  lane.settle(second.ticket);
  EXPECT_FALSE(lane.is_taken(second.ticket));
  EXPECT_FALSE(lane.is_in_row(2));
  lane.settle(first.ticket);
  EXPECT_FALSE(lane.is_taken(first.ticket));
  EXPECT_FALSE(lane.is_taken(second.ticket));
  EXPECT_FALSE(lane.is_taken(2));
  const auto third = lane.take();
  EXPECT_EQ(third.ticket, 2U);
  EXPECT_TRUE(lane.is_taken(third.ticket));
}

TEST(DeliveryLane, TicketsFromBeforeAResetAreNotGoodAfterIt) {
  auto lane = live_lane();
  lane.offer(span(1, 4), true);
  const auto old = lane.take();
  lane.reset(1, {});
  EXPECT_FALSE(lane.is_taken(old.ticket));
}

TEST(DeliveryLane, WhatIsDueGoesBeforeTheWindowLowestFirst) {
  auto lane = live_lane();
  lane.offer(span(20, 22), true);
  lane.put_due(9, {.parked = true, .attempts = 2});
  lane.put_due(7, {.parked = true, .attempts = 1});
  EXPECT_TRUE(lane.has_due());
  EXPECT_TRUE(lane.is_due(9));
  EXPECT_EQ(lane.window_count() + lane.due_count(), 4U);
  EXPECT_EQ(lane.first_due_sequence(), 7U);
  EXPECT_EQ(lane.take_due().attempts, 1U);
  EXPECT_EQ(lane.take_due().attempts, 2U);
  EXPECT_FALSE(lane.has_due());
}

TEST(DeliveryLane, WhatIsTakenLastCanStandInFrontOfTheWindowAgain) {
  auto lane = live_lane();
  const auto all = span(1, 5);
  lane.offer(all, true);
  const auto one = [&](Sequence sequence, base::BusTime since = 0) {
    return Span{all.chunk, sequence, sequence + 1, since};
  };
  const auto first = lane.take();
  const auto second = lane.take();
  EXPECT_FALSE(lane.untake(first.ticket, one(1))) << "something was taken after it";
  EXPECT_TRUE(lane.untake(second.ticket, one(2)));
  EXPECT_EQ(lane.window_front().next, 2U);
  EXPECT_EQ(lane.window_front().end, 5U) << "one run of events as before";
  EXPECT_FALSE(lane.untake(second.ticket, one(2))) << "it is not taken any more";
  // What has waited for another time is a run of its own.
  EXPECT_TRUE(lane.untake(first.ticket, one(1, 7)));
  EXPECT_EQ(lane.window_front().end, 2U);
  EXPECT_EQ(lane.window_since(), 7);
  EXPECT_EQ(take_all(lane), (Sequences{1, 2, 3, 4}));
}

TEST(DeliveryLane, WhatIsOwedOtherwiseDoesNotStandInFrontOfTheWindowAgain) {
  auto lane = live_lane();
  const auto all = span(1, 4);
  lane.offer(all, true);
  const auto released = lane.take();
  lane.release(released.ticket);
  EXPECT_FALSE(lane.untake(released.ticket, {all.chunk, 1, 2}));
  const auto due = lane.take();
  lane.put_due(2, {.chunk = due.chunk, .ticket = due.ticket});
  EXPECT_FALSE(lane.untake(due.ticket, {all.chunk, 2, 3}));
  EXPECT_EQ(take_all(lane), (Sequences{3}));
}

TEST(DeliveryLane, TheOldestIsToBeParkedOnlyOnceTheRowIsLong) {
  auto lane = live_lane();
  const auto chunk = make_chunk({Priority::normal, 1}, 6'000);
  lane.offer({chunk, 1, 6'001}, true);
  const auto first = lane.take();
  const auto second = lane.take();
  while (lane.window_count() > 0 && !lane.overdue().has_value()) lane.settle(lane.take().ticket);
  const auto overdue = lane.overdue();
  ASSERT_TRUE(overdue.has_value());
  EXPECT_EQ(overdue->sequence, 1U);
  EXPECT_EQ(overdue->ticket, first.ticket);
  EXPECT_EQ(overdue->chunk, chunk);
  EXPECT_EQ(lane.ahead(1).size(), DeliveryLane::kTakenSoftMax - 1);
  lane.settle(first.ticket);
  EXPECT_EQ(lane.floor(6'001), 2U);
  lane.settle(second.ticket);
  EXPECT_GT(lane.floor(6'001), DeliveryLane::kTakenSoftMax);
  EXPECT_TRUE(lane.ahead(lane.floor(6'001)).empty());
}

TEST(DeliveryLane, IsFullWhenSoMuchIsTakenAndNotWhenTheOldestIsSettled) {
  auto lane = live_lane();
  std::vector<DeliveryLane::Ticket> tickets;
  Sequence next = 1;
  while (tickets.size() < DeliveryLane::kTakenMax) {
    lane.offer(span(next, next + 1'024), true);
    next += 1'024;
    while (lane.window_count() > 0 && !lane.is_full()) tickets.push_back(lane.take().ticket);
  }
  EXPECT_TRUE(lane.is_full());
  lane.settle(tickets.front());
  EXPECT_FALSE(lane.is_full());
}

TEST(DeliveryLane, SettlesAheadWhatIsNotInMemory) {
  DeliveryLane lane;
  lane.reset(10, {12});
  lane.settle_ahead(13);
  lane.settle_ahead(13);
  EXPECT_EQ(lane.floor(100), 10U);
  EXPECT_EQ(lane.ahead(10), (Sequences{12, 13}));
  lane.settle_ahead(10);
  EXPECT_EQ(lane.floor(100), 11U);
  lane.settle_ahead(11);
  EXPECT_EQ(lane.floor(100), 14U);
  EXPECT_TRUE(lane.ahead(14).empty());
}

TEST(DeliveryLane, KnowsWhetherAnEventThatIsDueHasBeenParked) {
  auto lane = live_lane();
  EXPECT_FALSE(lane.mark_due_parked(5, 77));
  lane.put_due(5, {.ticket = 3});
  EXPECT_TRUE(lane.mark_due_parked(5, 77));
  const auto due = lane.take_due();
  EXPECT_TRUE(due.parked);
  EXPECT_EQ(due.due, 77);
}

}  // namespace
}  // namespace holdfast::core
