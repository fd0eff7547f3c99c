// SPDX-License-Identifier: MIT
// Who runs what, when: the order of delivery, concurrency, and the workers kept for urgent events.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Ordering : public BusTest {
 protected:
  /// A handler that stays inside until it is let go.
  Handler holding() {
    return [this](Delivery& delivery) {
      inside.note(delivery);
      let_go.wait();
    };
  }
  /// Makes all workers busy but the one that is kept for critical events, each in its own class.
  void occupy(std::string_view type) {
    std::size_t busy = 0;
    for (const auto lane : {Priority::low, Priority::normal, Priority::high}) {
      publish(type, {}, lane);
      ASSERT_TRUE(inside.wait_for_count(++busy));
    }
  }
  /// What is published already has waited for some milliseconds after this.
  static void let_them_age() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
    EXPECT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > until; }));
  }
  /// Ten events a lane that come while the only worker is busy, the least urgent first, and all
  /// have waited for some milliseconds when it goes on.
  std::vector<EventId> order_after_a_wait() {
    open();
    Runs runs;
    const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
      if (runs.note(delivery) > 0) return;
      inside.note(delivery);
      let_go.wait();
    }));
    publish("a.b", {}, Priority::critical);
    EXPECT_TRUE(inside.wait_for_count(1));
    for (const auto lane : {Priority::low, Priority::normal, Priority::high, Priority::critical}) {
      publish_many("a.b", 10, lane);
      let_them_age();
    }
    let_go.set();
    EXPECT_TRUE(runs.wait_for_count(41));
    return runs.ids();
  }
  ~Ordering() override { let_go.set(); }

  Runs inside;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Ordering);

TEST_P(Ordering, OneWorkerDeliversExactlyByPriorityAndSequence) {
  options.workers = Workers::single();
  options.ageing = Ageing::strict();
  open();
  std::mt19937 random(1);
  std::vector<EventId> expected;
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 10'000; ++i) {
    events.push_back({.type = "a.b", .payload = {}, .priority = kAllPriorities[random() % 4]});
    if (events.size() < 500) continue;
    for (const auto& receipt : must(bus->publish_batch(events)).receipts) {
      expected.push_back(receipt.id);
    }
    events.clear();
  }
  std::sort(expected.begin(), expected.end());
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(expected.size()));
  EXPECT_EQ(runs.ids(), expected);
}

TEST_P(Ordering, OneWorkerDeliversExactlyByPriorityAndSequenceToSeveral) {
  options.workers = Workers::single();
  options.ageing = Ageing::strict();
  open();
  const auto occupied = must(bus->subscribe({.name = "held", .types = {"held"}}, holding()));
  publish("held");
  ASSERT_TRUE(inside.wait_for_count(1));
  Runs runs;
  std::vector<Subscription> subscriptions;
  for (const auto* name : {"s", "t"}) {
    subscriptions.push_back(must(bus->subscribe({.name = name, .types = {"a.b"}},
                                                [&](Delivery& delivery) { runs.note(delivery); })));
  }
  std::mt19937 random(2);
  std::vector<EventId> expected;
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 1'000; ++i) {
    events.push_back({.type = "a.b", .payload = {}, .priority = kAllPriorities[random() % 4]});
  }
  for (const auto& receipt : must(bus->publish_batch(events)).receipts) {
    expected.insert(expected.end(), 2, receipt.id);
  }
  std::sort(expected.begin(), expected.end());
  let_go.set();
  ASSERT_TRUE(runs.wait_for_count(expected.size()));
  EXPECT_EQ(runs.ids(), expected);
}

TEST_P(Ordering, WithAgeingOffEventsThatHaveWaitedStillWaitForMoreUrgentOnes) {
  options.workers = Workers::single();
  options.ageing = Ageing::strict();
  options.ageing.high = options.ageing.normal = options.ageing.low = std::chrono::milliseconds(1);
  const auto order = order_after_a_wait();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(Ordering, WithAgeingWhatHasWaitedTwiceItsMaxWaitGoesBeforeWhatIsMoreUrgentAndNewer) {
  options.workers = Workers::single();
  // All but the low ones never age here; the low ones have all waited longer than the others.
  options.ageing.high = options.ageing.normal = kMaxWaitMax;
  options.ageing.low = std::chrono::milliseconds(1);
  const auto order = order_after_a_wait();
  ASSERT_EQ(order.size(), 41U);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(order[i + 1].priority, Priority::critical);
    EXPECT_EQ(order[i + 11].priority, Priority::low);
    EXPECT_EQ(order[i + 21].priority, Priority::high);
    EXPECT_EQ(order[i + 31].priority, Priority::normal);
  }
}

