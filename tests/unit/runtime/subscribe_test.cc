// SPDX-License-Identifier: MIT
// Subscriptions: which events they get, from where on, and what their names mean.
#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Subscribing : public BusTest {
 protected:
  /// A handler that notes each event and acks it.
  Handler noting(Runs& runs) {
    return [&runs](Delivery& delivery) { runs.note(delivery); };
  }
  using Strings = std::vector<std::string>;
};
HOLDFAST_ON_BOTH_STORES(Subscribing);

TEST_P(Subscribing, HandlerSeesTheEventAsItWasPublished) {
  open();
  const std::vector<MetadataPair> metadata = {{"traceparent", "00-1"}, {"k", "v"}};
  Signal done;
  std::atomic<bool> compared{false};
  const auto subscription = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    const auto& event = delivery.event();
    EXPECT_EQ(event.type, "a.b");
    EXPECT_EQ(event.payload_text(), "payload");
    EXPECT_EQ(event.content_type, "text/plain");
    EXPECT_EQ(event.source, Source::plugin("p"));
    EXPECT_EQ(event.timestamp, 77);
    EXPECT_GT(event.published_at, 77);
    EXPECT_EQ(event.metadata.size(), 2U);
    EXPECT_EQ(event.metadata.find("traceparent"), "00-1");
    EXPECT_EQ(event.id, (EventId{Priority::high, 1}));
    EXPECT_EQ(event.priority(), Priority::high);
    EXPECT_NE(event.commit.value, 0U);
    EXPECT_EQ(event.batch_id.value, 0U);
    EXPECT_EQ(delivery.attempt(), 1U);
    EXPECT_EQ(delivery.subscription(), "s");
    EXPECT_FALSE(delivery.stop_token().stop_requested());
    compared = true;
    done.set();
  }));
  must(bus->publish({.type = "a.b",
                     .payload = "payload",
                     .content_type = "text/plain",
                     .priority = Priority::high,
                     .source = Source::plugin("p"),
                     .metadata = metadata,
                     .timestamp = 77}));
  ASSERT_TRUE(done.wait());
  EXPECT_TRUE(compared);
  EXPECT_EQ(subscription.name(), "s");
  EXPECT_TRUE(subscription.active());
}

TEST_P(Subscribing, EveryMatchingSubscriptionGetsEveryEventOnce) {
  open();
  Runs first;
  Runs second;
  Runs ephemeral;
  const auto a = must(bus->subscribe({.name = "a"}, noting(first)));
  const auto b = must(bus->subscribe({.name = "b"}, noting(second)));
  const auto c = must(bus->subscribe("a.b", noting(ephemeral)));
  publish_many("a.b", 100);
  for (const auto* runs : {&first, &second, &ephemeral}) {
    ASSERT_TRUE(runs->wait_for_count(100));
  }
  must(bus->drain());
  for (const auto* runs : {&first, &second, &ephemeral}) {
    EXPECT_EQ(runs->size(), 100U);
    const auto payloads = runs->payloads();
    for (std::size_t i = 0; i < payloads.size(); ++i) EXPECT_EQ(payloads[i], std::to_string(i));
  }
}

TEST_P(Subscribing, PatternsChooseByToken) {
  open();
  struct Case {
    const char* pattern;
    Strings matched;
  };
  const Strings types = {"a", "a.b", "a.c", "a.b.c", "b"};
  const std::vector<Case> cases = {
      {"a", {"a"}},      {"a.*", {"a.b", "a.c"}}, {"a.>", {"a.b", "a.c", "a.b.c"}},
      {"*", {"a", "b"}}, {"*.b.*", {"a.b.c"}},    {">", types}};
  std::vector<Runs> runs(cases.size());
  std::vector<Subscription> subscriptions;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    subscriptions.push_back(must(bus->subscribe({.types = {cases[i].pattern}}, noting(runs[i]))));
  }
  for (const auto& type : types) publish(type, type);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    ASSERT_TRUE(runs[i].wait_for_count(cases[i].matched.size())) << cases[i].pattern;
  }
  must(bus->drain());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(runs[i].payloads(), cases[i].matched) << cases[i].pattern;
  }
}

