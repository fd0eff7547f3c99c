// SPDX-License-Identifier: MIT
// Idempotency keys: who publishes again gets the first event's receipt, and nothing is published.
#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

Event keyed(std::string_view key, std::string_view payload = {}, TokenId token = {}) {
  return {.type = "order.placed", .payload = payload, .token = token, .idempotency_key = key};
}

OwnedEvent owned(const std::string& key) {
  return {.type = "order.placed", .payload = "x", .idempotency_key = key};
}

class PublishingAgain : public BusTest {
 protected:
  [[nodiscard]] std::size_t event_count() const { return scan().size(); }
};
HOLDFAST_ON_BOTH_STORES(PublishingAgain);

void expect_same(const Receipt& again, const Receipt& first) {
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.commit, first.commit);
  EXPECT_TRUE(again.duplicate);
}

TEST_P(PublishingAgain, GivesTheReceiptOfTheFirstAndWritesNothing) {
  open();
  const auto first = must(bus->publish(keyed("k", "one")));
  EXPECT_FALSE(first.duplicate);
  publish("other");
  const auto before = bus->stats().commit;
  expect_same(must(bus->publish(keyed("k", "two"))), first);
  expect_same(must(bus->publish(keyed("k"), {.durability = Durability::os})), first);
  EXPECT_EQ(bus->stats().commit, before);
  EXPECT_EQ(bus->stats().idempotency_keys, 1U);
  EXPECT_EQ(event_count(), 2U);
  EXPECT_EQ(must(bus->get(first.id))->event.payload, "one");
  EXPECT_EQ(must(bus->get(first.id))->event.idempotency_key, "k");
}

TEST_P(PublishingAgain, TheKeyAloneCounts) {
  open();
  const auto first = must(bus->publish(keyed("k")));
  expect_same(must(bus->publish({.type = "quite.another",
                                 .priority = Priority::critical,
                                 .source = Source::user(),
                                 .idempotency_key = "k"})),
              first);
  EXPECT_FALSE(must(bus->publish(keyed("K"))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed("k "))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed(std::string_view("k\0", 2)))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed(std::string_view("\0\xff", 2)))).duplicate);
  expect_same(must(bus->publish(keyed("k"))), first);
}

TEST_P(PublishingAgain, WithoutAKeyIsANewEventEachTime) {
  open();
  EXPECT_FALSE(must(bus->publish(keyed(""))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed(""))).duplicate);
  EXPECT_EQ(event_count(), 2U);
  EXPECT_EQ(bus->stats().idempotency_keys, 0U);
}

TEST_P(PublishingAgain, AKeyOverItsLimitIsRefusedAndOneAtItIsNot) {
  open();
  EXPECT_TRUE(fails(bus->publish(keyed(std::string(256, 'k'))), StatusCode::invalid_argument,
                    {"idempotency key", "256", "255"}));
  const std::string longest(255, '\xff');
  const auto first = must(bus->publish(keyed(longest)));
  expect_same(must(bus->publish(keyed(longest))), first);
}

