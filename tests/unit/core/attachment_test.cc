// SPDX-License-Identifier: MIT
#include "core/attachment.h"

#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHour = 3'600 * kSecond;
constexpr std::int64_t kYear = 365 * 24 * kHour;

model::SettlementRecord parked(std::int64_t delay, base::Now at) {
  return {.subscription = {1},
          .event = {Priority::normal, 1},
          .attempts = 1,
          .delay = delay,
          .due_boot = at.boot + delay,
          .due_wall = at.wall + delay};
}

TEST(DueTime, IsOnBootTimeWhileTheMachineRuns) {
  const auto record = parked(kHour, {.wall = kYear, .boot = 100});
  EXPECT_EQ(due_time(record, {.wall = kYear, .boot = 100}, false), 100 + kHour);
  EXPECT_EQ(due_time(record, {.wall = kYear, .boot = 100 + kHour / 2}, false), 100 + kHour);
  EXPECT_EQ(due_time(record, {.wall = kYear, .boot = 100 + 2 * kHour}, false), 100 + 2 * kHour)
      << "what is overdue is due now";
}

TEST(DueTime, DoesNotCareAboutTheWallClockWhileTheMachineRuns) {
  const auto record = parked(kHour, {.wall = kYear, .boot = 100});
  for (const auto wall : {std::int64_t{0}, kYear, 50 * kYear}) {
    EXPECT_EQ(due_time(record, {.wall = wall, .boot = 200}, false), 100 + kHour);
  }
}

TEST(DueTime, IsOnTheWallClockAfterAReboot) {
  const auto record = parked(kHour, {.wall = kYear, .boot = 500 * kHour});
  EXPECT_EQ(due_time(record, {.wall = kYear + kHour / 4, .boot = 7}, true), 7 + 3 * kHour / 4);
  EXPECT_EQ(due_time(record, {.wall = kYear + 2 * kHour, .boot = 7}, true), 7);
}

TEST(DueTime, AClockThatWasSetBackNeverMakesItWaitLongerThanItsDelay) {
  const auto record = parked(kHour, {.wall = 50 * kYear, .boot = 100});
  EXPECT_EQ(due_time(record, {.wall = kYear, .boot = 7}, true), 7 + kHour);
  // A boot time of another boot, taken for one of this, is held within the delay as well.
  EXPECT_EQ(
      due_time(parked(kHour, {.wall = 1, .boot = 900 * kHour}), {.wall = 1, .boot = 7}, false),
      7 + kHour);
}

TEST(DueTime, ADelayOfNothingIsDueNow) {
  EXPECT_EQ(due_time(parked(0, {.wall = 50, .boot = 50}), {.wall = 5, .boot = 5}, true), 5);
  auto odd = parked(0, {.wall = 50, .boot = 50});
  odd.delay = -7;
  EXPECT_EQ(due_time(odd, {.wall = 5, .boot = 5}, true), 5);
}

TEST(WithFilter, KeepsWhatWasWantedBeforeForEventsThatAreOlder) {
  model::SubscriptionRecord record;
  record.name = "mail";
  record.filter.types = {"a"};
  record.start = {{2, 2, 2, 2}};
  const auto changed = with_filter(record, {{"b"}, {}}, {{1, 1, 1, 1}}, {{5, 6, 7, 8}});
  EXPECT_EQ(changed.name, "mail");
  EXPECT_EQ(changed.start, record.start);
  EXPECT_EQ(changed.filter.types, (std::vector<std::string>{"b"}));
  ASSERT_EQ(changed.earlier.size(), 1U);
  EXPECT_EQ(changed.earlier[0].filter.types, (std::vector<std::string>{"a"}));
  EXPECT_EQ(changed.earlier[0].until, (PerLane<Sequence>{{5, 6, 7, 8}}));
}

TEST(WithFilter, ForgetsAnEarlierFilterOnceNoOwedEventIsOldEnoughForIt) {
  model::SubscriptionRecord record;
  record.filter.types = {"b"};
  record.earlier.push_back({{{"a"}, {}}, {{5, 5, 5, 5}}});
  EXPECT_EQ(with_filter(record, {{"c"}, {}}, {{5, 5, 5, 4}}, {{9, 9, 9, 9}}).earlier.size(), 2U);
  EXPECT_EQ(with_filter(record, {{"c"}, {}}, {{5, 5, 5, 5}}, {{9, 9, 9, 9}}).earlier.size(), 1U);
  EXPECT_TRUE(with_filter(record, {{"c"}, {}}, {{9, 9, 9, 9}}, {{9, 9, 9, 9}}).earlier.empty());
}

