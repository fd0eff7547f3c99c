// SPDX-License-Identifier: MIT
// What a handler answers, and what becomes of its event then.
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class Answering : public BusTest {
 protected:
  /// Subscribes "s" with `policy`; `answer` is asked for each run.
  template <typename Answer>
  Subscription subscribe(RetryPolicy policy, Answer answer) {
    return must(bus->subscribe({.name = "s",
                                .retry = policy,
                                .on_settled =
                                    [this](EventId id, Settled how) {
                                      settled.add({id, how});
                                    }},
                               [this, answer](Delivery& delivery) {
                                 runs.note(delivery);
                                 return answer(delivery);
                               }));
  }
  Runs runs;
  Settlements settled;
};
HOLDFAST_ON_BOTH_STORES(Answering);

TEST_P(Answering, AckSettlesAndReturningNothingIsAnAck) {
  open();
  const auto s = subscribe({}, [](Delivery&) { return Outcome::ack(); });
  const auto v = must(bus->subscribe({.name = "v"}, [](Delivery&) {}));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
  EXPECT_EQ(stats_of("s").acked, 1U);
  EXPECT_EQ(stats_of("v").acked, 1U);
}

TEST_P(Answering, RetryComesAgainWithTheNextAttemptUntilItWorks) {
  open();
  const auto s = subscribe(retry_at_once(5), [](Delivery& delivery) {
    return delivery.attempt() < 4 ? Outcome::retry("not yet") : Outcome::ack();
  });
  must(bus->wait_settled(publish("a.b").id, kPatience));
  const auto all = runs.all();
  ASSERT_EQ(all.size(), 4U);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(all[i].attempt, i + 1);
  EXPECT_EQ(stats_of("s").retried, 3U);
  EXPECT_EQ(stats_of("s").acked, 1U);
  EXPECT_EQ(stats_of("s").last_error, "not yet");
}

TEST_P(Answering, FailureAfterTheLastAttemptIsADeadLetterWithItsHistory) {
  open();
  const auto s =
      subscribe(retry_at_once(3), [](Delivery&) { return Outcome::retry("disk on fire"); });
  const auto receipt = must(bus->publish(
      {.type = "a.b", .payload = "body", .priority = Priority::high, .source = Source::user()}));
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(runs.size(), 3U);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].subscription, "s");
  EXPECT_EQ(letters[0].id, receipt.id);
  EXPECT_EQ(letters[0].attempts, 3U);
  EXPECT_EQ(letters[0].reason, "disk on fire");
  EXPECT_GT(letters[0].died_at, 0);
  EXPECT_EQ(letters[0].event.payload, "body");
  EXPECT_EQ(letters[0].event.source_kind, SourceKind::user);
  EXPECT_EQ(state_of(receipt.id), EventState::dead);
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all()[0].second, Settled::dead);
  EXPECT_EQ(stats_of("s").rejected, 1U);
  EXPECT_EQ(stats_of("s").lanes[1].dead, 1U);
  EXPECT_EQ(bus->stats().lanes[1].owed.dead, 1U);
}

TEST_P(Answering, OneAttemptMeansNoRetry) {
  open();
  const auto s = subscribe(retry_at_once(1), [](Delivery&) { return Outcome::retry("once"); });
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_EQ(runs.size(), 1U);
  EXPECT_EQ(must(bus->dead_letters()).size(), 1U);
}

TEST_P(Answering, RejectIsDeadAtOnceWithItsReason) {
  open();
  const auto s = subscribe({}, [](Delivery&) { return Outcome::reject("malformed"); });
  must(bus->wait_settled(publish("a.b").id, kPatience));
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].attempts, 1U);
  EXPECT_EQ(letters[0].reason, "malformed");
}

TEST_P(Answering, ThrowIsAFailedAttemptWithItsWhatAsReason) {
  open();
  const auto s = subscribe(retry_at_once(2), [](Delivery& delivery) -> Outcome {
    if (delivery.event().type == "std") throw std::runtime_error("went wrong");
    throw 42;  // NOLINT(hicpp-exception-baseclass)
  });
  must(bus->wait_settled(publish("std").id, kPatience));
  must(bus->wait_settled(publish("other").id, kPatience));
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_EQ(letters[0].reason, "went wrong");
  EXPECT_EQ(letters[0].attempts, 2U);
  EXPECT_NE(letters[1].reason, "");
  EXPECT_EQ(letters[1].attempts, 2U);
}

