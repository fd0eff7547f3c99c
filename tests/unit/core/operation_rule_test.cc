// SPDX-License-Identifier: MIT
// The rules of operations, one by one: whose turn it is, what is kept, and the way back.
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/gate.h"
#include "core/recovery.h"
#include "core/scheduler.h"
#include "support/record_store.h"

namespace holdfast::core {
namespace {

using Kind = Answer::Kind;

constexpr OperationId kId{77};

class OperationRule : public ::testing::Test {
 protected:
  OperationRule() { start(); }
  /// What a restart finds.
  void start() {
    scheduler_.reset();
    ledger_ = std::make_unique<Ledger>(LedgerSettings{});
    scheduler_ = std::make_unique<Scheduler>(*ledger_);
    Recovery recovery(*ledger_, store_.next, store_.trim);
    const auto add = [&](const auto& records) {
      for (const auto& [name, record] : records) EXPECT_TRUE(recovery.add(record).ok());
    };
    add(store_.subscriptions);
    add(store_.cursors);
    add(store_.operations);
    add(store_.members);
    add(store_.dead);
    add(store_.settlements);
    add(store_.tombstones);
    EXPECT_TRUE(recovery.finish().ok());
    state_ = ledger_->find("s");
    if (state_ != nullptr) attach(*ledger_, *scheduler_, *state_, {8, {}, false}, now_);
  }
  void subscribe(bool compensates = true) {
    model::SubscriptionRecord record;
    record.id = ledger_->next_id();
    record.name = "s";
    record.compensates = compensates;
    commit([&](CommitPlan& plan) { state_ = &plan.create(record, {}); });
    attach(*ledger_, *scheduler_, *state_, {8, {}, false}, now_);
  }
  void commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(*ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    store_.apply(plan.finish());
    scheduler_->offer({number_});
    scheduler_->advance(now_);
  }
  void begin(std::size_t members, const OperationOptions& options = {}) {
    model::EncodedEvents events;
    for (std::size_t i = 0; i < members; ++i) events.add({.type = "a"}, 1, kId);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) {
      ASSERT_TRUE(plan.make_room(1, members).ok());
      plan.begin_operation(kId, options);
      plan.publish(events, true, ids);
      ASSERT_TRUE(plan.seal(kId).ok());
    });
  }
  /// What is on disk alone.
  void read_on() {
    while (const auto refill = scheduler_->next_refill(Priority::low)) {
      std::vector<Span> spans;
      for (const auto& [first, chunk] : store_.chunks[refill->lane]) {
        spans.push_back({chunk, std::max(first, refill->from), chunk->last() + 1});
      }
      scheduler_->refilled(*refill, std::move(spans), refill->to);
    }
    while (const auto refill = scheduler_->next_parked_refill(Priority::low)) {
      std::vector<model::DueRecord> records;
      for (const auto& [name, record] : store_.due_times) {
        if (record.event.priority == refill->lane && model::clock_of(record.due) == refill->clock) {
          records.push_back(record);
        }
      }
      scheduler_->refilled(*refill, records, std::nullopt);
    }
  }
  /// As a worker does it; what is to be held is.
  std::optional<Lease> take() {
    read_on();
    while (auto lease = scheduler_->take(Priority::low)) {
      if (lease->chunk == nullptr)
        lease->chunk = store_.parked.at({lease->subscription, lease->event});
      const auto verdict =
          gate(*ledger_, *lease, lease->chunk->event(lease->event.sequence), now_.wall);
      if (verdict == Verdict::run || verdict == Verdict::clean_up) return lease;
      answer(*lease, verdict == Verdict::hold ? Kind::postpone : Kind::drop);
    }
    return std::nullopt;
  }
  void answer(const Lease& lease, Kind kind = Kind::ack) {
    scheduler_->finish(lease);
    commit([&](CommitPlan& plan) {
      auto& answer = answers_.emplace_back();
      answer.lease = lease;
      answer.kind = kind;
      answer.until = model::kTurnDue;
      answer.ran = kind != Kind::postpone && kind != Kind::drop;
      answer.reason = "why";
      (void)plan.answer(answer);
    });
  }
  /// The sequence that comes next, answered so; 0 = nothing does.
  model::Sequence next(Kind kind = Kind::ack) {
    const auto lease = take();
    if (!lease.has_value()) return 0;
    cleanup_ = lease->cleanup;
    answer(*lease, kind);
    return lease->event.sequence;
  }
  [[nodiscard]] OperationState state() const { return ledger_->operations.find(kId)->record.state; }

  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Scheduler> scheduler_;
  holdfast::testing::RecordStore store_ = [] {
    holdfast::testing::RecordStore store;
    store.next = {{1, 1, 1, 1}};
    store.trim = {{1, 1, 1, 1}};
    return store;
  }();
  SubscriptionState* state_ = nullptr;
  base::Now now_{.wall = 1'000'000, .boot = 5'000, .bus = 5'000};
  std::uint64_t number_ = 0;
  std::deque<Answer> answers_;
  bool cleanup_ = false;
};

