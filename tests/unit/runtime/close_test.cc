// SPDX-License-Identifier: MIT
// Ending: drain, close, the destructor, and everything that happens at the same time.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::milliseconds;

class Ending : public BusTest {
 protected:
  ~Ending() override { let_go.set(); }
  /// Stays inside until it is let go, whoever asks it to stop.
  Handler deaf(Outcome outcome = Outcome::ack()) {
    return [this, outcome](Delivery& delivery) {
      runs.note(delivery);
      let_go.wait();
      return outcome;
    };
  }
  Runs runs;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Ending);

TEST_P(Ending, DrainAsksHandlersToStopWaitsForThemAndBurnsNoAttempts) {
  open();
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    runs.note(delivery);
    Signal stop;
    const std::stop_callback callback(delivery.stop_token(), [&] { stop.set(); });
    stop.wait();
    return Outcome::stopped();
  }));
  const auto batch = publish_many("a.b", 3);
  ASSERT_TRUE(runs.wait_for_count(1));
  must(bus->drain());
  EXPECT_EQ(runs.size(), 1U);
  for (const auto& receipt : batch.receipts) {
    EXPECT_EQ(state_of(receipt.id), EventState::ready);
    EXPECT_EQ(must(bus->get(receipt.id))->standings[0].attempts, 0U);
  }
  EXPECT_EQ(stats_of("s").retried, 0U);
}

TEST_P(Ending, DrainNamesTheHandlerThatDoesNotReturn) {
  open();
  const auto s = must(bus->subscribe({.name = "the slow one"}, deaf()));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_TRUE(fails(bus->drain(milliseconds(10)), StatusCode::deadline_exceeded,
                    {"the slow one", to_string(receipt.id)}));
  let_go.set();
  EXPECT_TRUE(is_ok(bus->drain()));
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
}

TEST_P(Ending, DrainHandsOutNothingMoreButPublishingGoesOn) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, deaf()));
  must(bus->drain());
  const auto receipt = publish("a.b");
  EXPECT_EQ(state_of(receipt.id), EventState::ready);
  EXPECT_EQ(runs.size(), 0U);
}

TEST_P(Ending, AnswersThatArrivedAreDurableAfterDrain) {
  options.ack_linger = std::chrono::hours(1);
  open();
  Collected<int> done;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { done.add(0); }));
  publish_many("a.b", 50);
  ASSERT_TRUE(done.wait_for_count(50));
  must(bus->drain());
  EXPECT_EQ(scan({.states = {EventState::settled}}).size(), 50U);
  EXPECT_EQ(bus->durable_commit(), bus->stats().commit);
}

TEST_P(Ending, AckOfAHandlerThatReturnsLateCounts) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, deaf()));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_TRUE(fails(bus->drain(milliseconds(1)), StatusCode::deadline_exceeded));
  let_go.set();
  must(bus->drain());
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
}

TEST_P(Ending, CloseIsIdempotentAndRefusesEverythingAfterwards) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  const auto receipt = publish("a.b");
  auto builder = bus->batch();
  builder.add({.type = "a.b"});
  must(bus->close());
  EXPECT_TRUE(is_ok(bus->close()));
  const auto refused = [](const auto& outcome) {
    return fails(outcome, StatusCode::unavailable, {"closed"});
  };
  std::vector<OwnedEvent> events(1, {.type = "a.b", .payload = {}});
  EXPECT_TRUE(refused(bus->publish("a.b", {})));
  EXPECT_TRUE(refused(bus->publish({.type = "a.b"}, {.durability = Durability::durable})));
  EXPECT_TRUE(refused(bus->publish_async({.type = "a.b"}, nullptr)));
  EXPECT_TRUE(refused(bus->publish_future({.type = "a.b"}).get()));
  EXPECT_TRUE(refused(bus->publish_batch(events)));
  EXPECT_TRUE(refused(bus->publish_batch_async(events, nullptr)));
  EXPECT_TRUE(refused(builder.commit()));
  EXPECT_TRUE(refused(bus->wait_durable({1'000'000})));
  EXPECT_TRUE(refused(bus->subscribe({.name = "t"}, [](Delivery&) {})));
  EXPECT_TRUE(refused(bus->subscribe("a.b", [](Delivery&) {})));
  EXPECT_TRUE(refused(bus->remove_subscription("s")));
  EXPECT_TRUE(refused(bus->wait_settled(receipt.id, milliseconds(1))));
  EXPECT_TRUE(refused(bus->get(receipt.id)));
  EXPECT_TRUE(refused(bus->scan({}, [](const auto&, auto) { return true; })));
  EXPECT_TRUE(refused(bus->dead_letters()));
  EXPECT_TRUE(refused(bus->scan_dead_letters({}, [](const auto&) { return true; })));
  EXPECT_TRUE(refused(bus->redrive()));
  EXPECT_TRUE(refused(bus->state("s", "k")));
  EXPECT_TRUE(refused(bus->scan_state("s", "", [](auto, auto) { return true; })));
  EXPECT_TRUE(refused(bus->drain()));
  // What needs no journal still answers.
  EXPECT_GE(bus->durable_commit(), receipt.commit);
  EXPECT_TRUE(is_ok(bus->wait_durable(receipt.commit)));
  EXPECT_EQ(bus->stats().events_published, 1U);
  EXPECT_TRUE(bus->recovery().created);
}

