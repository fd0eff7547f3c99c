// SPDX-License-Identifier: MIT
// Asking a handler to stop: whom it reaches, why, and on which thread it is told.
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/stop_request.h"
#include "runtime/subscription_handle.h"
#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using internal::StopRequest;
using std::chrono::milliseconds;

TEST(StopRequesting, FirstReasonHolds) {
  StopRequest request;
  EXPECT_EQ(request.reason(), StopReason::none);
  EXPECT_TRUE(request.note(StopReason::timed_out));
  EXPECT_FALSE(request.note(StopReason::shutdown));
  EXPECT_EQ(request.reason(), StopReason::timed_out);
}

TEST(StopRequesting, TokenThatIsAskedForLaterFindsItselfAsked) {
  StopRequest request;
  request.note(StopReason::cancelled);
  request.tell();
  EXPECT_TRUE(request.token().stop_requested());
}

TEST(StopRequesting, TokenThatIsAskedForBetweenNotingAndTellingFindsItselfAsked) {
  StopRequest request;
  request.note(StopReason::cancelled);
  const auto token = request.token();
  EXPECT_TRUE(token.stop_requested());
  request.tell();
  EXPECT_TRUE(token.stop_requested());
}

TEST(StopRequesting, CallbackRunsWhenItIsToldAndNotWhenItIsNoted) {
  StopRequest request;
  int calls = 0;
  bool inside = false;
  const std::stop_callback callback(request.token(), [&] {
    ++calls;
    inside = internal::inside_callback();
  });
  request.note(StopReason::shutdown);
  EXPECT_EQ(calls, 0);
  request.tell();
  request.tell();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(inside) << "what waits for a commit must be refused there";
}

TEST(StopRequesting, NextRunIsNotAskedByWhatTheLastOneWas) {
  StopRequest request;
  const auto last = request.token();
  request.note(StopReason::timed_out);
  request.reset();
  const auto next = request.token();
  EXPECT_EQ(request.reason(), StopReason::none);
  EXPECT_FALSE(next.stop_requested());
  EXPECT_FALSE(last == next);
  request.note(StopReason::shutdown);
  request.tell();
  EXPECT_TRUE(next.stop_requested());
  EXPECT_FALSE(last.stop_requested());
}

class Stopping : public BusTest {
 protected:
  ~Stopping() override { let_go.set(); }
  /// Stays until it is asked to stop, and tells why.
  Handler until_asked() {
    return [this](Delivery& delivery) {
      Signal stop;
      const std::stop_callback callback(delivery.stop_token(), [&] {
        told_on.add(std::this_thread::get_id());
        stop.set();
      });
      inside.note(delivery);
      stop.wait();
      reasons.add(delivery.stop_reason());
      return Outcome::stopped();
    };
  }
  Runs inside;
  Collected<StopReason> reasons;
  Collected<std::thread::id> told_on;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Stopping);

TEST_P(Stopping, NobodyIsAskedWithoutAReason) {
  open();
  Collected<std::pair<StopReason, bool>> found;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    found.add({delivery.stop_reason(), delivery.stop_token().stop_requested()});
  }));
  publish("a.b");
  ASSERT_TRUE(found.wait_for_count(1));
  EXPECT_EQ(found.all()[0], std::pair(StopReason::none, false));
}

TEST_P(Stopping, DrainTellsThatItIsAShutdown) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, until_asked()));
  publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  must(bus->drain());
  ASSERT_EQ(reasons.size(), 1U);
  EXPECT_EQ(reasons.all()[0], StopReason::shutdown);
}

TEST_P(Stopping, EndOfASubscriptionAsksItsOwnRunsAndNobodyElses) {
  options.workers.low = 3;
  open();
  auto s = must(bus->subscribe({.name = "s", .types = {"to.s"}, .concurrency = 3}, until_asked()));
  const auto t = must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery& delivery) {
    inside.note(delivery);
    let_go.wait();
    reasons.add(delivery.stop_reason());
  }));
  publish("to.t");
  publish_many("to.s", 2);
  ASSERT_TRUE(inside.wait_for_count(3));
  s.end();
  EXPECT_EQ(reasons.all(), (std::vector{StopReason::shutdown, StopReason::shutdown}));
  let_go.set();
  ASSERT_TRUE(reasons.wait_for_count(3));
  EXPECT_EQ(reasons.all()[2], StopReason::none);
}

