// SPDX-License-Identifier: MIT
#include "core/ledger.h"

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

using Name = DeadLetterIndex::Name;

Name name(std::uint32_t subscription, std::uint64_t sequence) {
  return {{subscription}, {Priority::normal, sequence}};
}

TEST(DeadLetterIndex, TheOldestGoesFirst) {
  DeadLetterIndex index;
  index.add(name(1, 9));
  index.add(name(2, 1));
  index.add(name(1, 9));
  EXPECT_EQ(index.size(), 2U);
  EXPECT_EQ(index.take_oldest(), name(1, 9));
  EXPECT_EQ(index.take_oldest(), name(2, 1));
  EXPECT_EQ(index.size(), 0U);
}

TEST(DeadLetterIndex, OneThatWasRedrivenAndDiedAgainIsYoung) {
  DeadLetterIndex index;
  index.add(name(1, 1));
  index.add(name(1, 2));
  index.erase(name(1, 1));
  index.add(name(1, 1));
  EXPECT_EQ(index.take_oldest(), name(1, 2));
  EXPECT_EQ(index.take_oldest(), name(1, 1));
}

TEST(DeadLetterIndex, ForgetsThoseOfASubscription) {
  DeadLetterIndex index;
  for (std::uint64_t i = 1; i <= 10; ++i) index.add(name(1 + i % 2, i));
  index.erase(SubscriptionId{1});
  EXPECT_EQ(index.size(), 5U);
  EXPECT_EQ(index.take_oldest(), name(2, 1));
}

TEST(DeadLetterIndex, DoesNotGrowWithLettersThatComeAndGo) {
  DeadLetterIndex index;
  index.add(name(1, 1));
  for (int i = 0; i < 100'000; ++i) {
    index.add(name(1, 2));
    index.erase(name(1, 2));
  }
  index.add(name(1, 2));
  EXPECT_EQ(index.take_oldest(), name(1, 1));
  EXPECT_EQ(index.take_oldest(), name(1, 2));
}

TEST(Ledger, FindsSubscriptionsByIdAndDurableOnesByName) {
  Ledger ledger(LedgerSettings{});
  model::SubscriptionRecord record;
  record.id = ledger.next_id();
  record.name = "mail";
  ledger.add(record, true);
  model::SubscriptionRecord ephemeral;
  ephemeral.id = ledger.next_id();
  ledger.add(ephemeral, false);
  EXPECT_EQ(ledger.find("mail"), ledger.find(SubscriptionId{1}));
  EXPECT_EQ(ledger.find(""), nullptr);
  EXPECT_EQ(ledger.find("absent"), nullptr);
  EXPECT_EQ(ledger.durable_count(), 1U);
  ledger.erase({1});
  EXPECT_EQ(ledger.find("mail"), nullptr);
  EXPECT_EQ(ledger.next_id(), SubscriptionId{3}) << "ids are not used again";
}

TEST(Ledger, TheFloorIsHeldByWhoeverIsOwedAndWhoeverReads) {
  Ledger ledger(LedgerSettings{});
  auto& lane = ledger.lanes[Priority::normal];
  lane.next = lane.offered = 50;
  EXPECT_EQ(ledger.floor(Priority::normal), 50U);
  model::SubscriptionRecord record;
  record.id = {1};
  record.start[Priority::normal] = 20;
  ledger.add(record, true);
  EXPECT_EQ(ledger.floor(Priority::normal), 20U);
  const auto pin = lane.pins.insert(7);
  EXPECT_EQ(ledger.floor(Priority::normal), 7U);
  lane.pins.erase(pin);
  ledger.erase({1});
  EXPECT_EQ(ledger.floor(Priority::normal), 50U);
  lane.next = 60;
  EXPECT_EQ(ledger.floor(Priority::normal), 50U) << "what is not offered yet is nobody's past";
}

TEST(Ledger, CountsEventBytesForAsLongAsAnyoneHoldsThem) {
  Ledger ledger(LedgerSettings{});
  const auto chunk = holdfast::testing::make_chunk({Priority::normal, 1}, 10);
  auto first = ledger.metered(chunk);
  EXPECT_EQ(ledger.resident_bytes(), chunk->bytes().size());
  auto second = first;
  first.reset();
  EXPECT_EQ(ledger.resident_bytes(), chunk->bytes().size());
  second.reset();
  EXPECT_EQ(ledger.resident_bytes(), 0U);
}

TEST(Ledger, AParkedEventIsLeasedWhileAHandlerHasItAndScheduledOnceItWasGivenBack) {
  Ledger ledger(LedgerSettings{});
  model::SubscriptionRecord record;
  record.id = ledger.next_id();
  record.name = "s";
  auto& subscription = ledger.add(record, true);
  auto& lane = subscription.lanes[Priority::normal];
  lane.owed = lane.parked = lane.leased = 1;
  auto& in_flight = subscription.parked_in_flight[{Priority::normal, 1}];
  for (const bool released : {false, true}) {
    in_flight.released = released;
    lane.leased = released ? 0 : 1;
    Stats stats;
    ledger.fill(stats);
    const auto& counts = stats.subscriptions.at(0).lanes[2];
    EXPECT_EQ(counts.leased, released ? 0U : 1U);
    EXPECT_EQ(counts.scheduled, released ? 1U : 0U);
    EXPECT_EQ(counts.ready, 0U);
  }
}

TEST(Ledger, TellsHowASubscriptionStandsToAnEvent) {
  Ledger ledger(LedgerSettings{});
  model::SubscriptionRecord record;
  record.id = {1};
  record.filter.types = {"a"};
  auto& subscription = ledger.add(record, true);
  subscription.lanes[Priority::normal].reset(3, {5});
  ledger.lanes[Priority::normal].next = 8;
  ledger.lanes[Priority::normal].offered = 7;
  const auto chunk =
      holdfast::testing::make_chunk({Priority::normal, 1}, {"a", "a", "a", "b", "a", "a", "a"});
  const auto standing = [&](Sequence sequence) {
    return ledger.standing(subscription, chunk->event(sequence));
  };
  EXPECT_EQ(standing(2), Ledger::Standing::settled);
  EXPECT_EQ(standing(3), Ledger::Standing::owed);
  EXPECT_EQ(standing(4), std::nullopt);
  EXPECT_EQ(standing(5), Ledger::Standing::settled);
  EXPECT_EQ(standing(6), Ledger::Standing::owed);
  EXPECT_EQ(standing(7), Ledger::Standing::owed);
}

}  // namespace
}  // namespace holdfast::core
