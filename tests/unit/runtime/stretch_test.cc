// SPDX-License-Identifier: MIT
// Events that a worker gives to a handler one after the other, in one go: nobody may notice, but
// for the speed. Each test stops the handler of a thousand quick events in the midst of them.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using namespace std::chrono_literals;

class Stretches : public BusTest {
 protected:
  static constexpr std::size_t kEvents = 1'000;
  static constexpr std::size_t kStopAt = 500;

  /// Notes each event, and is inside of `kStopAt` until it is let go.
  Subscription subscribe() {
    return must(bus->subscribe({.name = "s"}, [this](Delivery& delivery) {
      runs.note(delivery);
      if (delivery.event().payload_text() != std::to_string(kStopAt)) return;
      inside.set();
      go_on.wait();
    }));
  }
  /// Likewise, but it is let go when its delivery is asked to stop.
  Subscription subscribe_stopping() {
    return must(bus->subscribe({.name = "s"}, [this](Delivery& delivery) {
      runs.note(delivery);
      if (delivery.event().payload_text() != std::to_string(kStopAt)) return;
      inside.set();
      const auto token = delivery.stop_token();
      EXPECT_TRUE(eventually([&] { return token.stop_requested(); }));
    }));
  }
  void publish_all() {
    for (const auto& receipt : publish_many("a.b", kEvents).receipts) ids.push_back(receipt.id);
  }
  /// From `first` on, but for one of them.
  [[nodiscard]] static std::vector<std::string> numbers(std::size_t first, std::size_t end,
                                                        std::size_t but = kEvents) {
    std::vector<std::string> numbers;
    for (; first < end; ++first) {
      if (first != but) numbers.push_back(std::to_string(first));
    }
    return numbers;
  }

  Runs runs;
  Signal inside;
  Signal go_on;
  std::vector<EventId> ids;
};
HOLDFAST_ON_BOTH_STORES(Stretches);

TEST_P(Stretches, GiveEachEventOnceAndInOrder) {
  open();
  go_on.set();
  const auto s = subscribe();
  publish_all();
  ASSERT_TRUE(runs.wait_for_count(kEvents));
  must(bus->drain());
  EXPECT_EQ(runs.payloads(), numbers(0, kEvents));
  EXPECT_EQ(stats_of("s").acked, kEvents);
}

// Only between two commits is there something to forget, so it is tried a few times.
TEST_P(Stretches, WhatWasAnsweredDoesNotComeAgainToWhoSubscribesAnew) {
  options.ack_linger = 0ms;
  open();
  publish_all();
  for (int round = 0; round < 30; ++round) {
    const auto name = "s" + std::to_string(round);
    Signal known;
    Signal ended;
    Signal let_go;
    Subscription s;
    s = must(bus->subscribe({.name = name}, [&](Delivery& delivery) {
      if (delivery.event().payload_text() != std::to_string(kStopAt)) return;
      known.wait();
      s.end();
      ended.set();
      let_go.wait();
    }));
    known.set();
    ASSERT_TRUE(ended.wait());
    Runs again;
    const auto anew =
        must(bus->subscribe({.name = name}, [&](Delivery& delivery) { again.note(delivery); }));
    let_go.set();
    ASSERT_TRUE(again.wait_for_count(kEvents - kStopAt));
    ASSERT_TRUE(eventually([&] { return stats_of(name).acked == kEvents; }));
    EXPECT_EQ(again.payloads(), numbers(kStopAt, kEvents));
  }
}

TEST_P(Stretches, WhatIsMoreUrgentGoesBeforeTheRest) {
  open();
  // Where it has come to a handler, it has come to everybody.
  Signal offered;
  const auto other = must(bus->subscribe({.types = {"urgent"}}, [&](Delivery&) { offered.set(); }));
  const auto s = subscribe();
  publish_all();
  ASSERT_TRUE(inside.wait());
  publish("urgent", "urgent", Priority::critical);
  ASSERT_TRUE(offered.wait());
  go_on.set();
  ASSERT_TRUE(runs.wait_for_count(kEvents + 1));
  auto order = numbers(0, kEvents);
  order.insert(order.begin() + kStopAt + 1, "urgent");
  EXPECT_EQ(runs.payloads(), order);
}

TEST_P(Stretches, ACancelPreventsWhatIsBehindTheOneThatRuns) {
  open();
  const auto s = subscribe();
  publish_all();
  ASSERT_TRUE(inside.wait());
  EXPECT_EQ(must(bus->cancel(ids[kStopAt + 1])).outcome, CancelOutcome::prevented);
  EXPECT_EQ(must(bus->cancel(ids[kStopAt])).outcome, CancelOutcome::signalled);
  EXPECT_EQ(must(bus->cancel(ids[kStopAt - 1])).outcome, CancelOutcome::too_late);
  go_on.set();
  ASSERT_TRUE(runs.wait_for_count(kEvents - 1));
  must(bus->drain());
  EXPECT_EQ(runs.payloads(), numbers(0, kEvents, kStopAt + 1));
  EXPECT_EQ(state_of(ids[kStopAt + 1]), EventState::cancelled);
}

TEST_P(Stretches, ADeferredKeepsTheSlot) {
  open();
  Deferred deferred;
  const auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery& delivery) {
    runs.note(delivery);
    if (delivery.event().payload_text() != std::to_string(kStopAt)) return Outcome::ack();
    deferred = delivery.defer();
    inside.set();
    return Outcome::ack();
  }));
  publish_all();
  ASSERT_TRUE(inside.wait());
  give_every_worker_an_occasion();
  EXPECT_EQ(runs.size(), kStopAt + 1);
  EXPECT_EQ(stats_of("s").lanes[2].leased, 1U);
  must(deferred.settle(Outcome::ack()));
  ASSERT_TRUE(runs.wait_for_count(kEvents));
  must(bus->drain());
  EXPECT_EQ(runs.payloads(), numbers(0, kEvents));
  EXPECT_EQ(stats_of("s").acked, kEvents);
}

