// SPDX-License-Identifier: MIT
// Taking an event from a run that has it for too long: who has it then, and whose answer counts.
#include <atomic>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "runtime/running_slots.h"
#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr milliseconds kShort{20};

class Abandoning : public BusTest {
 protected:
  ~Abandoning() override { let_go.set(); }
  /// Stays until it is let go, whoever asks it to stop.
  Handler deaf(Outcome outcome = Outcome::ack()) {
    return [this, outcome](Delivery& delivery) {
      inside.note(delivery);
      let_go.wait();
      return outcome;
    };
  }
  /// So soon abandoned that answers meet the clock.
  SubscribeOptions raced(std::uint32_t concurrency) {
    return {.name = "s",
            .types = {"a.b"},
            .concurrency = concurrency,
            .retry = retry_at_once(3),
            .timeout = milliseconds(1),
            .abandon_after = milliseconds(2),
            .on_settled = [this](EventId id, Settled how) {
              ended.add({id, how});
            }};
  }
  void expect_each_ended_once(std::size_t events) {
    std::set<EventId> once;
    for (const auto& [id, how] : ended.all()) EXPECT_TRUE(once.insert(id).second) << to_string(id);
    EXPECT_EQ(once.size(), events);
  }
  Runs inside;
  Settlements ended;
  Collected<StopReason> reasons;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Abandoning);

TEST_P(Abandoning, GivesTheEventToAnotherWorkerAndTheLateAckAndItsTxLose) {
  open();
  Signal second_is_in;
  const auto s = must(bus->subscribe(
      {.name = "s", .types = {"a.b"}, .retry = retry_at_once(50), .abandon_after = kShort},
      [&](Delivery& delivery) {
        inside.note(delivery);
        delivery.tx().state().put("winner", std::to_string(delivery.attempt()));
        delivery.tx().publish(
            {.type = "by.attempt", .payload = std::to_string(delivery.attempt())});
        if (delivery.attempt() > 1) {
          second_is_in.set();
          return Outcome::ack();
        }
        second_is_in.wait();
        let_go.wait();
        reasons.add(delivery.stop_reason());
        return Outcome::ack();
      }));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(inside.all()[0].attempt, 1U);
  EXPECT_EQ(inside.all()[1].attempt, 2U);
  const auto winner = must(bus->state("s", "winner"));
  EXPECT_NE(winner, "1");
  const auto retried = stats_of("s").retried;
  EXPECT_GE(retried, 1U);
  const auto running = bus->stats().running;
  ASSERT_FALSE(running.empty());
  EXPECT_TRUE(running[0].abandoned);
  let_go.set();
  ASSERT_TRUE(reasons.wait_for_count(1));
  EXPECT_EQ(reasons.all()[0], StopReason::timed_out);
  must(bus->drain());
  EXPECT_EQ(must(bus->state("s", "winner")), winner) << "the late tx is refused";
  EXPECT_EQ(stats_of("s").retried, retried);
  std::size_t by_first = 0;
  must(bus->scan({.types = {"by.attempt"}}, [&](const EventView& event, EventState) {
    by_first += event.payload_text() == "1" ? 1U : 0U;
    return true;
  }));
  EXPECT_EQ(by_first, 0U);
}

TEST_P(Abandoning, TellsTheDeferredThatItsAnswerIsStale) {
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  const auto s = must(bus->subscribe(
      {.name = "s", .retry = retry_at_once(5), .abandon_after = kShort}, [&](Delivery& delivery) {
        if (delivery.attempt() > 1) return Outcome::ack();
        owed.add(std::make_shared<Deferred>(delivery.defer()));
        return Outcome::ack();
      }));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  const auto deferred = owed.all()[0];
  EXPECT_EQ(deferred->stop_reason(), StopReason::timed_out);
  EXPECT_TRUE(fails(deferred->settle(Outcome::reject("late")), StatusCode::stale));
  must(bus->drain());
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
}

TEST_P(Abandoning, BuriesTheEventAfterItsLastAttemptWithTheReason) {
  options.workers = Workers::single();
  open();
  const auto s = must(
      bus->subscribe({.name = "s", .retry = retry_at_once(2), .abandon_after = kShort}, deaf()));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].attempts, 2U);
  EXPECT_EQ(letters[0].reason, "abandoned after 20 ms");
  EXPECT_EQ(stats_of("s").retried, 1U);
  EXPECT_EQ(inside.size(), 2U);
  // Both still run, and are waited for.
  EXPECT_TRUE(
      fails(bus->drain(milliseconds(1)), StatusCode::deadline_exceeded, {to_string(receipt.id)}));
  let_go.set();
  EXPECT_TRUE(is_ok(bus->drain()));
  EXPECT_EQ(state_of(receipt.id), EventState::dead);
}

TEST_P(Abandoning, GivesTheSlotFreeOnce) {
  options.workers.low = 8;
  open();
  std::atomic<int> at_once{0};
  std::atomic<int> most{0};
  const auto s = must(bus->subscribe({.name = "s",
                                      .types = {"to.s"},
                                      .retry = retry_at_once(1),
                                      .abandon_after = milliseconds(500)},
                                     [&](Delivery& delivery) {
                                       inside.note(delivery);
                                       if (delivery.event().payload_text() == "0") {
                                         let_go.wait();
                                         return Outcome::ack();
                                       }
                                       const int now = ++at_once;
                                       for (int seen = most;
                                            now > seen && !most.compare_exchange_weak(seen, now);) {
                                       }
                                       --at_once;
                                       return Outcome::ack();
                                     }));
  publish_many("to.s", 2);
  ASSERT_TRUE(inside.wait_for_count(2)) << "the slot of the first is free";
  let_go.set();
  ASSERT_TRUE(eventually([&] { return bus->stats().running.empty(); }));
  publish_many("to.s", 200);
  ASSERT_TRUE(inside.wait_for_count(202));
  must(bus->drain());
  EXPECT_EQ(most, 1) << "concurrency is 1";
}

