// SPDX-License-Identifier: MIT
// Runs that take too long: what the clock does to them, and what it never does.
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "runtime/running_slots.h"
#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kShort{20};

class Overrunning : public BusTest {
 protected:
  ~Overrunning() override { let_go.set(); }
  /// Stays until it is let go, whoever asks it to stop.
  Handler deaf(Outcome outcome = Outcome::ack()) {
    return [this, outcome](Delivery& delivery) {
      inside.note(delivery);
      let_go.wait();
      reasons.add(delivery.stop_reason());
      return outcome;
    };
  }
  /// Stays until its token asks it to stop.
  Handler until_asked(Outcome outcome) {
    return [this, outcome](Delivery& delivery) {
      inside.note(delivery);
      Signal stop;
      const std::stop_callback callback(delivery.stop_token(), [&] { stop.set(); });
      stop.wait();
      reasons.add(delivery.stop_reason());
      return outcome;
    };
  }
  bool becomes_stuck(std::size_t count = 1) {
    return eventually([&] { return bus->stats().stuck.size() == count; });
  }
  Runs inside;
  Collected<StopReason> reasons;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Overrunning);

TEST_P(Overrunning, HandlerGetsItsStopTokenAndIsToldWhy) {
  open();
  const auto s =
      must(bus->subscribe({.name = "s", .timeout = kShort}, until_asked(Outcome::ack())));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(reasons.all(), std::vector{StopReason::timed_out});
  EXPECT_EQ(state_of(receipt.id), EventState::settled) << "a late ack counts";
  EXPECT_EQ(inside.size(), 1U);
}

TEST_P(Overrunning, HandlerThatIsQuickEnoughIsNotAsked) {
  open();
  const auto s =
      must(bus->subscribe({.name = "s", .timeout = kHandlerTimeoutMax},
                          [&](Delivery& delivery) { reasons.add(delivery.stop_reason()); }));
  publish_many("a.b", 100);
  ASSERT_TRUE(reasons.wait_for_count(100));
  for (const auto reason : reasons.all()) EXPECT_EQ(reason, StopReason::none);
  EXPECT_TRUE(bus->stats().stuck.empty());
}

TEST_P(Overrunning, NextRunBeginsWithATokenThatAsksNothing) {
  options.workers = Workers::single();
  open();
  Collected<std::pair<std::uint32_t, StopReason>> at_first;
  // Long enough for a run to look at its token before it is over.
  const auto s = must(bus->subscribe(
      {.name = "s", .retry = retry_at_once(5), .timeout = 15 * kShort}, [&](Delivery& delivery) {
        at_first.add({delivery.attempt(), delivery.stop_reason()});
        EXPECT_FALSE(delivery.stop_token().stop_requested());
        if (delivery.attempt() == 3) return Outcome::ack();
        EXPECT_TRUE(eventually([&] { return delivery.stop_token().stop_requested(); }));
        return Outcome::stopped();
      }));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(at_first.all(),
            (std::vector<std::pair<std::uint32_t, StopReason>>{
                {1, StopReason::none}, {2, StopReason::none}, {3, StopReason::none}}));
}

TEST_P(Overrunning, StoppedAfterATimeOutIsAFailedAttempt) {
  open();
  const auto s = must(bus->subscribe({.name = "s", .retry = retry_at_once(1), .timeout = kShort},
                                     until_asked(Outcome::stopped())));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::dead);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].attempts, 1U);
  EXPECT_NE(letters[0].reason.find("time-out"), std::string::npos) << letters[0].reason;
}

TEST_P(Overrunning, TimeAloneNeverRunsAnEventTwiceAtOnce) {
  open();
  const auto s = must(bus->subscribe(
      {.name = "s", .concurrency = 4, .retry = retry_at_once(5), .timeout = kShort}, deaf()));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(becomes_stuck());
  // Others go by; the one that is stuck is with its handler and nobody else.
  Collected<int> others;
  const auto t = must(bus->subscribe({.name = "t"}, [&](Delivery&) { others.add(0); }));
  publish_many("c.d", 3);
  ASSERT_TRUE(others.wait_for_count(4));
  std::size_t runs = 0;
  for (const auto& id : inside.ids()) runs += id == receipt.id ? 1U : 0U;
  EXPECT_EQ(runs, 1U);
  EXPECT_EQ(state_of(receipt.id), EventState::leased);
  let_go.set();
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(stats_of("s").retried, 0U);
}