TEST_P(Answering, RetryAfterWaitsAtLeastItsDelay) {
  open();
  const auto s = subscribe(retry_at_once(5), [](Delivery& delivery) {
    return delivery.attempt() == 1 ? Outcome::retry_after(hours(2), "busy") : Outcome::ack();
  });
  const auto receipt = publish("a.b");
  ASSERT_TRUE(eventually([&] { return state_of(receipt.id) == EventState::scheduled; }));
  const auto stored = must(bus->get(receipt.id));
  ASSERT_EQ(stored->standings.size(), 1U);
  EXPECT_EQ(stored->standings[0].subscription, "s");
  EXPECT_EQ(stored->standings[0].attempts, 1U);
  EXPECT_EQ(stored->standings[0].last_error, "busy");
  const auto delay = stored->standings[0].next_try - stored->published_at;
  EXPECT_GE(delay, std::chrono::nanoseconds(hours(2)).count());
  EXPECT_LT(delay, std::chrono::nanoseconds(hours(3)).count());
  EXPECT_EQ(stats_of("s").lanes[2].scheduled, 1U);
  EXPECT_EQ(runs.size(), 1U);
}

TEST_P(Answering, BackoffFollowsThePolicy) {
  open();
  const auto s = subscribe(
      {.attempts_max = 5, .backoff_first = hours(1), .backoff_max = hours(3), .jitter = 0},
      [](Delivery&) { return Outcome::retry(); });
  const auto receipt = publish("a.b");
  ASSERT_TRUE(eventually([&] { return state_of(receipt.id) == EventState::scheduled; }));
  const auto stored = must(bus->get(receipt.id));
  const auto delay = stored->standings[0].next_try - stored->published_at;
  EXPECT_GE(delay, std::chrono::nanoseconds(hours(1)).count());
  EXPECT_LT(delay, std::chrono::nanoseconds(hours(2)).count());
}

TEST_P(Answering, SnoozeIsNotCountedHoweverOften) {
  open();
  const auto s = subscribe(retry_at_once(2), [this](Delivery&) {
    return runs.size() < 20 ? Outcome::snooze(milliseconds(0)) : Outcome::ack();
  });
  must(bus->wait_settled(publish("a.b").id, kPatience));
  ASSERT_EQ(runs.size(), 20U);
  for (const auto& run : runs.all()) EXPECT_EQ(run.attempt, 1U);
  EXPECT_TRUE(must(bus->dead_letters()).empty());
  EXPECT_EQ(stats_of("s").retried, 0U);
}

TEST_P(Answering, SnoozeKeepsTheAttemptsThatWereCountedBefore) {
  open();
  const auto s = subscribe(retry_at_once(3), [this](Delivery&) {
    switch (runs.size()) {
      case 1: return Outcome::retry();
      case 2: return Outcome::snooze(milliseconds(0));
      default: return Outcome::retry("end");
    }
  });
  must(bus->wait_settled(publish("a.b").id, kPatience));
  std::vector<std::uint32_t> attempts;
  for (const auto& run : runs.all()) attempts.push_back(run.attempt);
  EXPECT_EQ(attempts, (std::vector<std::uint32_t>{1, 2, 2, 3}));
}

TEST_P(Answering, NegativeDelayIsNone) {
  open();
  const auto s = subscribe(retry_at_once(3), [](Delivery& delivery) {
    return delivery.attempt() == 1 ? Outcome::retry_after(milliseconds(-5)) : Outcome::ack();
  });
  EXPECT_TRUE(is_ok(bus->wait_settled(publish("a.b").id, kPatience)));
}

TEST_P(Answering, DelayIsAtMostThirtyDays) {
  open();
  const auto s = subscribe({}, [](Delivery&) { return Outcome::snooze(hours(24 * 365)); });
  const auto receipt = publish("a.b");
  ASSERT_TRUE(eventually([&] { return state_of(receipt.id) == EventState::scheduled; }));
  const auto stored = must(bus->get(receipt.id));
  EXPECT_LT(stored->standings[0].next_try - stored->published_at,
            std::chrono::nanoseconds(hours(24 * 31)).count());
}

TEST_P(Answering, StoppedWithoutHavingBeenAskedIsAFailedAttempt) {
  open();
  const auto s = subscribe(retry_at_once(2), [](Delivery&) { return Outcome::stopped(); });
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_EQ(runs.size(), 2U);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].attempts, 2U);
}