TEST_P(Subscribing, SeveralPatternsOfOneSubscriptionGiveAnEventOnce) {
  open();
  Runs runs;
  const auto subscription = must(bus->subscribe({.types = {"a.*", "a.b", ">"}}, noting(runs)));
  publish("a.b");
  publish("end");
  ASSERT_TRUE(runs.wait_for_count(2));
  must(bus->drain());
  EXPECT_EQ(runs.size(), 2U);
}

TEST_P(Subscribing, MatchLooksAtPriorityAndSourceAndMetadata) {
  open();
  const std::vector<MetadataPair> tagged = {{"tenant", "x"}, {"zone", "1"}};
  std::vector<Match> matches = {{.priorities = {Priority::high, Priority::low}},
                                {.source_kinds = {SourceKind::user}},
                                {.source_names = {"p", "q"}},
                                {.metadata_equals = {{"tenant", "x"}, {"zone", "1"}}},
                                {.metadata_equals = {{"tenant", "y"}}}};
  std::vector<Runs> runs(matches.size());
  std::vector<Subscription> subscriptions;
  for (std::size_t i = 0; i < matches.size(); ++i) {
    subscriptions.push_back(must(
        bus->subscribe({.name = "s" + std::to_string(i), .match = matches[i]}, noting(runs[i]))));
  }
  Runs all;
  subscriptions.push_back(must(bus->subscribe({.name = "all"}, noting(all))));
  must(bus->publish({.type = "t", .payload = "high", .priority = Priority::high}));
  must(bus->publish({.type = "t", .payload = "user", .source = Source::user()}));
  must(bus->publish({.type = "t", .payload = "plugin", .source = Source::plugin("p")}));
  must(bus->publish({.type = "t", .payload = "tagged", .metadata = tagged}));
  ASSERT_TRUE(all.wait_for_count(4));
  must(bus->drain());
  EXPECT_EQ(runs[0].payloads(), Strings{"high"});
  EXPECT_EQ(runs[1].payloads(), Strings{"user"});
  EXPECT_EQ(runs[2].payloads(), Strings{"plugin"});
  EXPECT_EQ(runs[3].payloads(), Strings{"tagged"});
  EXPECT_TRUE(runs[4].payloads().empty());
}

TEST_P(Subscribing, ConditionThatSaysNoSkipsTheEventDurably) {
  open();
  Runs runs;
  Settlements settled;
  const auto subscription = must(bus->subscribe(
      {.name = "s",
       .condition = [](const EventView& event) { return event.payload_text() != "1"; },
       .on_settled =
           [&](EventId id, Settled how) {
             settled.add({id, how});
           }},
      noting(runs)));
  const auto batch = publish_many("a.b", 3);
  ASSERT_TRUE(settled.wait_for_count(3));
  EXPECT_EQ(runs.payloads(), (Strings{"0", "2"}));
  for (const auto& [id, how] : settled.all()) {
    EXPECT_EQ(how, id == batch.receipts[1].id ? Settled::skipped : Settled::acked);
  }
  EXPECT_EQ(stats_of("s").skipped, 1U);
  EXPECT_EQ(state_of(batch.receipts[1].id), EventState::settled);
}

TEST_P(Subscribing, ConditionThatThrowsIsAFailedAttempt) {
  open();
  Runs runs;
  const auto subscription = must(bus->subscribe(
      {.name = "s",
       .condition = [](const EventView&) -> bool { throw std::runtime_error("odd"); },
       .retry = retry_at_once(2)},
      noting(runs)));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(runs.size(), 0U);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].attempts, 2U);
  EXPECT_EQ(letters[0].reason, "odd");
}

// --- Where it begins ----------------------------------------------------------------------------

TEST_P(Subscribing, EarliestLosesNothingThatCameBefore) {
  open();
  const auto early = publish_many("a.b", 10);
  EXPECT_EQ(state_of(early.receipts[0].id), EventState::unclaimed);
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 10U);
  Runs runs;
  const auto subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 0U);
  publish("a.b", "10");
  ASSERT_TRUE(runs.wait_for_count(11));
  const auto payloads = runs.payloads();
  for (std::size_t i = 0; i < payloads.size(); ++i) EXPECT_EQ(payloads[i], std::to_string(i));
}

