// SPDX-License-Identifier: MIT
#include "core/held_back.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/rule_bench.h"

namespace holdfast::core {
namespace {

constexpr auto kLane = Priority::normal;

class HeldBackRule : public ::testing::Test, protected holdfast::testing::RuleBench {
 protected:
  void publish(const std::string& type, std::size_t count, std::string_view key = {}) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i) {
      events.add({.type = type, .payload = {}, .priority = kLane, .ordering_key = key}, now_.wall);
    }
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
  }
  /// Its subscription is gone, and so much has come since.
  void leave(const std::string& type, std::size_t count, std::string_view key = {}) {
    subscribe(false, {"a"});
    core::detach(*ledger_, *state_);
    publish(type, count, key);
    publish("b", HeldBack::kSequencesMin + 1);
  }
  std::vector<Span> read(HeldBack& held) const {
    std::vector<Span> owed;
    for (const auto& [first, chunk] : store_.chunks[kLane]) {
      if (first < held.to && !find_held_back(held, chunk, owed)) break;
    }
    return owed;
  }
  bool set_apart(const HeldBack& held, const std::vector<Span>& owed) {
    bool done = false;
    commit([&](CommitPlan& plan) { done = plan.set_apart(held, owed); });
    return done;
  }
  [[nodiscard]] std::vector<HeldBack> all() const { return core::held_back(*ledger_); }
};

TEST_F(HeldBackRule, FewEventsOfAnAbsentSubscriptionFarBehindAreSetApart) {
  leave("a", 3);
  ASSERT_EQ(all().size(), 1U);
  auto held = all().front();
  EXPECT_EQ(held.from, 1U);
  EXPECT_EQ(ledger_->floor(kLane), 1U);
  const auto owed = read(held);
  EXPECT_EQ(owed.size(), 3U);
  ASSERT_TRUE(set_apart(held, owed));
  EXPECT_EQ(ledger_->floor(kLane), store_.next[kLane]);
  EXPECT_EQ(state_->lanes[kLane].owed, 3U);
  EXPECT_EQ(state_->lanes[kLane].parked, 3U);
  EXPECT_TRUE(all().empty());
  // From then on what it does not want moves its cursor by itself.
  publish("b", 1);
  EXPECT_EQ(ledger_->floor(kLane), store_.next[kLane]);
  publish("a", 1);
  EXPECT_EQ(ledger_->floor(kLane), store_.next[kLane] - 1);
  start();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 3U);
  EXPECT_EQ(next(), store_.next[kLane] - 1);
  EXPECT_EQ(next(), 0U);
}

TEST_F(HeldBackRule, NothingIsReadForOneThatIsServedOrNear) {
  subscribe(false, {"a"});
  publish("a", 1);
  publish("b", HeldBack::kSequencesMin + 1);
  EXPECT_TRUE(all().empty());
  core::detach(*ledger_, *state_);
  EXPECT_EQ(all().size(), 1U);
  attach();
  publish("a", 1);
  ASSERT_EQ(next(), 1U);
  core::detach(*ledger_, *state_);
  EXPECT_TRUE(all().empty()) << "what waits is at the end of its lane";
}

TEST_F(HeldBackRule, ManyEventsStayInTheirLane) {
  leave("a", HeldBack::kEventsMax);
  EXPECT_EQ(all().size(), 1U);
  publish("a", 1);
  EXPECT_TRUE(all().empty());
}

TEST_F(HeldBackRule, WhatIsReadInPartIsSetApartInPart) {
  leave("a", 3);
  publish("a", 1);
  auto held = all().front();
  held.to = 3;
  const auto owed = read(held);
  EXPECT_EQ(owed.size(), 2U);
  ASSERT_TRUE(set_apart(held, owed));
  EXPECT_EQ(ledger_->floor(kLane), 3U);
  ASSERT_EQ(all().size(), 1U);
  EXPECT_EQ(all().front().from, 3U);
}

TEST_F(HeldBackRule, OneWithAnOrderingKeyStaysWhereItIs) {
  leave("a", 1, "k");
  auto held = all().front();
  EXPECT_TRUE(read(held).empty());
  EXPECT_EQ(held.to, 1U);
  EXPECT_FALSE(set_apart(held, {}));
  EXPECT_EQ(ledger_->floor(kLane), 1U);
}

TEST_F(HeldBackRule, WhatHasChangedSinceItWasReadIsLeftAlone) {
  leave("a", 2);
  auto held = all().front();
  const auto owed = read(held);
  attach();
  EXPECT_FALSE(set_apart(held, owed));
  ASSERT_EQ(next(), 1U);
  core::detach(*ledger_, *state_);
  EXPECT_FALSE(set_apart(held, owed));
  EXPECT_EQ(state_->lanes[kLane].parked, 0U);
  attach();
  EXPECT_EQ(next(), 2U);
}

TEST_F(HeldBackRule, OneThatIsWithItsHandlerIsParkedOnceFarBehind) {
  subscribe(false, {"a"});
  publish("a", 1);
  const auto lease = take();
  ASSERT_TRUE(lease.has_value());
  publish("b", DeliveryLane::kTakenBehindMax - 1);
  commit([](CommitPlan& plan) { plan.refresh_cursors(0); });
  EXPECT_EQ(ledger_->floor(kLane), 1U);
  publish("b", 1);
  commit([](CommitPlan& plan) { plan.refresh_cursors(0); });
  EXPECT_EQ(ledger_->floor(kLane), store_.next[kLane]);
  EXPECT_EQ(state_->lanes[kLane].parked, 1U);
  answer(*lease);
  EXPECT_EQ(state_->lanes[kLane].owed, 0U);
  EXPECT_TRUE(store_.settlements.empty());
}

TEST_F(HeldBackRule, OneWithAnOrderingKeyIsNotParkedForBeingFarBehind) {
  subscribe(false, {"a"});
  publish("a", 1, "k");
  const auto lease = take();
  ASSERT_TRUE(lease.has_value());
  publish("b", DeliveryLane::kTakenBehindMax + 1);
  commit([](CommitPlan& plan) { plan.refresh_cursors(0); });
  EXPECT_EQ(ledger_->floor(kLane), 1U);
  EXPECT_EQ(state_->lanes[kLane].parked, 0U);
}

}  // namespace
}  // namespace holdfast::core