TEST_P(Stretches, EndTheirSubscriptionWithTheOneThatRuns) {
  open();
  {
    auto s = subscribe_stopping();
    publish_all();
    ASSERT_TRUE(inside.wait());
    s.end();
    EXPECT_EQ(runs.size(), kStopAt + 1);
  }
  go_on.set();
  const auto again = subscribe();
  ASSERT_TRUE(runs.wait_for_count(kEvents));
  must(bus->drain());
  EXPECT_EQ(runs.payloads(), numbers(0, kEvents));
}

TEST_P(Stretches, OnlyTheOneThatRunsIsToldAsRunning) {
  open();
  const auto s = subscribe();
  publish_all();
  ASSERT_TRUE(inside.wait());
  const auto stats = bus->stats();
  ASSERT_EQ(stats.running.size(), 1U);
  EXPECT_EQ(stats.running[0].event, ids[kStopAt]);
  EXPECT_EQ(stats_of("s").lanes[2].leased, 1U);
  EXPECT_EQ(state_of(ids[kStopAt]), EventState::leased);
  EXPECT_EQ(state_of(ids[kStopAt + 1]), EventState::ready);
  go_on.set();
  EXPECT_TRUE(runs.wait_for_count(kEvents));
}

TEST_P(Stretches, WhatIsAnsweredDoesNotWaitForTheOneThatRuns) {
  options.ack_linger = 1ms;
  open();
  const auto s = subscribe();
  publish_all();
  ASSERT_TRUE(inside.wait());
  EXPECT_TRUE(eventually([&] { return state_of(ids[kStopAt - 1]) == EventState::settled; }));
  EXPECT_EQ(state_of(ids[kStopAt]), EventState::leased);
  go_on.set();
  EXPECT_TRUE(runs.wait_for_count(kEvents));
}

TEST_P(Stretches, WaitSettledIsToldOfTheEventItWaitsFor) {
  open();
  const auto s = subscribe();
  publish_all();
  ASSERT_TRUE(inside.wait());
  must(bus->wait_settled(ids[kStopAt - 1], kPatience));
  EXPECT_TRUE(fails(bus->wait_settled(ids[kStopAt], 1ms), StatusCode::deadline_exceeded));
  go_on.set();
  must(bus->wait_settled(ids[kStopAt + 1], kPatience));
}

TEST_P(Stretches, EachAnswerCountsAsItIs) {
  open();
  const auto s =
      must(bus->subscribe({.name = "s", .retry = {.attempts_max = 2, .backoff_first = 0ms}},
                          [this](Delivery& delivery) {
                            const auto number =
                                std::stoul(std::string(delivery.event().payload_text()));
                            runs.note(delivery);
                            if (number % 10 == 1) return Outcome::reject("no");
                            if (number % 10 == 2 && delivery.attempt() == 1)
                              return Outcome::retry("again");
                            if (number % 10 == 3) throw std::runtime_error("thrown");
                            delivery.tx().state().put(std::to_string(number), "done");
                            return Outcome::ack();
                          }));
  publish_all();
  ASSERT_TRUE(runs.wait_for_count(kEvents + 2 * kEvents / 10));
  must(bus->drain());
  const auto stats = stats_of("s");
  EXPECT_EQ(stats.acked, kEvents / 10 * 8);
  EXPECT_EQ(stats.rejected, kEvents / 10 * 2);
  for (std::size_t i = 0; i < kEvents; ++i) {
    const auto state = must(bus->state("s", std::to_string(i)));
    EXPECT_EQ(state.has_value(), i % 10 != 1 && i % 10 != 3) << i;
  }
}

TEST_P(Stretches, APauseAndARewindTakeTheRestBack) {
  open();
  auto s = subscribe();
  publish_all();
  ASSERT_TRUE(inside.wait());
  must(bus->pause("s"));
  go_on.set();
  ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].leased == 0; }));
  EXPECT_EQ(runs.size(), kStopAt + 1);
  s.end();
  must(bus->rewind("s", Start::position(ids[kStopAt - 100])));
  must(bus->resume("s"));
  s = subscribe();
  ASSERT_TRUE(runs.wait_for_count(kEvents + 101));
  must(bus->drain());
  auto order = numbers(0, kStopAt + 1);
  const auto rest = numbers(kStopAt - 100, kEvents);
  order.insert(order.end(), rest.begin(), rest.end());
  EXPECT_EQ(runs.payloads(), order);
}

TEST_P(Stretches, ThoseThatAreNotBegunAtTheEndArePendingAtTheNext) {
  if (GetParam() == Store::memory) return;
  open();
  {
    const auto s = subscribe_stopping();
    publish_all();
    ASSERT_TRUE(inside.wait());
    must(bus->close());
  }
  EXPECT_EQ(runs.size(), kStopAt + 1);
  reopen();
  EXPECT_EQ(bus->recovery().pending[2], kEvents - kStopAt - 1);
  go_on.set();
  const auto s = subscribe();
  ASSERT_TRUE(runs.wait_for_count(kEvents));
  must(bus->drain());
  EXPECT_EQ(runs.payloads(), numbers(0, kEvents));
}

}  // namespace
}  // namespace holdfast::testing