TEST_P(Subscribing, EarliestReadsABacklogThatIsLargerThanItsWindow) {
  open();
  publish_many("a.b", 20'000);
  Runs runs;
  const auto subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
  ASSERT_TRUE(runs.wait_for_count(20'000));
  must(bus->drain());
  const auto payloads = runs.payloads();
  ASSERT_EQ(payloads.size(), 20'000U);
  for (std::size_t i = 0; i < payloads.size(); ++i) ASSERT_EQ(payloads[i], std::to_string(i));
}

TEST_P(Subscribing, NewOnlyBeginsWithWhatIsCommittedFromNowOn) {
  open();
  const auto early = publish("a.b", "early");
  Runs runs;
  const auto subscription =
      must(bus->subscribe({.name = "s", .start = Start::new_only()}, noting(runs)));
  const auto late = publish("a.b", "late");
  must(bus->wait_settled(late.id, kPatience));
  EXPECT_EQ(runs.payloads(), Strings{"late"});
  EXPECT_EQ(state_of(early.id), EventState::unclaimed);
}

TEST_P(Subscribing, PositionBeginsWithThatEventAndWithItsCommitInOtherLanes) {
  open();
  publish("a.b", "high before", Priority::high);
  publish("a.b", "before");
  const auto at = publish("a.b", "at");
  publish("a.b", "high after", Priority::high);
  publish("a.b", "after");
  Runs runs;
  const auto subscription =
      must(bus->subscribe({.name = "s", .start = Start::position(at.id)}, noting(runs)));
  ASSERT_TRUE(runs.wait_for_count(3));
  must(bus->drain());
  auto payloads = runs.payloads();
  std::sort(payloads.begin(), payloads.end());
  EXPECT_EQ(payloads, (Strings{"after", "at", "high after"}));
  EXPECT_TRUE(fails(
      bus->subscribe({.name = "other", .start = Start::position({Priority::low, 9})}, noting(runs)),
      StatusCode::not_found, {"low:9"}));
}

TEST_P(Subscribing, TimeBeginsWithWhatWasCommittedAtOrAfterIt) {
  open();
  publish("a.b", "before");
  const auto at = publish("a.b", "at");
  publish("a.b", "after", Priority::critical);
  const auto when = must(bus->get(at.id))->published_at;
  Runs runs;
  const auto subscription =
      must(bus->subscribe({.name = "s", .start = Start::time(when)}, noting(runs)));
  ASSERT_TRUE(runs.wait_for_count(2));
  must(bus->drain());
  auto payloads = runs.payloads();
  std::sort(payloads.begin(), payloads.end());
  EXPECT_EQ(payloads, (Strings{"after", "at"}));
}

TEST_P(Subscribing, StartOfAKnownNameIsIgnored) {
  open();
  Runs runs;
  auto subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
  subscription.end();
  publish("a.b", "meanwhile");
  subscription = must(bus->subscribe({.name = "s", .start = Start::new_only()}, noting(runs)));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.payloads(), Strings{"meanwhile"});
}

TEST_P(Subscribing, EphemeralSeesWhatIsCommittedWhileItExistsAndLeavesNothing) {
  open();
  publish("a.b", "before");
  Runs runs;
  {
    const auto subscription = must(bus->subscribe("a.b", noting(runs)));
    EXPECT_EQ(subscription.name(), "");
    publish("a.b", "during");
    ASSERT_TRUE(runs.wait_for_count(1));
  }
  publish("a.b", "after");
  EXPECT_EQ(runs.payloads(), Strings{"during"});
  EXPECT_TRUE(bus->stats().subscriptions.empty());
  // It claims nothing: all of them wait for a durable one.
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 3U);
}

// --- Names --------------------------------------------------------------------------------------

TEST_P(Subscribing, EmptyHandlerIsRefused) {
  open();
  void (*pointer)(Delivery&) = nullptr;
  const auto refused = [&](Handler handler) {
    return fails(bus->subscribe({.name = "s"}, std::move(handler)), StatusCode::invalid_argument,
                 {"empty"});
  };
  EXPECT_TRUE(refused(std::function<void(Delivery&)>()));
  EXPECT_TRUE(refused(std::function<Outcome(Delivery&)>()));
  EXPECT_TRUE(refused(pointer));
  EXPECT_TRUE(is_ok(bus->subscribe({.name = "s"}, std::function<void(Delivery&)>([](auto&) {}))));
}

TEST_P(Subscribing, SameLiveNameTwiceAlreadyExists) {
  open();
  Runs runs;
  auto first = must(bus->subscribe({.name = "s"}, noting(runs)));
  EXPECT_TRUE(
      fails(bus->subscribe({.name = "s"}, noting(runs)), StatusCode::already_exists, {"s"}));
  first.end();
  EXPECT_FALSE(first.active());
  EXPECT_EQ(first.name(), "");
  EXPECT_TRUE(is_ok(bus->subscribe({.name = "s"}, noting(runs))));
}

TEST_P(Subscribing, DurableOneCollectsWhileNobodyIsSubscribed) {
  open();
  Runs runs;
  auto subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
  publish("a.b", "1");
  ASSERT_TRUE(runs.wait_for_count(1));
  subscription.end();
  EXPECT_FALSE(stats_of("s").attached);
  const auto missed = publish("a.b", "2");
  EXPECT_EQ(state_of(missed.id), EventState::ready);
  EXPECT_EQ(stats_of("s").lanes[2].ready, 1U);
  subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
  ASSERT_TRUE(runs.wait_for_count(2));
  must(bus->drain());
  EXPECT_EQ(runs.payloads(), (Strings{"1", "2"}));
}

TEST_P(Subscribing, WhatWasAckedIsNotGivenToTheNextHandlerOfThatName) {
  // Acks may wait for the next commit; those of a handler that has ended must not be forgotten.
  options.ack_linger = std::chrono::hours(1);
  open();
  for (int round = 0; round < 20; ++round) {
    Runs runs;
    const auto batch = publish_many("a.b", 10);
    {
      const auto subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
      ASSERT_TRUE(runs.wait_for_count(10));
    }
    const auto again = must(bus->subscribe({.name = "s"}, noting(runs)));
    must(bus->wait_settled(publish("a.b", "last").id, kPatience));
    EXPECT_EQ(runs.size(), 11U) << "in round " << round;
  }
}

TEST_P(Subscribing, ChangedFilterAppliesToLaterCommitsAndSkipsWhatNoLongerMatches) {
  open();
  Runs runs;
  must(bus->subscribe({.name = "s", .types = {"a", "b"}}, noting(runs))).end();
  publish("a", "old a");
  const auto old_b = publish("b", "old b");
  const auto old_c = publish("c", "old c");
  const auto subscription = must(bus->subscribe({.name = "s", .types = {"a", "c"}}, noting(runs)));
  publish("b", "new b");
  publish("a", "new a");
  must(bus->wait_settled(publish("c", "new c").id, kPatience));
  EXPECT_EQ(runs.payloads(), (Strings{"old a", "new a", "new c"}));
  EXPECT_NE(state_of(old_b.id), EventState::ready);
  EXPECT_EQ(state_of(old_c.id), EventState::unclaimed);
  EXPECT_EQ(stats_of("s").lanes[2].ready, 0U);
}

TEST_P(Subscribing, RemoveForgetsPositionRetriesAndDeadLetters) {
  open();
  Runs runs;
  auto subscription = must(bus->subscribe(
      {.name = "s",
       .retry = {.backoff_first = std::chrono::hours(1), .backoff_max = std::chrono::hours(1)}},
      [&](Delivery& delivery) {
        runs.note(delivery);
        if (delivery.event().payload_text() == "0") return Outcome::reject("no");
        if (delivery.event().payload_text() == "1") return Outcome::retry("later");
        return Outcome::ack();
      }));
  publish_many("a.b", 3);
  ASSERT_TRUE(runs.wait_for_count(3));
  EXPECT_TRUE(fails(bus->remove_subscription("s"), StatusCode::conflict, {"s"}));
  EXPECT_TRUE(fails(bus->remove_subscription("t"), StatusCode::not_found, {"t"}));
  subscription.end();
  must(bus->remove_subscription("s"));
  EXPECT_TRUE(must(bus->dead_letters()).empty());
  EXPECT_TRUE(bus->stats().subscriptions.empty());
  EXPECT_TRUE(fails(bus->remove_subscription("s"), StatusCode::not_found));
  EXPECT_TRUE(fails(bus->dead_letters({.subscription = "s"}), StatusCode::not_found, {"s"}));
  // The same name is a new subscription now, and everything that is kept is new to it.
  Runs again;
  subscription = must(bus->subscribe({.name = "s"}, noting(again)));
  ASSERT_TRUE(again.wait_for_count(3));
  for (const auto& run : again.all()) EXPECT_EQ(run.attempt, 1U);
}

// --- From inside a handler ----------------------------------------------------------------------

TEST_P(Subscribing, HandlerMayPublishAndReadTheBus) {
  open();
  Runs runs;
  const auto follow = must(bus->subscribe("follow", noting(runs)));
  const auto subscription = must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery& d) {
    const auto receipt = must(bus->publish("follow", d.event().payload_text()));
    EXPECT_TRUE(must(bus->get(receipt.id)).has_value());
    EXPECT_GT(bus->stats().events_published, 0U);
    must(bus->scan({}, [](const EventView&, EventState) { return true; }));
    EXPECT_TRUE(fails(bus->drain(), StatusCode::conflict));
    EXPECT_TRUE(fails(bus->close(), StatusCode::conflict));
  }));
  publish_many("a.b", 20);
  EXPECT_TRUE(runs.wait_for_count(20));
}

