// SPDX-License-Identifier: MIT
#include "core/idempotency.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/recovery.h"
#include "core/scheduler.h"
#include "support/record_store.h"

namespace holdfast::core {
namespace {

constexpr Priority kLane = Priority::normal;
constexpr base::BusTime kWindow = 1'000;

class Idempotency : public ::testing::Test {
 protected:
  Idempotency() { open(); }

  void open() {
    LedgerSettings settings;
    settings.idempotency = rule_;
    ledger_ = std::make_unique<Ledger>(settings);
    scheduler_ = std::make_unique<Scheduler>(*ledger_);
    Recovery recovery(*ledger_, store_.next, store_.trim);
    EXPECT_TRUE(recovery.add(store_.key_range).ok());
    EXPECT_TRUE(recovery.finish().ok());
  }

  const model::Commit& commit(const std::function<void(CommitPlan&)>& fill) {
    CommitPlan plan(*ledger_, {1, {++number_}, {0}}, now_, [] { return 0.5; });
    std::vector<model::IdempotencyRecord> found;
    for (const auto& [key, record] : store_.keys) found.push_back(record);
    plan.know_keys(std::move(found));
    fill(plan);
    made_ = plan.finish();
    store_.apply(made_);
    scheduler_->offer({number_});
    return made_;
  }

  struct Published {
    std::vector<EventId> ids;
    std::vector<Duplicate> duplicates;
  };
  void publish(CommitPlan& plan, const std::vector<std::string>& keys, Published& out,
               bool batch = false, TokenId token = {}) {
    auto& events = encoded_.emplace_back();
    for (const auto& key : keys) {
      events.add({.type = "a", .payload = "", .token = token, .idempotency_key = key}, 1);
    }
    plan.publish(events, batch, out.ids, &out.duplicates);
  }
  Published publish(const std::vector<std::string>& keys, bool batch = false) {
    Published out;
    commit([&](CommitPlan& plan) { publish(plan, keys, out, batch); });
    return out;
  }
  bool is_duplicate(const std::string& key) { return !publish({key}).duplicates.empty(); }
  void forget(std::uint64_t count) {
    const auto first = store_.key_range.first;
    const auto to = std::min(first + count, store_.key_range.next);
    std::vector<model::IdempotencyUse> oldest;
    for (const auto& [number, use] : store_.key_uses) {
      if (number < to) oldest.push_back(use);
    }
    commit([&](CommitPlan& plan) { plan.forget_keys(oldest, to); });
  }
  template <typename Op>
  std::size_t made() const {
    return static_cast<std::size_t>(
        std::count_if(made_.operations.begin(), made_.operations.end(),
                      [](const auto& each) { return std::holds_alternative<Op>(each); }));
  }
  std::vector<std::string> stored() const {
    std::vector<std::string> keys;
    for (const auto& [key, record] : store_.keys) keys.push_back(key);
    EXPECT_EQ(store_.key_uses.size(), keys.size());
    return keys;
  }

