// SPDX-License-Identifier: MIT
// The intake: how much may wait for the committer, and what happens to a publisher when it is full.
//
// Method: the committer is held inside a publisher's callback, so that what comes afterwards stays
// in the intake and can be counted.
#include "runtime/intake.h"

#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class FullIntake : public BusTest {
 protected:
  FullIntake() {
    options.limits.intake_events_max = 32;
    options.intake = IntakePolicy::reject;
  }
  ~FullIntake() override {
    let_go_.set();
    bus.reset();  // before what its callbacks use
  }

  void hold_committer() {
    must(bus->publish_async({.type = "holding.it"}, [this](const auto&) {
      held_.set();
      let_go_.wait();
    }));
    ASSERT_TRUE(held_.wait());
  }
  void let_go() { let_go_.set(); }

  Status push(std::string_view payload = {}, Priority priority = Priority::normal) {
    return bus->publish_async({.type = "a.b", .payload = payload, .priority = priority},
                              [this](Result<Receipt> receipt) { done.add(std::move(receipt)); });
  }
  /// All but the sixteenth that is kept for critical events.
  void fill() {
    for (int i = 0; i < 30; ++i) must(push());
  }

  Collected<Result<Receipt>> done;

 private:
  Signal held_;
  Signal let_go_;
};
HOLDFAST_ON_BOTH_STORES(FullIntake);

TEST_P(FullIntake, RejectsNamingWhatIsInItAndTheLimits) {
  options.limits.intake_bytes_max = 1'000'000;
  open();
  hold_committer();
  fill();
  EXPECT_EQ(bus->stats().intake_events, 30U);
  EXPECT_TRUE(fails(push(), StatusCode::resource_exhausted, {"30 events", "32", "1000000"}));
  EXPECT_TRUE(fails(bus->publish("a.b", {}), StatusCode::resource_exhausted, {"30 events"}));
  EXPECT_TRUE(fails(bus->publish_future({.type = "a.b"}).get(), StatusCode::resource_exhausted));
  std::vector<OwnedEvent> events(2, {.type = "a.b", .payload = {}});
  EXPECT_TRUE(fails(bus->publish_batch(events), StatusCode::resource_exhausted));
  EXPECT_EQ(bus->stats().publishes_refused, 4U);
  let_go();
  ASSERT_TRUE(done.wait_for_count(30));
  // Nothing of what was refused is there, and the next has room again.
  publish("a.b");
  EXPECT_EQ(scan({.types = {"a.b"}}).size(), 31U);
}

TEST_P(FullIntake, KeepsTheLastSixteenthForCriticalEvents) {
  open();
  hold_committer();
  fill();
  EXPECT_TRUE(is_ok(push({}, Priority::critical)));
  EXPECT_TRUE(fails(push({}, Priority::high), StatusCode::resource_exhausted));
  EXPECT_TRUE(is_ok(push({}, Priority::critical)));
  EXPECT_TRUE(fails(push({}, Priority::critical), StatusCode::resource_exhausted, {"32 events"}));
  let_go();
  ASSERT_TRUE(done.wait_for_count(32));
  EXPECT_EQ(scan({.priorities = {Priority::critical}}).size(), 2U);
}

