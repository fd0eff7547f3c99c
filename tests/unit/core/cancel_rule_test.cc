// SPDX-License-Identifier: MIT
// The rules of cancelling, one by one; the model test has them all together.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/gate.h"
#include "core/scheduler.h"
#include "core/sequence_set.h"
#include "core/token_change.h"
#include "core/token_id.h"
#include "support/operations.h"

namespace holdfast::core {
namespace {

using Effect = CommitPlan::Settlement::Effect;
using Kind = Answer::Kind;

constexpr Priority kLane = Priority::normal;
constexpr std::int64_t kHour = 3'600'000'000'000;

class CancelRule : public ::testing::Test {
 protected:
  SubscriptionState& subscribe(bool on_cancel = true) {
    model::SubscriptionRecord record;
    record.id = ledger_.next_id();
    record.name = "s" + std::to_string(record.id.value);
    SubscriptionState* state = nullptr;
    commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
    attach(ledger_, scheduler_, *state, {8, {}, on_cancel}, now_);
    return *state;
  }
  void commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    made_ = plan.finish();
    for (const auto& append : made<model::Append>()) chunk_ = append.chunk;
    scheduler_.offer({number_});
    scheduler_.advance(now_);
  }
  EventId publish(const Event& event) {
    model::EncodedEvents events;
    events.add(event, 1);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
    return ids.at(0);
  }
  /// As a worker does it; nothing when it is not to be run.
  std::optional<Lease> take() {
    auto lease = scheduler_.take(Priority::low);
    if (!lease.has_value()) return std::nullopt;
    if (lease->chunk == nullptr) lease->chunk = chunk_;
    verdict_ = gate(ledger_, *lease, lease->chunk->event(lease->event.sequence), now_.wall);
    return lease;
  }
  CommitPlan::Settlement answer(const Lease& lease, Kind kind = Kind::ack, bool ran = true) {
    CommitPlan::Settlement settlement;
    scheduler_.finish(lease);
    commit([&](CommitPlan& plan) {
      auto& answer = answers_.emplace_back();
      answer.lease = lease;
      answer.kind = kind;
      answer.ran = ran;
      settlement = plan.answer(answer);
    });
    return settlement;
  }
  CancelReceipt cancel(EventId id) {
    CancelReceipt receipt;
    commit([&](CommitPlan& plan) {
      receipt = plan.cancel(chunk_->event(id.sequence), "why").receipt;
    });
    return receipt;
  }
  TokenId make_token(std::int64_t timeout = 0) {
    const auto id = made_token(1, ++tokens_);
    commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.make_token(id, timeout).ok()); });
    return id;
  }
  /// Long enough for every backoff.
  void pass_an_hour() {
    now_.bus += kHour;
    now_.wall += kHour;
    scheduler_.advance(now_);
  }
  [[nodiscard]] std::uint64_t ended(TokenId token) const {
    return ledger_.cancellations.find(token)->record.ended;
  }
  /// What a token would be told if `subscription` wanted `types` from now on.
  std::map<TokenId, std::int64_t> change_to(const SubscriptionState& subscription,
                                            std::vector<std::string> types,
                                            const EventView& event) const {
    auto record = subscription.record;
    record.filter.types = std::move(types);
    TokenChange change(ledger_, {record.id, std::make_shared<const Interest>(record)});
    change.add(event);
    return change.ended();
  }
  template <typename Op>
  std::vector<Op> made() const {
    return holdfast::testing::operations_of<Op>(made_);
  }

  Ledger ledger_{[] {
    LedgerSettings settings;
    settings.retention.settled.bytes = 0;
    settings.retention.unclaimed.bytes = 0;
    return settings;
  }()};
  Scheduler scheduler_{ledger_};
  base::Now now_{.wall = 1'000'000, .boot = 5'000, .bus = 5'000};
  std::uint64_t number_ = 0;
  std::uint32_t tokens_ = 0;
  Verdict verdict_ = Verdict::run;
  ChunkPtr chunk_;
  model::Commit made_;
  std::deque<Answer> answers_;
};