TEST_F(OperationRule, OnlyTheFirstThatIsNotDoneMayRun) {
  subscribe();
  begin(3);
  const auto first = take();
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(take().has_value());
  EXPECT_EQ(ledger_->operations.find(EventId{Priority::normal, 2}).member->held.size(), 1U);
  answer(*first);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 3U);
  EXPECT_EQ(state(), OperationState::committed);
  EXPECT_TRUE(store_.settlements.empty()) << "what was kept for the way back is left over";
  EXPECT_TRUE(store_.parked.empty());
}

TEST_F(OperationRule, WhatIsHeldIsGivenOutInItsTurnAlsoAfterARestart) {
  subscribe();
  begin(2);
  ASSERT_TRUE(take().has_value());
  EXPECT_FALSE(take().has_value());
  start();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(state(), OperationState::committed);
}

TEST_F(OperationRule, WithoutSequenceAllMayRun) {
  subscribe();
  begin(2, {.sequential = false});
  EXPECT_TRUE(take().has_value());
  EXPECT_TRUE(take().has_value());
}

TEST_F(OperationRule, GoingBackTheLastThatIsNotUndoneIsCleanedUp) {
  subscribe();
  begin(4);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(Kind::reject), 3U);
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(store_.tombstones.size(), 4U);
  const auto third = take();
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->event.sequence, 3U);
  EXPECT_TRUE(third->is_compensation());
  EXPECT_FALSE(take().has_value());
  answer(*third);
  EXPECT_EQ(next(), 2U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
  EXPECT_EQ(state_->lanes[Priority::normal].owed, 0U);
  EXPECT_TRUE(store_.settlements.empty());
}

TEST_F(OperationRule, EachStepIsFoundAgainAfterARestart) {
  subscribe();
  begin(3);
  start();
  EXPECT_EQ(next(), 1U);
  start();
  EXPECT_EQ(next(), 2U);
  start();
  EXPECT_EQ(next(Kind::reject), 3U);
  start();
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(next(Kind::reject), 3U);
  EXPECT_EQ(state(), OperationState::rollback_failed);
  start();
  EXPECT_EQ(state(), OperationState::rollback_failed);
  EXPECT_EQ(next(), 0U);
  const auto letter = store_.dead.begin()->second;
  EXPECT_TRUE(letter.cleanup);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.redrive(letter)); });
  start();
  EXPECT_EQ(state(), OperationState::rolling_back);
  EXPECT_EQ(next(), 3U);
  start();
  EXPECT_EQ(next(), 2U);
  start();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, WhoDoesNotCompensateKeepsNothing) {
  subscribe(false);
  begin(2);
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(store_.parked.empty());
  EXPECT_EQ(next(Kind::reject), 2U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, MemberThatRetriesIsUndoneToo) {
  subscribe();
  begin(1);
  EXPECT_EQ(next(Kind::retry), 1U);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(kId, "no").ok()); });
  EXPECT_EQ(state(), OperationState::rolling_back);
  now_.bus += 3'600'000'000'000;
  scheduler_->advance(now_);
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, ThoseThatRanTogetherAreUndoneFromTheLastToTheFirst) {
  subscribe();
  begin(2, {.sequential = false});
  EXPECT_EQ(next(Kind::retry), 1U);
  EXPECT_EQ(next(Kind::retry), 2U);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.roll_back(kId, "no").ok()); });
  now_.bus += 3'600'000'000'000;
  scheduler_->advance(now_);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(state(), OperationState::rolled_back);
}

TEST_F(OperationRule, OldestThatHasEndedMakesRoom) {
  ledger_->settings.operations_max = 1;
  begin(0);
  EXPECT_EQ(state(), OperationState::committed);
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.make_room(1, 0).ok()); });
  EXPECT_EQ(ledger_->operations.find(kId), nullptr);
  EXPECT_TRUE(store_.operations.empty());
}

}  // namespace
}  // namespace holdfast::core
