// SPDX-License-Identifier: MIT
// Cancelling single events and tokens.
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::milliseconds;

class Cancelling : public BusTest {
 protected:
  ~Cancelling() override { let_go.set(); }
  /// A handler that holds its first event until it is let go.
  Handler holding() {
    return [this](Delivery& delivery) {
      runs.note(delivery);
      started.set();
      (void)let_go.wait();
      return Outcome::ack();
    };
  }
  Handler noting() {
    return [this](Delivery& delivery) {
      runs.note(delivery);
      return Outcome::ack();
    };
  }
  SubscribeOptions named(const std::string& name) {
    return {.name = name, .on_settled = [this](EventId id, Settled how) {
              settled.add({id, how});
            }};
  }
  CancelReceipt cancel(EventId id) { return must(bus->cancel(id, "not wanted")); }
  EventId publish_under(const CancellationToken& token, std::string_view type = "a.b") {
    return must(bus->publish({.type = type, .token = token})).id;
  }
  Runs runs;
  Runs cleanups;
  Settlements settled;
  Signal started;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Cancelling);

using Told = std::vector<std::pair<EventId, Settled>>;

TEST_P(Cancelling, WhatNobodyHasStartedIsPreventedAndNeverStarts) {
  open();
  auto s = must(bus->subscribe(named("s"), holding()));
  publish("a.b");
  ASSERT_TRUE(started.wait());
  const auto waiting = publish("a.b").id;
  const auto receipt = cancel(waiting);
  EXPECT_EQ(receipt.outcome, CancelOutcome::prevented);
  EXPECT_EQ(receipt.prevented, 1U);
  ASSERT_EQ(receipt.events.size(), 1U);
  EXPECT_EQ(receipt.events[0].id, waiting);
  EXPECT_LE(receipt.commit, bus->durable_commit());
  EXPECT_EQ(state_of(waiting), EventState::cancelled);
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(2));
  EXPECT_EQ(runs.all().size(), 1U);
  EXPECT_EQ(settled.all()[1], std::pair(waiting, Settled::cancelled));
  EXPECT_EQ(stats_of("s").cancelled, 1U);
}

