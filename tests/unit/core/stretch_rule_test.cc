// SPDX-License-Identifier: MIT
// What is given out in one stretch, and what ends one.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/scheduler.h"

namespace holdfast::core {
namespace {

using Sequences = std::vector<Sequence>;

class StretchRule : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(const Attachment& attachment = {.takes_stretches = true}) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    SubscriptionState* state = nullptr;
    commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
    attach(ledger_, scheduler_, *state, attachment, now_);
    if (state->stretch_max > 1) state->stretch_max = 4;
    return *state;
  }
  void commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    (void)plan.finish();
    scheduler_.offer({number_});
  }
  void publish(std::size_t count, const Event& event = {.type = "a"}) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < count; ++i) events.add(event, 1);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
  }
  std::vector<Lease> take(bool in_stretches = true) {
    std::vector<Lease> leases;
    auto first = scheduler_.take(Priority::low, &leases, in_stretches);
    if (first.has_value()) leases.insert(leases.begin(), *std::move(first));
    return leases;
  }
  Sequences taken(bool in_stretches = true) {
    Sequences sequences;
    for (const auto& lease : take(in_stretches)) sequences.push_back(lease.event.sequence);
    return sequences;
  }

  Ledger ledger_{LedgerSettings{}};
  Scheduler scheduler_{ledger_};
  base::Now now_{.wall = 1'000'000, .boot = 5'000, .bus = 5'000};
  std::uint64_t number_ = 0;
};

TEST_F(StretchRule, HasOneSlotAndSoManyEventsAsItMay) {
  auto& s = subscribe();
  publish(6);
  const auto leases = take();
  ASSERT_EQ(leases.size(), 4U);
  EXPECT_EQ(s.in_flight, 1U);
  EXPECT_EQ(s.lanes[Priority::normal].leased, 4U);
  EXPECT_TRUE(take().empty()) << "the slot is taken";
  scheduler_.finish_some(leases[0], 4);
  EXPECT_TRUE(take().empty());
  scheduler_.recall_stretch(leases[0], {});
  scheduler_.finish_stretch(leases[0]);
  EXPECT_EQ(s.in_flight, 0U);
  EXPECT_EQ(taken(), (Sequences{5, 6}));
}

TEST_F(StretchRule, WhatIsRecalledComesNextAndInOrder) {
  auto& s = subscribe();
  publish(6);
  const auto leases = take();
  ASSERT_EQ(leases.size(), 4U);
  scheduler_.recall_stretch(leases[0], std::span(leases).subspan(1));
  EXPECT_EQ(s.lanes[Priority::normal].leased, 1U);
  scheduler_.finish(leases[0]);
  Sequences order;
  for (auto next = take(); !next.empty(); next = take()) {
    for (const auto& lease : next) order.push_back(lease.event.sequence);
    scheduler_.finish_some(next[0], next.size());
    scheduler_.recall_stretch(next[0], {});
    scheduler_.finish_stretch(next[0]);
  }
  EXPECT_EQ(order, (Sequences{2, 3, 4, 5, 6}));
}

TEST_F(StretchRule, WhatIsRecalledHasWaitedAsLongAsWhatIsBehindIt) {
  subscribe();
  publish(6);
  const auto leases = take();
  ASSERT_EQ(leases.size(), 4U);
  now_.bus += 16'000'000'000;
  scheduler_.advance(now_);
  scheduler_.recall_stretch(leases[0], std::span(leases).subspan(1));
  scheduler_.finish(leases[0]);
  scheduler_.run_again(leases[0]);
  // The rest has aged, and what starts over has not.
  Sequences order;
  for (auto next = take(); !next.empty(); next = take()) {
    ASSERT_EQ(next.size(), 1U);
    order.push_back(next[0].event.sequence);
    scheduler_.finish(next[0]);
  }
  EXPECT_EQ(order, (Sequences{2, 3, 4, 5, 6, 1}));
}

TEST_F(StretchRule, WhatIsRecalledOfALaneThatWasReadAnewIsInItsPlace) {
  auto& s = subscribe();
  auto& lane = s.lanes[Priority::normal];
  publish(6);
  const auto leases = take();
  lane.drop_waiting();
  ASSERT_EQ(lane.window_count(), 0U);
  scheduler_.recall_stretch(leases[0], std::span(leases).subspan(1));
  EXPECT_EQ(lane.window_count(), 3U);
  EXPECT_EQ(lane.window_front().next, 2U);
  EXPECT_EQ(lane.covered(), 5U) << "what is read from disk begins behind it";
}