TEST_P(PublishingAgain, ManyThreadsUnderTheSameKeysPublishOneEventEach) {
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kKeys = 50;
  open();
  std::vector<std::vector<Receipt>> receipts(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t key = 0; key < kKeys; ++key) {
        const auto durability = i % 2 == 0 ? Durability::durable : Durability::os;
        const auto receipt =
            must(bus->publish(keyed("k" + std::to_string(key)), {.durability = durability}));
        receipts[i].push_back(receipt);
        if (durability == Durability::durable) {
          EXPECT_GE(bus->durable_commit(), receipt.commit);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(event_count(), kKeys);
  for (std::size_t key = 0; key < kKeys; ++key) {
    std::size_t firsts = 0;
    for (const auto& mine : receipts) {
      EXPECT_EQ(mine[key].id, receipts[0][key].id);
      EXPECT_EQ(mine[key].commit, receipts[0][key].commit);
      firsts += mine[key].duplicate ? 0 : 1;
    }
    EXPECT_EQ(firsts, 1U);
  }
}

TEST_P(PublishingAgain, DurablyWaitsForTheFirstThatWasNot) {
  open();
  for (int i = 0; i < 20; ++i) {
    const auto key = std::to_string(i);
    const auto first = must(bus->publish(keyed(key), {.durability = Durability::os}));
    expect_same(must(bus->publish(keyed(key), {.durability = Durability::durable})), first);
    EXPECT_GE(bus->durable_commit(), first.commit);
  }
}

TEST_P(PublishingAgain, WithoutWaitingIsToldToTheCallback) {
  options.durability = Durability::durable;
  open();
  Collected<Result<Receipt>> told;
  std::atomic<bool> early{false};
  for (int i = 0; i < 100; ++i) {
    must(bus->publish_async(keyed("k"), [&](Result<Receipt> receipt) {
      if (receipt.ok() && bus->durable_commit() < receipt->commit) early = true;
      told.add(std::move(receipt));
    }));
  }
  ASSERT_TRUE(told.wait_for_count(100));
  const auto all = told.all();
  const auto duplicates =
      std::count_if(all.begin(), all.end(), [](const auto& each) { return each->duplicate; });
  EXPECT_EQ(duplicates, 99);
  EXPECT_FALSE(early);
  EXPECT_EQ(event_count(), 1U);
  expect_same(must(bus->publish_future(keyed("k")).get()), must(all[0]));
}

TEST_P(PublishingAgain, ABatchGivesEachEventItsReceipt) {
  open();
  const auto old = must(bus->publish(keyed("old")));
  const std::vector<OwnedEvent> events{owned("a"), owned("old"), owned("a"), owned(""), owned("b")};
  const auto batch = must(bus->publish_batch(events));
  ASSERT_EQ(batch.receipts.size(), 5U);
  EXPECT_FALSE(batch.receipts[0].duplicate);
  expect_same(batch.receipts[1], old);
  expect_same(batch.receipts[2], batch.receipts[0]);
  EXPECT_FALSE(batch.receipts[3].duplicate);
  EXPECT_FALSE(batch.receipts[4].duplicate);
  EXPECT_EQ(batch.receipts[4].commit, batch.commit);
  EXPECT_EQ(batch.receipts[4].id.sequence, 4U);
  EXPECT_EQ(event_count(), 4U);
  EXPECT_EQ(must(bus->get(batch.receipts[4].id))->batch_id, batch.batch_id);
}

TEST_P(PublishingAgain, AWholeBatchIsWhatItWas) {
  open();
  const std::vector<OwnedEvent> events{owned("a"), owned("b"), owned("c")};
  const auto first = must(bus->publish_batch(events));
  publish("other");
  const auto before = bus->stats().commit;
  const auto again = must(bus->publish_batch(events));
  EXPECT_EQ(again.batch_id, first.batch_id);
  EXPECT_EQ(again.commit, first.commit);
  for (std::size_t i = 0; i < 3; ++i) expect_same(again.receipts[i], first.receipts[i]);
  EXPECT_EQ(bus->stats().commit, before);
  Collected<Result<BatchReceipt>> told;
  must(bus->publish_batch_async(events, [&](Result<BatchReceipt> r) { told.add(std::move(r)); }));
  ASSERT_TRUE(told.wait_for_count(1));
  EXPECT_EQ(must(told.all()[0]).batch_id, first.batch_id);
  // Those of several commits are no batch.
  const auto alone = must(bus->publish(keyed("alone")));
  const auto mixed = must(bus->publish_batch(std::vector<OwnedEvent>{owned("alone"), owned("b")}));
  EXPECT_EQ(mixed.batch_id, BatchId{});
  EXPECT_EQ(mixed.commit, alone.commit);
}

TEST_P(PublishingAgain, ABatchThatWasWrittenBeforeWritesItsStateNoMore) {
  open();
  const auto commit = [&](const std::vector<std::string>& keys, const std::string& value) {
    auto batch = bus->batch();
    for (const auto& key : keys) batch.add(keyed(key));
    batch.state("s").put("k", value);
    return must(batch.commit());
  };
  commit({"a", "b"}, "1");
  EXPECT_EQ(must(bus->state("s", "k")), "1");
  commit({}, "2");
  EXPECT_EQ(must(bus->state("s", "k")), "2");
  commit({"a", "b"}, "1");
  EXPECT_EQ(must(bus->state("s", "k")), "2");
  commit({"a", "c"}, "3");
  EXPECT_EQ(must(bus->state("s", "k")), "3");
}

TEST_P(PublishingAgain, OneBadEventAndNothingOfTheBatchIsWritten) {
  open();
  const auto token = must(bus->make_token());
  must(bus->cancel(token.id()));
  auto bad = owned("b");
  bad.token = token.id();
  EXPECT_TRUE(fails(bus->publish_batch(std::vector<OwnedEvent>{owned("a"), bad}),
                    StatusCode::cancelled, {"event 1"}));
  EXPECT_FALSE(must(bus->publish(keyed("a"))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed("b"))).duplicate);
}

TEST_P(PublishingAgain, GetsTheOldReceiptWhateverBecameOfTheEvent) {
  options.retention = {std::chrono::seconds(0), 0};
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"order.>"}}, [](Delivery&) {}));
  const auto acked = must(bus->publish(keyed("acked")));
  must(bus->wait_settled(acked.id, kPatience));
  expect_same(must(bus->publish(keyed("acked"))), acked);
  const auto cancelled = must(bus->publish({.type = "unclaimed", .idempotency_key = "cancelled"}));
  must(bus->cancel(cancelled.id));
  expect_same(must(bus->publish(keyed("cancelled"))), cancelled);
  const auto token = must(bus->make_token());
  const auto under = must(bus->publish(keyed("under a token", {}, token.id())));
  must(bus->cancel(token.id()));
  expect_same(must(bus->publish(keyed("under a token", {}, token.id()))), under);
  EXPECT_TRUE(fails(bus->publish(keyed("new", {}, token.id())), StatusCode::cancelled));
  expect_same(must(bus->publish(keyed("acked", {}, token.id()))), acked);
}

