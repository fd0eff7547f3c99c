// SPDX-License-Identifier: MIT
// Goal: nobody is told, and no event is offered, before the sync that was promised; and what a
// failure means. Method: a journal whose sync is held by the test, or fails.
#include "runtime/committer.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "journal/memory/memory_journal.h"
#include "support/bus_test.h"

namespace holdfast::runtime {
namespace {

using holdfast::testing::Collected;
using holdfast::testing::eventually;
using holdfast::testing::fails;
using holdfast::testing::is_ok;
using holdfast::testing::Signal;

/// A journal in memory whose syncs wait until the test lets them, and whose next calls may fail.
class HeldJournal final : public journal::Journal {
 public:
  [[nodiscard]] const journal::JournalState& state() const override { return inner_->state(); }
  [[nodiscard]] Result<std::optional<model::Record>> find(
      const journal::RecordRef& ref) const override {
    if (fail_find) return Status(StatusCode::data_loss, "unreadable");
    return inner_->find(ref);
  }
  Status scan(const journal::ScanSpec& spec, const journal::Sink& sink) const override {
    return inner_->scan(spec, sink);
  }
  [[nodiscard]] journal::JournalStats stats() const override { return inner_->stats(); }
  Status checkpoint(const std::filesystem::path& folder) override {
    return inner_->checkpoint(folder);
  }
  Status commit(const model::Commit& commit, Durability durability) override {
    if (!fail_commit.ok()) return fail_commit;
    numbers.add(commit.number);
    auto status = inner_->commit(commit, durability);
    if (on_written) on_written();
    return status;
  }
  Status sync() override {
    syncs.add(numbers.size());
    if (hold) let_go.wait();
    return fail_sync;
  }

  Collected<CommitNumber> numbers;
  Collected<std::size_t> syncs;  ///< How many commits there were when it began.
  std::atomic<bool> hold{true};
  Signal let_go;
  Status fail_sync;
  Status fail_commit;
  std::function<void()> on_written;  ///< Before whoever commits knows.
  std::atomic<bool> fail_find{false};

 private:
  std::unique_ptr<journal::Journal> inner_ = journal::make_memory_journal();
};

class Committing : public ::testing::Test {
 protected:
  Committing() {
    model::SubscriptionRecord record;
    record.id = state.ledger.next_id();
    record.name = "s";
    auto& subscription = state.ledger.add(record, true);
    core::attach(state.ledger, state.scheduler, subscription, {.concurrency = 8}, clock.now());
    id = record.id;
  }
  ~Committing() override {
    journal.hold = false;
    journal.let_go.set();
    committer.stop();
  }

  /// Publishes without waiting; its result lands in `done`.
  void publish(Durability durability, const std::string& payload = "x",
               const std::string& key = {}) {
    Request request;
    request.events.add({.type = "a.b", .payload = payload, .idempotency_key = key}, 1);
    request.durability = durability;
    request.done = [this](Result<Committed> result) { done.add(std::move(result)); };
    ASSERT_TRUE(is_ok(committer.submit(request, false)));
  }
  std::optional<core::Lease> take() {
    const std::lock_guard lock(state.mutex);
    return state.scheduler.take(Priority::low);
  }
  void ack(core::Lease lease) {
    {
      const std::lock_guard lock(state.mutex);
      state.scheduler.finish(lease);
      core::Answer answer;
      answer.lease = std::move(lease);
      state.answers.push_back(std::move(answer));
    }
    committer.answers_given(true);
  }
  void let_syncs_go() {
    journal.hold = false;
    journal.let_go.set();
  }