TEST_P(Abandoning, TakesNothingFromWhoAnswersInTime) {
  open();
  const auto s = must(bus->subscribe(
      {.name = "s", .retry = retry_at_once(5), .timeout = kShort, .abandon_after = hours(1)},
      [&](Delivery& delivery) {
        inside.note(delivery);
        EXPECT_TRUE(eventually([&] { return delivery.stop_token().stop_requested(); }));
      }));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(inside.size(), 1U);
  EXPECT_EQ(stats_of("s").retried, 0U);
}

TEST_P(Abandoning, RacedWithItsDeferredEndsEachEventOnce) {
  // One, which is at another event when a `Deferred` is the last that knows of its own.
  options.workers = {.critical = 0, .high = 0, .normal = 0, .low = 1};
  open();
  constexpr std::size_t kTogether = 16;
  constexpr std::size_t kRounds = 50;
  Collected<std::shared_ptr<Deferred>> owed;
  const auto s = must(bus->subscribe(raced(kTogether), [&](Delivery& delivery) {
    if (delivery.attempt() == 1) owed.add(std::make_shared<Deferred>(delivery.defer()));
    return Outcome::ack();
  }));
  for (std::size_t round = 0; round < kRounds; ++round) {
    (void)publish_many("a.b", kTogether);
    ASSERT_TRUE(owed.wait_for_count((round + 1) * kTogether));
    const auto deferred = owed.all();
    const auto first = round * kTogether;
    ASSERT_TRUE(eventually([&] { return deferred[first]->stop_token().stop_requested(); }));
    // At about the moment at which they are abandoned.
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(30 * round);
    while (std::chrono::steady_clock::now() < until) continue;
    for (auto i = first; i < deferred.size(); ++i) (void)deferred[i]->settle(Outcome::ack());
    ASSERT_TRUE(ended.wait_for_count((round + 1) * kTogether));
  }
  expect_each_ended_once(kRounds * kTogether);
  EXPECT_TRUE(eventually([&] { return bus->stats().running.empty(); }));
}

TEST_P(Abandoning, RacedWithAnswersEndsEachEventOnce) {
  options.workers.low = 4;
  options.replaced_workers_max = 4;
  open();
  constexpr std::size_t kEvents = 400;
  Collected<std::shared_ptr<Deferred>> owed;
  std::atomic<bool> over{false};
  const auto s = must(bus->subscribe(raced(8), [&](Delivery& delivery) {
    delivery.progress(0.5, "half");
    if (delivery.event().id.sequence % 3 == 0) {
      owed.add(std::make_shared<Deferred>(delivery.defer()));
    } else if (delivery.event().id.sequence % 3 == 1) {
      // Answers at about the moment at which it is abandoned.
      EXPECT_TRUE(eventually([&] { return delivery.stop_token().stop_requested(); }));
    }
    return Outcome::ack();
  }));
  std::jthread answering([&] {
    for (std::size_t next = 0; !over || next < owed.size();) {
      if (next == owed.size()) {
        std::this_thread::yield();
        continue;
      }
      (void)owed.all()[next++]->settle(Outcome::ack());
      (void)bus->stats();
    }
  });
  const auto batch = publish_many("a.b", kEvents);
  EXPECT_TRUE(ended.wait_for_count(kEvents));
  over = true;
  answering.join();
  EXPECT_TRUE(is_ok(bus->drain()));
  expect_each_ended_once(kEvents);
  for (const auto& lane : stats_of("s").lanes) {
    EXPECT_EQ(lane.leased, 0U);
    EXPECT_EQ(lane.ready + lane.scheduled, 0U);
  }
  EXPECT_TRUE(eventually([&] { return bus->stats().running.empty(); }));
  EXPECT_EQ(bus->stats().replaced_workers, 0U);
}

class AbandoningOnDisk : public DiskBusTest {};

TEST_F(AbandoningOnDisk, EventThatWasWithTwoHandlersWhenTheProcessDiedIsAccusedOnce) {
  open();
  const RetryPolicy last_but_one{.attempts_max = 2};
  auto before = must(bus->subscribe({.name = "s", .retry = last_but_one},
                                    [](Delivery&) { return Outcome::retry_after(hours(1)); }));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(eventually([&] { return state_of(receipt.id) == EventState::scheduled; }));
  before.end();
  must(bus->close());
  {
    // As the process would have left them.
    const auto file = std::filesystem::path(path()) / "running.slots";
    const auto slots = must(runtime::RunningSlots::create(file, base::boot_id(), 3));
    slots->begin(0, {{1}, receipt.id, false});
    slots->begin(2, {{1}, receipt.id, false});
  }
  bus.reset();
  open();
  ASSERT_EQ(bus->recovery().suspects.size(), 1U);
  EXPECT_EQ(bus->recovery().suspects[0].event, receipt.id);
  EXPECT_EQ(bus->recovery().suspects[0].attempt, 2U);
  EXPECT_TRUE(bus->recovery().suspects[0].dead);
  EXPECT_EQ(must(bus->dead_letters()).size(), 1U);
  const auto stats = stats_of("s");
  for (const auto& lane : stats.lanes) EXPECT_EQ(lane.ready + lane.scheduled, 0U);
  EXPECT_EQ(stats.lanes[static_cast<std::size_t>(Priority::normal)].dead, 1U);
}

}  // namespace
}  // namespace holdfast::testing
