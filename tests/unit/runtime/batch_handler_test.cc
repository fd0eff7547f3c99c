// SPDX-License-Identifier: MIT
// Handlers that are given several events together, and answer for each.
#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::milliseconds;
using Payloads = std::vector<std::string>;

Payloads payloads_of(const BatchDelivery& batch) {
  Payloads payloads;
  for (const auto member : batch) payloads.emplace_back(member.event().payload_text());
  return payloads;
}

class Batching : public BusTest {
 protected:
  /// Each batch as it was given.
  Collected<Payloads> given;
  Collected<std::uint32_t> attempts;
  Settlements settled;

  void note(const BatchDelivery& batch) {
    for (const auto member : batch) attempts.add(member.attempt());
    given.add(payloads_of(batch));
  }
  SubscribeOptions durable(std::uint32_t size) {
    return {.name = "s",
            .types = {"a.>"},
            .batch_size = size,
            .retry = retry_at_once(3),
            .on_settled = [this](EventId id, Settled how) {
              settled.add({id, how});
            }};
  }
  /// Published while nobody is there to take them, so that they come together.
  BatchReceipt owe(std::size_t count) {
    must(bus->subscribe(durable(1), [](Delivery&) {})).end();
    return publish_many("a.b", count);
  }
  std::map<EventId, Settled> settlements() {
    std::map<EventId, Settled> each;
    for (const auto& [id, how] : settled.all()) each[id] = how;
    return each;
  }
};
HOLDFAST_ON_BOTH_STORES(Batching);

// --- What is given ------------------------------------------------------------------------------

TEST_P(Batching, WhatIsThereComesTogetherInItsOrder) {
  open();
  owe(10);
  const auto s = must(bus->subscribe_batch(durable(4), [&](BatchDelivery& batch) { note(batch); }));
  ASSERT_TRUE(settled.wait_for_count(10));
  const auto batches = given.all();
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[0], (Payloads{"0", "1", "2", "3"}));
  EXPECT_EQ(batches[1], (Payloads{"4", "5", "6", "7"}));
  EXPECT_EQ(batches[2], (Payloads{"8", "9"}));
  EXPECT_EQ(stats_of("s").acked, 10U);
  const auto counted = bus->stats().batches;
  EXPECT_EQ(counted.delivered, 3U);
  EXPECT_EQ(counted.deliveries, 10U);
}

TEST_P(Batching, AnEphemeralSubscriptionGetsThemAsWell) {
  open();
  const auto s =
      must(bus->subscribe_batch({.types = {"a.b"}, .batch_size = 100}, [&](BatchDelivery& batch) {
        EXPECT_EQ(batch.subscription(), "");
        note(batch);
      }));
  publish_many("a.b", 5);
  EXPECT_TRUE(attempts.wait_for_count(5));
}

TEST_P(Batching, EventsWaitForAFullBatchAsLongAsTheLingerAllows) {
  open();
  auto waiting = durable(3);
  waiting.batch_linger = kBatchLingerMax;
  {
    const auto s = must(bus->subscribe_batch(waiting, [&](BatchDelivery& batch) { note(batch); }));
    publish("a.b", "one");
    publish("a.b", "two");
    publish("other", "none of it");
    EXPECT_EQ(given.size(), 0U);
    publish("a.b", "three");
    ASSERT_TRUE(settled.wait_for_count(3));
    EXPECT_EQ(given.all()[0], (Payloads{"one", "two", "three"}));
  }
  waiting.batch_linger = milliseconds(20);
  const auto s = must(bus->subscribe_batch(waiting, [&](BatchDelivery& batch) { note(batch); }));
  publish("a.b", "four");
  ASSERT_TRUE(settled.wait_for_count(4));
  EXPECT_EQ(given.all()[1], (Payloads{"four"}));
}

TEST_P(Batching, ConditionIsAskedForEachBefore) {
  open();
  owe(6);
  auto wanted = durable(10);
  wanted.condition = [](const EventView& event) {
    if (event.payload_text() == "3") throw std::runtime_error("three");
    return event.payload_text() != "0" && event.payload_text() != "4";
  };
  wanted.retry.attempts_max = 1;
  const auto s = must(bus->subscribe_batch(wanted, [&](BatchDelivery& batch) { note(batch); }));
  ASSERT_TRUE(settled.wait_for_count(6));
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given.all()[0], (Payloads{"1", "2", "5"}));
  EXPECT_EQ(stats_of("s").skipped, 2U);
  EXPECT_EQ(stats_of("s").rejected, 1U);
  EXPECT_EQ(stats_of("s").lanes[2].leased, 0U);
}

