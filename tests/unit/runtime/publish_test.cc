// SPDX-License-Identifier: MIT
// Publishing: what a receipt says, what order it gives, and what a batch is.
#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Publishing : public BusTest {};
HOLDFAST_ON_BOTH_STORES(Publishing);

TEST_P(Publishing, GivesDenseSequencesPerLaneFromOneAndDenseCommits) {
  open();
  const auto first = publish("a.b");
  const auto second = publish("a.b");
  const auto urgent = publish("a.b", {}, Priority::critical);
  EXPECT_EQ(first.id, (EventId{Priority::normal, 1}));
  EXPECT_EQ(second.id, (EventId{Priority::normal, 2}));
  EXPECT_EQ(urgent.id, (EventId{Priority::critical, 1}));
  EXPECT_EQ(second.commit.value, first.commit.value + 1);
  EXPECT_EQ(urgent.commit.value, second.commit.value + 1);
  EXPECT_FALSE(first.duplicate);
}

TEST_P(Publishing, KeepsEveryFieldAsItWasGiven) {
  open();
  const std::vector<MetadataPair> metadata = {
      {"traceparent", "00-1"}, {"k", "second"}, {"k", "third"}, {"empty", ""}};
  const std::string payload("\0\xff bytes", 8);
  const auto receipt = must(bus->publish({.type = "order.placed",
                                          .payload = payload,
                                          .content_type = "application/json",
                                          .priority = Priority::high,
                                          .source = Source::plugin("sync"),
                                          .metadata = metadata,
                                          .timestamp = 12'345}));
  const auto stored = must(bus->get(receipt.id));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->id, receipt.id);
  EXPECT_EQ(stored->commit, receipt.commit);
  EXPECT_EQ(stored->batch_id.value, 0U);
  EXPECT_GT(stored->published_at, 12'345);
  EXPECT_EQ(stored->event.type, "order.placed");
  EXPECT_EQ(stored->event.payload, payload);
  EXPECT_EQ(stored->event.content_type, "application/json");
  EXPECT_EQ(stored->event.priority, Priority::high);
  EXPECT_EQ(stored->event.source_kind, SourceKind::plugin);
  EXPECT_EQ(stored->event.source_name, "sync");
  EXPECT_EQ(stored->event.timestamp, 12'345);
  ASSERT_EQ(stored->event.metadata.size(), metadata.size());
  for (std::size_t i = 0; i < metadata.size(); ++i) {
    EXPECT_EQ(stored->event.metadata[i].first, metadata[i].first);
    EXPECT_EQ(stored->event.metadata[i].second, metadata[i].second);
  }
}

TEST_P(Publishing, ShortFormIsNormalFromTheSystemAndStampedNow) {
  open();
  const auto receipt = must(bus->publish("a.b", "text"));
  EXPECT_EQ(receipt.id.priority, Priority::normal);
  const auto stored = must(bus->get(receipt.id));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->event.payload, "text");
  EXPECT_EQ(stored->event.source_kind, SourceKind::system);
  EXPECT_GT(stored->event.timestamp, 0);
  EXPECT_LE(stored->event.timestamp, stored->published_at);
}

TEST_P(Publishing, EventOnlyHasToLiveForTheCall) {
  open();
  EventId id;
  {
    auto type = std::make_unique<std::string>("a.b");
    auto payload = std::make_unique<std::string>(10'000, 'x');
    id = must(bus->publish({.type = *type, .payload = *payload})).id;
    payload->assign(10'000, 'y');
  }
  EXPECT_EQ(must(bus->get(id))->event.payload, std::string(10'000, 'x'));
}

TEST_P(Publishing, CommitsOfConcurrentPublishersAreTheOrderOfTheLane) {
  open();
  constexpr int kThreads = 4;
  constexpr int kEach = 200;
  std::vector<std::vector<Receipt>> receipts(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          receipts[t].push_back(publish("a.b", std::to_string(t) + "/" + std::to_string(i)));
        }
      });
    }
  }
  std::map<std::uint64_t, std::uint64_t> commit_of;
  for (const auto& of_thread : receipts) {
    for (std::size_t i = 0; i < of_thread.size(); ++i) {
      EXPECT_TRUE(commit_of.emplace(of_thread[i].id.sequence, of_thread[i].commit.value).second);
      if (i == 0) continue;
      EXPECT_GT(of_thread[i].id.sequence, of_thread[i - 1].id.sequence);
    }
  }
  ASSERT_EQ(commit_of.size(), std::size_t{kThreads * kEach});
  EXPECT_EQ(commit_of.begin()->first, 1U);
  EXPECT_EQ(commit_of.rbegin()->first, std::uint64_t{kThreads * kEach});
  std::uint64_t last = 0;
  for (const auto& [sequence, commit] : commit_of) {
    EXPECT_GE(commit, last);
    last = commit;
  }
}

TEST_P(Publishing, DurableReceiptIsGivenOnceItsCommitIsDurable) {
  options.durability = Durability::durable;
  open();
  for (int i = 0; i < 20; ++i) {
    const auto receipt = publish("a.b");
    EXPECT_GE(bus->durable_commit(), receipt.commit);
  }
}

TEST_P(Publishing, WaitDurableSeesToItThatTheCommitBecomesDurable) {
  open();  // with `os`
  const auto receipt = publish("a.b");
  EXPECT_TRUE(is_ok(bus->wait_durable(receipt.commit)));
  EXPECT_GE(bus->durable_commit(), receipt.commit);
  EXPECT_TRUE(is_ok(bus->wait_durable({0})));
  EXPECT_TRUE(fails(bus->wait_durable({receipt.commit.value + 1'000}), StatusCode::invalid_argument,
                    {std::to_string(receipt.commit.value + 1'000)}));
}

TEST_P(Publishing, SinglePublishMayAskForMoreDurabilityThanItsBus) {
  open();  // with `os`
  const auto receipt = must(bus->publish({.type = "a.b"}, {.durability = Durability::durable}));
  EXPECT_GE(bus->durable_commit(), receipt.commit);
  std::vector<OwnedEvent> events(2, {.type = "a.b", .payload = {}});
  const auto batch = must(bus->publish_batch(events, {.durability = Durability::durable}));
  EXPECT_GE(bus->durable_commit(), batch.commit);
}

TEST_P(Publishing, OsCommitsBecomeDurableByThemselves) {
  open();
  const auto receipt = publish("a.b");
  EXPECT_TRUE(eventually([&] { return bus->durable_commit() >= receipt.commit; }));
}

TEST_P(Publishing, AsyncCallsBackExactlyOnceWithTheReceipt) {
  for (const auto durability : {Durability::durable, Durability::os}) {
    options.durability = durability;
    open();
    constexpr int kCount = 500;
    std::vector<std::atomic<int>> calls(kCount);
    Collected<std::pair<int, Receipt>> receipts;
    for (int i = 0; i < kCount; ++i) {
      must(bus->publish_async({.type = "a.b", .payload = std::to_string(i)},
                              [&, i](Result<Receipt> receipt) {
                                ++calls[i];
                                receipts.add({i, must(std::move(receipt))});
                              }));
    }
    ASSERT_TRUE(receipts.wait_for_count(kCount));
    must(bus->close());
    for (const auto& each : calls) EXPECT_EQ(each, 1);
    // One thread published them, so they have its order.
    for (const auto& [i, receipt] : receipts.all()) {
      EXPECT_EQ(receipt.id.sequence, static_cast<std::uint64_t>(i) + 1);
    }
    bus.reset();
    std::filesystem::remove_all(path());
  }
}

TEST_P(Publishing, AsyncWithoutACallbackStillPublishes) {
  open();
  must(bus->publish_async({.type = "a.b"}, nullptr));
  EXPECT_TRUE(eventually([&] { return scan().size() == 1; }));
}

TEST_P(Publishing, RefusalKnownAtOnceIsReturnedAndNotCalledBack) {
  open();
  std::atomic<int> calls{0};
  EXPECT_TRUE(fails(bus->publish_async({.type = "not a type"}, [&](auto) { ++calls; }),
                    StatusCode::invalid_argument));
  std::vector<OwnedEvent> events = {{.type = "not a type", .payload = {}}};
  EXPECT_TRUE(fails(bus->publish_batch_async(events, [&](auto) { ++calls; }),
                    StatusCode::invalid_argument, {"event 0"}));
  must(bus->close());
  EXPECT_TRUE(
      fails(bus->publish_async({.type = "a.b"}, [&](auto) { ++calls; }), StatusCode::unavailable));
  EXPECT_EQ(calls, 0);
}

TEST_P(Publishing, FutureGivesWhatPublishWouldHaveReturned) {
  open();
  auto good = bus->publish_future({.type = "a.b"}, {.durability = Durability::durable});
  auto bad = bus->publish_future({.type = ""});
  const auto receipt = must(good.get());
  EXPECT_EQ(receipt.id, (EventId{Priority::normal, 1}));
  EXPECT_TRUE(fails(bad.get(), StatusCode::invalid_argument));
}

// --- Batches ------------------------------------------------------------------------------------

TEST_P(Publishing, BatchIsOneCommitWithConsecutiveSequencesPerLane) {
  open();
  publish("before", {}, Priority::high);
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 30; ++i) {
    events.push_back({.type = "a.b",
                      .payload = std::to_string(i),
                      .priority = kAllPriorities[static_cast<std::size_t>(i) % kLaneCount]});
  }
  const auto batch = must(bus->publish_batch(events));
  EXPECT_NE(batch.batch_id.value, 0U);
  ASSERT_EQ(batch.receipts.size(), events.size());
  std::map<Priority, std::uint64_t> next = {{Priority::high, 2}};
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto& id = batch.receipts[i].id;
    EXPECT_EQ(batch.receipts[i].commit, batch.commit);
    EXPECT_EQ(id.priority, events[i].priority);
    auto& expected = next[id.priority];
    expected = std::max<std::uint64_t>(expected, 1);
    EXPECT_EQ(id.sequence, expected++);
    const auto stored = must(bus->get(id));
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->event.payload, std::to_string(i));
    EXPECT_EQ(stored->batch_id, batch.batch_id);
    EXPECT_EQ(stored->commit, batch.commit);
  }
}

TEST_P(Publishing, OrderInsideACommitIsThatOfTheBatch) {
  open();
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 12; ++i) {
    events.push_back({.type = "a.b",
                      .payload = std::to_string(i),
                      .priority = kAllPriorities[static_cast<std::size_t>(i) % kLaneCount]});
  }
  must(bus->publish_batch(events));
  std::map<std::uint32_t, std::string> by_index;
  must(bus->scan({}, [&](const EventView& event, EventState) {
    by_index[event.index] = std::string(event.payload_text());
    return true;
  }));
  ASSERT_EQ(by_index.size(), events.size());
  int i = 0;
  for (const auto& [index, payload] : by_index) EXPECT_EQ(payload, std::to_string(i++));
}

TEST_P(Publishing, TwoBatchesHaveTwoIds) {
  open();
  EXPECT_NE(publish_many("a.b", 2).batch_id, publish_many("a.b", 2).batch_id);
}

TEST_P(Publishing, OneBadEventAndNothingOfTheBatchIsWritten) {
  open();
  std::vector<OwnedEvent> events(5, {.type = "a.b", .payload = {}});
  events[3].type = "not a type";
  EXPECT_TRUE(fails(bus->publish_batch(events), StatusCode::invalid_argument, {"event 3", "type"}));
  EXPECT_TRUE(scan().empty());
  EXPECT_EQ(publish("a.b").id.sequence, 1U);
}

TEST_P(Publishing, EmptyBatchIsRefused) {
  open();
  EXPECT_TRUE(fails(bus->publish_batch({}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->batch().commit(), StatusCode::invalid_argument));
}

TEST_P(Publishing, AsyncBatchCallsBackExactlyOnce) {
  open();
  std::vector<OwnedEvent> events(10, {.type = "a.b", .payload = {}});
  Collected<BatchReceipt> receipts;
  must(bus->publish_batch_async(
      events, [&](Result<BatchReceipt> receipt) { receipts.add(must(std::move(receipt))); }));
  ASSERT_TRUE(receipts.wait_for_count(1));
  must(bus->close());
  ASSERT_EQ(receipts.size(), 1U);
  EXPECT_EQ(receipts.all()[0].receipts.size(), 10U);
}

TEST_P(Publishing, LargestBatchIsOneCommit) {
  open();
  const auto batch = publish_many("a.b", kBatchEventsMax);
  ASSERT_EQ(batch.receipts.size(), kBatchEventsMax);
  EXPECT_EQ(batch.receipts.back().id.sequence, kBatchEventsMax);
  EXPECT_EQ(must(bus->get(batch.receipts.back().id))->commit, batch.commit);
}

// --- The builder --------------------------------------------------------------------------------

TEST_P(Publishing, BuilderCommitsEventsAndStateTogether) {
  open();
  auto batch = bus->batch();
  batch.add({.type = "a.b", .payload = "1"}).add({.type = "a.b", .payload = "2"});
  batch.state("mine").put("k", "v").put("gone", "x").erase("gone");
  EXPECT_EQ(batch.size(), 2U);
  const auto receipt = must(batch.commit());
  EXPECT_EQ(receipt.receipts.size(), 2U);
  EXPECT_EQ(must(bus->state("mine", "k")), "v");
  EXPECT_EQ(must(bus->state("mine", "gone")), std::nullopt);
  EXPECT_EQ(must(bus->state("other", "k")), std::nullopt);
}

TEST_P(Publishing, BuilderIsEmptyAfterCommitAndCanBeUsedAgain) {
  open();
  auto batch = bus->batch();
  must(batch.add({.type = "a.b"}).commit());
  EXPECT_EQ(batch.size(), 0U);
  EXPECT_TRUE(fails(batch.commit(), StatusCode::invalid_argument));
  must(batch.add({.type = "a.b"}).commit());
  EXPECT_EQ(scan().size(), 2U);
}

TEST_P(Publishing, BuilderDestroyedWithoutCommitIsNothing) {
  open();
  {
    auto batch = bus->batch();
    batch.add({.type = "a.b"});
    batch.state("mine").put("k", "v");
  }
  EXPECT_TRUE(scan().empty());
  EXPECT_EQ(must(bus->state("mine", "k")), std::nullopt);
}

TEST_P(Publishing, BuilderOfStateAloneCommits) {
  open();
  auto batch = bus->batch();
  batch.state("mine").put("k", "v");
  const auto receipt = must(batch.commit({.durability = Durability::durable}));
  EXPECT_TRUE(receipt.receipts.empty());
  EXPECT_GE(bus->durable_commit(), receipt.commit);
  EXPECT_EQ(must(bus->state("mine", "k")), "v");
}

TEST_P(Publishing, FirstErrorOfABuilderSticksAndNamesTheIndex) {
  open();
  auto batch = bus->batch();
  batch.add({.type = "a.b"}).add({.type = "bad type"}).add({.type = "a.b"});
  batch.state("mine").put("k", std::string(kStateValueBytesMax + 1, 'x'));
  EXPECT_TRUE(fails(batch.commit(), StatusCode::invalid_argument, {"event 1", "type"}));
  EXPECT_TRUE(scan().empty());
  EXPECT_EQ(publish("a.b").id.sequence, 1U);
}

TEST_P(Publishing, BuilderTellsItsFirstErrorAtOnceAndTakesNothingBehindIt) {
  open();
  auto batch = bus->batch();
  EXPECT_TRUE(is_ok(batch.status()));
  EXPECT_TRUE(is_ok(batch.add({.type = "a.b"}).status()));
  EXPECT_TRUE(fails(batch.add({.type = "bad type"}).status(), StatusCode::invalid_argument,
                    {"event 1 of the batch", "type"}));
  EXPECT_EQ(batch.size(), 1U);
  batch.add({.type = "a.b"});
  batch.state("mine").put("", "another error");
  EXPECT_EQ(batch.size(), 1U);
  EXPECT_TRUE(fails(batch.status(), StatusCode::invalid_argument, {"event 1 of the batch"}));
  EXPECT_FALSE(batch.commit().ok());
  // Emptied, it is as new.
  EXPECT_TRUE(is_ok(batch.status()));
  EXPECT_EQ(batch.size(), 0U);
  batch.state("mine").put("", "v");
  EXPECT_TRUE(fails(batch.status(), StatusCode::invalid_argument, {"state key"}));
  EXPECT_FALSE(batch.commit().ok());
  EXPECT_TRUE(scan().empty());
}

TEST_P(Publishing, MovedBuilderTakesEverythingAlong) {
  open();
  auto first = bus->batch();
  first.add({.type = "a.b"});
  auto second = std::move(first);
  second.add({.type = "a.b"});
  EXPECT_EQ(must(second.commit()).receipts.size(), 2U);
}

TEST_P(Publishing, ScanStateVisitsTheKeysWithAPrefixInByteOrderUntilStopped) {
  open();
  auto batch = bus->batch();
  for (const auto* key : {"b/2", "a", "b/1", "b/3", "c"}) batch.state("mine").put(key, key);
  must(batch.commit());
  std::vector<std::string> keys;
  must(bus->scan_state("mine", "b/", [&](std::string_view key, std::string_view value) {
    EXPECT_EQ(key, value);
    keys.emplace_back(key);
    return keys.size() < 2;
  }));
  EXPECT_EQ(keys, (std::vector<std::string>{"b/1", "b/2"}));
}

}  // namespace
}  // namespace holdfast::testing