TEST_P(PublishingAgain, CancellablyGivesTheTokenOfTheFirst) {
  open();
  const auto alone = must(bus->publish_cancellable(keyed("alone")));
  const auto token = must(bus->make_token());
  const auto other = must(bus->make_token());
  const auto under = must(bus->publish_cancellable(keyed("under", {}, token.id())));
  EXPECT_EQ(under.token.id(), token.id());
  const auto again = must(bus->publish_cancellable(keyed("under")));
  expect_same(again.receipt, under.receipt);
  EXPECT_EQ(again.token.id(), token.id());
  EXPECT_EQ(must(bus->publish_cancellable(keyed("under", {}, other.id()))).token.id(), token.id());
  const auto alone_again = must(bus->publish_cancellable(keyed("alone", {}, other.id())));
  expect_same(alone_again.receipt, alone.receipt);
  EXPECT_EQ(alone_again.token.id(), alone.token.id());
  EXPECT_EQ(must(bus->cancel(alone_again.token.id())).outcome, CancelOutcome::prevented);
  EXPECT_EQ(state_of(alone.receipt.id), EventState::cancelled);
}

TEST_P(PublishingAgain, InATxPublishesNothingAndTheAckGoesOn) {
  open();
  const auto done = must(bus->publish(keyed("follow-up")));
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}}, [](Delivery& delivery) {
    auto tx = delivery.tx();
    tx.publish(keyed("follow-up"));
    tx.publish(keyed("more"));
    tx.publish(keyed("more"));
    tx.state().put("k", std::string(delivery.event().payload_text()));
  }));
  must(bus->wait_settled(publish("go", "1").id, kPatience));
  must(bus->wait_settled(publish("go", "2").id, kPatience));
  EXPECT_EQ(must(bus->state("s", "k")), "2");
  EXPECT_EQ(scan({.types = {"order.placed"}}).size(), 2U);
  EXPECT_EQ(stats_of("s").retried, 0U);
  EXPECT_EQ(must(bus->publish(keyed("more"))).id.sequence, done.id.sequence + 2);
}