TEST_P(Subscribing, HandlerMayPublishDurably) {
  options.durability = Durability::durable;
  options.workers = Workers::single();
  open();
  Runs runs;
  const auto subscription = must(bus->subscribe({.name = "s"}, [&](Delivery& d) {
    runs.note(d);
    if (runs.size() < 50) must(bus->publish("a.b", {}));
  }));
  must(bus->publish("a.b", {}));
  EXPECT_TRUE(runs.wait_for_count(50));
}

TEST_P(Subscribing, HandlerMaySubscribeAndUnsubscribeOthers) {
  open();
  Runs runs;
  Collected<int> rounds;
  Subscription inner;
  const auto outer = must(bus->subscribe({.name = "outer", .types = {"toggle"}}, [&](Delivery&) {
    if (inner.active()) {
      inner.end();
      must(bus->remove_subscription("inner"));
    } else {
      inner = must(bus->subscribe({.name = "inner", .types = {"a.b"}, .start = Start::new_only()},
                                  noting(runs)));
    }
    rounds.add(0);
  }));
  publish("toggle");
  ASSERT_TRUE(rounds.wait_for_count(1));
  publish("a.b", "seen");
  ASSERT_TRUE(runs.wait_for_count(1));
  publish("toggle");
  ASSERT_TRUE(rounds.wait_for_count(2));
  publish("a.b", "not seen");
  EXPECT_EQ(runs.payloads(), Strings{"seen"});
}