TEST_P(Answering, EphemeralSubscriptionRetriesAsWellAndLeavesNoDeadLetter) {
  open();
  Settlements ended;
  const auto s = must(bus->subscribe({.types = {"a.b"},
                                      .retry = retry_at_once(3),
                                      .on_settled =
                                          [&](EventId id, Settled how) {
                                            ended.add({id, how});
                                          }},
                                     [this](Delivery& delivery) {
                                       runs.note(delivery);
                                       return delivery.event().payload_text() == "dies" ||
                                                      delivery.attempt() < 3
                                                  ? Outcome::retry()
                                                  : Outcome::ack();
                                     }));
  publish("a.b", "works");
  publish("a.b", "dies");
  ASSERT_TRUE(ended.wait_for_count(2));
  EXPECT_EQ(runs.size(), 6U);
  EXPECT_TRUE(must(bus->dead_letters()).empty());
}

// --- Dead letters -------------------------------------------------------------------------------

TEST_P(Answering, RedriveGivesFreshAttempts) {
  open();
  std::atomic<bool> works{false};
  const auto s = subscribe(retry_at_once(2), [&](Delivery&) {
    return works ? Outcome::ack() : Outcome::retry("broken");
  });
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  works = true;
  EXPECT_EQ(must(bus->redrive()), 1U);
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_TRUE(must(bus->dead_letters()).empty());
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs.all()[2].attempt, 1U);
  EXPECT_EQ(stats_of("s").lanes[2].dead, 0U);
  EXPECT_EQ(must(bus->redrive()), 0U);
}