  const base::Clock& clock = base::system_clock();
  Options options;
  HeldJournal journal;
  BusState state{core::LedgerSettings{}};
  model::SubscriptionId id;
  Collected<Result<Committed>> done;
  Collected<int> offers;
  Committer committer{journal,
                      {0},
                      state,
                      options,
                      clock,
                      base::Log(nullptr),
                      {[this] { offers.add(0); }, [](base::BootTime) {}}};
};

TEST_F(Committing, DurableReceiptAndItsEventWaitForTheSync) {
  committer.start();
  publish(Durability::durable);
  // It is written, and its sync has begun.
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  ASSERT_EQ(journal.numbers.size(), 1U);
  EXPECT_EQ(done.size(), 0U);
  EXPECT_FALSE(take().has_value());
  EXPECT_EQ(committer.written().value, 1U);
  EXPECT_EQ(committer.durable().value, 0U);
  let_syncs_go();
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_EQ(committer.durable().value, 1U);
  EXPECT_TRUE(eventually([&] { return take().has_value(); }));
}

TEST_F(Committing, WaitingPublisherWhoSyncsByItselfIsNoExceptionToThat) {
  committer.start();
  Status status(StatusCode::internal, "not answered");
  std::atomic<bool> returned{false};
  std::thread publisher([&] {
    Request request;
    request.events.add({.type = "a.b"}, 1);
    status = committer.submit_and_wait(request, false).status();
    returned = true;
  });
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  EXPECT_FALSE(take().has_value());
  EXPECT_FALSE(returned);
  let_syncs_go();
  publisher.join();
  EXPECT_TRUE(is_ok(status));
  EXPECT_EQ(committer.durable().value, 1U);
}

TEST_F(Committing, OsReceiptAndItsEventDoNotWait) {
  committer.start();
  publish(Durability::os);
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_TRUE(eventually([&] { return take().has_value(); }));
  EXPECT_EQ(committer.durable().value, 0U);
}

TEST_F(Committing, OsEventIsNotOfferedBeforeAnEarlierOneThatIsNotDurableYet) {
  committer.start();
  publish(Durability::durable, "first");
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  publish(Durability::os, "second");
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_FALSE(take().has_value());
  let_syncs_go();
  std::optional<core::Lease> lease;
  ASSERT_TRUE(eventually([&] { return (lease = take()).has_value(); }));
  EXPECT_EQ(lease->event.sequence, 1U);
}

TEST_F(Committing, WhoeverWaitsForASettlementWaitsForItsSync) {
  committer.start();
  publish(Durability::os);
  std::optional<core::Lease> lease;
  ASSERT_TRUE(eventually([&] { return (lease = take()).has_value(); }));
  Signal told;
  SettleWaiter waiter;
  {
    const std::lock_guard lock(state.mutex);
    waiter.owed.insert(id);
    waiter.complete = true;
    waiter.done = [&] { told.set(); };
    ++state.settle_listeners;
    state.settle_waiters.emplace(lease->event, &waiter);
  }
  ack(*std::move(lease));
  ASSERT_TRUE(journal.numbers.wait_for_count(2));
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  EXPECT_FALSE(told.is_set());
  let_syncs_go();
  EXPECT_TRUE(told.wait());
  EXPECT_EQ(committer.durable().value, 2U);
}

TEST_F(Committing, WhoeverWaitsForASettlementIsToldWhenNothingCanBeWritten) {
  committer.start();
  Signal told;
  SettleWaiter waiter;
  waiter.done = [&] { told.set(); };
  {
    const std::lock_guard lock(state.mutex);
    state.settle_waiters.emplace(EventId{Priority::normal, 1}, &waiter);
  }
  journal.fail_commit = {StatusCode::indeterminate, "broken"};
  publish(Durability::os);
  EXPECT_TRUE(told.wait());
  EXPECT_EQ(waiter.end, SettleWaiter::End::failed);
}

TEST_F(Committing, NoMoreIsCommittedThanTheIntakeHoldsWhileASyncTakesItsTime) {
  options.limits.intake_events_max = 1'024;
  Committer small{
      journal, {0}, state, options, clock, base::Log(nullptr), {[] {}, [](base::BootTime) {}}};
  small.start();
  std::size_t accepted = 0;
  // Refused for so long: not because the committer is slow.
  for (int refused = 0; refused < 10'000 && accepted < 20'000;) {
    Request request;
    request.events.add({.type = "a.b", .payload = "x"}, 1);
    request.done = [&](const Result<Committed>& result) { done.add(result); };
    if (small.submit(request, false).ok()) {
      ++accepted;
      refused = 0;
    } else {
      ++refused;
      std::this_thread::yield();
    }
  }
  EXPECT_GT(accepted, 1'024U);
  EXPECT_LT(accepted, 5'000U);
  let_syncs_go();
  EXPECT_TRUE(done.wait_for_count(accepted));
  small.stop();
}

TEST_F(Committing, OneSyncServesAllWhoWaited) {
  committer.start();
  publish(Durability::durable);
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  for (int i = 0; i < 200; ++i) publish(Durability::durable);
  let_syncs_go();
  ASSERT_TRUE(done.wait_for_count(201));
  EXPECT_LE(journal.syncs.size(), 3U);
  EXPECT_LE(journal.numbers.size(), 3U);
}

TEST_F(Committing, WhatIsWrittenWhileASyncFailsIsToldOfIt) {
  journal.fail_sync = {StatusCode::unavailable, "the disk said no"};
  committer.start();
  publish(Durability::durable);
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  journal.on_written = [this] {
    let_syncs_go();
    EXPECT_TRUE(eventually([this] { return !committer.health().ok(); }));
  };
  publish(Durability::durable);
  // Nothing else is written while a sync is under way; with this the one before is.
  publish(Durability::os);
  ASSERT_TRUE(done.wait_for_count(3));
  EXPECT_EQ(journal.numbers.size(), 2U);
  std::size_t told = 0;
  for (const auto& result : done.all()) {
    if (result.ok()) continue;
    EXPECT_TRUE(fails(result, StatusCode::indeterminate, {"the disk said no"}));
    ++told;
  }
  EXPECT_EQ(told, 2U);
}

TEST_F(Committing, FailedSyncIsIndeterminateForWhoWaitsAndPoisonsWhatFollows) {
  journal.fail_sync = {StatusCode::unavailable, "the disk said no"};
  committer.start();
  publish(Durability::durable);
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  let_syncs_go();
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_TRUE(fails(done.all()[0], StatusCode::indeterminate,
                    {"event normal:1", "commit 1", "the disk said no"}));
  EXPECT_TRUE(fails(committer.health(), StatusCode::poisoned, {"the disk said no"}));
  publish(Durability::durable);
  publish(Durability::os);
  ASSERT_TRUE(done.wait_for_count(3));
  EXPECT_TRUE(fails(done.all()[1], StatusCode::poisoned));
  EXPECT_TRUE(fails(done.all()[2], StatusCode::poisoned));
  // A failed sync is never tried again, nothing more is written, and nothing is handed out.
  committer.stop();
  EXPECT_EQ(journal.syncs.size(), 1U);
  EXPECT_EQ(journal.numbers.size(), 1U);
  EXPECT_EQ(committer.durable().value, 0U);
  EXPECT_FALSE(take().has_value());
}

TEST_F(Committing, FailedWriteIsIndeterminateWithItsEventAndCommit) {
  journal.fail_commit = {StatusCode::unavailable, "no space"};
  committer.start();
  publish(Durability::os);
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_TRUE(
      fails(done.all()[0], StatusCode::indeterminate, {"commit 1", "event normal:1", "no space"}));
  EXPECT_TRUE(fails(committer.health(), StatusCode::poisoned, {"no space"}));
  EXPECT_FALSE(take().has_value());
}

TEST_F(Committing, WhoIsToldOfAFailedWriteMayReadWithoutWaitingForIt) {
  journal.fail_commit = {StatusCode::unavailable, "no space"};
  committer.start();
  Collected<bool> newer;
  Request request;
  request.durability = Durability::os;
  request.events.add({.type = "a.b", .payload = "x"}, 1);
  request.done = [&](const Result<Committed>&) {
    newer.add(committer.planned() > committer.written());
  };
  ASSERT_TRUE(committer.submit(request, false).ok());
  ASSERT_TRUE(newer.wait_for_count(1));
  EXPECT_FALSE(newer.all()[0]);
}

TEST_F(Committing, FencedWriteSaysSoAndStaysSo) {
  journal.fail_commit = {StatusCode::fenced, "another writer went on"};
  committer.start();
  publish(Durability::os);
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_TRUE(fails(done.all()[0], StatusCode::fenced, {"another writer"}));
  publish(Durability::os);
  ASSERT_TRUE(done.wait_for_count(2));
  EXPECT_TRUE(fails(done.all()[1], StatusCode::fenced));
}

TEST_F(Committing, StopServesWhatWaitsAndCommitsTheLastOneBehindIt) {
  let_syncs_go();
  for (int i = 0; i < 50; ++i) publish(Durability::durable);
  committer.start();
  std::uint64_t events_before_last = 0;
  Request last;
  last.change = [&](core::CommitPlan& plan) -> Status {
    events_before_last = state.ledger.lanes[Priority::normal].next - 1;
    plan.mark_clean();
    return {};
  };
  last.done = [this](Result<Committed> result) { done.add(std::move(result)); };
  committer.stop(std::move(last));
  EXPECT_EQ(events_before_last, 50U);
  ASSERT_EQ(done.size(), 51U);
  for (const auto& each : done.all()) EXPECT_TRUE(is_ok(each));
  EXPECT_EQ(done.all().back()->commit, committer.written());
  EXPECT_EQ(committer.durable(), committer.written());
  Request late;
  EXPECT_TRUE(fails(committer.submit(late, true), StatusCode::unavailable, {"closed"}));
}

TEST_F(Committing, DuplicateIsNotToldToBeDurableBeforeTheFirstIs) {
  // The first two are one group; the others come while that is written and not synced.
  publish(Durability::durable, "first", "k");
  publish(Durability::durable, "second", "k");
  committer.start();
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  publish(Durability::durable, "third", "k");
  // Whoever asks for less is told at once, and behind the third.
  publish(Durability::os, "fourth", "k");
  ASSERT_TRUE(done.wait_for_count(1));
  const auto told = done.all();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_TRUE(is_ok(told[0]));
  ASSERT_EQ(told[0]->duplicates.size(), 1U);
  EXPECT_EQ(told[0]->duplicates[0].commit.value, 1U);
  EXPECT_EQ(committer.durable().value, 0U);
  let_syncs_go();
  ASSERT_TRUE(done.wait_for_count(4));
  std::size_t duplicates = 0;
  for (const auto& each : done.all()) {
    ASSERT_TRUE(is_ok(each));
    EXPECT_EQ(each->ids, (std::vector<EventId>{{Priority::normal, 1}}));
    duplicates += each->duplicates.size();
  }
  EXPECT_EQ(duplicates, 3U);
  EXPECT_EQ(journal.numbers.size(), 1U) << "nothing was written for them";
}

TEST_F(Committing, DuplicateOfWhatMayNotSurviveIsIndeterminateAsTheFirst) {
  journal.fail_sync = {StatusCode::indeterminate, "broken"};
  publish(Durability::durable, "first", "k");
  publish(Durability::durable, "second", "k");
  committer.start();
  ASSERT_TRUE(journal.syncs.wait_for_count(1));
  let_syncs_go();
  ASSERT_TRUE(done.wait_for_count(2));
  for (const auto& each : done.all()) {
    EXPECT_TRUE(fails(each, StatusCode::indeterminate, {"normal:1"}));
  }
}

TEST_F(Committing, KeyThatCannotBeLookedUpRefusesItsEventAndFailsTheAckOfItsTx) {
  let_syncs_go();
  committer.start();
  publish(Durability::os);
  std::optional<core::Lease> lease;
  ASSERT_TRUE(eventually([&] { return (lease = take()).has_value(); }));
  ASSERT_TRUE(done.wait_for_count(1));
  journal.fail_find = true;
  publish(Durability::os, "x", "k");
  ASSERT_TRUE(done.wait_for_count(2));
  EXPECT_TRUE(fails(done.all()[1], StatusCode::data_loss, {"unreadable"}));
  publish(Durability::os, "without a key");
  ASSERT_TRUE(done.wait_for_count(3));
  EXPECT_TRUE(is_ok(done.all()[2]));
  {
    const std::lock_guard lock(state.mutex);
    state.scheduler.finish(*lease);
    core::Answer answer;
    answer.lease = *std::move(lease);
    answer.tx = std::make_unique<core::TxWrites>();
    answer.tx->events.add({.type = "a.b", .idempotency_key = "k"}, 1);
    state.answers.push_back(std::move(answer));
  }
  committer.answers_given(true);
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(state.mutex);
    return state.ledger.find(id)->retried == 1;
  }));
  const std::lock_guard lock(state.mutex);
  EXPECT_EQ(state.ledger.lanes[Priority::normal].next, 3U);
  EXPECT_NE(state.ledger.find(id)->last_error.find("unreadable"), std::string::npos);
}

TEST_F(Committing, CommitsAreNumberedDensely) {
  let_syncs_go();
  committer.start();
  for (int i = 0; i < 100; ++i) {
    publish(i % 3 == 0 ? Durability::durable : Durability::os);
    if (i % 7 != 0) continue;
    ASSERT_TRUE(done.wait_for_count(static_cast<std::size_t>(i) + 1));
  }
  ASSERT_TRUE(done.wait_for_count(100));
  std::uint64_t expected = 1;
  for (const auto number : journal.numbers.all()) EXPECT_EQ(number.value, expected++);
}

TEST_F(Committing, RefusedRequestLeavesTheOthersOfItsGroupAlone) {
  let_syncs_go();
  publish(Durability::os);
  Request bad;
  bad.prepare = [] { return Status(StatusCode::not_found, "not prepared"); };
  bad.done = [this](Result<Committed> result) { done.add(std::move(result)); };
  ASSERT_TRUE(is_ok(committer.submit(bad, false)));
  publish(Durability::os);
  committer.start();
  ASSERT_TRUE(done.wait_for_count(3));
  int refused = 0;
  for (const auto& each : done.all()) refused += each.ok() ? 0 : 1;
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(state.ledger.lanes[Priority::normal].next, 3U);
}

}  // namespace
}  // namespace holdfast::runtime