TEST_P(Subscribing, HandlerMayDestroyItsOwnSubscriptionAndItsAckCounts) {
  open();
  for (const bool durable : {true, false}) {
    Signal done;
    auto own = std::make_unique<Subscription>();
    std::atomic<int> calls{0};
    Signal ready;
    *own = must(bus->subscribe({.name = durable ? "s" : ""}, [&](Delivery&) {
      ready.wait();
      ++calls;
      own.reset();
      done.set();
    }));
    publish_many("a.b", 3);
    ready.set();
    ASSERT_TRUE(done.wait());
    EXPECT_EQ(calls, 1);
    if (!durable) continue;
    Runs rest;
    // Late, but an ack: it was given before anybody else could ask for this name's events... or the
    // next handler came first, and gets the event again. Never is one of the others lost.
    const auto next = must(bus->subscribe({.name = "s"}, noting(rest)));
    ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].ready == 0; }));
    must(bus->wait_settled({Priority::normal, 3}, kPatience));
    const auto payloads = rest.payloads();
    EXPECT_TRUE(payloads == (Strings{"1", "2"}) || payloads == (Strings{"0", "1", "2"}));
  }
}

/// Does something when the last who holds it lets it go.
std::shared_ptr<void> when_let_go(std::function<void()> what) {
  return {nullptr, [what = std::move(what)](void*) { what(); }};
}