TEST_P(Answering, RedriveOfManyTakesThemAll) {
  open();
  std::atomic<bool> works{false};
  const auto s = subscribe(retry_at_once(1), [&](Delivery&) {
    return works ? Outcome::ack() : Outcome::reject("broken");
  });
  publish_many("a.b", 1'000);
  ASSERT_TRUE(settled.wait_for_count(1'000));
  works = true;
  EXPECT_EQ(must(bus->redrive({.limit = 300})), 300U);
  EXPECT_EQ(must(bus->redrive()), 700U);
  ASSERT_TRUE(settled.wait_for_count(2'000));
  EXPECT_TRUE(must(bus->dead_letters()).empty());
}

TEST_P(Answering, RedriveTakesEachLetterOnceThoughItsHandlerRejectsAgainAtOnce) {
  open();
  const auto s =
      must(bus->subscribe({.name = "s"}, [](Delivery&) { return Outcome::reject("no"); }));
  constexpr std::uint64_t kLetters = 1'000;
  must(bus->wait_settled(publish_many("a.b", kLetters), kPatience));
  const auto all_dead = [&] { return must(bus->dead_letters()).size() == kLetters; };
  EXPECT_EQ(must(bus->redrive()), kLetters);
  ASSERT_TRUE(eventually(all_dead));
  EXPECT_EQ(must(bus->redrive({.limit = std::numeric_limits<std::uint64_t>::max()})), kLetters);
  EXPECT_TRUE(eventually(all_dead));
}

TEST_P(Answering, ReasonIsCutAtItsLimitAndNotInsideACharacter) {
  open();
  std::string reason(kReasonBytesMax - 1, 'r');
  while (reason.size() < std::size_t{8} << 20U) reason += "\u00e9";
  const auto s = must(bus->subscribe({.name = "s", .retry = retry_at_once(1)}, [&](Delivery& d) {
    if (d.event().payload_text() == "throw") throw std::runtime_error(reason);
    if (d.event().payload_text() == "retry") return Outcome::retry(reason);
    return Outcome::reject(reason);
  }));
  for (const auto* how : {"throw", "retry", "reject"}) {
    must(bus->wait_settled(publish("a.b", how).id, kPatience));
  }
  for (const auto& letter : must(bus->dead_letters())) {
    EXPECT_EQ(letter.reason, std::string(kReasonBytesMax - 1, 'r'));
  }
  EXPECT_EQ(stats_of("s").last_error.size(), kReasonBytesMax - 1);
}

TEST_P(Answering, RedriveWhileNobodyIsSubscribedWaitsForTheNextHandler) {
  open();
  auto s = subscribe(retry_at_once(1), [](Delivery&) { return Outcome::reject("no"); });
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  s.end();
  EXPECT_EQ(must(bus->redrive({.subscription = "s"})), 1U);
  EXPECT_EQ(state_of(receipt.id), EventState::ready);
  s = subscribe({}, [](Delivery&) { return Outcome::ack(); });
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
}

TEST_P(Answering, DeadLettersAreFilteredBySubscriptionTypeIdAndLimit) {
  open();
  const auto reject = [](Delivery&) { return Outcome::reject("no"); };
  const auto s = must(bus->subscribe({.name = "s"}, reject));
  const auto t = must(bus->subscribe({.name = "t", .types = {"a.*"}}, reject));
  const auto a = publish("a.b");
  const auto b = publish("b.c");
  must(bus->wait_settled(a.id, kPatience));
  must(bus->wait_settled(b.id, kPatience));
  const auto count = [&](const DeadLetterFilter& filter) {
    return must(bus->dead_letters(filter)).size();
  };
  EXPECT_EQ(count({}), 3U);
  EXPECT_EQ(count({.subscription = "s"}), 2U);
  EXPECT_EQ(count({.subscription = "t"}), 1U);
  EXPECT_EQ(count({.types = {"b.>"}}), 1U);
  EXPECT_EQ(count({.subscription = "t", .types = {"b.>"}}), 0U);
  EXPECT_EQ(count({.id = a.id}), 2U);
  EXPECT_EQ(count({.limit = 2}), 2U);
  EXPECT_EQ(count({.limit = 0}), 0U);
  EXPECT_TRUE(fails(bus->dead_letters({.types = {"b..c"}}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->dead_letters({.subscription = "u"}), StatusCode::not_found, {"u"}));
  EXPECT_TRUE(fails(bus->redrive({.subscription = "u"}), StatusCode::not_found, {"u"}));
  EXPECT_EQ(must(bus->redrive({.subscription = "t", .id = b.id})), 0U);
}

// --- Deferred -----------------------------------------------------------------------------------

class Deferring : public BusTest {
 protected:
  Subscription subscribe(std::uint32_t concurrency = 1) {
    return must(bus->subscribe({.name = "s",
                                .concurrency = concurrency,
                                .retry = retry_at_once(5),
                                .on_settled =
                                    [this](EventId id, Settled how) {
                                      settled.add({id, how});
                                    }},
                               [this](Delivery& delivery) {
                                 runs.note(delivery);
                                 owed.add(std::make_shared<Deferred>(delivery.defer()));
                                 return Outcome::reject("ignored, since it was deferred");
                               }));
  }
  Runs runs;
  Settlements settled;
  Collected<std::shared_ptr<Deferred>> owed;
};
HOLDFAST_ON_BOTH_STORES(Deferring);

TEST_P(Deferring, AnswerMayComeFromAnotherThread) {
  open();
  const auto s = subscribe();
  const auto receipt = publish("a.b", "payload");
  ASSERT_TRUE(owed.wait_for_count(1));
  EXPECT_EQ(state_of(receipt.id), EventState::leased);
  std::jthread([&] {
    auto& deferred = *owed.all()[0];
    EXPECT_EQ(deferred.event().id, receipt.id);
    EXPECT_EQ(deferred.event().payload_text(), "payload");
    deferred.tx().state().put("k", "v");
    EXPECT_TRUE(is_ok(deferred.settle(Outcome::ack())));
    EXPECT_TRUE(fails(deferred.settle(Outcome::ack()), StatusCode::stale));
  }).join();
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(must(bus->state("s", "k")), "v");
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
  EXPECT_EQ(runs.size(), 1U);
}

TEST_P(Deferring, ManyAreAnsweredInAnyOrder) {
  // The slot is free when the answer is given, not when it is committed.
  options.ack_linger = std::chrono::hours(1);
  open();
  const auto s = subscribe(16);
  std::jthread answering([&] {
    for (std::size_t i = 0; i < 300; ++i) {
      // One slot of the sixteen is kept for critical events.
      ASSERT_TRUE(owed.wait_for_count(std::min<std::size_t>(i + 15, 300)));
      ASSERT_TRUE(is_ok(owed.all()[i]->settle(Outcome::ack())));
    }
  });
  const auto batch = publish_many("a.b", 300);
  answering.join();
  must(bus->wait_settled(batch, kPatience));
  EXPECT_EQ(runs.size(), 300U);
}

// What is taken lies in a row in memory: one that is not answered must not keep all behind it
// there.
TEST_P(Deferring, OneThatIsAnsweredLastHoldsUpNothingForAnEphemeralSubscriptionEither) {
  constexpr std::size_t kCount = 9'000;
  open();
  std::atomic<std::size_t> acked = 0;
  Signal all_others;
  const auto s = must(bus->subscribe({.types = {"a.b"},
                                      .concurrency = 3,
                                      .on_settled =
                                          [&](EventId, Settled how) {
                                            if (how == Settled::acked && ++acked == kCount - 1)
                                              all_others.set();
                                          }},
                                     [this](Delivery& delivery) {
                                       if (delivery.event().payload_text() == "0") {
                                         owed.add(std::make_shared<Deferred>(delivery.defer()));
                                       }
                                       return Outcome::ack();
                                     }));
  publish_many("a.b", kCount);
  ASSERT_TRUE(owed.wait_for_count(1));
  ASSERT_TRUE(all_others.wait());
  must(owed.all()[0]->settle(Outcome::ack()));
  EXPECT_TRUE(eventually([&] { return acked == kCount; }));
}

TEST_P(Deferring, SlotStaysTakenUntilTheAnswer) {
  open();
  const auto s = subscribe(1);
  publish_many("a.b", 2);
  ASSERT_TRUE(owed.wait_for_count(1));
  const auto stats = stats_of("s");
  EXPECT_EQ(stats.lanes[2].leased, 1U);
  EXPECT_EQ(stats.lanes[2].ready, 1U);
  must(owed.all()[0]->settle(Outcome::ack()));
  ASSERT_TRUE(owed.wait_for_count(2));
  must(owed.all()[1]->settle(Outcome::ack()));
  EXPECT_EQ(runs.payloads(), (std::vector<std::string>{"0", "1"}));
}

TEST_P(Deferring, DroppedUnansweredIsAFailedAttempt) {
  open();
  Signal first;
  const auto s =
      must(bus->subscribe({.name = "s", .retry = retry_at_once(2)}, [&](Delivery& delivery) {
        runs.note(delivery);
        (void)delivery.defer();
      }));
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_EQ(runs.size(), 2U);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_NE(letters[0].reason, "");
}

TEST_P(Deferring, SecondHandleAnswersNothing) {
  open();
  Collected<Status> statuses;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    auto first = delivery.defer();
    auto second = delivery.defer();
    statuses.add(second.settle(Outcome::reject("no")));
    statuses.add(first.settle(Outcome::ack()));
  }));
  must(bus->wait_settled(publish("a.b").id, kPatience));
  ASSERT_TRUE(statuses.wait_for_count(2));
  EXPECT_TRUE(fails(statuses.all()[0], StatusCode::stale));
  EXPECT_TRUE(is_ok(statuses.all()[1]));
  EXPECT_TRUE(must(bus->dead_letters()).empty());
}

TEST_P(Deferring, HandlerThatThrowsAfterItDeferredHasDeferred) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    runs.note(delivery);
    owed.add(std::make_shared<Deferred>(delivery.defer()));
    throw std::runtime_error("too late to matter");
  }));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  must(owed.all()[0]->settle(Outcome::ack()));
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(runs.size(), 1U);
}