TEST_F(CancelRule, OfATokenThatWasNeverMadeThereIsNothingToCancel) {
  commit([&](CommitPlan& plan) {
    const auto cancelled = plan.cancel(made_token(1, 99), "why", {});
    EXPECT_EQ(cancelled.status().code(), StatusCode::not_found);
    EXPECT_TRUE(plan.empty());
  });
}

TEST_F(CancelRule, WhatAHandlerHasIsKeptForItsCleanUpByTheCancelItself) {
  subscribe();
  const auto id = publish({.type = "a"});
  const auto lease = take();
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::signalled);
  // Tombstone, copy and cursor are one commit: it survives together, or not at all.
  EXPECT_EQ(made<model::PutTombstone>().size(), 1U);
  const auto kept = made<model::PutSettlement>();
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_TRUE(kept[0].record.cleanup);
  EXPECT_TRUE(kept[0].record.started);
  EXPECT_NE(kept[0].copy, nullptr);
  EXPECT_EQ(made<model::PutCursor>().size(), 1U);
  // Nobody is given it while the handler has it.
  EXPECT_FALSE(take().has_value());
  EXPECT_EQ(answer(*lease).effect, Effect::refused);
  const auto cleanup = take();
  ASSERT_TRUE(cleanup.has_value());
  EXPECT_EQ(verdict_, Verdict::clean_up);
  EXPECT_EQ(cleanup->attempt, 1U);
  const auto settled = answer(*cleanup);
  EXPECT_EQ(settled.effect, Effect::settled);
  EXPECT_EQ(settled.how, Settled::cancelled);
  EXPECT_EQ(made<model::EraseSettlement>().size(), 1U);
}

TEST_F(CancelRule, WithoutOnCancelNothingIsKept) {
  subscribe(false);
  const auto id = publish({.type = "a"});
  const auto lease = take();
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::signalled);
  EXPECT_TRUE(made<model::PutSettlement>().empty());
  const auto settled = answer(*lease);
  EXPECT_EQ(settled.effect, Effect::settled);
  EXPECT_EQ(settled.how, Settled::cancelled);
}

TEST_F(CancelRule, WhatTheGateRefusedIsWithNoHandler) {
  subscribe();
  const auto id = publish({.type = "a", .not_before = 2'000'000});
  const auto lease = take();
  ASSERT_EQ(verdict_, Verdict::postpone);
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::prevented);
  const auto settled = answer(*lease, Kind::postpone, false);
  EXPECT_EQ(settled.effect, Effect::settled);
  EXPECT_EQ(settled.how, Settled::cancelled);
}

TEST_F(CancelRule, AnEventExpiresAtItsTimeAndNotBefore) {
  subscribe();
  publish({.type = "a", .expires_at = now_.wall});
  publish({.type = "a", .expires_at = now_.wall + 1});
  EXPECT_TRUE(take().has_value());
  EXPECT_EQ(verdict_, Verdict::expired);
  EXPECT_TRUE(take().has_value());
  EXPECT_EQ(verdict_, Verdict::run);
}

TEST_F(CancelRule, AScheduledEventRunsAtItsTimeAndNotBefore) {
  subscribe();
  publish({.type = "a", .not_before = now_.wall + 1});
  publish({.type = "a", .not_before = now_.wall});
  (void)take();
  EXPECT_EQ(verdict_, Verdict::postpone);
  ASSERT_TRUE(take().has_value());
  EXPECT_EQ(verdict_, Verdict::run);
}