  IdempotencyRule rule_{.keys_max = 1'000, .window = kWindow};
  testing::RecordStore store_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Scheduler> scheduler_;
  base::Now now_{.wall = 1'000'000, .boot = 5'000, .bus = 5'000};
  std::uint64_t number_ = 0;
  model::Commit made_;
  std::deque<model::EncodedEvents> encoded_;
};

using Ids = std::vector<EventId>;
using Keys = std::vector<std::string>;

TEST_F(Idempotency, TheSecondUnderAKeyIsTheFirstAndNothingIsWritten) {
  const auto first = publish({"k"});
  EXPECT_EQ(first.ids, (Ids{{kLane, 1}}));
  EXPECT_TRUE(first.duplicates.empty());
  const auto again = publish({"k"});
  EXPECT_EQ(again.ids, first.ids);
  ASSERT_EQ(again.duplicates.size(), 1U);
  EXPECT_EQ(again.duplicates[0].index, 0U);
  EXPECT_EQ(again.duplicates[0].commit, CommitNumber{1});
  EXPECT_TRUE(made_.operations.empty());
  EXPECT_EQ(publish({"other"}).ids, (Ids{{kLane, 2}})) << "no sequence was used up";
}

TEST_F(Idempotency, WithoutAKeyNothingIsADuplicateAndNothingIsKept) {
  EXPECT_TRUE(publish({"", ""}).duplicates.empty());
  EXPECT_TRUE(publish({""}).duplicates.empty());
  EXPECT_TRUE(stored().empty());
  EXPECT_EQ(made<model::PutIdempotencyRange>(), 0U);
}

TEST_F(Idempotency, OfTwoInOneCommitTheFirstWins) {
  Published one;
  Published two;
  commit([&](CommitPlan& plan) {
    publish(plan, {"k"}, one);
    publish(plan, {"k"}, two);
  });
  EXPECT_TRUE(one.duplicates.empty());
  ASSERT_EQ(two.duplicates.size(), 1U);
  EXPECT_EQ(two.ids, one.ids);
  EXPECT_EQ(two.duplicates[0].commit, CommitNumber{1});
  EXPECT_EQ(made_.next[kLane], 2U);
  EXPECT_EQ(made<model::PutIdempotency>(), 1U);
}

TEST_F(Idempotency, InABatchDuplicatesPointToTheFirstAndTheOthersAreWritten) {
  publish({"old"});
  const auto batch = publish({"a", "old", "a", "", "b"}, true);
  EXPECT_EQ(batch.ids, (Ids{{kLane, 2}, {kLane, 1}, {kLane, 2}, {kLane, 3}, {kLane, 4}}));
  ASSERT_EQ(batch.duplicates.size(), 2U);
  EXPECT_EQ(batch.duplicates[0].index, 1U);
  EXPECT_EQ(batch.duplicates[0].commit, CommitNumber{1});
  EXPECT_EQ(batch.duplicates[0].batch, BatchId{});
  EXPECT_EQ(batch.duplicates[1].index, 2U);
  EXPECT_EQ(batch.duplicates[1].commit, CommitNumber{2});
  EXPECT_EQ(batch.duplicates[1].batch, model::make_batch_id({2}, 0));
  // Again as a whole, it is what it was.
  const auto again = publish({"a", "b"}, true);
  ASSERT_EQ(again.duplicates.size(), 2U);
  EXPECT_EQ(again.duplicates[1].batch, model::make_batch_id({2}, 0));
}

TEST_F(Idempotency, AKeyHoldsForItsWindowFromItsFirstUseHoweverOftenItIsTried) {
  const auto first = publish({"k"});
  now_.bus += kWindow / 2;
  EXPECT_TRUE(is_duplicate("k"));
  now_.bus += kWindow / 2 - 1;
  EXPECT_TRUE(is_duplicate("k"));
  now_.bus += 1;
  const auto anew = publish({"k"});
  EXPECT_TRUE(anew.duplicates.empty());
  EXPECT_EQ(anew.ids, (Ids{{kLane, 2}}));
  now_.bus += kWindow - 1;
  EXPECT_EQ(publish({"k"}).ids, anew.ids) << "the window of its second use";
}

TEST_F(Idempotency, TheWallClockDoesNotMatter) {
  publish({"k"});
  now_.wall += std::int64_t{1} << 60U;
  EXPECT_TRUE(is_duplicate("k"));
  now_.wall = 1;
  EXPECT_TRUE(is_duplicate("k"));
}

TEST_F(Idempotency, OfTooManyTheOldestHoldsNoMore) {
  rule_.keys_max = 2;
  open();
  publish({"a", "b"});
  EXPECT_TRUE(is_duplicate("a"));
  EXPECT_TRUE(is_duplicate("b"));
  publish({"c"});
  EXPECT_TRUE(is_duplicate("b"));
  EXPECT_TRUE(is_duplicate("c"));
  EXPECT_FALSE(is_duplicate("a"));
  EXPECT_FALSE(is_duplicate("b")) << "that was one more again";
}

TEST_F(Idempotency, TheLargestRuleNeverEnds) {
  rule_ = {~std::uint64_t{0}, std::numeric_limits<base::BusTime>::max()};
  open();
  publish({"k"});
  now_.bus += std::int64_t{1} << 61U;
  EXPECT_TRUE(is_duplicate("k"));
}

TEST_F(Idempotency, NoKeysOrNoWindowTurnItOff) {
  for (const auto& off : {IdempotencyRule{0, kWindow}, IdempotencyRule{10, 0}}) {
    rule_ = off;
    open();
    EXPECT_FALSE(is_duplicate("k"));
    EXPECT_FALSE(is_duplicate("k"));
    forget(1'000);
    EXPECT_TRUE(stored().empty());
    EXPECT_EQ(ledger_->idempotency.stored(), 0U);
  }
}

TEST_F(Idempotency, WhatHoldsNoMoreIsForgottenTheOldestFirst) {
  publish({"a", "b", "c"});
  now_.bus += 600;
  publish({"d"});
  forget(1'000);
  EXPECT_EQ(stored(), (Keys{"a", "b", "c", "d"})) << "all of them hold";
  now_.bus += 400;
  forget(2);
  EXPECT_EQ(stored(), (Keys{"c", "d"}));
  forget(1'000);
  EXPECT_EQ(stored(), (Keys{"d"}));
  EXPECT_TRUE(is_duplicate("d"));
  EXPECT_EQ(store_.key_range, (model::IdempotencyRange{4, 5}));
  forget(1'000);
  EXPECT_TRUE(made_.operations.empty()) << "nothing is left to forget";
}

TEST_F(Idempotency, AKeyThatWasUsedAnewIsNotForgottenWithItsOldUse) {
  publish({"a", "b"});
  now_.bus += kWindow;
  const auto anew = publish({"a"});
  forget(1'000);
  EXPECT_EQ(stored(), (Keys{"a"}));
  EXPECT_EQ(publish({"a"}).ids, anew.ids);
  EXPECT_EQ(store_.key_range, (model::IdempotencyRange{3, 4}));
}

TEST_F(Idempotency, AKeyCanBeForgottenAndUsedInOneCommit) {
  publish({"a"});
  now_.bus += kWindow;
  Published out;
  const std::vector<model::IdempotencyUse> oldest{store_.key_uses.at(1)};
  commit([&](CommitPlan& plan) {
    plan.forget_keys(oldest, 2);
    plan.forget_keys(oldest, 2);
    publish(plan, {"a"}, out);
  });
  EXPECT_EQ(stored(), (Keys{"a"}));
  EXPECT_EQ(publish({"a"}).ids, out.ids);
}

TEST_F(Idempotency, WhatWasUsedCountsAfterARestart) {
  const auto first = publish({"a", "b"});
  open();
  EXPECT_EQ(ledger_->idempotency.stored(), 2U);
  EXPECT_EQ(publish({"b"}).ids, (Ids{first.ids[1]}));
  publish({"c"});
  EXPECT_EQ(store_.keys.at("c").use, 3U) << "no number is used twice";
}

TEST_F(Idempotency, ADuplicateIsLetInWhateverBecameOfItsToken) {
  const TokenId token{7};
  Published first;
  commit([&](CommitPlan& plan) {
    ASSERT_TRUE(plan.make_token(token, 0).ok());
    publish(plan, {"k"}, first, false, token);
    ASSERT_TRUE(plan.cancel(token, "no", {}).ok());
  });
  model::EncodedEvents events;
  events.add({.type = "a", .payload = "", .token = token, .idempotency_key = "k"}, 1);
  events.add({.type = "a", .payload = "", .token = token, .idempotency_key = "new"}, 1);
  commit([&](CommitPlan& plan) {
    EXPECT_TRUE(plan.admit(events, 0).ok());
    EXPECT_EQ(plan.admit(events, 1), StatusCode::cancelled);
    Published again;
    publish(plan, {"k"}, again);
    ASSERT_EQ(again.duplicates.size(), 1U);
    EXPECT_EQ(again.duplicates[0].token, token) << "what it was published under first";
  });
}

TEST_F(Idempotency, InATxADuplicateIsNotPublishedAndTheAckGoesOn) {
  model::SubscriptionRecord record;
  record.id = ledger_->next_id();
  record.name = "s";
  SubscriptionState* state = nullptr;
  commit([&](CommitPlan& plan) { state = &plan.create(record, {}); });
  attach(*ledger_, *scheduler_, *state, {1, {}}, now_);
  const auto done = publish({"follow-up"});
  const auto lease = scheduler_->take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  Answer answer;
  answer.lease = *lease;
  answer.tx = std::make_unique<TxWrites>();
  for (const auto* key : {"follow-up", "more"}) {
    answer.tx->events.add({.type = "b", .payload = "", .idempotency_key = key}, 1);
  }
  answer.tx->state.push_back({"n", "k", "v"});
  commit([&](CommitPlan& plan) {
    const auto settlement = plan.answer(answer);
    EXPECT_EQ(settlement.effect, CommitPlan::Settlement::Effect::settled);
    EXPECT_EQ(settlement.published, (Ids{done.ids[0], {kLane, 2}}));
    ASSERT_EQ(settlement.duplicates.size(), 1U);
    EXPECT_EQ(settlement.duplicates[0].index, 0U);
  });
  EXPECT_EQ(made<model::Append>(), 1U);
  EXPECT_EQ(made<model::PutState>(), 1U);
}

/// Whoever let it in took it for a duplicate, and did not ask what else it needs.
TEST_F(Idempotency, WhatWasLetInAsADuplicateIsNotMadeNewByOthersOfItsBatch) {
  rule_.keys_max = 3;
  open();
  const auto first = publish({"a"});
  const auto batch = publish({"b", "c", "d", "a", "b"});
  ASSERT_EQ(batch.duplicates.size(), 2U);
  EXPECT_EQ(batch.ids[3], first.ids[0]);
  EXPECT_EQ(batch.ids[4], batch.ids[0]);
  EXPECT_FALSE(is_duplicate("a")) << "three others have been used since";
}

}  // namespace
}  // namespace holdfast::core