TEST_P(Subscribing, WhatItsCallablesHoldGoesWithItAndMayCallTheBus) {
  open();
  auto other = must(bus->subscribe({.name = "other", .types = {"other"}}, [](Delivery&) {}));
  std::atomic<int> gone{0};
  const auto holding = [&] {
    return when_let_go([&] {
      ++gone;
      other.end();
      must(bus->publish("let.go", {}));
    });
  };
  Runs runs;
  auto s =
      must(bus->subscribe({.name = "s",
                           .types = {"a.b"},
                           .condition = [held = holding()](const EventView&) { return true; },
                           .on_settled = [held = holding()](EventId, Settled) {}},
                          [&runs, held = holding()](Delivery& delivery) { runs.note(delivery); }));
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_EQ(gone, 0);
  s.end();
  EXPECT_EQ(gone, 3);
  // Nothing of it is left with a worker, to go when that has its next event.
  const auto later = must(bus->subscribe({.name = "later", .types = {"later"}}, [](Delivery&) {}));
  must(bus->wait_settled(publish("later").id, kPatience));
}

TEST_P(Subscribing, WhatAHandlerHoldsThatEndsItsOwnSubscriptionGoesWhenItReturns) {
  open();
  Signal gone;
  std::optional<Subscription> s;
  Signal subscribed;
  s = must(bus->subscribe({.name = "s"}, [&, held = when_let_go([&] { gone.set(); })](Delivery&) {
    subscribed.wait();
    s->end();
    EXPECT_FALSE(gone.is_set());
  }));
  subscribed.set();
  publish("a.b");
  EXPECT_TRUE(gone.wait());
}

TEST_P(Subscribing, NoCallbackRunsOnceItHasEnded) {
  open();
  for (int round = 0; round < 50; ++round) {
    auto alive = std::make_shared<std::atomic<bool>>(true);
    auto subscription =
        must(bus->subscribe({.types = {"a.b"},
                             .condition =
                                 [alive](const EventView&) {
                                   EXPECT_TRUE(*alive);
                                   return true;
                                 },
                             .concurrency = 4,
                             .on_settled = [alive](EventId, Settled) { EXPECT_TRUE(*alive); }},
                            [alive](Delivery&) { EXPECT_TRUE(*alive); }));
    publish_many("a.b", 20);
    subscription.end();
    *alive = false;
    subscription.end();  // safe to call twice
  }
}

TEST_P(Subscribing, EndAsksRunningHandlersToStopAndWaitsForThem) {
  open();
  Signal running;
  std::atomic<bool> returned{false};
  auto subscription = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    running.set();
    const auto token = delivery.stop_token();
    Signal stop;
    const std::stop_callback callback(token, [&] { stop.set(); });
    EXPECT_TRUE(stop.wait());
    returned = true;
    return Outcome::stopped();
  }));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(running.wait());
  subscription.end();
  EXPECT_TRUE(returned);
  // Stopped because it was asked to: it stays pending, and the attempt is not counted.
  EXPECT_TRUE(eventually([&] { return state_of(receipt.id) == EventState::ready; }));
  Runs runs;
  subscription = must(bus->subscribe({.name = "s"}, noting(runs)));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.all()[0].attempt, 1U);
}

TEST_P(Subscribing, SubscriptionIsMovedAndAssignedLikeAValue) {
  open();
  Runs runs;
  auto first = must(bus->subscribe({.name = "s"}, noting(runs)));
  Subscription second(std::move(first));
  EXPECT_TRUE(second.active());
  EXPECT_EQ(second.name(), "s");
  second = Subscription();
  EXPECT_FALSE(stats_of("s").attached);
}

}  // namespace
}  // namespace holdfast::testing