TEST_P(Deferring, AnswerAfterTheSubscriptionWasTakenOverIsStale) {
  open();
  auto s = subscribe();
  const auto receipt = publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  s.end();
  Runs again;
  s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    again.note(delivery);
    return Outcome::reject("the second one decides");
  }));
  ASSERT_TRUE(again.wait_for_count(1));
  EXPECT_TRUE(
      fails(owed.all()[0]->settle(Outcome::ack()), StatusCode::stale, {to_string(receipt.id)}));
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::dead);
}

TEST_P(Deferring, AnswerAfterItsSubscriptionEndedStillCountsWhileNobodyElseHasIt) {
  open();
  auto s = subscribe();
  const auto receipt = publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  s.end();
  EXPECT_TRUE(is_ok(owed.all()[0]->settle(Outcome::ack())));
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::settled);
}

TEST_P(Deferring, MayOutliveTheBusAndIsToldSo) {
  open();
  auto s = subscribe();
  publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  // A deferred answer is nobody's running handler: close does not wait for it for ever.
  must(bus->close());
  EXPECT_TRUE(fails(owed.all()[0]->settle(Outcome::ack()), StatusCode::unavailable));
  bus.reset();
  EXPECT_FALSE(owed.all()[0]->stop_token().stop_possible() &&
               !owed.all()[0]->stop_token().stop_requested());
}

TEST_P(Deferring, StopTokenReachesWhoHoldsIt) {
  open();
  auto s = subscribe();
  publish("a.b");
  ASSERT_TRUE(owed.wait_for_count(1));
  const auto token = owed.all()[0]->stop_token();
  EXPECT_FALSE(token.stop_requested());
  // Until its handler has returned it is not deferred, but runs.
  EXPECT_TRUE(eventually([&] {
    return fails(bus->drain(milliseconds(1)), StatusCode::deadline_exceeded, {"deferred"});
  }));
  EXPECT_TRUE(token.stop_requested());
  must(owed.all()[0]->settle(Outcome::stopped()));
  EXPECT_TRUE(is_ok(bus->drain()));
}

TEST_P(Deferring, EmptyHandleSaysSo) {
  Deferred none;
  EXPECT_TRUE(fails(none.settle(Outcome::ack()), StatusCode::stale));
  EXPECT_EQ(none.event().id.sequence, 0U);
  EXPECT_FALSE(none.stop_token().stop_possible());
}

}  // namespace
}  // namespace holdfast::testing