TEST_F(StretchRule, IsOvertakenByWhatIsMoreUrgentAndByNothingElse) {
  const auto& s = subscribe();
  publish(6);
  ASSERT_EQ(take().size(), 4U);
  publish(1);
  publish(1, {.type = "a", .priority = Priority::low});
  EXPECT_TRUE(scheduler_.take_overtaken().empty());
  publish(1, {.type = "a", .priority = Priority::high});
  EXPECT_EQ(scheduler_.take_overtaken(), (std::vector{s.record.id}));
}

TEST_F(StretchRule, IsOvertakenByARetryThatIsDue) {
  auto& s = subscribe();
  publish(6);
  const auto leases = take();
  scheduler_.give_back(leases[0]);
  EXPECT_EQ(scheduler_.take_overtaken().size(), 1U);
  scheduler_.recall_stretch(leases[0], std::span(leases).subspan(1));
  EXPECT_FALSE(s.stretch_lane.has_value());
}

TEST_F(StretchRule, OfWhoTakesSeveralAtOnceEachGoesAlone) {
  subscribe({.concurrency = 3, .takes_stretches = true});
  publish(3);
  EXPECT_EQ(taken(), (Sequences{1}));
  EXPECT_EQ(taken(), (Sequences{2}));
}

TEST_F(StretchRule, OfWhoTakesNoneEachGoesAlone) {
  subscribe(Attachment{});
  publish(3);
  EXPECT_EQ(taken(), (Sequences{1}));
}

TEST_F(StretchRule, OfAKeyOrATokenGoesAlone) {
  subscribe();
  publish(3, {.type = "a", .ordering_key = "k"});
  EXPECT_EQ(taken(), (Sequences{1}));
}

TEST_F(StretchRule, ExpiringEventsGoAlone) {
  subscribe();
  publish(3, {.type = "a", .expires_at = 5});
  EXPECT_EQ(taken(), (Sequences{1}));
}

TEST_F(StretchRule, WhoAsksForNoneGetsNone) {
  subscribe();
  publish(3);
  EXPECT_EQ(taken(false), (Sequences{1}));
}

TEST_F(StretchRule, WhileSomethingHasAgedEachGoesAlone) {
  subscribe();
  publish(3);
  now_.bus += 16'000'000'000;
  scheduler_.advance(now_);
  EXPECT_EQ(taken(), (Sequences{1}));
}

TEST_F(StretchRule, ACleanUpThatStartsOverGoesAlone) {
  subscribe();
  publish(3);
  auto leases = take();
  leases[0].cleanup = true;
  scheduler_.recall_stretch(leases[0], std::span(leases).subspan(1));
  scheduler_.give_back(leases[0]);
  scheduler_.finish(leases[0]);
  const auto again = take();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].event.sequence, 1U);
  EXPECT_TRUE(again[0].cleanup);
}

TEST_F(StretchRule, BeforeAnotherThatIsDueEachGoesAlone) {
  subscribe();
  publish(4);
  auto leases = take();
  for (auto& lease : leases) lease.started = true;
  scheduler_.give_back(leases[0]);
  scheduler_.give_back(leases[1]);
  scheduler_.recall_stretch(leases[0], std::span(leases).subspan(2));
  scheduler_.finish(leases[0]);
  EXPECT_EQ(taken(), (Sequences{1}));
}

TEST_F(StretchRule, ALateAnswerOfAnEarlierAttachmentFreesNothing) {
  auto& s = subscribe();
  publish(6);
  const auto before = take();
  attach(ledger_, scheduler_, s, {.takes_stretches = true}, now_);
  s.in_flight = 1;
  scheduler_.finish_some(before[0], 4);
  scheduler_.recall_stretch(before[0], std::span(before).subspan(1));
  scheduler_.finish_stretch(before[0]);
  EXPECT_EQ(s.in_flight, 1U);
  EXPECT_EQ(s.lanes[Priority::normal].leased, 0U);
}

}  // namespace
}  // namespace holdfast::core