TEST_P(Ending, CloseWaitsForRunningHandlers) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, deaf()));
  publish("a.b");
  ASSERT_TRUE(runs.wait_for_count(1));
  std::atomic<bool> closed{false};
  std::jthread closing([&] {
    must(bus->close());
    closed = true;
  });
  ASSERT_TRUE(
      eventually([&] { return bus->publish("a.b", {}).status() == StatusCode::unavailable; }));
  EXPECT_FALSE(closed);
  let_go.set();
  closing.join();
}

TEST_P(Ending, SubscriptionMayOutliveItsBus) {
  open();
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  publish("a.b");
  ASSERT_TRUE(runs.wait_for_count(1));
  bus.reset();
  EXPECT_EQ(s.name(), "s");
  s.end();
}

TEST_P(Ending, SubscriptionMayEndWhileItsBusCloses) {
  for (int round = 0; round < 20; ++round) {
    open();
    std::vector<Subscription> subscriptions;
    for (int i = 0; i < 4; ++i) {
      subscriptions.push_back(
          must(bus->subscribe({.name = "s" + std::to_string(i)}, [](Delivery&) {})));
    }
    publish_many("a.b", 50);
    std::jthread closing([&] { must(bus->close()); });
    subscriptions.clear();
    closing.join();
    bus.reset();
  }
}

TEST_P(Ending, EverythingMayBeCalledWhileAnotherThreadCloses) {
  for (int round = 0; round < 10; ++round) {
    open();
    auto s = must(bus->subscribe({.name = "s"},
                                 [](Delivery& delivery) { delivery.tx().state().put("k", "v"); }));
    publish_many("a.b", 500);
    std::atomic<bool> stop{false};
    const auto fine = [](const Status& status) {
      EXPECT_TRUE(status.ok() || status == StatusCode::unavailable) << status.to_string();
      return status.ok();
    };
    std::vector<std::jthread> callers;
    const auto call = [&](auto function) {
      callers.emplace_back([&, function] {
        while (!stop) function();
      });
    };
    call([&] { fine(bus->publish("a.b", {}).status()); });
    call(
        [&] { fine(bus->publish({.type = "a.b"}, {.durability = Durability::durable}).status()); });
    call([&] {
      fine(bus->publish_async({.type = "a.b"}, [&](const auto& r) { fine(r.status()); }));
    });
    call([&] { fine(bus->get({Priority::normal, 1}).status()); });
    call([&] { fine(bus->scan({.limit = 100}, [](const auto&, auto) { return true; })); });
    call([&] { (void)bus->stats(); });
    call([&] {
      const auto status = bus->wait_settled({Priority::normal, 1}, milliseconds(1));
      if (status != StatusCode::deadline_exceeded) fine(status);
    });
    call([&] {
      const auto status = bus->redrive().status();
      fine(status);
      fine(bus->dead_letters().status());
    });
    call([&] {
      auto live = bus->subscribe({.name = "t"}, [](Delivery&) {});
      fine(live.status());
    });
    call([&] {
      const auto status = bus->remove_subscription("t");
      if (status != StatusCode::not_found && status != StatusCode::conflict) fine(status);
    });
    call([&] { fine(bus->wait_durable(bus->stats().commit)); });
    ASSERT_TRUE(eventually([&] { return bus->stats().events_published > 700; }));
    std::jthread other([&] { fine(bus->close()); });
    must(bus->close());
    other.join();
    stop = true;
    callers.clear();
    s.end();
    bus.reset();
  }
}

TEST_P(Ending, EverybodyWhoWaitsGetsAnAnswerAtClose) {
  options.durability = Durability::durable;
  for (int round = 0; round < 20; ++round) {
    open();
    std::atomic<int> answered{0};
    std::atomic<int> asked{0};
    std::vector<std::jthread> publishers;
    for (int t = 0; t < 4; ++t) {
      publishers.emplace_back([&] {
        while (true) {
          ++asked;
          const auto status = bus->publish_async({.type = "a.b"}, [&](const auto&) { ++answered; });
          if (status.ok()) continue;
          ++answered;
          EXPECT_TRUE(fails(status, StatusCode::unavailable));
          return;
        }
      });
    }
    ASSERT_TRUE(eventually([&] { return answered > 100; }));
    must(bus->close());
    publishers.clear();
    EXPECT_EQ(answered, asked);
    bus.reset();
  }
}

TEST_P(Ending, OtherThreadsSeeTheSameClose) {
  open();
  publish_many("a.b", 100);
  std::vector<std::jthread> closers;
  for (int i = 0; i < 4; ++i) closers.emplace_back([&] { EXPECT_TRUE(is_ok(bus->close())); });
}

