// SPDX-License-Identifier: MIT
// Being told that an event is settled: `on_settled` and `wait_settled`.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::milliseconds;

class Settling : public BusTest {
 protected:
  static Outcome ack(Delivery&) { return Outcome::ack(); }
  ~Settling() override { let_go.set(); }
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Settling);

TEST_P(Settling, OnSettledComesOnceForEachEventAndOnlyWhenItIsDurable) {
  open();  // publishes with `os`; the outcome is fsynced all the same
  Settlements settled;
  std::atomic<int> early{0};
  std::atomic<std::uint64_t> commit_before{0};
  const auto s = must(
      bus->subscribe({.name = "s",
                      .on_settled =
                          [&](EventId id, Settled how) {
                            // Its ack is in a later commit than it, and that one is durable now.
                            if (bus->durable_commit().value <= commit_before) ++early;
                            settled.add({id, how});
                          }},
                     [&](Delivery& delivery) { commit_before = delivery.event().commit.value; }));
  for (int i = 0; i < 50; ++i) {
    publish("a.b");
    ASSERT_TRUE(settled.wait_for_count(static_cast<std::size_t>(i) + 1));
  }
  must(bus->drain());
  EXPECT_EQ(early, 0);
  const auto all = settled.all();
  ASSERT_EQ(all.size(), 50U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].first.sequence, i + 1);
    EXPECT_EQ(all[i].second, Settled::acked);
  }
}

TEST_P(Settling, OnSettledTellsHow) {
  open();
  Settlements settled;
  const auto s = must(
      bus->subscribe({.name = "s",
                      .condition = [](const EventView& event) { return event.type != "skip"; },
                      .retry = retry_at_once(2),
                      .on_settled =
                          [&](EventId id, Settled how) {
                            settled.add({id, how});
                          }},
                     [](Delivery& delivery) {
                       if (delivery.event().type == "reject") return Outcome::reject("no");
                       return delivery.event().type == "fail" ? Outcome::retry() : Outcome::ack();
                     }));
  const auto told = [&](std::string_view type) {
    const auto before = settled.size();
    publish(type);
    if (!settled.wait_for_count(before + 1)) give_up({StatusCode::deadline_exceeded, "not told"});
    return settled.all().back().second;
  };
  EXPECT_EQ(told("ack"), Settled::acked);
  EXPECT_EQ(told("skip"), Settled::skipped);
  EXPECT_EQ(told("reject"), Settled::dead);
  EXPECT_EQ(told("fail"), Settled::dead);
}

TEST_P(Settling, EachSubscriptionIsToldOfItsOwn) {
  open();
  Settlements first;
  Settlements second;
  const auto s = must(bus->subscribe({.name = "s",
                                      .on_settled =
                                          [&](EventId id, Settled how) {
                                            first.add({id, how});
                                          }},
                                     ack));
  const auto t = must(bus->subscribe({.types = {"b"},
                                      .on_settled =
                                          [&](EventId id, Settled how) {
                                            second.add({id, how});
                                          }},
                                     ack));
  publish("a");
  publish("b");
  ASSERT_TRUE(first.wait_for_count(2));
  ASSERT_TRUE(second.wait_for_count(1));
  must(bus->drain());
  EXPECT_EQ(first.size(), 2U);
  EXPECT_EQ(second.size(), 1U);
}

TEST_P(Settling, WaitSettledReturnsWhenEverySubscriptionHasEnded) {
  open();
  const auto quick = must(bus->subscribe({.name = "quick"}, ack));
  const auto slow = must(bus->subscribe({.name = "slow"}, [&](Delivery&) { let_go.wait(); }));
  const auto receipt = publish("a.b");
  EXPECT_TRUE(fails(bus->wait_settled(receipt.id, milliseconds(20)), StatusCode::deadline_exceeded,
                    {to_string(receipt.id)}));
  std::atomic<bool> returned{false};
  std::jthread waiting([&] {
    EXPECT_TRUE(is_ok(bus->wait_settled(receipt.id, kPatience)));
    returned = true;
  });
  EXPECT_FALSE(returned);
  let_go.set();
  waiting.join();
  EXPECT_TRUE(is_ok(bus->wait_settled(receipt.id, milliseconds(0))));
}

TEST_P(Settling, WhatIsSettledStaysSettledThroughACrashOnceTheWaitReturned) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, ack));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(bus->durable_commit(), bus->stats().commit);
}

TEST_P(Settling, UnclaimedEventIsOwedToNobodyYetSoTheWaitGoesOn) {
  open();
  const auto receipt = publish("a.b");
  EXPECT_TRUE(
      fails(bus->wait_settled(receipt.id, milliseconds(20)), StatusCode::deadline_exceeded));
  std::jthread waiting([&] { EXPECT_TRUE(is_ok(bus->wait_settled(receipt.id, kPatience))); });
  const auto s = must(bus->subscribe({.name = "s"}, ack));
  waiting.join();
}

TEST_P(Settling, DeadLetterIsSettledToo) {
  open();
  const auto s =
      must(bus->subscribe({.name = "s"}, [](Delivery&) { return Outcome::reject("no"); }));
  EXPECT_TRUE(is_ok(bus->wait_settled(publish("a.b").id, kPatience)));
}

