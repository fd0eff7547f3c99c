// SPDX-License-Identifier: MIT
// A paused subscription gets nothing, keeps everything, and stays paused until it is resumed.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Pausing : public BusTest {
 protected:
  Subscription collect(const std::string& name, Runs& runs) {
    return must(bus->subscribe({.name = name, .types = {"a.>"}, .concurrency = 8},
                               [&runs](Delivery& delivery) { runs.note(delivery); }));
  }
};
HOLDFAST_ON_BOTH_STORES(Pausing);

TEST_P(Pausing, APausedSubscriptionGetsNothingAndKeepsEverythingUntilItIsResumed) {
  open();
  Runs runs;
  Runs others;
  const auto s = collect("s", runs);
  const auto other = collect("other", others);
  publish("a.before");
  ASSERT_TRUE(runs.wait_for_count(1));
  ASSERT_TRUE(is_ok(bus->pause("s")));
  EXPECT_TRUE(stats_of("s").paused);
  EXPECT_FALSE(stats_of("other").paused);
  for (const auto lane : kAllPriorities) publish("a.meanwhile", {}, lane);
  ASSERT_TRUE(others.wait_for_count(5));
  give_every_worker_an_occasion();
  EXPECT_EQ(runs.size(), 1U);
  for (const auto& lane : stats_of("s").lanes) {
    EXPECT_EQ(lane.ready, 1U);
    EXPECT_EQ(lane.leased, 0U);
  }
  ASSERT_TRUE(is_ok(bus->resume("s")));
  ASSERT_TRUE(runs.wait_for_count(5));
  EXPECT_FALSE(stats_of("s").paused);
}

TEST_P(Pausing, ARunningHandlerGoesOnAndItsAckCounts) {
  open();
  Runs inside;
  Signal go_on;
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery& delivery) {
    inside.note(delivery);
    go_on.wait();
  }));
  const auto first = publish("a.b");
  const auto second = publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  ASSERT_TRUE(is_ok(bus->pause("s")));
  EXPECT_EQ(stats_of("s").lanes[2].leased, 1U);
  go_on.set();
  ASSERT_TRUE(is_ok(bus->wait_settled(first.id, std::chrono::seconds(30))));
  give_every_worker_an_occasion();
  EXPECT_EQ(inside.size(), 1U);
  EXPECT_EQ(state_of(second.id), EventState::ready);
  ASSERT_TRUE(is_ok(bus->resume("s")));
  EXPECT_TRUE(is_ok(bus->wait_settled(second.id, std::chrono::seconds(30))));
}

TEST_P(Pausing, AHandlerMayPauseItsOwnSubscription) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery& delivery) {
    must(bus->pause("s"));
    runs.note(delivery);
  }));
  const auto receipts = publish_many("a.b", 10).receipts;
  ASSERT_TRUE(is_ok(bus->wait_settled(receipts[0].id, std::chrono::seconds(30))));
  give_every_worker_an_occasion();
  EXPECT_EQ(runs.size(), 1U);
  ASSERT_TRUE(is_ok(bus->resume("s")));
  EXPECT_TRUE(is_ok(bus->wait_settled(receipts[1].id, std::chrono::seconds(30))));
}

TEST_P(Pausing, PausingAndResumingAreIdempotentAndWriteNothingTheSecondTime) {
  open();
  Runs runs;
  const auto s = collect("s", runs);
  ASSERT_TRUE(is_ok(bus->resume("s")));
  ASSERT_TRUE(is_ok(bus->pause("s")));
  const auto commit = bus->stats().commit;
  ASSERT_TRUE(is_ok(bus->pause("s")));
  EXPECT_EQ(bus->stats().commit, commit);
  ASSERT_TRUE(is_ok(bus->resume("s")));
  publish("a.b");
  EXPECT_TRUE(runs.wait_for_count(1));
}

TEST_P(Pausing, AnUnknownNameIsNotFound) {
  open();
  EXPECT_TRUE(fails(bus->pause("nobody"), StatusCode::not_found, {"nobody"}));
  EXPECT_TRUE(fails(bus->resume("nobody"), StatusCode::not_found, {"nobody"}));
  const auto ephemeral = must(bus->subscribe("a.b", [](Delivery&) {}));
  EXPECT_TRUE(fails(bus->pause(""), StatusCode::not_found));
  must(bus->close());
  EXPECT_TRUE(fails(bus->pause("nobody"), StatusCode::unavailable));
}

