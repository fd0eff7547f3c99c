// SPDX-License-Identifier: MIT
// Batches of which each event stands for itself, and what is counted of batches.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

constexpr BatchOptions kIndependent{.mode = BatchMode::independent};

class IndependentBatch : public BusTest {
 protected:
  /// Bad where `bad` says so.
  static std::vector<OwnedEvent> events(std::size_t count, const std::vector<std::size_t>& bad) {
    std::vector<OwnedEvent> events(count);
    for (std::size_t i = 0; i < count; ++i) {
      events[i] = {.type = "a.b", .payload = std::to_string(i)};
    }
    for (const auto i : bad) events[i].type = "not a type";
    return events;
  }
};
HOLDFAST_ON_BOTH_STORES(IndependentBatch);

TEST_P(IndependentBatch, GoodEventsAreWrittenInOrderAndEachBadOneHasItsError) {
  open();
  const auto receipt = must(bus->publish_batch(events(5, {1, 3}), kIndependent));
  EXPECT_EQ(receipt.batch_id.value, 0U);
  ASSERT_EQ(receipt.receipts.size(), 5U);
  ASSERT_EQ(receipt.errors.size(), 5U);
  EXPECT_EQ(receipt.refused(), 2U);
  std::uint64_t sequence = 0;
  for (const std::size_t i : {0, 2, 4}) {
    const auto each = must(receipt.result(i));
    EXPECT_EQ(each.id, (EventId{Priority::normal, ++sequence}));
    EXPECT_EQ(each.commit, receipt.commit);
    EXPECT_EQ(must(bus->get(each.id))->event.payload, std::to_string(i));
    EXPECT_EQ(must(bus->get(each.id))->batch_id.value, 0U);
  }
  for (const std::size_t i : {1, 3}) {
    EXPECT_TRUE(fails(receipt.result(i), StatusCode::invalid_argument, {"type"}));
    EXPECT_EQ(receipt.receipts[i].id.sequence, 0U);
  }
}

TEST_P(IndependentBatch, WithoutABadOneThereAreNoErrors) {
  open();
  const auto receipt = must(bus->publish_batch(events(3, {}), kIndependent));
  EXPECT_TRUE(receipt.errors.empty());
  EXPECT_EQ(receipt.refused(), 0U);
  EXPECT_EQ(must(receipt.result(2)).id.sequence, 3U);
}

TEST_P(IndependentBatch, WhenAllAreBadNothingIsWrittenAndEachSaysWhy) {
  open();
  const auto before = bus->stats().commit;
  const auto receipt = must(bus->publish_batch(events(2, {0, 1}), kIndependent));
  EXPECT_EQ(receipt.refused(), 2U);
  EXPECT_EQ(receipt.commit.value, 0U);
  EXPECT_EQ(bus->stats().commit, before);
}

TEST_P(IndependentBatch, OneUnderACancelledTokenHasItsErrorAlone) {
  open();
  const auto token = must(bus->make_token());
  must(bus->cancel(token.id(), "enough"));
  auto all = events(4, {0});
  all[2].token = token.id();
  const auto receipt = must(bus->publish_batch(all, kIndependent));
  EXPECT_EQ(receipt.refused(), 2U);
  EXPECT_TRUE(fails(receipt.result(0), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(receipt.result(2), StatusCode::cancelled, {"enough"}));
  EXPECT_EQ(must(bus->get(must(receipt.result(1)).id))->event.payload, "1");
  EXPECT_EQ(must(bus->get(must(receipt.result(3)).id))->event.payload, "3");
  EXPECT_EQ(scan().size(), 2U);
}

TEST_P(IndependentBatch, WaitSettledWaitsForThoseThatWereWritten) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& each) { runs.note(each); }));
  const auto receipt = must(bus->publish_batch(events(3, {1}), kIndependent));
  EXPECT_TRUE(is_ok(bus->wait_settled(receipt, std::chrono::seconds(60))));
  EXPECT_EQ(runs.payloads(), (std::vector<std::string>{"0", "2"}));
}