TEST_P(Overrunning, IsToldAsStuckWithItsAgeAndAsRunning) {
  open();
  const auto s = must(bus->subscribe({.name = "slow one", .timeout = kShort}, deaf()));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(becomes_stuck());
  const auto stats = bus->stats();
  EXPECT_EQ(stats.stuck[0].subscription, "slow one");
  EXPECT_EQ(stats.stuck[0].event, receipt.id);
  EXPECT_EQ(stats.stuck[0].attempt, 1U);
  EXPECT_GE(stats.stuck[0].running_for, kShort);
  ASSERT_EQ(stats.running.size(), 1U);
  EXPECT_TRUE(stats.running[0].timed_out);
  EXPECT_FALSE(stats.running[0].abandoned);
  let_go.set();
  ASSERT_TRUE(becomes_stuck(0));
  EXPECT_TRUE(eventually([&] { return bus->stats().running.empty(); }));
}

TEST_P(Overrunning, DeferredIsAskedAndToldAsWellAndItsLateAckCounts) {
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  const auto s = must(bus->subscribe({.name = "s", .timeout = kShort}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  const auto deferred = owed.all()[0];
  EXPECT_TRUE(eventually([&] { return deferred->stop_token().stop_requested(); }));
  EXPECT_EQ(deferred->stop_reason(), StopReason::timed_out);
  ASSERT_TRUE(becomes_stuck());
  EXPECT_EQ(bus->stats().stuck[0].event, receipt.id);
  EXPECT_EQ(bus->stats().replaced_workers, 0U) << "it keeps no thread";
  EXPECT_TRUE(is_ok(deferred->settle(Outcome::ack())));
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
  EXPECT_TRUE(bus->stats().stuck.empty());
}

TEST_P(Overrunning, CallbackThatBlocksHoldsUpNeitherTheClockNorTheCommitter) {
  open();
  Signal called;
  const auto s = must(
      bus->subscribe({.name = "s", .types = {"to.s"}, .timeout = kShort}, [&](Delivery& delivery) {
        const std::stop_callback callback(delivery.stop_token(), [&] {
          called.set();
          let_go.wait();
        });
        let_go.wait();
      }));
  publish("to.s");
  ASSERT_TRUE(called.wait());
  // A retry needs both: the commit that parks it, and the clock that finds it due.
  const auto t = must(
      bus->subscribe({.name = "t", .types = {"to.t"}, .retry = {.backoff_first = milliseconds(1)}},
                     [&](Delivery& delivery) {
                       inside.note(delivery);
                       return delivery.attempt() < 3 ? Outcome::retry() : Outcome::ack();
                     }));
  const auto receipt = publish("to.t");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(inside.size(), 3U);
  let_go.set();
}

// --- The thread in its place --------------------------------------------------------------------

TEST_P(Overrunning, DoesNotKeepOthersFromRunningOnTheOnlyWorker) {
  options.workers = Workers::single();
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"to.s"}, .timeout = kShort}, deaf()));
  Collected<int> others;
  const auto t =
      must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery&) { others.add(0); }));
  publish_many("to.s", 2);
  ASSERT_TRUE(inside.wait_for_count(1));
  publish_many("to.t", 50);
  ASSERT_TRUE(others.wait_for_count(50));
  EXPECT_EQ(bus->stats().replaced_workers, 1U);
  EXPECT_EQ(inside.size(), 1U) << "its slot stays taken";
  let_go.set();
  ASSERT_TRUE(inside.wait_for_count(2));
}

TEST_P(Overrunning, ReturningHandlerGivesItsPlaceBack) {
  options.workers = Workers::single();
  options.replaced_workers_max = 1;
  open();
  // More often than there may be threads in the place of others.
  for (int round = 0; round < 4; ++round) {
    Signal out;
    Signal in;
    auto s =
        must(bus->subscribe({.name = "s", .types = {"to.s"}, .timeout = kShort}, [&](Delivery&) {
          in.set();
          out.wait();
        }));
    Collected<int> others;
    const auto t =
        must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery&) { others.add(0); }));
    publish("to.s");
    ASSERT_TRUE(in.wait()) << "in round " << round;
    publish("to.t");
    ASSERT_TRUE(others.wait_for_count(1)) << "in round " << round;
    EXPECT_EQ(bus->stats().replaced_workers, 1U);
    out.set();
    ASSERT_TRUE(eventually([&] { return bus->stats().replaced_workers == 0; }));
  }
}

TEST_P(Overrunning, NoMorePlacesAreTakenThanAllowed) {
  options.workers = Workers::single();
  options.replaced_workers_max = 2;
  open();
  const auto s = must(bus->subscribe(
      {.name = "s", .types = {"to.s"}, .concurrency = 10, .timeout = kShort}, deaf()));
  Collected<int> others;
  const auto t =
      must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery&) { others.add(0); }));
  publish_many("to.s", 9);
  ASSERT_TRUE(inside.wait_for_count(3));
  ASSERT_TRUE(becomes_stuck(3));
  publish("to.t", {}, Priority::critical);
  EXPECT_EQ(bus->stats().replaced_workers, 2U);
  EXPECT_EQ(inside.size(), 3U);
  EXPECT_EQ(others.size(), 0U);
  let_go.set();
  ASSERT_TRUE(others.wait_for_count(1));
  ASSERT_TRUE(inside.wait_for_count(9));
  EXPECT_TRUE(eventually([&] { return bus->stats().replaced_workers == 0; }));
}

