// SPDX-License-Identifier: MIT
#include "core/attachment.h"

#include <map>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHour = 3'600 * kSecond;
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
  /// `count` events of the normal lane, parked: the later in the lane, the sooner due.
  void park(SubscriptionState& subscription, std::size_t count) {
    auto& lane = subscription.lanes[Priority::normal];
    for (std::size_t i = 0; i < count; ++i) {
      const auto due = now_ + static_cast<std::int64_t>(count - i) * kSecond;
      on_disk_[{due, i + 1}] = {.subscription = subscription.record.id,
                                .event = {Priority::normal, i + 1},
                                .due = due,
                                .attempts = 1};
    }
    lane.reset(count + 1, {});
    lane.owed = lane.parked = count;
    for (const auto each : kAllPriorities)
      ledger_.lanes[each].next = ledger_.lanes[each].offered = 1;
    ledger_.lanes[Priority::normal].next = ledger_.lanes[Priority::normal].offered = count + 1;
  }
  void attach(SubscriptionState& subscription, std::uint32_t concurrency) {
    core::attach(ledger_, scheduler_, subscription, {.concurrency = concurrency}, {.bus = now_});
    read();
  }
  /// Reads due times as often as that is asked for; returns how often.
  int read() {
    int count = 0;
    while (const auto refill = scheduler_.next_parked_refill(Priority::low)) {
      ++count;
      std::vector<model::DueRecord> records;
      std::optional<ParkedWindow::Key> reached;
      for (auto at = on_disk_.lower_bound(refill->from); at != on_disk_.end(); ++at) {
        if (records.size() == refill->events_max) {
          reached = at->first;
          break;
        }
        records.push_back(at->second);
      }
      scheduler_.refilled(*refill, records, reached);
    }
    return count;
  }

  Ledger ledger_{LedgerSettings{}};
  Scheduler scheduler_{ledger_};
  base::BusTime now_ = 1'000 * kSecond;
  std::map<ParkedWindow::Key, model::DueRecord> on_disk_;
};

TEST_F(AttachmentTest, ParkedEventsAreDeliveredWhenTheyAreDueAndNotBefore) {
  auto& subscription = add();
  park(subscription, 3);
  attach(subscription, 9);
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_EQ(scheduler_.next_due(), now_ + kSecond);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    scheduler_.advance({.bus = now_ + static_cast<std::int64_t>(i) * kSecond - 1});
    EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
    scheduler_.advance({.bus = now_ + static_cast<std::int64_t>(i) * kSecond});
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value());
    EXPECT_EQ(lease->event.sequence, 4 - i);
    EXPECT_EQ(lease->attempt, 2U);
    EXPECT_TRUE(lease->parked);
  }
}

TEST_F(AttachmentTest, NothingNewIsTakenBeforeItIsKnownWhatIsDue) {
  auto& subscription = add();
  park(subscription, 1);
  now_ += kHour;
  core::attach(ledger_, scheduler_, subscription, {.concurrency = 9}, {.bus = now_});
  const auto chunk = testing::make_chunk({Priority::normal, 2}, 1);
  ledger_.pending_offers.push_back({{1}, chunk, {{subscription.record.id, {chunk, 2, 3}}}});
  ++ledger_.lanes[Priority::normal].next;
  scheduler_.offer({1});
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_EQ(read(), 2) << "once a clock";
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 1U);
  EXPECT_EQ(scheduler_.take(Priority::low)->event.sequence, 2U);
}

TEST_F(AttachmentTest, AttachingAgainMakesEarlierLeasesStaleAndGivesTheirEventsAgain) {
  auto& subscription = add();
  park(subscription, 1);
  attach(subscription, 1);
  scheduler_.advance({.bus = now_ += kHour});
  const auto old = scheduler_.take(Priority::low);
  ASSERT_TRUE(old.has_value());
  detach(ledger_, subscription);
  attach(subscription, 1);
  const auto lease = scheduler_.take(Priority::low);
  ASSERT_TRUE(lease.has_value()) << "the slot of the old lease is not the new handler's";
  EXPECT_NE(lease->generation, old->generation);
  scheduler_.finish(*old);
  EXPECT_EQ(subscription.in_flight, 1U);
}

TEST_F(AttachmentTest, ADetachedSubscriptionIsGivenNothing) {
  auto& subscription = add();
  park(subscription, 2);
  attach(subscription, 1);
  scheduler_.advance({.bus = now_ + kSecond});
  detach(ledger_, subscription);
  scheduler_.advance({.bus = now_ + kHour});
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
  EXPECT_FALSE(scheduler_.next_due().has_value());
  EXPECT_EQ(read(), 0);
}

TEST_F(AttachmentTest, WithMoreParkedEventsThanFitInMemoryThoseDueFirstAreInMemoryAndNoneIsLate) {
  auto& subscription = add();
  const auto most = ledger_.parked_in_memory_max();
  const std::size_t count = 3 * most;
  park(subscription, count);
  attach(subscription, 1'000'000);
  auto& lane = subscription.lanes[Priority::normal];
  int reads = 0;
  for (Sequence expected = count; expected > 0; --expected) {
    ASSERT_LE(lane.delayed[model::DueClock::bus].size() + lane.due_count(), most);
    scheduler_.advance({.bus = now_ += kSecond});
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value()) << expected << " is late";
    ASSERT_EQ(lease->event.sequence, expected);
    // As an ack would leave it.
    on_disk_.erase({lease->due, lease->event.sequence});
    subscription.parked_in_flight.erase(lease->event);
    scheduler_.finish(*lease);
    reads += read();
  }
  EXPECT_GE(reads, 2);
  EXPECT_LE(reads, 8) << "many at a time";
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(AttachmentTest, AnOverdueBacklogOfAnySizeIsReadInPartsThatFit) {
  auto& subscription = add();
  const auto most = ledger_.parked_in_memory_max();
  park(subscription, 3 * most);
  now_ += 1'000 * kHour;
  attach(subscription, 1'000'000);
  auto& lane = subscription.lanes[Priority::normal];
  std::size_t taken = 0;
  for (; taken < 3 * most; ++taken) {
    ASSERT_LE(lane.delayed[model::DueClock::bus].size() + lane.due_count(), most);
    const auto lease = scheduler_.take(Priority::low);
    ASSERT_TRUE(lease.has_value()) << taken;
    on_disk_.erase({lease->due, lease->event.sequence});
    subscription.parked_in_flight.erase(lease->event);
    scheduler_.finish(*lease);
    read();
  }
  EXPECT_FALSE(scheduler_.take(Priority::low).has_value());
}

TEST_F(AttachmentTest, ManySubscriptionsShareTheRoomForParkedEvents) {
  const auto alone = ledger_.parked_in_memory_max();
  for (int i = 0; i < 500; ++i) attach(add(), 1);
  EXPECT_LT(ledger_.parked_in_memory_max(), alone / 50);
  EXPECT_LE(ledger_.parked_in_memory_max() * 500 * kLaneCount, ledger_.settings.parked_max);
  for (auto& [id, subscription] : ledger_.subscriptions) detach(ledger_, *subscription);
  EXPECT_EQ(ledger_.parked_in_memory_max(), alone);
}

}  // namespace
}  // namespace holdfast::core