TEST_P(IndependentBatch, TheLargestGoesInCommitsThatLeaveRoomForOthers) {
  open();
  const auto receipt = must(bus->publish_batch(events(kBatchEventsMax, {5'000}), kIndependent));
  EXPECT_EQ(receipt.refused(), 1U);
  for (std::size_t i = 0; i < kBatchEventsMax; ++i) {
    if (i == 5'000) continue;
    const auto& each = receipt.receipts[i];
    ASSERT_EQ(each.id.sequence, i < 5'000 ? i + 1 : i);
    ASSERT_LE(each.commit, receipt.commit);
  }
  EXPECT_EQ(receipt.receipts.back().commit, receipt.commit);
  EXPECT_GE(receipt.commit.value - receipt.receipts[0].commit.value, kBatchEventsMax / 1'000 - 1);
  EXPECT_EQ(bus->stats().events_published, kBatchEventsMax - 1);
}

TEST_P(IndependentBatch, LimitsOfTheWholeRefuseAllOfIt) {
  open();
  EXPECT_TRUE(fails(bus->publish_batch(events(kBatchEventsMax + 1, {}), kIndependent),
                    StatusCode::invalid_argument, {"100001", "100000"}));
  EXPECT_TRUE(
      fails(bus->publish_batch({}, kIndependent), StatusCode::invalid_argument, {"no events"}));
  EXPECT_TRUE(fails(bus->publish_batch(events(1, {}), {.mode = static_cast<BatchMode>(9)}),
                    StatusCode::invalid_argument, {"mode of a batch"}));
  EXPECT_TRUE(fails(bus->publish_batch_async(events(1, {}), [](const Result<BatchReceipt>&) {},
                                             {.mode = static_cast<BatchMode>(9)}),
                    StatusCode::invalid_argument, {"mode of a batch"}));
  auto built = bus->batch();
  built.add({.type = "a.b"});
  EXPECT_TRUE(fails(built.commit(kIndependent), StatusCode::invalid_argument, {"all or nothing"}));
  EXPECT_TRUE(scan().empty());
}

TEST_P(IndependentBatch, WhatKeepsAllOfItOutIsTheErrorOfTheCall) {
  open();
  must(bus->close());
  EXPECT_TRUE(fails(bus->publish_batch(events(2, {0}), kIndependent), StatusCode::unavailable));
}

TEST_P(IndependentBatch, AsyncAndFutureTellTheSame) {
  open();
  Collected<BatchReceipt> told;
  const auto all = events(2'500, {1'234});
  must(bus->publish_batch_async(
      all, [&](Result<BatchReceipt> receipt) { told.add(must(std::move(receipt))); },
      kIndependent));
  ASSERT_TRUE(told.wait_for_count(1));
  EXPECT_EQ(told.all()[0].refused(), 1U);
  EXPECT_EQ(told.all()[0].receipts.back().id.sequence, 2'499U);
  auto future = bus->publish_batch_future(events(2, {0, 1}), kIndependent);
  EXPECT_EQ(must(future.get()).refused(), 2U);
  EXPECT_EQ(told.size(), 1U);
}

TEST_P(IndependentBatch, FuturesOfTheOtherCallsTellTheSame) {
  open();
  auto batch = bus->publish_batch_future(events(3, {}));
  const auto receipt = must(batch.get());
  EXPECT_EQ(receipt.receipts.size(), 3U);
  EXPECT_TRUE(fails(bus->publish_batch_future(events(3, {1})).get(), StatusCode::invalid_argument,
                    {"event 1"}));
  EXPECT_EQ(must(bus->cancel_future(receipt.receipts[0].id).get()).outcome,
            CancelOutcome::prevented);
  const auto token = must(bus->make_token());
  EXPECT_TRUE(is_ok(bus->cancel_future(token.id()).get()));
  EXPECT_TRUE(fails(bus->cancel_future(EventId{Priority::low, 77}).get(), StatusCode::not_found));
}

TEST_P(IndependentBatch, StatsCountBatches) {
  open();
  (void)must(bus->publish_batch(events(3, {})));
  (void)must(bus->publish_batch(events(4, {0}), kIndependent));
  (void)must(bus->publish_batch(events(2, {0, 1}), kIndependent));
  EXPECT_FALSE(bus->publish_batch(events(2, {1})).ok());
  auto built = bus->batch();
  built.add({.type = "a.b"}).state("s").put("k", "v");
  (void)must(built.commit());
  (void)must(bus->publish_batch_future(events(5, {})).get());
  const auto counted = bus->stats().batches;
  EXPECT_EQ(counted.published, 4U);
  EXPECT_EQ(counted.refused, 2U);
  EXPECT_EQ(counted.events, 3U + 3U + 1U + 5U);
  EXPECT_EQ(counted.events_refused, 3U);
  EXPECT_GT(counted.commit_time.count(), 0);
  EXPECT_GE(counted.commit_time, counted.commit_time_max);
}

}  // namespace
}  // namespace holdfast::testing