TEST_P(Overrunning, WithNoneAllowedNobodyTakesItsPlace) {
  options.workers = Workers::single();
  options.replaced_workers_max = 0;
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"to.s"}, .timeout = kShort}, deaf()));
  Collected<int> others;
  const auto t =
      must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery&) { others.add(0); }));
  publish("to.s");
  ASSERT_TRUE(inside.wait_for_count(1));
  publish("to.t");
  ASSERT_TRUE(becomes_stuck());
  EXPECT_EQ(bus->stats().replaced_workers, 0U);
  EXPECT_EQ(others.size(), 0U);
  let_go.set();
  ASSERT_TRUE(others.wait_for_count(1));
}

TEST_P(Overrunning, StuckAfterIsTheLineOfThoseWithoutATimeOut) {
  options.workers = Workers::single();
  options.stuck_after = seconds(1);
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"to.s"}}, deaf()));
  Collected<int> others;
  const auto t =
      must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery&) { others.add(0); }));
  publish("to.s");
  ASSERT_TRUE(inside.wait_for_count(1));
  publish("to.t");
  ASSERT_TRUE(others.wait_for_count(1));
  let_go.set();
  ASSERT_TRUE(reasons.wait_for_count(1));
  EXPECT_EQ(reasons.all()[0], StopReason::none) << "nobody has asked it to stop";
}

TEST_P(Overrunning, BusClosesWithHandlersThatWereReplaced) {
  options.workers = Workers::single();
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"to.s"}, .timeout = kShort}, deaf()));
  publish("to.s");
  ASSERT_TRUE(eventually([&] { return bus->stats().replaced_workers == 1; }));
  let_go.set();
  EXPECT_TRUE(is_ok(bus->close()));
  EXPECT_EQ(bus->stats().replaced_workers, 0U);
}

class OverrunningOnDisk : public DiskBusTest {};

TEST_F(OverrunningOnDisk, HandlerInThePlaceOfAnotherIsFoundBesideItAfterACrash) {
  options.workers = Workers::single();
  options.replaced_workers_max = 1;
  open();
  Runs inside;
  Signal let_go;
  const auto s = must(
      bus->subscribe({.name = "s", .concurrency = 2, .timeout = kShort}, [&](Delivery& delivery) {
        inside.note(delivery);
        let_go.wait();
      }));
  const auto first = publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  const auto second = publish("a.b", {}, Priority::critical);
  ASSERT_TRUE(inside.wait_for_count(2));
  // What the next process would read if this one were killed now.
  const auto left = runtime::RunningSlots::left_behind(
      std::filesystem::path(path()) / "running.slots", base::boot_id());
  std::vector<EventId> events;
  for (const auto& each : left) events.push_back(each.event);
  EXPECT_EQ(events, (std::vector{first.id, second.id}));
  let_go.set();
}

// --- Bad input ----------------------------------------------------------------------------------

TEST_P(Overrunning, TimeOutsOutOfRangeAreNamed) {
  open();
  const auto refused = [&](milliseconds timeout, milliseconds abandon_after,
                           const std::vector<std::string>& parts) {
    EXPECT_TRUE(
        fails(bus->subscribe({.name = "s", .timeout = timeout, .abandon_after = abandon_after},
                             [](Delivery&) {}),
              StatusCode::invalid_argument, parts));
  };
  refused(milliseconds(-1), milliseconds(0), {"timeout is -1 ms", "1 to 2592000000"});
  refused(kHandlerTimeoutMax + milliseconds(1), milliseconds(0),
          {"timeout is 2592000001 ms", "2592000000"});
  refused(milliseconds::max(), milliseconds(0), {"timeout is 9223372036854775807"});
  refused(milliseconds(0), milliseconds(-5), {"abandon_after is -5 ms"});
  refused(milliseconds(0), kHandlerTimeoutMax + milliseconds(1),
          {"abandon_after is 2592000001 ms", "2592000000"});
  refused(milliseconds(20), milliseconds(19), {"abandon_after is 19 ms", "timeout", "20 ms"});
  EXPECT_TRUE(is_ok(bus->subscribe(
      {.name = "s", .timeout = kHandlerTimeoutMax, .abandon_after = kHandlerTimeoutMax},
      [](Delivery&) {})));
}

TEST_P(Overrunning, MoreReplacedWorkersThanTheLimitAreRefused) {
  options.replaced_workers_max = kReplacedWorkersMax + 1;
  EXPECT_TRUE(fails(Bus::open(path(), options), StatusCode::invalid_argument,
                    {"replaced_workers_max is 1025", "1024"}));
}

}  // namespace
}  // namespace holdfast::testing
