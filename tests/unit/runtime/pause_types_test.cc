// SPDX-License-Identifier: MIT
// Of a paused type nothing is handed out, to nobody, until it is resumed; everything else goes on.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class PausingTypes : public BusTest {
 protected:
  Subscription collect(const std::string& name, Runs& runs) {
    return must(bus->subscribe({.name = name, .concurrency = 8},
                               [&runs](Delivery& delivery) { runs.note(delivery); }));
  }
  [[nodiscard]] bool eventually_held(const std::string& name, std::uint64_t count,
                                     Priority lane = Priority::normal) {
    return eventually(
        [&] { return stats_of(name).lanes[static_cast<std::size_t>(lane)].paused == count; });
  }
};
HOLDFAST_ON_BOTH_STORES(PausingTypes);

TEST_P(PausingTypes, OfAPausedTypeNothingIsHandedOutAndTheOthersGoOn) {
  open();
  Runs runs;
  Runs others;
  const auto s = collect("s", runs);
  const auto other = collect("", others);
  ASSERT_TRUE(is_ok(bus->pause(TypePattern{"a.>"})));
  EXPECT_EQ(bus->stats().paused_types, std::vector<std::string>{"a.>"});
  const auto paused = publish("a.x", "1");
  publish("b", "2");
  publish("a.x.y", "3", Priority::critical);
  publish("b", "4");
  ASSERT_TRUE(runs.wait_for_count(2));
  ASSERT_TRUE(others.wait_for_count(2));
  ASSERT_TRUE(eventually_held("s", 1));
  ASSERT_TRUE(eventually_held("s", 1, Priority::critical));
  ASSERT_TRUE(eventually_held("", 1));
  EXPECT_EQ(state_of(paused.id), EventState::paused);
  const auto stored = must(bus->get(paused.id));
  ASSERT_EQ(stored->standings.size(), 1U);
  EXPECT_EQ(stored->standings[0].state, EventState::paused);
  EXPECT_EQ(stored->standings[0].next_try, 0);
  EXPECT_EQ(scan({.states = {EventState::paused}}).size(), 2U);
  ASSERT_TRUE(is_ok(bus->resume(TypePattern{"a.>"})));
  ASSERT_TRUE(runs.wait_for_count(4));
  ASSERT_TRUE(others.wait_for_count(4));
  EXPECT_TRUE(bus->stats().paused_types.empty());
  EXPECT_TRUE(is_ok(bus->wait_settled(paused.id, std::chrono::seconds(30))));
  EXPECT_EQ(state_of(paused.id), EventState::settled);
}

TEST_P(PausingTypes, ARunningHandlerGoesOnAndItsAckCounts) {
  open();
  Runs inside;
  Signal go_on;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    inside.note(delivery);
    go_on.wait();
  }));
  const auto first = publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  ASSERT_TRUE(is_ok(bus->pause(TypePattern{"a.b"})));
  const auto second = publish("a.b");
  go_on.set();
  ASSERT_TRUE(is_ok(bus->wait_settled(first.id, std::chrono::seconds(30))));
  ASSERT_TRUE(eventually_held("s", 1));
  EXPECT_EQ(inside.size(), 1U);
  ASSERT_TRUE(is_ok(bus->resume(TypePattern{"a.b"})));
  EXPECT_TRUE(is_ok(bus->wait_settled(second.id, std::chrono::seconds(30))));
}

TEST_P(PausingTypes, AHandlerMayPauseItsOwnType) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    runs.note(delivery);
    must(bus->pause(TypePattern{delivery.event().type}));
  }));
  publish_many("a.b", 10);
  ASSERT_TRUE(eventually_held("s", 9));
  EXPECT_EQ(runs.size(), 1U);
  ASSERT_TRUE(is_ok(bus->resume(TypePattern{"a.b"})));
  ASSERT_TRUE(runs.wait_for_count(2));
}

TEST_P(PausingTypes, WhatIsHeldCanBeCancelledAndExpires) {
  open();
  Runs runs;
  const auto s = collect("s", runs);
  must(bus->pause(TypePattern{"a"}));
  const auto kept = publish("a");
  const auto cancelled = publish("a");
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const auto expiring =
      must(bus->publish({.type = "a", .payload = {}, .expires_at = now + 20'000'000}));
  EXPECT_EQ(must(bus->cancel(cancelled.id, "no")).outcome, CancelOutcome::prevented);
  // It has not to be resumed for that.
  EXPECT_TRUE(is_ok(bus->wait_settled(expiring.id, std::chrono::seconds(30))));
  EXPECT_TRUE(eventually([&] { return stats_of("s").expired == 1; }));
  EXPECT_EQ(state_of(cancelled.id), EventState::cancelled);
  must(bus->resume(TypePattern{"a"}));
  EXPECT_TRUE(is_ok(bus->wait_settled(kept.id, std::chrono::seconds(30))));
  EXPECT_EQ(runs.size(), 1U);
}

