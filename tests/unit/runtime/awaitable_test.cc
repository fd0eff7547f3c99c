// SPDX-License-Identifier: MIT
// What a coroutine can wait for.
#include "holdfast/awaitable.h"

#include <coroutine>
#include <exception>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

/// Runs at once, and is nobody's.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

class Awaiting : public BusTest {};
HOLDFAST_ON_BOTH_STORES(Awaiting);

Detached publish_two(Bus& bus, Collected<Receipt>& receipts) {
  receipts.add(must(co_await bus.publish_awaitable({.type = "a.b", .payload = "first"})));
  // From the callback that it goes on in, another one may be awaited.
  receipts.add(must(co_await bus.publish_awaitable({.type = "a.b", .payload = "second"})));
}

TEST_P(Awaiting, PublishGivesTheReceiptOnceItIsDurable) {
  options.durability = Durability::durable;
  open();
  Collected<Receipt> receipts;
  publish_two(*bus, receipts);
  ASSERT_TRUE(receipts.wait_for_count(2));
  const auto all = receipts.all();
  EXPECT_GE(bus->durable_commit(), all[0].commit);
  EXPECT_EQ(must(bus->get(all[0].id))->event.payload, "first");
  EXPECT_EQ(must(bus->get(all[1].id))->event.payload, "second");
  EXPECT_LT(all[0].commit, all[1].commit);
}

Detached publish_bad(Bus& bus, Collected<Status>& statuses) {
  statuses.add((co_await bus.publish_awaitable({.type = "not a type"})).status());
}

TEST_P(Awaiting, RefusalThatIsKnownAtOnceIsTheResultOnTheSameThread) {
  open();
  Collected<Status> statuses;
  publish_bad(*bus, statuses);
  ASSERT_EQ(statuses.size(), 1U);
  EXPECT_TRUE(fails(statuses.all()[0], StatusCode::invalid_argument, {"type"}));
  must(bus->close());
  publish_bad(*bus, statuses);
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_TRUE(fails(statuses.all()[1], StatusCode::unavailable));
}

Detached publish_and_cancel(Bus& bus, TokenId token, Collected<CancelReceipt>& receipts) {
  const std::vector<OwnedEvent> events{{.type = "a.b"}, {.type = "a.b", .token = token}};
  const auto batch = must(co_await bus.publish_batch_awaitable(events));
  receipts.add(must(co_await bus.cancel_awaitable(batch.receipts[0].id, "one")));
  receipts.add(must(co_await bus.cancel_awaitable(token, "all")));
}

TEST_P(Awaiting, BatchesAndCancelsAsWell) {
  open();
  Collected<CancelReceipt> receipts;
  publish_and_cancel(*bus, must(bus->make_token()).id(), receipts);
  ASSERT_TRUE(receipts.wait_for_count(2));
  for (const auto& receipt : receipts.all()) {
    EXPECT_EQ(receipt.outcome, CancelOutcome::prevented);
  }
}

Detached wait_inside(Bus& bus, Collected<Status>& statuses) {
  (void)co_await bus.publish_awaitable({.type = "a.b"});
  statuses.add(bus.publish("a.b", "waits").status());
}

TEST_P(Awaiting, ItGoesOnInACallbackWhereNothingMayWait) {
  open();
  Collected<Status> statuses;
  wait_inside(*bus, statuses);
  ASSERT_TRUE(statuses.wait_for_count(1));
  EXPECT_TRUE(fails(statuses.all()[0], StatusCode::conflict));
}

}  // namespace
}  // namespace holdfast::testing