TEST_P(Cancelling, AHandlerThatHasItIsAskedToStopBeforeTheCancelReturns) {
  open();
  std::optional<std::stop_token> token;
  std::atomic<StopReason> reason{StopReason::none};
  auto s = must(bus->subscribe(named("s"), [&](Delivery& delivery) {
    token = delivery.stop_token();
    started.set();
    (void)let_go.wait();
    reason = delivery.stop_reason();
    return Outcome::ack();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(started.wait());
  EXPECT_FALSE(token->stop_requested());
  const auto receipt = cancel(id);
  EXPECT_EQ(receipt.outcome, CancelOutcome::signalled);
  EXPECT_EQ(receipt.signalled, 1U);
  EXPECT_TRUE(token->stop_requested());
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(reason, StopReason::cancelled);
  EXPECT_EQ(settled.all(), (Told{{id, Settled::cancelled}}));
  EXPECT_EQ(stats_of("s").acked, 0U);
}

TEST_P(Cancelling, TheTxOfALateAckIsRefusedWithIt) {
  open();
  auto s = must(bus->subscribe(named("s"), [&](Delivery& delivery) {
    if (delivery.event().type != "a.b") return Outcome::ack();
    auto tx = delivery.tx();
    tx.state().put("done", "yes");
    tx.publish({.type = "follow.up"});
    started.set();
    (void)let_go.wait();
    return Outcome::ack();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(started.wait());
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::signalled);
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_FALSE(must(bus->state("s", "done")).has_value());
  EXPECT_EQ(scan().size(), 1U) << "the follow-up was published";
}

TEST_P(Cancelling, ADeferredOfACancelledEventIsToldSo) {
  open();
  Collected<std::shared_ptr<Deferred>> deferred;
  auto s = must(bus->subscribe(named("s"), [&](Delivery& delivery) {
    deferred.add(std::make_shared<Deferred>(delivery.defer()));
    return Outcome::ack();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(deferred.wait_for_count(1));
  const auto handle = deferred.all()[0];
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::signalled);
  EXPECT_TRUE(handle->stop_token().stop_requested());
  EXPECT_EQ(handle->stop_reason(), StopReason::cancelled);
  EXPECT_TRUE(fails(handle->settle(Outcome::ack()), StatusCode::cancelled, {"cancelled"}));
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all(), (Told{{id, Settled::cancelled}}));
}

TEST_P(Cancelling, WhatWasAckedEverywhereIsTooLateAndStaysAcked) {
  open();
  auto s = must(bus->subscribe(named("s"), noting()));
  const auto id = publish("a.b").id;
  must(bus->wait_settled(id, kPatience));
  const auto receipt = cancel(id);
  EXPECT_EQ(receipt.outcome, CancelOutcome::too_late);
  EXPECT_EQ(receipt.too_late, 1U);
  EXPECT_EQ(state_of(id), EventState::settled);
  EXPECT_FALSE(must(bus->get(id))->cancelled.has_value());
}

TEST_P(Cancelling, WhatOneHasAckedAndAnotherStillOwesIsPrevented) {
  open();
  auto done = must(bus->subscribe(named("done"), noting()));
  { auto later = must(bus->subscribe({.name = "later"}, noting())); }
  const auto id = publish("a.b").id;
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::prevented);
  EXPECT_EQ(settled.all(), (Told{{id, Settled::acked}}));
  auto later = must(bus->subscribe(named("later"), noting()));
  ASSERT_TRUE(settled.wait_for_count(2));
  EXPECT_EQ(settled.all()[1], std::pair(id, Settled::cancelled));
  EXPECT_EQ(runs.all().size(), 1U);
}

TEST_P(Cancelling, AnUnclaimedEventIsPreventedForWhoeverComesLater) {
  open();
  const auto id = publish("a.b").id;
  const auto receipt = cancel(id);
  EXPECT_EQ(receipt.outcome, CancelOutcome::prevented);
  auto s = must(bus->subscribe(named("s"), noting()));
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all(), (Told{{id, Settled::cancelled}}));
  EXPECT_TRUE(runs.all().empty());
}

TEST_P(Cancelling, AnEventThatWaitsForItsRetryIsPreventedAndCleanedUp) {
  open();
  auto options_of = named("s");
  options_of.retry = retry_at_once(5);
  options_of.on_cancel = [&](Delivery& delivery) { cleanups.note(delivery); };
  auto s = must(bus->subscribe(options_of, [&](Delivery& delivery) {
    runs.note(delivery);
    return Outcome::snooze(milliseconds(30));
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(runs.wait_for_count(1));
  // It is with the handler, or waits for its time.
  (void)cancel(id);
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all(), (Told{{id, Settled::cancelled}}));
  EXPECT_EQ(cleanups.all().size(), 1U);
}

TEST_P(Cancelling, CancellingAgainChangesNothingAndSaysSo) {
  open();
  { auto s = must(bus->subscribe({.name = "s"}, noting())); }
  const auto id = publish("a.b").id;
  EXPECT_FALSE(cancel(id).already_cancelled);
  const auto again = must(bus->cancel(id, "another reason"));
  EXPECT_TRUE(again.already_cancelled);
  EXPECT_EQ(again.outcome, CancelOutcome::prevented);
  const auto stored = must(bus->get(id));
  ASSERT_TRUE(stored->cancelled.has_value());
  EXPECT_EQ(stored->cancelled->reason, "not wanted");
}

TEST_P(Cancelling, WhatCannotBeCancelledIsRefused) {
  open();
  EXPECT_TRUE(fails(bus->cancel(EventId{Priority::high, 7}), StatusCode::not_found, {"high:7"}));
  EXPECT_TRUE(fails(bus->cancel(EventId{}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->cancel(TokenId{}), StatusCode::invalid_argument, {"empty"}));
  EXPECT_TRUE(fails(bus->cancel(TokenId{77}), StatusCode::not_found, {"token:77"}));
  EXPECT_TRUE(fails(bus->token(TokenId{77}), StatusCode::not_found, {"token:77"}));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .token = TokenId{77}}), StatusCode::not_found,
                    {"token:77"}));
  EXPECT_TRUE(fails(bus->make_token({.timeout = milliseconds(-1)}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->make_token({.timeout = std::chrono::hours(24 * 366)}),
                    StatusCode::invalid_argument));
  EXPECT_TRUE(scan().empty());
}

// --- on_cancel ----------------------------------------------------------------------------------

TEST_P(Cancelling, OnCancelRunsOnceTheHandlerHasReturnedWithATxOfItsOwn) {
  open();
  std::atomic<bool> inside{false};
  std::atomic<bool> overlapped{false};
  auto options_of = named("s");
  options_of.on_cancel = [&](Delivery& delivery) {
    overlapped = overlapped || inside;
    cleanups.note(delivery);
    delivery.tx().state().put("cleaned", "yes");
    delivery.tx().publish({.type = "cleaned.up"});
  };
  auto s = must(bus->subscribe(options_of, [&](Delivery& delivery) {
    if (delivery.event().type == "cleaned.up") return Outcome::ack();
    inside = true;
    started.set();
    (void)let_go.wait();
    inside = false;
    return Outcome::stopped();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(started.wait());
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::signalled);
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(2));
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(cleanups.all().size(), 1U);
  EXPECT_EQ(settled.all()[0], std::pair(id, Settled::cancelled));
  EXPECT_EQ(must(bus->state("s", "cleaned")), "yes");
}

TEST_P(Cancelling, OnCancelIsNotCalledForWhatNoHandlerHasSeen) {
  open();
  auto options_of = named("s");
  options_of.on_cancel = [&](Delivery& delivery) { cleanups.note(delivery); };
  auto s = must(bus->subscribe(options_of, holding()));
  publish("a.b");
  ASSERT_TRUE(started.wait());
  const auto id = publish("a.b").id;
  (void)cancel(id);
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(2));
  EXPECT_TRUE(cleanups.all().empty());
}

TEST_P(Cancelling, OnCancelIsTriedAgainAndEndsInTheDeadLetters) {
  open();
  auto options_of = named("s");
  options_of.retry = retry_at_once(3);
  options_of.on_cancel = [&](Delivery& delivery) {
    cleanups.note(delivery);
    return Outcome::retry("cannot clean up");
  };
  auto s = must(bus->subscribe(options_of, holding()));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(started.wait());
  (void)cancel(id);
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all(), (Told{{id, Settled::dead}}));
  const auto all = cleanups.all();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[2].attempt, 3U);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].reason, "cannot clean up");
}