TEST_P(PausingTypes, ABatchGoesOnWithoutThoseThatArePaused) {
  open();
  Collected<std::string> seen;
  const auto s =
      must(bus->subscribe_batch({.name = "s", .batch_size = 10}, [&](BatchDelivery& batch) {
        for (const auto& member : batch) seen.add(std::string(member.event().type));
        return Outcome::ack();
      }));
  must(bus->pause(TypePattern{"a"}));
  const std::vector<OwnedEvent> events{{.type = "a"}, {.type = "b"}, {.type = "a"}, {.type = "c"}};
  must(bus->publish_batch(events));
  ASSERT_TRUE(seen.wait_for_count(2));
  ASSERT_TRUE(eventually_held("s", 2));
  EXPECT_EQ(seen.size(), 2U);
  must(bus->resume(TypePattern{"a"}));
  ASSERT_TRUE(seen.wait_for_count(4));
}

TEST_P(PausingTypes, BadPatternsAndUnknownOnesAreRefused) {
  open();
  EXPECT_TRUE(fails(bus->pause(TypePattern{"a..b"}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->pause(TypePattern{""}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->resume(TypePattern{"a.>.b"}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->resume(TypePattern{"a.b"}), StatusCode::not_found, {"a.b"}));
  for (std::size_t i = 0; i < kPausedTypesMax; ++i) {
    must(bus->pause(TypePattern{"t" + std::to_string(i)}));
  }
  EXPECT_TRUE(fails(bus->pause(TypePattern{"a.b"}), StatusCode::resource_exhausted, {"64"}));
  const auto commit = bus->stats().commit;
  EXPECT_TRUE(is_ok(bus->pause(TypePattern{"t0"})));
  EXPECT_EQ(bus->stats().commit, commit) << "pausing twice has written something";
  must(bus->close());
  EXPECT_TRUE(fails(bus->pause(TypePattern{"a"}), StatusCode::unavailable));
  EXPECT_TRUE(fails(bus->resume(TypePattern{"a"}), StatusCode::unavailable));
}

TEST_P(PausingTypes, NothingIsLostOrDeliveredTwiceWhateverIsPublishedMeanwhile) {
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 2};
  options.durability = Durability::os;
  open();
  Runs runs;
  const auto s = collect("s", runs);
  constexpr int kEvents = 6'000;
  std::thread publisher([&] {
    for (int i = 0; i < kEvents / 100; ++i) {
      publish_many(i % 3 == 0 ? "a.b" : "c", 100, kAllPriorities[static_cast<std::size_t>(i) % 4]);
    }
  });
  for (int i = 0; i < 20; ++i) {
    must(bus->pause(TypePattern{"a.*"}));
    must(bus->pause(TypePattern{"a.b"}));
    must(bus->resume(TypePattern{"a.*"}));
    must(bus->resume(TypePattern{"a.b"}));
  }
  publisher.join();
  ASSERT_TRUE(runs.wait_for_count(kEvents));
  auto ids = runs.ids();
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kEvents));
  EXPECT_TRUE(eventually([&] {
    const auto stats = stats_of("s");
    return std::all_of(stats.lanes.begin(), stats.lanes.end(),
                       [](const LaneStats& lane) { return lane.paused + lane.ready == 0; });
  }));
}

class PausingTypesOnDisk : public DiskBusTest {};

TEST_F(PausingTypesOnDisk, APauseAndWhatItHoldsSurviveAReopenAndSoDoesItsEnd) {
  open();
  Runs runs;
  const auto collect = [&] {
    return must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  };
  {
    const auto s = collect();
    must(bus->pause(TypePattern{"a"}));
    publish_many("a", 3);
    ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].paused == 3; }));
  }
  reopen();
  EXPECT_EQ(bus->stats().paused_types, std::vector<std::string>{"a"});
  EXPECT_EQ(stats_of("s").lanes[2].paused, 3U);
  {
    const auto s = collect();
    const auto fourth = publish("a");
    publish("b");
    ASSERT_TRUE(runs.wait_for_count(1));
    ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].paused == 4; }));
    EXPECT_EQ(state_of(fourth.id), EventState::paused);
    const auto view = must(JournalView::open(path()));
    EXPECT_EQ(must(view->stats()).paused_types, std::vector<std::string>{"a"});
    EXPECT_EQ(must(view->get(fourth.id))->state, EventState::paused);
  }
  must(bus->resume(TypePattern{"a"}));
  reopen();
  EXPECT_TRUE(bus->stats().paused_types.empty());
  const auto s = collect();
  EXPECT_TRUE(runs.wait_for_count(5));
}

TEST_F(PausingTypesOnDisk, MoreThanOneCommitPutsBackComesBack) {
  options.durability = Durability::os;
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 8},
                                     [&](Delivery& delivery) { runs.note(delivery); }));
  must(bus->pause(TypePattern{"a"}));
  must(bus->pause(TypePattern{"b"}));
  constexpr std::uint64_t kEach = 2'500;
  publish_many("a", kEach);
  publish_many("b", kEach);
  ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].paused == 2 * kEach; }));
  EXPECT_EQ(runs.size(), 0U);
  must(bus->resume(TypePattern{"a"}));
  ASSERT_TRUE(runs.wait_for_count(kEach));
  EXPECT_EQ(stats_of("s").lanes[2].paused, kEach);
  must(bus->resume(TypePattern{"b"}));
  ASSERT_TRUE(runs.wait_for_count(2 * kEach));
}

}  // namespace
}  // namespace holdfast::testing