TEST_P(Batching, WhatWasCancelledBeforeIsNotInIt) {
  open();
  const auto receipts = owe(4).receipts;
  must(bus->cancel(receipts[0].id));
  must(bus->cancel(receipts[2].id));
  const auto s =
      must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) { note(batch); }));
  ASSERT_TRUE(settled.wait_for_count(4));
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(given.all()[0], (Payloads{"1", "3"}));
  EXPECT_EQ(stats_of("s").cancelled, 2U);
  // The slot went with the rest.
  publish("a.b", "more");
  EXPECT_TRUE(given.wait_for_count(2));
}

// --- What is answered ---------------------------------------------------------------------------

TEST_P(Batching, EachEventHasItsOwnOutcomeAndTheOthersWhatIsReturned) {
  open();
  const auto receipts = owe(4).receipts;
  const auto s = must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) {
    note(batch);
    if (batch.size() < 4) return Outcome::ack();
    batch[0].answer(Outcome::ack());
    batch[1].answer(Outcome::reject("no good"));
    batch[2].answer(Outcome::ack());
    batch[2].answer(Outcome::snooze(milliseconds(0)));
    return Outcome::retry_after(milliseconds(0), "again");
  }));
  ASSERT_TRUE(settled.wait_for_count(4));
  const auto ended = settlements();
  EXPECT_EQ(ended.at(receipts[0].id), Settled::acked);
  EXPECT_EQ(ended.at(receipts[1].id), Settled::dead);
  EXPECT_EQ(ended.at(receipts[2].id), Settled::acked);
  EXPECT_EQ(ended.at(receipts[3].id), Settled::acked);
  EXPECT_EQ(must(bus->dead_letters()).at(0).reason, "no good");
  EXPECT_EQ(stats_of("s").retried, 1U);
  // Snoozing is not counted, and what is retried is.
  auto counted = attempts.all();
  std::sort(counted.begin() + 4, counted.end());
  EXPECT_EQ(counted, (std::vector<std::uint32_t>{1, 1, 1, 1, 1, 2}));
}

TEST_P(Batching, WhatAnotherOfItsBatchHasUndoneIsNotDone) {
  open();
  std::map<std::string, int> effects;
  auto how = durable(4);
  how.concurrency = 1;
  how.compensate = [&](Delivery& delivery) {
    --effects[std::string(delivery.event().payload_text())];
    return Outcome::ack();
  };
  must(bus->subscribe(how, [](Delivery&) {})).end();
  std::vector<OwnedEvent> members;
  for (const char* payload : {"0", "1", "2"})
    members.push_back({.type = "a.b", .payload = payload});
  const auto id =
      must(bus->publish_batch(members, {.operation = OperationOptions{.sequential = false}}))
          .operation_id;
  const auto s = must(bus->subscribe_batch(how, [&](BatchDelivery& batch) {
    note(batch);
    for (auto member : batch) {
      const auto payload = std::string(member.event().payload_text());
      ++effects[payload];
      if (payload == "1") member.answer(Outcome::reject("cannot be finished"));
    }
    return Outcome::ack();
  }));
  must(bus->wait_settled(id, kPatience));
  EXPECT_EQ(given.all()[0], (Payloads{"0", "1", "2"}));
  EXPECT_EQ(must(bus->operation(id)).state, OperationState::rolled_back);
  must(bus->close());
  EXPECT_EQ(effects, (std::map<std::string, int>{{"0", 0}, {"1", 0}, {"2", 0}}));
}

TEST_P(Batching, ThrowFailsEachOfThemWhateverWasAnswered) {
  open();
  owe(3);
  auto wanted = durable(10);
  wanted.retry.attempts_max = 1;
  const auto s = must(bus->subscribe_batch(wanted, [&](BatchDelivery& batch) {
    batch[1].answer(Outcome::ack());
    throw std::runtime_error("out of paper");
  }));
  ASSERT_TRUE(settled.wait_for_count(3));
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 3U);
  for (const auto& letter : letters) EXPECT_EQ(letter.reason, "out of paper");
}

TEST_P(Batching, OneTxCommitsWithAllAcks) {
  open();
  const auto receipts = owe(5).receipts;
  const auto s = must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) {
    auto tx = batch.tx();
    auto state = tx.state();
    const auto before = must(state.get("count")).value_or("0");
    state.put("count", std::to_string(std::stoul(before) + batch.size()));
    tx.publish({.type = "counted"});
    batch[4].answer(Outcome::reject("last"));
  }));
  ASSERT_TRUE(settled.wait_for_count(5));
  EXPECT_EQ(must(bus->state("s", "count")), "5");
  const auto follow_ups = scan({.types = {"counted"}});
  ASSERT_EQ(follow_ups.size(), 1U);
  const auto commit = must(bus->get(follow_ups[0].first))->commit;
  EXPECT_GT(commit, receipts[4].commit);
  EXPECT_EQ(settlements().at(receipts[4].id), Settled::dead);
}