// --- Tokens -------------------------------------------------------------------------------------

TEST_P(Cancelling, OneTokenCancelsAllThatWasPublishedUnderItAndCountsIt) {
  open();
  auto s = must(bus->subscribe(named("s"), [&](Delivery& delivery) {
    if (delivery.event().type == "hold") {
      started.set();
      (void)let_go.wait();
    }
    return Outcome::ack();
  }));
  const auto token = must(bus->make_token());
  const auto done = publish_under(token);
  must(bus->wait_settled(done, kPatience));
  const auto held = publish_under(token, "hold");
  ASSERT_TRUE(started.wait());
  const auto waiting = publish_under(token);
  const auto other = publish("a.b").id;
  EXPECT_FALSE(token.cancelled());
  const auto receipt = must(bus->cancel(token, "all of it"));
  EXPECT_TRUE(token.cancelled());
  EXPECT_EQ(receipt.outcome, CancelOutcome::signalled);
  EXPECT_EQ(receipt.prevented, 1U);
  EXPECT_EQ(receipt.signalled, 1U);
  EXPECT_EQ(receipt.too_late, 1U);
  std::map<EventId, CancelOutcome> told;
  for (const auto& each : receipt.events) told[each.id] = each.outcome;
  EXPECT_EQ(told, (std::map<EventId, CancelOutcome>{{done, CancelOutcome::too_late},
                                                    {held, CancelOutcome::signalled},
                                                    {waiting, CancelOutcome::prevented}}));
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(4));
  std::map<EventId, Settled> ended;
  for (const auto& [id, how] : settled.all()) ended[id] = how;
  EXPECT_EQ(ended, (std::map<EventId, Settled>{{done, Settled::acked},
                                               {held, Settled::cancelled},
                                               {waiting, Settled::cancelled},
                                               {other, Settled::acked}}));
}