class EndingOnDisk : public DiskBusTest {};

TEST_F(EndingOnDisk, EverythingThatWasConfirmedBeforeCloseIsThereAfterwardsAndTheCloseWasClean) {
  for (int round = 0; round < 5; ++round) {
    open();
    EXPECT_TRUE(bus->recovery().clean) << "in round " << round;
    Collected<EventId> confirmed;
    std::vector<std::jthread> publishers;
    for (int t = 0; t < 4; ++t) {
      publishers.emplace_back([&] {
        while (true) {
          const auto receipt = bus->publish("a.b", {});
          if (!receipt.ok()) return;
          confirmed.add(receipt->id);
        }
      });
    }
    ASSERT_TRUE(confirmed.wait_for_count(200));
    must(bus->close());
    publishers.clear();
    bus = must(Bus::open(path(), options));
    for (const auto& id : confirmed.all()) {
      ASSERT_TRUE(must(bus->get(id)).has_value()) << to_string(id);
    }
    EXPECT_TRUE(bus->recovery().clean) << "in round " << round;
    must(bus->close());
  }
}

TEST_F(EndingOnDisk, AnswersThatAreGivenWhileItClosesAreKept) {
  options.workers = {.critical = 1, .high = 1, .normal = 4, .low = 1};
  // An answer may be committed by itself before the closing comes to it; not in every round. Of the
  // five one is kept for critical events.
  for (std::size_t round = 1; round <= 20; ++round) {
    open();
    EXPECT_EQ(bus->recovery().pending, (std::array<std::uint64_t, kLaneCount>{})) << round;
    Signal all_run;
    std::atomic<int> running{0};
    const auto s = must(bus->subscribe({.name = "s", .concurrency = 5}, [&](Delivery& delivery) {
      if (++running == 4) all_run.set();
      EXPECT_TRUE(eventually([&] { return delivery.stop_token().stop_requested(); }));
    }));
    publish_many("a.b", 4);
    ASSERT_TRUE(all_run.wait());
    must(bus->close());
  }
  open();
  EXPECT_EQ(bus->recovery().pending, (std::array<std::uint64_t, kLaneCount>{}));
}

/// Waits until it is asked to stop, and stops.
Outcome stop_when_asked(Delivery& delivery) {
  Signal asked;
  const std::stop_callback ask(delivery.stop_token(), [&] { asked.set(); });
  asked.wait();
  return Outcome::stopped();
}

TEST_F(EndingOnDisk, WhatHadBegunIsCleanedUpWhenItIsCancelledAfterTheRestart) {
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 1};
  open();
  Runs runs;
  Collected<std::shared_ptr<Deferred>> owed;
  Subscription stopping = must(bus->subscribe({.name = "stopping"}, [&](Delivery& delivery) {
    runs.note(delivery);
    return stop_when_asked(delivery);
  }));
  Subscription deferring = must(bus->subscribe({.name = "deferring"}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
    runs.note(delivery);
    return Outcome::ack();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(runs.wait_for_count(2));
  must(bus->close());
  bus.reset();
  open();
  EXPECT_EQ(state_of(id), EventState::ready);
  const auto stored = must(bus->get(id));
  ASSERT_EQ(stored->standings.size(), 2U);
  for (const auto& standing : stored->standings) EXPECT_EQ(standing.attempts, 0U);
  EXPECT_EQ(must(bus->cancel(id)).outcome, CancelOutcome::prevented);
  Collected<std::string> cleaned;
  std::vector<Subscription> subscriptions;
  for (const std::string name : {"stopping", "deferring"}) {
    subscriptions.push_back(must(
        bus->subscribe({.name = name, .on_cancel = [&, name](Delivery&) { cleaned.add(name); }},
                       [&](Delivery& delivery) { runs.note(delivery); })));
  }
  ASSERT_TRUE(cleaned.wait_for_count(2));
  EXPECT_THAT(cleaned.all(), ::testing::UnorderedElementsAre("stopping", "deferring"));
  EXPECT_EQ(runs.size(), 2U);
}

TEST_F(EndingOnDisk, WhatWasStoppedIsTheFirstThatIsHandedOutAfterTheRestart) {
  options.workers = Workers::single();
  open();
  Runs runs;
  {
    const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
      runs.note(delivery);
      return stop_when_asked(delivery);
    }));
    publish_many("a.b", 5);
    ASSERT_TRUE(runs.wait_for_count(1));
  }
  reopen();
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(6));
  EXPECT_EQ(runs.payloads(), (std::vector<std::string>{"0", "0", "1", "2", "3", "4"}));
  for (const auto& run : runs.all()) EXPECT_EQ(run.attempt, 1U);
}

TEST_F(EndingOnDisk, DestructorClosesProperly) {
  open();
  publish("a.b");
  bus.reset();
  open();
  EXPECT_TRUE(bus->recovery().clean);
  EXPECT_EQ(scan().size(), 1U);
}

}  // namespace
}  // namespace holdfast::testing