TEST_P(Batching, TxThatIsOverALimitFailsWhatWasAcked) {
  open();
  const auto receipts = owe(2).receipts;
  auto wanted = durable(10);
  wanted.retry.attempts_max = 1;
  const auto s = must(bus->subscribe_batch(
      wanted, [&](BatchDelivery& batch) { batch.tx().state().put("", "no key"); }));
  ASSERT_TRUE(settled.wait_for_count(2));
  EXPECT_EQ(settlements().at(receipts[0].id), Settled::dead);
  EXPECT_EQ(settlements().at(receipts[1].id), Settled::dead);
}

TEST_P(Batching, AllRunAgainUncountedWhenWhatTheTxReadHasChanged) {
  open();
  owe(3);
  const auto s = must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) {
    note(batch);
    auto tx = batch.tx();
    auto state = tx.state();
    const auto seen = must(state.get("key")).value_or("nothing");
    state.put("seen", seen);
    if (given.size() > 1) return;
    // Somebody else changes it meanwhile.
    auto change = bus->batch();
    change.state("s").put("key", "changed");
    must(change.commit());
  }));
  ASSERT_TRUE(settled.wait_for_count(3));
  const auto batches = given.all();
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0], batches[1]);
  EXPECT_EQ(attempts.all(), std::vector<std::uint32_t>(6, 1));
  EXPECT_EQ(must(bus->state("s", "seen")), "changed");
  EXPECT_EQ(stats_of("s").refused_tx, 1U);
}

// --- Being asked to stop ------------------------------------------------------------------------

TEST_P(Batching, WhenOneIsCancelledItRunsAgainWithoutItUncounted) {
  open();
  const auto receipts = owe(3).receipts;
  Collected<StopReason> reasons;
  Runs cleaned;
  auto wanted = durable(10);
  wanted.on_cancel = [&](Delivery& delivery) { cleaned.note(delivery); };
  const auto s = must(bus->subscribe_batch(wanted, [&](BatchDelivery& batch) {
    note(batch);
    batch.tx().state().put("runs", std::to_string(given.size()));
    if (batch.size() < 3) return;
    const auto stop = batch.stop_token();
    EXPECT_TRUE(eventually([&] { return stop.stop_requested(); }));
    reasons.add(batch.stop_reason());
  }));
  ASSERT_TRUE(given.wait_for_count(1));
  EXPECT_EQ(must(bus->cancel(receipts[1].id)).outcome, CancelOutcome::signalled);
  ASSERT_TRUE(settled.wait_for_count(3));
  EXPECT_EQ(reasons.all(), (std::vector<StopReason>{StopReason::cancelled}));
  EXPECT_EQ(given.all().back(), (Payloads{"0", "2"}));
  EXPECT_EQ(attempts.all(), std::vector<std::uint32_t>(5, 1));
  EXPECT_EQ(cleaned.payloads(), (Payloads{"1"}));
  const auto ended = settlements();
  EXPECT_EQ(ended.at(receipts[0].id), Settled::acked);
  EXPECT_EQ(ended.at(receipts[1].id), Settled::cancelled);
  EXPECT_EQ(ended.at(receipts[2].id), Settled::acked);
  EXPECT_EQ(must(bus->state("s", "runs")), "2") << "the tx of the first run was dropped";
}

TEST_P(Batching, TheTimeOutIsOfTheBatch) {
  open();
  owe(3);
  auto wanted = durable(10);
  wanted.timeout = milliseconds(1);
  const auto s = must(bus->subscribe_batch(wanted, [&](BatchDelivery& batch) {
    note(batch);
    if (batch[0].attempt() > 1) return Outcome::ack();
    EXPECT_TRUE(eventually([&] { return batch.stop_token().stop_requested(); }));
    EXPECT_EQ(batch.stop_reason(), StopReason::timed_out);
    return Outcome::stopped();
  }));
  ASSERT_TRUE(settled.wait_for_count(3));
  EXPECT_EQ(stats_of("s").retried, 3U);
  EXPECT_EQ(stats_of("s").acked, 3U);
}