TEST_P(Cancelling, OfAsManyAsThereAreAThousandAreListedAndAllAreCounted) {
  constexpr std::uint32_t kCount = kCancelEventsListed + 5;
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  auto s = must(bus->subscribe({.name = "s", .types = {"a.b"}, .concurrency = kCount + 1},
                               [&](Delivery& delivery) {
                                 owed.add(std::make_shared<Deferred>(delivery.defer()));
                                 return Outcome::ack();
                               }));
  for (const bool is_with_a_handler : {true, false}) {
    const auto token = must(bus->make_token());
    std::vector<OwnedEvent> events(kCount);
    for (auto& event : events) {
      event.type = is_with_a_handler ? "a.b" : "nobody.wants";
      event.token = token.id();
    }
    must(bus->publish_batch(events));
    if (is_with_a_handler) {
      ASSERT_TRUE(owed.wait_for_count(kCount));
    }
    const auto receipt = must(bus->cancel(token));
    EXPECT_EQ(receipt.signalled, is_with_a_handler ? kCount : 0U);
    EXPECT_EQ(receipt.prevented, is_with_a_handler ? 0U : kCount);
    EXPECT_EQ(receipt.events.size(), kCancelEventsListed);
  }
  for (const auto& each : owed.all()) {
    EXPECT_TRUE(fails(each->settle(Outcome::stopped()), StatusCode::cancelled));
  }
}

TEST_P(Cancelling, NothingIsPublishedUnderACancelledToken) {
  open();
  const auto token = must(bus->make_token());
  must(bus->cancel(token, "over"));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .token = token}), StatusCode::cancelled,
                    {to_string(token), "over"}));
  std::vector<OwnedEvent> events(2, {.type = "a"});
  events[1].token = token;
  EXPECT_TRUE(fails(bus->publish_batch(events), StatusCode::cancelled, {"event 1"}));
  EXPECT_TRUE(scan().empty());
}