TEST_F(CancelRule, ATokenTimesOutAtItsTimeAndNotBefore) {
  const auto token = make_token(1'000);
  EXPECT_FALSE(ledger_.cancellations.next_expired(now_.bus + 999).has_value());
  EXPECT_EQ(ledger_.cancellations.next_expired(now_.bus + 1'000), token);
}

TEST_F(CancelRule, ATokenWithoutATimeOutNeverTimesOut) {
  (void)make_token();
  ASSERT_EQ(made<model::PutToken>().size(), 1U);
  EXPECT_EQ(made<model::PutToken>()[0].record.deadline, 0);
  EXPECT_FALSE(ledger_.cancellations.next_expired(now_.bus + 1'000 * kHour).has_value());
}

TEST_F(CancelRule, ACancelOfATokenTellsEachEventThatWaits) {
  subscribe();
  const auto token = make_token();
  model::EncodedEvents events;
  for (int i = 0; i < 3; ++i) events.add({.type = "a", .token = token}, 1);
  std::vector<EventId> ids;
  commit([&](CommitPlan& plan) { plan.publish(events, false, ids); });
  std::vector<Span> members;
  for (const auto id : ids) members.push_back({chunk_, id.sequence, id.sequence + 1});
  CancelReceipt receipt;
  commit([&](CommitPlan& plan) { receipt = plan.cancel(token, "why", members)->receipt; });
  EXPECT_EQ(receipt.prevented, 3U);
  ASSERT_EQ(receipt.events.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(receipt.events[i].id, ids[i]);
    EXPECT_EQ(receipt.events[i].outcome, CancelOutcome::prevented);
  }
}

TEST_F(CancelRule, AStopThatNoCancelStoodBehindIsNoAttempt) {
  auto& subscription = subscribe();
  publish({.type = "a"});
  const auto lease = take();
  scheduler_.finish(*lease);
  commit([&](CommitPlan& plan) {
    auto& answer = answers_.emplace_back();
    answer.lease = *lease;
    answer.kind = Kind::release;
    answer.stop = StopReason::cancelled;
    EXPECT_EQ(plan.answer(answer).effect, Effect::parked);
  });
  const auto again = take();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->attempt, 1U);
  EXPECT_EQ(verdict_, Verdict::run);
  EXPECT_EQ(subscription.retried, 0U);
}

TEST_F(CancelRule, ATokenThatIsCancelledIsForgottenOnceItsEventsAreGone) {
  subscribe();
  const auto token = make_token();
  const auto id = publish({.type = "a", .token = token});
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.cancel(token, "why", {}).ok()); });
  commit([&](CommitPlan& plan) { plan.trim(); });
  EXPECT_TRUE(made<model::EraseToken>().empty()) << "it is owed still";
  const auto lease = take();
  ASSERT_EQ(verdict_, Verdict::cancelled);
  answer(*lease, Kind::drop, false);
  publish({.type = "a", .payload = std::string(2U << 20U, 'x')});
  (void)answer(*take());
  publish({.type = "a"});
  (void)answer(*take());
  commit([&](CommitPlan& plan) { plan.trim(); });
  ASSERT_GT(ledger_.lanes[kLane].trim, id.sequence);
  EXPECT_EQ(ledger_.cancellations.find(token), nullptr);
  EXPECT_EQ(made<model::EraseToken>().size(), 1U);
}

TEST_F(CancelRule, ATokenThatNobodyUsesIsForgottenAfterADay) {
  const auto token = make_token();
  const auto timed = make_token(48 * kHour);
  now_.bus += 24 * kHour - 1;
  commit([&](CommitPlan& plan) { plan.trim(); });
  EXPECT_NE(ledger_.cancellations.find(token), nullptr);
  now_.bus += 1;
  commit([&](CommitPlan& plan) { plan.trim(); });
  EXPECT_EQ(ledger_.cancellations.find(token), nullptr);
  EXPECT_NE(ledger_.cancellations.find(timed), nullptr) << "its time-out is to come";
}

// --- Clean-ups ----------------------------------------------------------------------------------

TEST_F(CancelRule, ACleanUpHasAttemptsOfItsOwn) {
  subscribe();
  const auto id = publish({.type = "a"});
  answer(*take(), Kind::retry);
  pass_an_hour();
  const auto second = take();
  EXPECT_EQ(second->attempt, 2U);
  answer(*second, Kind::retry);
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::prevented);
  pass_an_hour();
  const auto cleanup = take();
  ASSERT_TRUE(cleanup.has_value());
  EXPECT_EQ(verdict_, Verdict::clean_up);
  EXPECT_EQ(cleanup->attempt, 1U);
  answer(*cleanup, Kind::retry);
  pass_an_hour();
  const auto again = take();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(verdict_, Verdict::clean_up);
  EXPECT_EQ(again->attempt, 2U);
}

