// SPDX-License-Identifier: MIT
// What a cancel makes of an event that was taken: before its gate was asked, and after.
#include <optional>

#include <gtest/gtest.h>

#include "support/rule_bench.h"

namespace holdfast::core {
namespace {

constexpr std::int64_t kHour = std::int64_t{3'600} * 1'000'000'000;

class GateTest : public ::testing::Test, protected holdfast::testing::RuleBench {
 protected:
  /// One that has to ask the gate, and a handler with `on_cancel`.
  void begin() {
    subscribe();
    core::attach(*ledger_, *scheduler_, *state_, {8, {}, true}, now_);
    model::EncodedEvents events;
    events.add({.type = "a", .payload = {}, .expires_at = now_.wall + 10 * kHour}, now_.wall);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
  }
  CommitPlan::Cancelled cancel() {
    CommitPlan::Cancelled cancelled;
    const auto event = store_.chunks[Priority::normal].begin()->second->event(1);
    commit([&](CommitPlan& plan) { cancelled = plan.cancel(event, "no"); });
    return cancelled;
  }
};

TEST_F(GateTest, WhatHasStillToAskIsPreventedAndOwesNoCleanUp) {
  begin();
  auto lease = scheduler_->take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  EXPECT_TRUE(lease->asks);
  const auto cancelled = cancel();
  EXPECT_EQ(cancelled.receipt.outcome, CancelOutcome::prevented);
  EXPECT_TRUE(cancelled.running.empty());
  EXPECT_TRUE(store_.settlements.empty()) << "on_cancel is owed for what nobody has begun";
  EXPECT_EQ(gate(*ledger_, *lease, lease->chunk->event(1), now_.wall), Verdict::cancelled);
}

TEST_F(GateTest, WhatHasAskedIsSignalledAndOwesItsCleanUp) {
  begin();
  const auto lease = take();
  ASSERT_TRUE(lease.has_value());
  const auto cancelled = cancel();
  EXPECT_EQ(cancelled.receipt.outcome, CancelOutcome::signalled);
  EXPECT_EQ(cancelled.running.size(), 1U);
  ASSERT_EQ(store_.settlements.size(), 1U);
  EXPECT_TRUE(store_.settlements.begin()->second.cleanup);
}

TEST_F(GateTest, WhatWasTriedBeforeOwesItsCleanUpAlsoBeforeItAsksAgain) {
  begin();
  EXPECT_EQ(next(Kind::retry), 1U);
  advance(kHour);
  read_on();
  auto lease = scheduler_->take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(cancel().receipt.outcome, CancelOutcome::signalled);
  lease->chunk = store_.parked.begin()->second;
  EXPECT_EQ(gate(*ledger_, *lease, lease->chunk->event(1), now_.wall), Verdict::clean_up);
}

/// Thousands behind it have been handled, so it is parked while somebody has it.
TEST_F(GateTest, WhatIsParkedForItsLongTurnHasBegunOnceItHasAsked) {
  for (const bool asked : {false, true}) {
    store_ = {};
    start();
    begin();
    auto lease = scheduler_->take(Priority::low);
    ASSERT_TRUE(lease.has_value());
    const auto id = lease->event;
    if (asked) (void)gate(*ledger_, *lease, lease->chunk->event(id.sequence), now_.wall);
    model::EncodedEvents events;
    for (std::size_t i = 0; i <= DeliveryLane::kTakenSoftMax; ++i) events.add({.type = "a"}, 1);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
    for (std::size_t i = 0; i < events.size(); ++i) ASSERT_GT(next(), 0U);
    ASSERT_EQ(store_.settlements.size(), 1U);
    EXPECT_EQ(store_.settlements.begin()->second.started, asked);
  }
}

TEST_F(GateTest, WhatIsTurnedAwayIsPrevented) {
  begin();
  auto lease = scheduler_->take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  advance(11 * kHour);
  EXPECT_EQ(gate(*ledger_, *lease, lease->chunk->event(1), now_.wall), Verdict::expired);
  EXPECT_EQ(cancel().receipt.outcome, CancelOutcome::prevented);
}

}  // namespace
}  // namespace holdfast::core