TEST_P(Ordering, AWorkerReservedForCriticalEventsTakesNoLowOneHoweverLongItHasWaited) {
  options.ageing.high = options.ageing.normal = options.ageing.low = std::chrono::milliseconds(1);
  options.workers = {.critical = 8, .high = 0, .normal = 0, .low = 1};
  open();
  const auto s =
      must(bus->subscribe({.name = "s", .types = {"held"}, .concurrency = 9}, holding()));
  publish_many("held", 20, Priority::low);
  ASSERT_TRUE(inside.wait_for_count(1));
  let_them_age();
  Runs urgent;
  const auto u = must(bus->subscribe({.name = "u", .types = {"urgent"}},
                                     [&](Delivery& delivery) { urgent.note(delivery); }));
  publish_many("urgent", 500, Priority::critical);
  EXPECT_TRUE(urgent.wait_for_count(500));
  EXPECT_EQ(inside.size(), 1U);
  let_go.set();
  EXPECT_TRUE(inside.wait_for_count(20));
}

TEST_P(Ordering, UrgentEventGoesBeforeTheRestOfABacklog) {
  options.workers = Workers::single();
  open();
  Signal first_runs;
  Signal go_on;
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    if (runs.note(delivery) > 0) return;
    first_runs.set();
    go_on.wait();
  }));
  publish_many("a.b", 100, Priority::low);
  ASSERT_TRUE(first_runs.wait());
  publish("a.b", "normal", Priority::normal);
  publish("a.b", "critical", Priority::critical);
  publish("a.b", "high", Priority::high);
  go_on.set();
  ASSERT_TRUE(runs.wait_for_count(103));
  const auto payloads = runs.payloads();
  EXPECT_EQ(payloads[1], "critical");
  EXPECT_EQ(payloads[2], "high");
  EXPECT_EQ(payloads[3], "normal");
}

TEST_P(Ordering, InsideALaneItIsTheOrderOfCommitsWhateverTheWorkers) {
  open();
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  for (int i = 0; i < 200; ++i) {
    publish("a.b", std::to_string(i), kAllPriorities[static_cast<std::size_t>(i) % kLaneCount]);
  }
  ASSERT_TRUE(runs.wait_for_count(200));
  std::map<Priority, std::uint64_t> last;
  for (const auto& id : runs.ids()) EXPECT_EQ(id.sequence, ++last[id.priority]);
}

TEST_P(Ordering, ConcurrencyIsNeverExceeded) {
  options.workers = {.critical = 3, .high = 2, .normal = 3, .low = 6};
  open();
  for (const std::uint32_t concurrency : {1U, 2U, 3U, 5U}) {
    Runs held;
    Signal go_on;
    const auto s = must(
        bus->subscribe({.types = {"held"}, .concurrency = concurrency}, [&](Delivery& delivery) {
          held.note(delivery);
          go_on.wait();
        }));
    for (int i = 0; i < 10; ++i) {
      for (const auto lane : kAllPriorities) publish("held", {}, lane);
    }
    ASSERT_TRUE(held.wait_for_count(concurrency));
    give_every_worker_an_occasion();
    EXPECT_EQ(held.size(), concurrency);
    go_on.set();
    ASSERT_TRUE(held.wait_for_count(40));
  }
}

TEST_P(Ordering, SeveralRunAtTheSameTimeIfTheyMay) {
  options.workers = {.critical = 1, .high = 0, .normal = 0, .low = 4};
  open();
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 5}, holding()));
  publish_many("a.b", 10);
  EXPECT_TRUE(inside.wait_for_count(4));
  let_go.set();
}

TEST_P(Ordering, OneSlotOfASubscriptionIsKeptForCriticalEvents) {
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 4};
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}, .concurrency = 3}, holding()));
  publish_many("a.b", 10);
  ASSERT_TRUE(inside.wait_for_count(2));
  give_every_worker_an_occasion();
  EXPECT_EQ(inside.size(), 2U);
  publish("a.b", "urgent", Priority::critical);
  ASSERT_TRUE(inside.wait_for_count(3));
  EXPECT_EQ(inside.payloads()[2], "urgent");
  EXPECT_EQ(stats_of("s").lanes[2].leased, 2U);
  EXPECT_EQ(stats_of("s").lanes[0].leased, 1U);
  let_go.set();
}