TEST_P(Pausing, ItWorksWhileNoHandlerIsSubscribedAndHoldsForTheNext) {
  open();
  Runs runs;
  { const auto s = collect("s", runs); }
  ASSERT_TRUE(is_ok(bus->pause("s")));
  publish_many("a.b", 3);
  // With another filter and another retry policy, which write its record anew.
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}, .retry = retry_at_once(3)},
                                     [&runs](Delivery& delivery) { runs.note(delivery); }));
  EXPECT_TRUE(stats_of("s").paused);
  give_every_worker_an_occasion();
  EXPECT_EQ(runs.size(), 0U);
  ASSERT_TRUE(is_ok(bus->resume("s")));
  EXPECT_TRUE(runs.wait_for_count(3));
}

TEST_P(Pausing, RetriesThatAreDueWaitForItsEnd) {
  open();
  Runs runs;
  Signal failed;
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery& delivery) {
    if (runs.note(delivery) > 0) return Outcome::ack();
    must(bus->pause("s"));
    failed.set();
    return Outcome::retry_after(std::chrono::milliseconds(1), "not yet");
  }));
  publish("a.b");
  ASSERT_TRUE(failed.wait());
  ASSERT_TRUE(eventually([&] { return stats_of("s").retried == 1; }));
  // Its millisecond has passed, and so has this one's of a subscription that is not paused.
  Runs others;
  const auto other = must(bus->subscribe({.name = "o", .types = {"c"}}, [&](Delivery& delivery) {
    return others.note(delivery) == 0 ? Outcome::retry_after(std::chrono::milliseconds(50), "later")
                                      : Outcome::ack();
  }));
  publish("c");
  ASSERT_TRUE(others.wait_for_count(2));
  EXPECT_EQ(runs.size(), 1U);
  ASSERT_TRUE(is_ok(bus->resume("s")));
  ASSERT_TRUE(runs.wait_for_count(2));
  EXPECT_EQ(runs.all()[1].attempt, 2U);
}

TEST_P(Pausing, NothingIsLostOrDeliveredTwiceWhateverIsPublishedMeanwhile) {
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 2};
  open();
  Runs runs;
  const auto s = collect("s", runs);
  constexpr int kEvents = 2'000;
  std::thread publisher([&] {
    for (int i = 0; i < kEvents / 100; ++i) {
      publish_many("a.b", 100, kAllPriorities[static_cast<std::size_t>(i) % kLaneCount]);
    }
  });
  for (int i = 0; i < 40; ++i) {
    must(bus->pause("s"));
    must(bus->resume("s"));
  }
  publisher.join();
  ASSERT_TRUE(runs.wait_for_count(kEvents));
  auto ids = runs.ids();
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kEvents));
}

TEST_P(Pausing, APausedSubscriptionCanBeRemovedAndItsNameBeginsUnpaused) {
  open();
  Runs runs;
  { const auto s = collect("s", runs); }
  must(bus->pause("s"));
  must(bus->remove_subscription("s"));
  const auto s = collect("s", runs);
  EXPECT_FALSE(stats_of("s").paused);
  publish("a.b");
  EXPECT_TRUE(runs.wait_for_count(1));
}

class PausingOnDisk : public DiskBusTest {};

TEST_F(PausingOnDisk, APauseSurvivesAReopenAndSoDoesItsEnd) {
  open();
  Runs runs;
  const auto collect = [&] {
    return must(bus->subscribe({.name = "s", .types = {"a.b"}},
                               [&](Delivery& delivery) { runs.note(delivery); }));
  };
  { const auto s = collect(); }
  must(bus->pause("s"));
  publish_many("a.b", 3);
  reopen();
  EXPECT_TRUE(stats_of("s").paused);
  EXPECT_EQ(stats_of("s").lanes[2].ready, 3U);
  {
    const auto s = collect();
    // What is published now would be delivered at once, were it not paused.
    Runs others;
    const auto other =
        must(bus->subscribe({.name = "o"}, [&](Delivery& delivery) { others.note(delivery); }));
    ASSERT_TRUE(others.wait_for_count(3));
    EXPECT_EQ(runs.size(), 0U);
    ASSERT_TRUE(is_ok(bus->resume("s")));
    ASSERT_TRUE(runs.wait_for_count(3));
  }
  reopen();
  EXPECT_FALSE(stats_of("s").paused);
  const auto s = collect();
  publish("a.b");
  EXPECT_TRUE(runs.wait_for_count(4));
}

}  // namespace
}  // namespace holdfast::testing