class AttachmentTest : public ::testing::Test {
 protected:
  SubscriptionState& add() {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    return ledger_.add(record, true);
  }
  std::vector<model::SettlementRecord> many_parked(SubscriptionState& subscription,
                                                   std::size_t count) {
    std::vector<model::SettlementRecord> records;
    for (std::size_t i = 0; i < count; ++i) {
      // The later in the lane, the sooner due.
      const auto delay = static_cast<std::int64_t>(count - i) * kSecond;
      records.push_back({.subscription = subscription.record.id,
                         .event = {Priority::normal, i + 1},
                         .attempts = 1,
                         .delay = delay,
                         .due_boot = now_.boot + delay,
                         .due_wall = now_.wall + delay});
      ++subscription.lanes[Priority::normal].owed;
      ++subscription.lanes[Priority::normal].parked;
    }
    subscription.lanes[Priority::normal].reset(count + 1, {});
    for (const auto lane : kAllPriorities)
      ledger_.lanes[lane].next = ledger_.lanes[lane].offered = 1;
    ledger_.lanes[Priority::normal].next = ledger_.lanes[Priority::normal].offered = count + 1;
    return records;
  }

  Ledger ledger_{LedgerSettings{}};
  Scheduler scheduler_{ledger_};
  base::Now now_{.wall = kYear, .boot = 1'000 * kSecond};
};

TEST_F(AttachmentTest, ParkedEventsAreDeliveredWhenTheyAreDueAndNotBefore) {
  auto& subscription = add();
  const auto records = many_parked(subscription, 3);
  attach(ledger_, scheduler_, subscription, 9, {}, records, now_, false);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_EQ(scheduler_.next_due(), now_.boot + kSecond);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    scheduler_.advance(now_.boot + static_cast<std::int64_t>(i) * kSecond - 1);
    EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
    scheduler_.advance(now_.boot + static_cast<std::int64_t>(i) * kSecond);
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(lease->event.sequence, 4 - i);
    EXPECT_EQ(lease->attempt, 2U);
    EXPECT_TRUE(lease->parked);
  }
}

TEST_F(AttachmentTest, AttachingAgainMakesEarlierLeasesStaleAndGivesTheirEventsAgain) {
  auto& subscription = add();
  const auto records = many_parked(subscription, 1);
  attach(ledger_, scheduler_, subscription, 1, {}, records, now_, false);
  scheduler_.advance(now_.boot + kHour);
  const auto old = scheduler_.take(Priority::low);
  ASSERT_TRUE(old.has_value());
  detach(ledger_, subscription);
  attach(ledger_, scheduler_, subscription, 1, {}, records, {now_.wall, now_.boot + kHour}, false);
  const auto lease = scheduler_.take(Priority::low);
  ASSERT_TRUE(lease.has_value()) << "the slot of the old lease is not the new handler's";
  EXPECT_NE(lease->generation, old->generation);
  scheduler_.finish(*old);
  EXPECT_EQ(subscription.in_flight, 1U);
}

TEST_F(AttachmentTest, ADetachedSubscriptionIsGivenNothing) {
  auto& subscription = add();
  const auto records = many_parked(subscription, 2);
  attach(ledger_, scheduler_, subscription, 1, {}, records, now_, false);
  scheduler_.advance(now_.boot + kSecond);
  detach(ledger_, subscription);
  scheduler_.advance(now_.boot + kHour);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.next_due().has_value());
}

TEST_F(AttachmentTest, WithMoreParkedEventsThanFitInMemoryThoseDueFirstAreInMemory) {
  auto& subscription = add();
  const std::size_t count = Ledger::kDelayedPerSubscriptionMax + 5'000;
  auto records = many_parked(subscription, count);
  attach(ledger_, scheduler_, subscription, 1'000'000, {}, records, now_, false);
  EXPECT_TRUE(subscription.spilled);
  EXPECT_LE(ledger_.delayed.size(), Ledger::kDelayedPerSubscriptionMax);
  EXPECT_EQ(scheduler_.next_due(), now_.boot + kSecond);
  EXPECT_FALSE(wants_reload(subscription));

  // Deliver everything in time, loading again whenever that is asked for.
  Sequence expected = count;
  std::size_t reloads = 0;
  auto now = now_;
  while (expected > 0) {
    now.boot += kSecond;
    now.wall += kSecond;
    scheduler_.advance(now.boot);
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value()) << expected << " is late";
    ASSERT_EQ(lease->event.sequence, expected);
    // As an ack would leave it.
    records.pop_back();
    subscription.parked_in_flight.erase(lease->event);
    scheduler_.finish(*lease);
    --expected;
    if (wants_reload(subscription)) {
      ++reloads;
      reload_parked(ledger_, scheduler_, subscription, records, now, false);
    }
  }
  EXPECT_GE(reloads, 1U);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(AttachmentTest, AReloadDoesNotGiveTwiceWhatIsDueOrWithAHandler) {
  auto& subscription = add();
  const auto records = many_parked(subscription, 3);
  attach(ledger_, scheduler_, subscription, 5, {}, records, now_, false);
  scheduler_.advance(now_.boot + 2 * kSecond);
  const auto lease = scheduler_.take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  reload_parked(ledger_, scheduler_, subscription, records, {now_.wall, now_.boot + 2 * kSecond},
                false);
  scheduler_.advance(now_.boot + kHour);
  std::vector<Sequence> rest;
  while (const auto next = scheduler_.take(Priority::low)) rest.push_back(next->event.sequence);
  EXPECT_EQ(lease->event.sequence + rest.at(0) + rest.at(1), 6U);
  EXPECT_EQ(rest.size(), 2U);
}

}  // namespace
}  // namespace holdfast::core