TEST_P(Batching, AnAbandonedOneGoesToAnotherAndItsLateAnswerChangesNothing) {
  options.workers = {.critical = 0, .high = 0, .normal = 0, .low = 2};
  open();
  const auto receipts = owe(3).receipts;
  Signal late;
  Signal returned;
  auto wanted = durable(10);
  wanted.concurrency = 3;
  wanted.timeout = milliseconds(1);
  wanted.abandon_after = milliseconds(20);
  wanted.retry = retry_at_once(1'000);  // a slow machine may well abandon the next as well
  auto s = must(bus->subscribe_batch(wanted, [&](BatchDelivery& batch) {
    note(batch);
    if (batch[0].attempt() > 1) return Outcome::ack();
    batch.tx().state().put("late", "yes");
    EXPECT_TRUE(late.wait());
    returned.set();
    return Outcome::reject("late");
  }));
  ASSERT_TRUE(settled.wait_for_count(3));
  late.set();
  ASSERT_TRUE(returned.wait());
  s.end();
  must(bus->drain());
  for (const auto& receipt : receipts) {
    EXPECT_EQ(settlements().at(receipt.id), Settled::acked);
  }
  EXPECT_EQ(settled.size(), 3U);
  EXPECT_FALSE(must(bus->state("s", "late")).has_value());
  EXPECT_TRUE(eventually([&] { return bus->stats().running.empty(); }));
}

TEST_P(Batching, AtShutdownItIsAskedToStopAndNothingIsCounted) {
  open();
  const auto receipts = owe(3).receipts;
  {
    const auto s = must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) {
      note(batch);
      EXPECT_TRUE(eventually([&] { return batch.stop_token().stop_requested(); }));
      EXPECT_EQ(batch.stop_reason(), StopReason::shutdown);
      return Outcome::stopped();
    }));
    ASSERT_TRUE(given.wait_for_count(1));
  }
  const auto again =
      must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) { note(batch); }));
  ASSERT_TRUE(settled.wait_for_count(3));
  EXPECT_EQ(given.all()[1], (Payloads{"0", "1", "2"}));
  EXPECT_EQ(attempts.all(), std::vector<std::uint32_t>(6, 1));
}

TEST_P(Batching, ProgressAndAgeAreToldOfEachOfThem) {
  open();
  owe(3);
  Signal go_on;
  auto s = must(bus->subscribe_batch(durable(10), [&](BatchDelivery& batch) {
    batch.progress(0.5, "half of them");
    given.add(payloads_of(batch));
    EXPECT_TRUE(go_on.wait());
  }));
  ASSERT_TRUE(given.wait_for_count(1));
  const auto running = bus->stats().running;
  go_on.set();
  ASSERT_EQ(running.size(), 3U);
  for (const auto& each : running) {
    EXPECT_EQ(each.subscription, "s");
    EXPECT_EQ(each.progress, 0.5);
    EXPECT_EQ(each.note, "half of them");
    EXPECT_FALSE(each.deferred);
  }
  EXPECT_TRUE(eventually([&] { return bus->stats().running.empty(); }));
}

TEST_P(Batching, HandlerMayEndItsOwnSubscription) {
  open();
  owe(5);
  Subscription s;
  Signal subscribed;
  Signal ended;
  s = must(bus->subscribe_batch(durable(2), [&](BatchDelivery& batch) {
    EXPECT_TRUE(subscribed.wait());
    note(batch);
    s.end();
    ended.set();
  }));
  subscribed.set();
  ASSERT_TRUE(ended.wait());
  ASSERT_TRUE(eventually([&] { return stats_of("s").acked == 2; }));
  EXPECT_EQ(given.size(), 1U);
}

// --- Bad input ----------------------------------------------------------------------------------

TEST_P(Batching, OptionsOutOfRangeAreRefusedWithTheirLimit) {
  open();
  const auto refused = [&](SubscribeOptions wanted) {
    return bus->subscribe_batch(std::move(wanted), [](BatchDelivery&) {});
  };
  EXPECT_TRUE(fails(refused({.batch_size = 0}), StatusCode::invalid_argument,
                    {"batch_size is 0", "1 to 1000"}));
  EXPECT_TRUE(fails(refused({.batch_size = kBatchSizeMax + 1}), StatusCode::invalid_argument,
                    {"batch_size is 1001", "1 to 1000"}));
  EXPECT_TRUE(fails(refused({.batch_linger = milliseconds(-1)}), StatusCode::invalid_argument,
                    {"batch_linger is -1 ms", "60000"}));
  EXPECT_TRUE(fails(refused({.batch_linger = milliseconds::max()}), StatusCode::invalid_argument,
                    {"batch_linger is ", "60000"}));
  EXPECT_TRUE(is_ok(refused({.batch_size = kBatchSizeMax, .batch_linger = kBatchLingerMax})));
  EXPECT_TRUE(fails(bus->subscribe_batch({}, {}), StatusCode::invalid_argument, {"empty"}));
  EXPECT_TRUE(fails(bus->subscribe_batch({}, std::function<void(BatchDelivery&)>()),
                    StatusCode::invalid_argument, {"empty"}));
  // The other kind has no use for them.
  EXPECT_TRUE(is_ok(bus->subscribe({.batch_size = 0}, [](Delivery&) {})));
}

}  // namespace
}  // namespace holdfast::testing