TEST_P(Settling, WaitForAnEventThatRetriesGoesOnUntilItIsDone) {
  open();
  const auto s = must(bus->subscribe({.name = "s", .retry = retry_at_once(100)}, [](Delivery& d) {
    return d.attempt() < 50 ? Outcome::retry() : Outcome::ack();
  }));
  EXPECT_TRUE(is_ok(bus->wait_settled(publish("a.b").id, kPatience)));
  EXPECT_EQ(stats_of("s").retried, 49U);
}

TEST_P(Settling, WaitForABatchWaitsForAllOfIt) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, ack));
  const auto batch = publish_many("a.b", 500);
  EXPECT_TRUE(is_ok(bus->wait_settled(batch, kPatience)));
  EXPECT_EQ(scan({.states = {EventState::settled}}).size(), 500U);
  const auto never = publish_many("a.b", 3);
  must(bus->wait_settled(never, kPatience));
}

TEST_P(Settling, WaitForABatchHasOneDeadlineForAllOfIt) {
  open();
  const auto batch = publish_many("a.b", 100);
  EXPECT_TRUE(fails(bus->wait_settled(batch, milliseconds(10)), StatusCode::deadline_exceeded));
}

TEST_P(Settling, UnknownEventIsNotFound) {
  open();
  EXPECT_TRUE(fails(bus->wait_settled({Priority::normal, 1}, milliseconds(1)),
                    StatusCode::not_found, {"normal:1"}));
  EXPECT_TRUE(
      fails(bus->wait_settled({Priority::normal, 0}, milliseconds(1)), StatusCode::not_found));
}

TEST_P(Settling, WaitEndsWhenTheBusIsClosed) {
  open();
  const auto receipt = publish("a.b");
  Status status;
  std::jthread waiting([&] { status = bus->wait_settled(receipt.id, std::chrono::hours(1)); });
  // It waits only once it has been committed with everything that was there.
  ASSERT_TRUE(eventually([&] { return bus->durable_commit() >= receipt.commit; }));
  must(bus->close());
  waiting.join();
  EXPECT_TRUE(fails(status, StatusCode::unavailable));
}

TEST_P(Settling, WaitEndsWhenTheLastOneWhoIsOwedItIsRemoved) {
  open();
  // A wait that begins only after the removal goes on: then the event is unclaimed again. So this
  // is done until one has begun before.
  EXPECT_TRUE(eventually([&] {
    must(bus->subscribe({.name = "s"}, ack)).end();
    const auto receipt = publish("a.b");
    Status status;
    std::jthread waiting([&] { status = bus->wait_settled(receipt.id, std::chrono::seconds(2)); });
    must(bus->wait_durable(receipt.commit));
    must(bus->remove_subscription("s"));
    EXPECT_EQ(state_of(receipt.id), EventState::unclaimed);
    waiting.join();
    return status.ok();
  }));
}

TEST_P(Settling, AckOfAnEphemeralSubscriptionEndsNoWait) {
  open();
  Runs runs;
  const auto passing =
      must(bus->subscribe("a.b", [&](Delivery& delivery) { runs.note(delivery); }));
  const auto receipt = publish("a.b");
  std::atomic<bool> returned{false};
  std::jthread waiting([&] {
    EXPECT_TRUE(is_ok(bus->wait_settled(receipt.id, kPatience)));
    returned = true;
  });
  ASSERT_TRUE(runs.wait_for_count(1));
  must(bus->wait_durable(publish("a.b").commit));
  EXPECT_FALSE(returned);
  EXPECT_EQ(state_of(receipt.id), EventState::unclaimed);
  const auto s = must(bus->subscribe({.name = "s"}, ack));
  waiting.join();
}

TEST_P(Settling, WaitEndsWhenTheLastOneWhoIsOwedItWantsOtherEventsNow) {
  open();
  const auto quick = must(bus->subscribe({.name = "quick"}, ack));
  // Not in every round has the wait begun when the filter changes.
  for (int round = 0; round < 20 && !HasFailure(); ++round) {
    const auto name = "s" + std::to_string(round);
    must(bus->subscribe({.name = name, .types = {"a.>"}}, ack)).end();
    const auto receipt = publish("a.b");
    EXPECT_TRUE(
        fails(bus->wait_settled(receipt.id, milliseconds(5)), StatusCode::deadline_exceeded));
    Signal begins;
    std::jthread waiting([&] {
      begins.set();
      EXPECT_TRUE(is_ok(bus->wait_settled(receipt.id, std::chrono::seconds(20))));
    });
    begins.wait();
    for (int i = 0; i < round; ++i) publish("other.one");
    must(bus->subscribe({.name = name, .types = {"no.such"}}, ack)).end();
    waiting.join();
    EXPECT_EQ(state_of(receipt.id), EventState::settled);
    must(bus->remove_subscription(name));  // or it would be owed what the next round waits for
  }
}

TEST_P(Settling, ManyWaitersOfOneEventAreAllTold) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { let_go.wait(); }));
  const auto receipt = publish("a.b");
  std::vector<std::jthread> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.emplace_back([&] { EXPECT_TRUE(is_ok(bus->wait_settled(receipt.id, kPatience))); });
  }
  let_go.set();
}

}  // namespace
}  // namespace holdfast::testing