TEST_P(FullIntake, IsBoundedByBytesAsWell) {
  options.limits.intake_bytes_max = 10'000;
  open();
  hold_committer();
  must(push(std::string(5'000, 'x')));
  EXPECT_TRUE(
      fails(push(std::string(5'000, 'x')), StatusCode::resource_exhausted, {"1 events", "10000"}));
  EXPECT_TRUE(is_ok(push(std::string(1'000, 'x'))));
  let_go();
  EXPECT_TRUE(done.wait_for_count(2));
}

TEST_P(FullIntake, LetsInAloneWhatIsLargerThanItself) {
  options.limits.intake_bytes_max = 10'000;
  open();
  std::vector<OwnedEvent> events(100, {.type = "a.b", .payload = std::string(1'000, 'x')});
  EXPECT_EQ(must(bus->publish_batch(events)).receipts.size(), 100U);
}

TEST_P(FullIntake, BlocksAPublisherUntilThereIsRoomIfThatIsThePolicy) {
  options.intake = IntakePolicy::block;
  open();
  hold_committer();
  fill();
  std::atomic<int> published{0};
  std::vector<std::jthread> publishers;
  for (int i = 0; i < 4; ++i) {
    publishers.emplace_back([&] {
      publish("a.b");
      ++published;
    });
  }
  EXPECT_EQ(published, 0);
  EXPECT_LE(bus->stats().intake_events, 30U);
  let_go();
  publishers.clear();
  EXPECT_EQ(published, 4);
  ASSERT_TRUE(done.wait_for_count(30));
  EXPECT_EQ(scan({.types = {"a.b"}}).size(), 34U);
  EXPECT_EQ(bus->stats().publishes_refused, 0U);
}

TEST_P(FullIntake, RefusesAHandlerInsteadOfMakingItWait) {
  options.intake = IntakePolicy::block;
  options.ack_linger = std::chrono::hours(1);
  open();
  Signal full;
  Signal running;
  std::optional<Result<Receipt>> from_inside;
  Status async_from_inside;
  Signal returned;
  const auto subscription = must(bus->subscribe("go", [&](Delivery&) {
    running.set();
    full.wait();
    from_inside = bus->publish("a.b", {});
    async_from_inside = bus->publish_async({.type = "a.b"}, nullptr);
    returned.set();
  }));
  publish("go");
  ASSERT_TRUE(running.wait());
  hold_committer();
  fill();
  full.set();
  ASSERT_TRUE(returned.wait());
  EXPECT_TRUE(fails(*from_inside, StatusCode::resource_exhausted, {"30 events", "32"}));
  EXPECT_TRUE(fails(async_from_inside, StatusCode::resource_exhausted));
  let_go();
}

TEST_P(FullIntake, LetsGoOfWaitingPublishersAtClose) {
  options.intake = IntakePolicy::block;
  open();
  hold_committer();
  fill();
  std::vector<Status> statuses(4);
  std::vector<std::jthread> publishers;
  for (auto& status : statuses) {
    publishers.emplace_back([&] { status = bus->publish("a.b", {}).status(); });
  }
  std::jthread closer([&] { must(bus->close()); });
  let_go();
  publishers.clear();
  closer.join();
  for (const auto& status : statuses) {
    EXPECT_TRUE(status.ok() || status == StatusCode::unavailable) << status.to_string();
  }
  // What was in the intake is served.
  EXPECT_EQ(done.size(), 30U);
  for (const auto& each : done.all()) EXPECT_TRUE(is_ok(each));
}

TEST_P(FullIntake, LetsACancelInAndBeforeWhatWaitsToBePublished) {
  open();
  const auto token = must(bus->make_token());
  hold_committer();
  Collected<Status> published;
  for (int i = 0; i < 30; ++i) {
    must(bus->publish_async(
        {.type = "a.b", .token = token.id()},
        [&](const Result<Receipt>& receipt) { published.add(receipt.status()); }));
  }
  Collected<Result<CancelReceipt>> cancelled;
  must(bus->cancel_async(
      token.id(), "no", [&](Result<CancelReceipt> receipt) { cancelled.add(std::move(receipt)); }));
  let_go();
  ASSERT_TRUE(published.wait_for_count(30));
  for (const auto& status : published.all()) EXPECT_TRUE(fails(status, StatusCode::cancelled));
  ASSERT_TRUE(cancelled.wait_for_count(1));
  EXPECT_TRUE(is_ok(cancelled.all().front()));
  EXPECT_TRUE(scan({.types = {"a.b"}}).empty());
}

TEST_P(FullIntake, RejectsCancelsThatNobodyWaitsForBeyondItsLimit) {
  open();
  const auto id = publish("a.b").id;
  hold_committer();
  Collected<Result<CancelReceipt>> cancelled;
  const auto cancel = [&] {
    return bus->cancel_async(
        id, "no", [&](Result<CancelReceipt> receipt) { cancelled.add(std::move(receipt)); });
  };
  for (int i = 0; i < 32; ++i) must(cancel());
  EXPECT_TRUE(fails(cancel(), StatusCode::resource_exhausted, {"32 cancels", "32"}));
  // Who waits for his own cannot be many, and what is published has room of its own.
  std::jthread waits([&] { EXPECT_TRUE(is_ok(bus->cancel(id))); });
  EXPECT_TRUE(is_ok(push()));
  let_go();
  ASSERT_TRUE(cancelled.wait_for_count(32));
  EXPECT_TRUE(is_ok(cancel()));
  ASSERT_TRUE(cancelled.wait_for_count(33));
  for (const auto& receipt : cancelled.all()) EXPECT_TRUE(is_ok(receipt));
}

// --- The intake by itself -----------------------------------------------------------------------

runtime::Request request_of(std::size_t events, Priority priority = Priority::normal) {
  runtime::Request request;
  for (std::size_t i = 0; i < events; ++i) {
    request.events.add({.type = "a.b", .payload = "x", .priority = priority}, 1);
  }
  return request;
}

TEST(IntakeTest, LargeRequestIsNotStarvedBySmallOnesThatKeepComing) {
  runtime::Intake intake({.events_max = 160, .bytes_max = 1 << 20, .ack_linger = {}});
  const auto push_small = [&](Priority priority) {
    auto small = request_of(1, priority);
    return intake.push(small, false, true).ok();
  };
  while (push_small(Priority::normal)) continue;
  std::atomic<bool> is_in{false};
  std::jthread waiting([&] {
    auto large = request_of(100);
    EXPECT_TRUE(is_ok(intake.push(large, true, true)));
    is_in = true;
  });
  // What a commit frees is taken at once, and never enough for the large one.
  EXPECT_TRUE(eventually([&] {
    (void)intake.take(10, 1 << 20);
    while (!is_in && push_small(Priority::normal)) continue;
    return is_in.load();
  }));
  intake.close({StatusCode::unavailable, "over"});
}

TEST(IntakeTest, WhatOvertakesIsTakenByItselfAndWithinTheLimitOfACommit) {
  runtime::Intake intake({.events_max = 160, .bytes_max = 1 << 20, .ack_linger = {}});
  const auto push = [&](std::size_t events, bool overtakes) {
    auto request = request_of(events);
    request.overtakes = overtakes;
    must(intake.push(request, false, true));
  };
  push(2, false);
  push(0, true);
  push(0, true);
  push(3, false);
  push(0, true);
  const auto sizes = [&] {
    std::vector<std::size_t> taken;
    for (const auto& request : intake.take(2, 1 << 20)) taken.push_back(request.events.size());
    return taken;
  };
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{0}));
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{2}));
  EXPECT_EQ(intake.events(), 3U);
  EXPECT_EQ(sizes(), (std::vector<std::size_t>{3}));
  EXPECT_TRUE(intake.idle());
}

TEST(IntakeTest, WhatOvertakesWaitsForNoSyncThatIsUnderWay) {
  runtime::Intake intake({.events_max = 160, .bytes_max = 1 << 20, .ack_linger = {}});
  intake.set_sync_in_flight(true);
  auto request = request_of(0);
  request.overtakes = true;
  must(intake.push(request, false, true));
  EXPECT_TRUE(intake.wait_for_work());
  EXPECT_EQ(intake.take(1, 1).size(), 1U);
}

TEST(IntakeTest, WhoWaitsToBeLetInIsToldWhenItCloses) {
  runtime::Intake intake({.events_max = 16, .bytes_max = 1 << 20, .ack_linger = {}});
  auto first = request_of(15);
  ASSERT_TRUE(is_ok(intake.push(first, true, true)));
  std::jthread waiting([&] {
    auto second = request_of(15);
    EXPECT_TRUE(fails(intake.push(second, true, true), StatusCode::unavailable, {"over"}));
  });
  // Without events it takes no room.
  auto barrier = request_of(0);
  EXPECT_TRUE(is_ok(intake.push(barrier, false, true)));
  intake.close({StatusCode::unavailable, "over"});
}

}  // namespace
}  // namespace holdfast::testing
