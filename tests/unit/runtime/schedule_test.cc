// SPDX-License-Identifier: MIT
// Events that wait for their time, and those whose time is over.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

WallTime from_now(nanoseconds wait) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<nanoseconds>(now).count() + wait.count();
}

class Scheduling : public BusTest {
 protected:
  Handler noting() {
    return [this](Delivery& delivery) {
      early = early || delivery.event().not_before > from_now(milliseconds(0));
      runs.note(delivery);
    };
  }
  EventId publish_at(WallTime when, std::string_view payload = {}) {
    return must(bus->publish({.type = "a.b", .payload = payload, .not_before = when})).id;
  }
  Runs runs;
  Settlements settled;
  std::atomic<bool> early{false};
};
HOLDFAST_ON_BOTH_STORES(Scheduling);

TEST_P(Scheduling, NothingIsDeliveredBeforeItsTimeAndOthersDoNotWaitForIt) {
  open();
  auto s = must(bus->subscribe({.name = "s"}, noting()));
  publish_at(from_now(milliseconds(150)), "later");
  publish("a.b", "now");
  ASSERT_TRUE(runs.wait_for_count(2));
  EXPECT_EQ(runs.payloads(), (std::vector<std::string>{"now", "later"}));
  EXPECT_FALSE(early);
}

TEST_P(Scheduling, AnEventThatWaitsIsToldAsScheduledAndCanBeCancelled) {
  open();
  auto s = must(bus->subscribe({.name = "s",
                                .on_settled =
                                    [this](EventId id, Settled how) {
                                      settled.add({id, how});
                                    }},
                               noting()));
  const auto id = publish_at(from_now(hours(1)));
  // A worker has found out that it has to wait, and nobody takes it before its time.
  const auto lane = static_cast<std::size_t>(Priority::normal);
  while (stats_of("s").lanes[lane].scheduled == 0) std::this_thread::yield();
  EXPECT_EQ(state_of(id), EventState::scheduled);
  EXPECT_EQ(must(bus->cancel(id)).outcome, CancelOutcome::prevented);
  EXPECT_EQ(state_of(id), EventState::cancelled);
}

TEST_P(Scheduling, WaitingForItsTimeIsNoAttempt) {
  open();
  auto s = must(bus->subscribe({.name = "s"}, noting()));
  publish_at(from_now(milliseconds(50)));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.all()[0].attempt, 1U);
}

TEST_P(Scheduling, AnEphemeralSubscriptionWaitsAsWell) {
  open();
  auto s = must(bus->subscribe("a.*", noting()));
  publish_at(from_now(milliseconds(50)));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_FALSE(early);
}

TEST_P(Scheduling, WhatHasExpiredIsGivenToNobody) {
  open();
  auto s = must(bus->subscribe({.name = "s",
                                .on_settled =
                                    [this](EventId id, Settled how) {
                                      settled.add({id, how});
                                    }},
                               noting()));
  const auto id = must(bus->publish({.type = "a.b", .expires_at = from_now(hours(-1))})).id;
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all()[0], std::pair(id, Settled::expired));
  EXPECT_TRUE(runs.all().empty());
  EXPECT_EQ(stats_of("s").expired, 1U);
}

TEST_P(Scheduling, AnEventIsToldAsExpiredWhileNobodyHasComeAcrossIt) {
  open();
  { auto s = must(bus->subscribe({.name = "s"}, noting())); }
  const auto id = must(bus->publish({.type = "a.b", .expires_at = from_now(hours(-1))})).id;
  EXPECT_EQ(state_of(id), EventState::expired);
  must(bus->wait_settled(id, kPatience));
}

TEST_P(Scheduling, AnEventThatHasTimeLeftIsDelivered) {
  open();
  auto s = must(bus->subscribe({.name = "s"}, noting()));
  must(bus->publish({.type = "a.b", .expires_at = from_now(hours(1))}));
  ASSERT_TRUE(runs.wait_for_count(1));
}

TEST_P(Scheduling, TimesThatCannotBeAreRefused) {
  open();
  EXPECT_TRUE(fails(bus->publish({.type = "a", .not_before = -1}), StatusCode::invalid_argument,
                    {"not_before"}));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .expires_at = -1}), StatusCode::invalid_argument,
                    {"expires_at"}));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .not_before = 10, .expires_at = 10}),
                    StatusCode::invalid_argument, {"expires_at is 10", "not_before, 10"}));
  EXPECT_TRUE(scan().empty());
}

class SchedulingOnDisk : public DiskBusTest {};

TEST_F(SchedulingOnDisk, WhatIsScheduledComesAfterARestart) {
  open();
  Runs runs;
  {
    auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  }
  const auto due = from_now(milliseconds(300));
  const auto id = must(bus->publish({.type = "a.b", .not_before = due})).id;
  {
    // It is parked by somebody who comes across it.
    auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
    while (stats_of("s").lanes[static_cast<std::size_t>(Priority::normal)].scheduled == 0) {
      std::this_thread::yield();
    }
  }
  reopen();
  const auto state = state_of(id);
  // On a slow machine its time has come by now.
  if (from_now(milliseconds(0)) < due) {
    EXPECT_EQ(state, EventState::scheduled);
  }
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.ids(), (std::vector<EventId>{id}));
}

TEST_F(SchedulingOnDisk, ManyScheduledEventsDoNotSitInMemory) {
  open();
  constexpr std::size_t kMany = 50'000;
  auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  const auto when = from_now(hours(10));
  for (std::size_t done = 0; done < kMany; done += 10'000) {
    std::vector<OwnedEvent> events(10'000, {.type = "a.b", .payload = std::string(1'000, 'x')});
    for (auto& event : events) event.not_before = when;
    must(bus->publish_batch(events));
  }
  const auto lane = static_cast<std::size_t>(Priority::normal);
  while (stats_of("s").lanes[lane].scheduled < kMany) std::this_thread::yield();
  // They are 50 MB; an eighth of the budget is for events on their way. What is being committed as
  // parked when the last one is counted is let go once that commit is written.
  EXPECT_TRUE(eventually([&] { return bus->stats().resident_bytes <= options.memory_budget / 8; }));
}

}  // namespace
}  // namespace holdfast::testing