TEST_P(Ordering, CriticalEventNeverWaitsBehindLessUrgentHandlers) {
  open();  // one worker of each class
  std::vector<Subscription> subscriptions;
  for (int i = 0; i < 8; ++i) {
    subscriptions.push_back(
        must(bus->subscribe({.name = "s" + std::to_string(i), .types = {"slow"}}, holding())));
  }
  occupy("slow");
  Runs urgent;
  const auto u = must(bus->subscribe({.name = "urgent", .types = {"urgent"}},
                                     [&](Delivery& delivery) { urgent.note(delivery); }));
  publish("urgent", {}, Priority::critical);
  EXPECT_TRUE(urgent.wait_for_count(1));
  EXPECT_EQ(inside.size(), 3U);
  let_go.set();
}

TEST_P(Ordering, WorkerTakesNothingLessUrgentThanItsClass) {
  options.workers = {.critical = 1, .high = 1, .normal = 1, .low = 1};
  open();
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 10}, holding()));
  publish_many("a.b", 5, Priority::low);
  ASSERT_TRUE(inside.wait_for_count(1));
  publish_many("a.b", 5, Priority::normal);
  ASSERT_TRUE(inside.wait_for_count(2));
  publish_many("a.b", 5, Priority::high);
  ASSERT_TRUE(inside.wait_for_count(3));
  publish_many("a.b", 5, Priority::critical);
  ASSERT_TRUE(inside.wait_for_count(4));
  const auto stats = stats_of("s");
  for (const auto& lane : stats.lanes) EXPECT_EQ(lane.leased, 1U);
  for (const auto& lane : stats.lanes) EXPECT_EQ(lane.ready, 4U);
  let_go.set();
  ASSERT_TRUE(inside.wait_for_count(20));
}

TEST_P(Ordering, LessUrgentLaneGoesOnWhenAMoreUrgentHandlerOfItsSubscriptionReturns) {
  // The worker that returns may not take the lane that has become free, so another one must be
  // woken.
  options.ack_linger = std::chrono::hours(1);
  open();
  Signal critical_runs;
  Signal go_on;
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery& delivery) {
    runs.note(delivery);
    if (delivery.event().priority() != Priority::critical) return;
    critical_runs.set();
    go_on.wait();
  }));
  // Keeps every worker but the one for critical events, so that this one takes it.
  Signal let_others_go;
  const auto other = must(
      bus->subscribe({.name = "o", .types = {"hold"}, .concurrency = 9}, [&](Delivery& delivery) {
        inside.note(delivery);
        let_others_go.wait();
      }));
  occupy("hold");
  publish("a.b", {}, Priority::critical);
  ASSERT_TRUE(critical_runs.wait());
  publish("a.b", {}, Priority::low);
  let_others_go.set();
  ASSERT_TRUE(eventually([&] { return stats_of("o").lanes[1].leased == 0; }));
  go_on.set();
  EXPECT_TRUE(runs.wait_for_count(2));
}

TEST_P(Ordering, SubscriptionsTakeTurnsInsideALane) {
  options.workers = Workers::single();
  open();
  Runs runs;
  Signal both;
  std::vector<Subscription> subscriptions;
  for (const auto* name : {"s", "t"}) {
    subscriptions.push_back(must(bus->subscribe({.name = name}, [&, name](Delivery& delivery) {
      both.wait();
      runs.add({delivery.event().id, 1, name, {}});
    })));
  }
  publish_many("a.b", 1'000);
  both.set();
  ASSERT_TRUE(runs.wait_for_count(2'000));
  // While both have some left, neither waits for more than a stretch of the other, of 64 at most.
  const auto all = runs.all();
  std::array<std::size_t, 2> left{1'000, 1'000};
  std::size_t longest = 0;
  std::size_t in_a_row = 0;
  for (std::size_t i = 0; left[0] > 0 && left[1] > 0; ++i) {
    in_a_row = i > 0 && all[i].type == all[i - 1].type ? in_a_row + 1 : 1;
    longest = std::max(longest, in_a_row);
    --left[all[i].type == "s" ? 0 : 1];
  }
  EXPECT_LE(longest, 64U);
}

TEST_P(Ordering, StuckHandlerIsToldWithItsNameAndAge) {
  options.stuck_after = std::chrono::seconds(1);
  open();
  const auto s = must(bus->subscribe({.name = "slow one"}, holding()));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  ASSERT_TRUE(eventually([&] { return !bus->stats().stuck.empty(); }));
  const auto stuck = bus->stats().stuck;
  ASSERT_EQ(stuck.size(), 1U);
  EXPECT_EQ(stuck[0].subscription, "slow one");
  EXPECT_EQ(stuck[0].event, receipt.id);
  EXPECT_EQ(stuck[0].attempt, 1U);
  EXPECT_GE(stuck[0].running_for, std::chrono::seconds(1));
  let_go.set();
}

}  // namespace
}  // namespace holdfast::testing
