// SPDX-License-Identifier: MIT
#include "core/recovery.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

using holdfast::testing::make_chunk;

constexpr Priority kLane = Priority::normal;

model::SubscriptionRecord subscription(std::vector<std::string> types = {}) {
  model::SubscriptionRecord record;
  record.id = {1};
  record.name = "mail";
  record.filter.types = std::move(types);
  return record;
}

model::CursorRecord cursor(Sequence floor, std::vector<Sequence> ahead, Sequence as_of) {
  return {.subscription = {1},
          .lane = kLane,
          .floor = floor,
          .ahead = std::move(ahead),
          .owed = 3,
          .parked = 1,
          .as_of = as_of};
}

TEST(Recovery, TakesACursorAsItWasAndCountsOnlyWhatCameAfterIt) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 1, 1}});
  ASSERT_TRUE(recovery.add(subscription({"a"})).ok());
  ASSERT_TRUE(recovery.add(cursor(10, {12, 14}, 26)).ok());
  ASSERT_TRUE(recovery.add(model::RetentionMark{.lane = kLane, .sequence = 28}).ok());
  EXPECT_EQ(recovery.tail_from(kLane), 26U);
  recovery.add_chunk(make_chunk({kLane, 21}, {"a", "a", "a", "a", "a", "a", "b", "a", "b", "b"}));
  EXPECT_TRUE(recovery.finish().ok());
  const auto& lane = ledger.find("mail")->lanes[kLane];
  EXPECT_EQ(lane.owed, 3U + 2U) << "26 and 28";
  EXPECT_EQ(lane.parked, 1U);
  EXPECT_EQ(lane.floor(31), 10U);
  EXPECT_TRUE(lane.is_settled(12, 31));
  EXPECT_FALSE(lane.is_settled(13, 31));
  EXPECT_TRUE(lane.is_settled(14, 31));
  EXPECT_EQ(ledger.lanes[kLane].retention->unclaimed(), 2U) << "29 and 30; 28 is wanted";
  EXPECT_EQ(ledger.lanes[kLane].offered, 31U) << "what survived is durable";
}

TEST(Recovery, ReadsNothingWhenTheCursorsAreOfTheLastCommit) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 1, 1}});
  ASSERT_TRUE(recovery.add(subscription()).ok());
  ASSERT_TRUE(recovery.add(cursor(10, {}, 31)).ok());
  ASSERT_TRUE(recovery.add(model::RetentionMark{.lane = kLane, .sequence = 31}).ok());
  EXPECT_EQ(recovery.tail_from(kLane), 31U);
}

// The trim point may have passed a stored floor, and stand right at an event that is settled ahead
// of it.
TEST(Recovery, KeepsWhatIsSettledAtTheTrimPoint) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 15, 1}});
  ASSERT_TRUE(recovery.add(subscription()).ok());
  ASSERT_TRUE(recovery.add(cursor(10, {12, 15, 16, 18}, 31)).ok());
  const auto& lane = ledger.find("mail")->lanes[kLane];
  EXPECT_EQ(lane.floor(31), 17U);
  for (const Sequence settled : {15U, 16U, 18U})
    EXPECT_TRUE(lane.is_settled(settled, 31)) << settled;
  EXPECT_FALSE(lane.is_settled(17, 31));
}

TEST(Recovery, ARecordWithoutItsSubscriptionIsToldAsDamage) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 1, 1}});
  EXPECT_TRUE(recovery.add(cursor(10, {}, 31)) == StatusCode::data_loss);
  EXPECT_TRUE(recovery.add(model::DeadLetterRecord{.subscription = {1}, .event = {kLane, 1}}) ==
              StatusCode::data_loss);
  EXPECT_TRUE(recovery.add(model::SettlementRecord{.subscription = {1}, .event = {kLane, 1}}) ==
              StatusCode::data_loss);
}

TEST(Recovery, AnOperationWithoutAllOfItsEventsIsToldAsDamage) {
  const auto member = [](std::uint32_t index) {
    return model::MemberRecord{.operation = {5}, .index = index, .event = {kLane, 1U + index}};
  };
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 1, 1}});
  EXPECT_TRUE(recovery.add(member(0)) == StatusCode::data_loss) << "of an operation that is not";
  model::OperationRecord operation;
  operation.id = {5};
  operation.members = 2;
  ASSERT_TRUE(recovery.add(operation).ok());
  EXPECT_TRUE(recovery.add(member(1)) == StatusCode::data_loss) << "the one before it is missing";
  ASSERT_TRUE(recovery.add(member(0)).ok());
  EXPECT_TRUE(recovery.finish() == StatusCode::data_loss) << "the last one is missing";
  ASSERT_TRUE(recovery.add(member(1)).ok());
  EXPECT_TRUE(recovery.finish().ok());
}

TEST(Recovery, WhatWasKeptForAnOperationThatIsNoMoreIsOwedToNobody) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 1, 1}});
  ASSERT_TRUE(recovery.add(subscription()).ok());
  ASSERT_TRUE(recovery
                  .add(model::SettlementRecord{
                      .subscription = {1}, .event = {kLane, 3}, .due = model::kKeptDue})
                  .ok());
  EXPECT_TRUE(recovery.finish().ok());
  EXPECT_FALSE(ledger.find("mail")->lanes[kLane].parked_events.contains(3));
}

TEST(Recovery, DeadLettersAreOrderedByWhenTheyDied) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 31, 1}}, {{1, 1, 1, 1}});
  ASSERT_TRUE(recovery.add(subscription()).ok());
  for (const std::uint64_t sequence : {3U, 1U, 2U}) {
    ASSERT_TRUE(recovery
                    .add(model::DeadLetterRecord{.subscription = {1},
                                                 .event = {kLane, sequence},
                                                 .died_at = 100 - static_cast<WallTime>(sequence)})
                    .ok());
  }
  EXPECT_TRUE(recovery.finish().ok());
  EXPECT_EQ(ledger.find("mail")->lanes[kLane].dead, 3U);
  EXPECT_EQ(ledger.dead_letters.take_oldest().second.sequence, 3U);
  EXPECT_EQ(ledger.dead_letters.take_oldest().second.sequence, 2U);
}

TEST(Recovery, WhatIsLostWasNotPublishedHoweverOftenItIsNamed) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 101, 11}}, {{1, 1, 1, 1}});
  // One alone, two that touch, one that is inside of those, and one that begins in them.
  for (const auto& [from, to] : std::vector<std::pair<Sequence, Sequence>>{
           {11, 20}, {31, 40}, {41, 60}, {45, 50}, {55, 70}}) {
    ASSERT_TRUE(recovery.add(model::LostRange{.lane = kLane, .from = from, .to = to}).ok());
  }
  // The lane ends before it does: what is not given out is not lost either.
  ASSERT_TRUE(recovery.add(model::LostRange{.lane = Priority::low, .from = 6, .to = 99}).ok());
  Stats stats;
  ledger.fill(stats);
  EXPECT_EQ(stats.lanes[2].published, 100U - 10U - 40U);
  EXPECT_EQ(stats.lanes[3].published, 5U);
  EXPECT_EQ(stats.lanes[0].published, 0U);
}

TEST(Recovery, ANewIdIsHigherThanEveryStoredOne) {
  Ledger ledger(LedgerSettings{});
  Recovery recovery(ledger, {{1, 1, 1, 1}}, {{1, 1, 1, 1}});
  auto record = subscription();
  record.id = {7};
  ASSERT_TRUE(recovery.add(record).ok());
  EXPECT_EQ(ledger.next_id(), model::SubscriptionId{8});
}

}  // namespace
}  // namespace holdfast::core