TEST_P(PublishingAgain, AfterTheWindowIsANewEvent) {
  options.idempotency_window = std::chrono::seconds(1);
  open();
  const auto first = must(bus->publish(keyed("k")));
  Receipt receipt;
  ASSERT_TRUE(eventually([&] {
    receipt = must(bus->publish(keyed("k")));
    return !receipt.duplicate;
  }));
  EXPECT_GT(receipt.id, first.id);
  // And in the end nothing of it is left.
  EXPECT_TRUE(eventually([&] { return bus->stats().idempotency_keys == 0; }));
}

TEST_P(PublishingAgain, OfMoreKeysThanTheLimitTheOldestGo) {
  options.limits.idempotency_keys_max = 10;
  open();
  for (int i = 0; i < 200; ++i) must(bus->publish(keyed(std::to_string(i))));
  // Who uses keys faster than they are forgotten makes room himself.
  EXPECT_LE(bus->stats().idempotency_keys, 12U);
  for (int i = 190; i < 200; ++i)
    EXPECT_TRUE(must(bus->publish(keyed(std::to_string(i)))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed("0"))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed("190"))).duplicate);
  EXPECT_TRUE(eventually([&] { return bus->stats().idempotency_keys == 10; }));
}

TEST_P(PublishingAgain, WithoutKeysOrAWindowIsANewEvent) {
  options.limits.idempotency_keys_max = 0;
  open();
  must(bus->publish(keyed("k")));
  EXPECT_FALSE(must(bus->publish(keyed("k"))).duplicate);
  EXPECT_TRUE(eventually([&] { return bus->stats().idempotency_keys == 0; }));
}

TEST_P(PublishingAgain, AWindowThatCannotBeIsRefused) {
  options.in_memory = true;
  options.idempotency_window = std::chrono::seconds(-1);
  EXPECT_TRUE(fails(Bus::open(path(), options), StatusCode::invalid_argument,
                    {"idempotency_window", "-1", "at least 0"}));
  options.idempotency_window = kKeepIdempotencyKeys;
  options.limits.idempotency_keys_max = ~std::uint64_t{0};
  open();
  must(bus->publish(keyed("k")));
  EXPECT_TRUE(must(bus->publish(keyed("k"))).duplicate);
}

TEST_P(PublishingAgain, IsNotWhatAReplayIntoAnotherBusDoes) {
  options.limits.idempotency_keys_max = 1;
  open();
  must(bus->publish(keyed("k")));
  must(bus->publish(keyed("other")));
  ASSERT_FALSE(must(bus->publish(keyed("k"))).duplicate);
  Options other_options;
  other_options.in_memory = true;
  const auto other = must(Bus::open("", other_options));
  EXPECT_EQ(must(bus->replay({}, *other)).events, 3U);
  EXPECT_EQ(other->stats().lanes[2].published, 3U);
}

class PublishingAgainOnDisk : public DiskBusTest {};

TEST_F(PublishingAgainOnDisk, GivesTheSameReceiptAfterAReopen) {
  open();
  const auto first = must(bus->publish(keyed("k")));
  const auto batch = must(bus->publish_batch(std::vector<OwnedEvent>{owned("a"), owned("b")}));
  reopen();
  expect_same(must(bus->publish(keyed("k"))), first);
  reopen();
  expect_same(must(bus->publish(keyed("k"))), first);
  const auto again = must(bus->publish_batch(std::vector<OwnedEvent>{owned("a"), owned("b")}));
  EXPECT_EQ(again.batch_id, batch.batch_id);
  EXPECT_EQ(again.commit, batch.commit);
  EXPECT_EQ(bus->stats().idempotency_keys, 3U);
}

TEST_F(PublishingAgainOnDisk, TheRulesAreThoseOfTheOpen) {
  open();
  for (int i = 0; i < 30; ++i) must(bus->publish(keyed(std::to_string(i))));
  options.limits.idempotency_keys_max = 5;
  reopen();
  EXPECT_TRUE(must(bus->publish(keyed("25"))).duplicate);
  EXPECT_FALSE(must(bus->publish(keyed("24"))).duplicate);
  EXPECT_TRUE(eventually([&] { return bus->stats().idempotency_keys == 5; }));
  reopen();
  EXPECT_EQ(bus->stats().idempotency_keys, 5U);
  EXPECT_TRUE(must(bus->publish(keyed("24"))).duplicate);
}

}  // namespace
}  // namespace holdfast::testing