TEST_P(Stopping, WhoAsksForTheTokenAfterwardsFindsItAsked) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    inside.note(delivery);
    EXPECT_TRUE(eventually([&] { return delivery.stop_reason() != StopReason::none; }));
    EXPECT_TRUE(delivery.stop_token().stop_requested());
    return Outcome::stopped();
  }));
  publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  must(bus->drain());
}

TEST_P(Stopping, CallbackNeverRunsOnTheCommittersThread) {
  open();
  Collected<std::thread::id> committer;
  auto asked = must(bus->subscribe({.name = "asked", .types = {"to.asked"}}, until_asked()));
  // Ends the other one from where the outcomes of commits are told.
  const auto ending = must(bus->subscribe({.name = "ending",
                                           .types = {"to.ending"},
                                           .on_settled =
                                               [&](EventId, Settled) {
                                                 asked.end();
                                                 committer.add(std::this_thread::get_id());
                                               }},
                                          [](Delivery&) {}));
  publish("to.asked");
  ASSERT_TRUE(inside.wait_for_count(1));
  publish("to.ending", {}, Priority::high);
  ASSERT_TRUE(committer.wait_for_count(1));
  ASSERT_EQ(told_on.size(), 1U);
  EXPECT_NE(told_on.all()[0], committer.all()[0]);
  EXPECT_EQ(reasons.all()[0], StopReason::shutdown);
}

TEST_P(Stopping, InsideACallbackNothingWaitsForItself) {
  open();
  Collected<std::vector<Status>> said;
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    Signal stop;
    const std::stop_callback callback(delivery.stop_token(), [&] {
      said.add({bus->publish("a.b", {}).status(), bus->drain(), bus->close(),
                bus->wait_settled({Priority::normal, 1}, std::chrono::hours(1))});
      stop.set();
    });
    inside.note(delivery);
    stop.wait();
    return Outcome::stopped();
  }));
  publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  must(bus->drain());
  ASSERT_EQ(said.size(), 1U);
  const auto all = said.all().at(0);
  for (const auto& status : all) {
    EXPECT_TRUE(fails(status, StatusCode::conflict, {"callback"}));
  }
}

TEST_P(Stopping, DeferredIsAskedAsWell) {
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  const auto deferred = owed.all()[0];
  EXPECT_EQ(deferred->stop_reason(), StopReason::none);
  s.end();
  EXPECT_EQ(deferred->stop_reason(), StopReason::shutdown);
  EXPECT_TRUE(deferred->stop_token().stop_requested());
  EXPECT_EQ(Deferred().stop_reason(), StopReason::none);
  must(deferred->settle(Outcome::stopped()));
}

TEST_P(Stopping, DeferredThatNobodyAnswersMayGoWhenTheBusIsClosed) {
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  auto s = must(bus->subscribe({.name = "s", .concurrency = 8}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  publish_many("a.b", 5);
  ASSERT_TRUE(owed.wait_for_count(5));
  EXPECT_EQ(bus->stats().running.size(), 5U);
  must(bus->close());
  EXPECT_TRUE(bus->stats().running.empty());
  s.end();
}

TEST_P(Stopping, RunsAreToldWhileTheyLastTheLongestFirst) {
  open();
  const auto s =
      must(bus->subscribe({.name = "s", .types = {"to.s"}, .concurrency = 2}, until_asked()));
  Collected<std::shared_ptr<Deferred>> owed;
  const auto t = must(bus->subscribe({.name = "t", .types = {"to.t"}}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  const auto first = publish("to.s");
  ASSERT_TRUE(inside.wait_for_count(1));
  const auto second = publish("to.t");
  ASSERT_TRUE(eventually([&] {
    const auto running = bus->stats().running;
    return running.size() == 2 && running[1].deferred;
  }));
  const auto running = bus->stats().running;
  EXPECT_EQ(running[0].subscription, "s");
  EXPECT_EQ(running[0].event, first.id);
  EXPECT_EQ(running[0].attempt, 1U);
  EXPECT_FALSE(running[0].deferred);
  EXPECT_EQ(running[1].subscription, "t");
  EXPECT_EQ(running[1].event, second.id);
  EXPECT_GE(running[0].running_for, running[1].running_for);
  must(owed.all()[0]->settle(Outcome::ack()));
  EXPECT_EQ(bus->stats().running.size(), 1U);
}

}  // namespace
}  // namespace holdfast::testing