TEST_F(CancelRule, WhatAnEarlierAttemptHadBegunIsCleanedUpThoughThisOneNeverRan) {
  subscribe();
  const auto id = publish({.type = "a"});
  answer(*take(), Kind::retry);
  pass_an_hour();
  const auto lease = take();
  ASSERT_EQ(verdict_, Verdict::run);
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::signalled);
  EXPECT_EQ(answer(*lease, Kind::skip, false).effect, Effect::refused);
  EXPECT_TRUE(take().has_value());
  EXPECT_EQ(verdict_, Verdict::clean_up);
}

TEST_F(CancelRule, ARetryThatTheGateRefusedIsWithNoHandler) {
  subscribe();
  const auto id = publish({.type = "a", .expires_at = now_.wall + 1});
  answer(*take(), Kind::retry);
  pass_an_hour();
  ASSERT_TRUE(take().has_value());
  ASSERT_EQ(verdict_, Verdict::expired);
  EXPECT_EQ(cancel(id).outcome, CancelOutcome::prevented);
}

// --- What a token counts as ended ---------------------------------------------------------------

TEST_F(CancelRule, WhatAnEphemeralSubscriptionHasDoneEndsNothing) {
  subscribe();
  model::SubscriptionRecord record;
  record.id = ledger_.next_id();
  record.start[kLane] = ledger_.lanes[kLane].next;
  attach(ledger_, scheduler_, ledger_.add(record, false), {8, {}, false}, now_);
  const auto token = make_token();
  publish({.type = "a", .token = token});
  const auto first = take();
  const auto second = take();
  ASSERT_TRUE(first.has_value() && second.has_value());
  answer(*first);
  answer(*second);
  EXPECT_EQ(ended(token), 1U);
}

TEST_F(CancelRule, ADeadLetterHasEndedUntilItIsRedriven) {
  subscribe();
  const auto token = make_token();
  publish({.type = "a", .token = token});
  answer(*take(), Kind::reject);
  EXPECT_EQ(ended(token), 1U);
  const auto letters = made<model::PutDeadLetter>();
  ASSERT_EQ(letters.size(), 1U);
  commit([&](CommitPlan& plan) { plan.redrive(letters[0].record); });
  EXPECT_EQ(ended(token), 0U);
}