TEST_P(Cancelling, ATxThatPublishesUnderACancelledTokenFailsTheAck) {
  open();
  const auto token = must(bus->make_token());
  must(bus->cancel(token, "over"));
  auto options_of = named("s");
  options_of.retry = retry_at_once(1);
  auto s = must(bus->subscribe(options_of, [&](Delivery& delivery) {
    delivery.tx().publish({.type = "x", .token = token});
    return Outcome::ack();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all(), (Told{{id, Settled::dead}}));
  EXPECT_EQ(scan().size(), 1U);
}

TEST_P(Cancelling, ATokenThatTimesOutCancelsWhatIsLeft) {
  open();
  { auto s = must(bus->subscribe({.name = "s"}, noting())); }
  const auto token = must(bus->make_token({.timeout = milliseconds(50)}));
  const auto id = publish_under(token);
  // Waits for the time-out, since nobody handles it.
  must(bus->wait_settled(id, kPatience));
  EXPECT_TRUE(token.cancelled());
  EXPECT_EQ(state_of(id), EventState::cancelled);
  EXPECT_EQ(must(bus->get(id))->cancelled->reason, "timed out");
  EXPECT_TRUE(runs.all().empty());
}

TEST_P(Cancelling, ACancellablePublishHasATokenForThisOneEvent) {
  open();
  { auto s = must(bus->subscribe({.name = "s"}, noting())); }
  const auto first = must(bus->publish_cancellable({.type = "a"}));
  const auto second = must(bus->publish_cancellable({.type = "a"}));
  EXPECT_FALSE(first.token == second.token);
  EXPECT_EQ(must(bus->token(first.token.id())), first.token);
  EXPECT_EQ(parse_token_id(to_string(first.token)), first.token.id());
  const auto receipt = must(bus->cancel(first.token));
  EXPECT_EQ(receipt.outcome, CancelOutcome::prevented);
  EXPECT_TRUE(first.token.cancelled());
  EXPECT_FALSE(second.token.cancelled());
  EXPECT_EQ(state_of(first.receipt.id), EventState::cancelled);
  EXPECT_EQ(state_of(second.receipt.id), EventState::ready);
  EXPECT_TRUE(
      fails(bus->publish({.type = "a", .token = second.token}), StatusCode::not_found, {"token:"}));
}

TEST_P(Cancelling, ThereAreOnlySoManyTokens) {
  options.limits.tokens_max = 2;
  open();
  (void)must(bus->make_token());
  (void)must(bus->make_token());
  EXPECT_TRUE(fails(bus->make_token(), StatusCode::resource_exhausted, {"2", "limits.tokens_max"}));
}

TEST_P(Cancelling, WaitingForACancelledEventEnds) {
  open();
  { auto s = must(bus->subscribe({.name = "s"}, noting())); }
  const auto id = publish("a.b").id;
  Signal ended;
  std::thread waiting([&] {
    EXPECT_TRUE(is_ok(bus->wait_settled(id, kPatience)));
    ended.set();
  });
  (void)cancel(id);
  EXPECT_TRUE(ended.wait());
  waiting.join();
}

TEST_P(Cancelling, WithoutWaitingItTellsTheSameReceipt) {
  open();
  { auto s = must(bus->subscribe({.name = "s"}, noting())); }
  const auto token = must(bus->make_token());
  const auto id = publish_under(token);
  // They are told by different threads: the second writes nothing that would have to be synced.
  Collected<Result<CancelReceipt>> first;
  Collected<Result<CancelReceipt>> second;
  const auto tell = [](auto& told) {
    return [&told](Result<CancelReceipt> receipt) { told.add(std::move(receipt)); };
  };
  must(bus->cancel_async(token, "why", tell(first)));
  must(bus->cancel_async(id, "why", tell(second)));
  ASSERT_TRUE(first.wait_for_count(1));
  ASSERT_TRUE(second.wait_for_count(1));
  EXPECT_EQ(must(first.all()[0]).prevented, 1U);
  EXPECT_TRUE(must(second.all()[0]).already_cancelled);
  EXPECT_TRUE(fails(bus->cancel_async(TokenId{}, "", tell(first)), StatusCode::invalid_argument));
}

TEST_P(Cancelling, AHandlerMayCancelItsOwnEvent) {
  open();
  auto s = must(bus->subscribe(named("s"), [&](Delivery& delivery) {
    EXPECT_EQ(must(bus->cancel(delivery.event().id)).outcome, CancelOutcome::signalled);
    EXPECT_TRUE(delivery.stop_token().stop_requested());
    return Outcome::ack();
  }));
  const auto id = publish("a.b").id;
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all(), (Told{{id, Settled::cancelled}}));
}

// --- Restarts -----------------------------------------------------------------------------------

class CancellingOnDisk : public DiskBusTest {
 protected:
  Runs runs;
  Settlements settled;
};

TEST_F(CancellingOnDisk, CancelledStaysCancelledOverARestart) {
  open();
  {
    auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  }
  const auto token = must(bus->make_token());
  const auto id = token.id();
  const auto first = publish("a.b").id;
  const auto second = must(bus->publish({.type = "a.b", .token = token})).id;
  const auto third = publish("a.b").id;
  must(bus->cancel(first, "one"));
  must(bus->cancel(token, "two"));
  reopen();
  EXPECT_EQ(state_of(first), EventState::cancelled);
  EXPECT_EQ(state_of(second), EventState::cancelled);
  EXPECT_TRUE(must(bus->token(id)).cancelled());
  EXPECT_TRUE(fails(bus->publish({.type = "a", .token = id}), StatusCode::cancelled, {"two"}));
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  must(bus->wait_settled(third, kPatience));
  EXPECT_EQ(runs.ids(), (std::vector<EventId>{third}));
}

TEST_F(CancellingOnDisk, ATokenOfAnEarlierRunCancels) {
  open();
  {
    auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  }
  const auto id = must(bus->make_token()).id();
  const auto event = must(bus->publish({.type = "a.b", .token = id})).id;
  reopen();
  const auto token = must(bus->token(id));
  EXPECT_FALSE(token.cancelled());
  EXPECT_EQ(must(bus->cancel(token)).prevented, 1U);
  EXPECT_EQ(state_of(event), EventState::cancelled);
}

TEST_F(CancellingOnDisk, OnCancelIsOwedOverARestart) {
  open();
  Signal started;
  Signal let_go;
  Runs cleanups;
  EventId id;
  {
    // The handler is still at it when the bus goes.
    auto s = must(bus->subscribe({.name = "s", .on_cancel = [](Delivery&) {}}, [&](Delivery&) {
      started.set();
      (void)let_go.wait();
      return Outcome::stopped();
    }));
    id = publish("a.b").id;
    ASSERT_TRUE(started.wait());
    EXPECT_EQ(must(bus->cancel(id)).outcome, CancelOutcome::signalled);
    must(bus->pause("s"));
    let_go.set();
  }
  reopen();
  must(bus->resume("s"));
  auto s = must(bus->subscribe({.name = "s",
                                .on_cancel = [&](Delivery& delivery) { cleanups.note(delivery); },
                                .on_settled =
                                    [&](EventId event, Settled how) {
                                      settled.add({event, how});
                                    }},
                               [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(settled.wait_for_count(1));
  EXPECT_EQ(settled.all()[0], std::pair(id, Settled::cancelled));
  EXPECT_EQ(cleanups.ids(), (std::vector<EventId>{id}));
  EXPECT_TRUE(runs.all().empty());
}

TEST_F(CancellingOnDisk, TheTimeOutOfATokenGoesOnWhileTheBusIsClosed) {
  open();
  {
    auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  }
  const auto id = must(bus->make_token({.timeout = milliseconds(300)})).id();
  const auto event = must(bus->publish({.type = "a.b", .token = id})).id;
  reopen();
  must(bus->wait_settled(event, kPatience));
  EXPECT_EQ(state_of(event), EventState::cancelled);
}

TEST_F(CancellingOnDisk, MarksGoOnceNothingIsLeftThatTheyCouldApplyTo) {
  options.retention.bytes = 0;
  options.unclaimed_retention.bytes = 0;
  open();
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  const auto token = must(bus->make_token()).id();
  const auto id = must(bus->publish({.type = "a.b", .token = token})).id;
  must(bus->cancel(token));
  // Enough behind it for its part of the lane to go.
  for (int i = 0; i < 40; ++i) {
    std::vector<OwnedEvent> events(64, {.type = "a.b", .payload = std::string(4'096, 'x')});
    must(bus->publish_batch(events));
  }
  while (bus->token(token).ok()) std::this_thread::yield();
  EXPECT_TRUE(fails(bus->token(token), StatusCode::not_found));
  EXPECT_FALSE(must(bus->get(id)).has_value());
}

}  // namespace
}  // namespace holdfast::testing