TEST_F(CancelRule, WhatAChangeOfInterestEndsCountsForTokensThatAreOpen) {
  subscribe();
  const auto open = make_token();
  const auto cancelled = make_token();
  for (const auto token : {open, open, cancelled}) publish({.type = "a", .token = token});
  commit([&](CommitPlan& plan) { EXPECT_TRUE(plan.cancel(cancelled, "why", {}).ok()); });
  const auto before = ended(cancelled);
  const TokenId gone{cancelled.value + 1'000};
  commit([&](CommitPlan& plan) { plan.shift_ended({{open, 2}, {cancelled, 1}, {gone, 1}}); });
  EXPECT_EQ(ended(open), 2U);
  EXPECT_EQ(ended(cancelled), before);
  commit([&](CommitPlan& plan) { plan.shift_ended({{open, -1}}); });
  EXPECT_EQ(ended(open), 1U);
}

TEST_F(CancelRule, ARedrivenDeadLetterOfWhatHasNotEndedTakesNoOtherBack) {
  subscribe();
  const auto token = make_token();
  publish({.type = "a", .token = token});
  answer(*take());
  ASSERT_EQ(ended(token), 1U);
  subscribe();
  publish({.type = "a", .token = token});
  answer(*take(), Kind::reject);
  const auto letters = made<model::PutDeadLetter>();
  ASSERT_EQ(letters.size(), 1U);
  ASSERT_EQ(ended(token), 1U) << "the other subscription has it still";
  commit([&](CommitPlan& plan) { plan.redrive(letters[0].record); });
  EXPECT_EQ(ended(token), 1U);
}

TEST_F(CancelRule, WhatIsParkedIsOwedWhateverIsWantedNow) {
  auto& subscription = subscribe();
  const auto& other = subscribe();
  const auto token = make_token();
  const auto id = publish({.type = "a", .token = token});
  for (int i = 0; i < 2; ++i) {
    const auto lease = take();
    answer(*lease, lease->subscription == other.record.id ? Kind::ack : Kind::retry);
  }
  EXPECT_EQ(ended(token), 0U);
  EXPECT_TRUE(change_to(subscription, {"b"}, chunk_->event(id.sequence)).empty());
}

TEST_F(CancelRule, ADeadLetterWasClaimedWhateverIsWantedNow) {
  auto& subscription = subscribe();
  const auto token = make_token();
  const auto id = publish({.type = "a", .token = token});
  answer(*take(), Kind::reject);
  EXPECT_TRUE(change_to(subscription, {"b"}, chunk_->event(id.sequence)).empty());
}

TEST_F(CancelRule, TombstonesGoInStepsThatKeepACommitSmall) {
  constexpr std::size_t kCount = 25'000;
  for (Sequence i = 1; i <= kCount; ++i) ledger_.cancellations.tombstones[kLane].add(i);
  ledger_.lanes[kLane].next = ledger_.lanes[kLane].trim = kCount + 1;
  std::size_t gone = 0;
  for (int commits = 1; gone < kCount; ++commits) {
    ASSERT_LE(commits, 3);
    commit([&](CommitPlan& plan) { plan.trim(); });
    const auto erased = made<model::EraseTombstone>().size();
    EXPECT_LE(erased, 10'000U);
    gone += erased;
  }
  EXPECT_TRUE(ledger_.cancellations.tombstones[kLane].empty());
}

TEST_F(CancelRule, WhatIsParkedAndTrimmedWasClaimedThoughNobodyIsLeft) {
  auto& subscription = subscribe();
  const auto token = make_token();
  const auto id = publish({.type = "a", .token = token});
  const auto chunk = chunk_;
  answer(*take(), Kind::snooze);
  ledger_.lanes[kLane].trim = id.sequence + 1;
  TokenChange change(ledger_, {subscription.record.id, nullptr});
  change.add(chunk->event(id.sequence));
  EXPECT_EQ(change.ended(), (std::map<TokenId, std::int64_t>{{token, 1}}));
}

TEST(TokenIdTest, ATokenOfASingleEventIsThatEventsName) {
  for (const auto lane : kAllPriorities) {
    for (const std::uint64_t sequence : {std::uint64_t{1}, (std::uint64_t{1} << 61U) - 1}) {
      const EventId id{lane, sequence};
      EXPECT_EQ(single_event(token_of(id)), id);
    }
  }
  EXPECT_FALSE(single_event(made_token(1'000'000, 7)).has_value());
  EXPECT_NE(made_token(1, 2), made_token(2, 1));
}

TEST(SequenceSetTest, HoldsWhatWasAddedAlsoBeyondThirtyTwoBits) {
  SequenceSet set;
  const std::uint64_t high = std::uint64_t{5} << 32U;
  for (const auto each : {std::uint64_t{1}, std::uint64_t{70'000}, high, high + 9}) set.add(each);
  EXPECT_EQ(set.size(), 4U);
  EXPECT_TRUE(set.contains(high + 9));
  EXPECT_FALSE(set.contains(high + 8));
  EXPECT_TRUE(set.has_any(2, 70'000));
  EXPECT_FALSE(set.has_any(2, 69'999));
  EXPECT_TRUE(set.has_any(70'001, high));
  EXPECT_FALSE(set.has_any(high + 10, high + (std::uint64_t{1} << 33U)));
  std::vector<std::uint64_t> below;
  set.each_below(high + 9, [&](std::uint64_t each) { below.push_back(each); });
  EXPECT_EQ(below, (std::vector<std::uint64_t>{1, 70'000, high}));
  for (const auto each : {std::uint64_t{1}, std::uint64_t{70'000}, high, high + 9})
    set.remove(each);
  EXPECT_TRUE(set.empty());
}

}  // namespace
}  // namespace holdfast::core
