// SPDX-License-Identifier: MIT
// The rules of paused event types: what is held and what is not, and how it comes back.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/held_release.h"
#include "support/rule_bench.h"

namespace holdfast::core {
namespace {

constexpr std::int64_t kHour = std::int64_t{3'600} * 1'000'000'000;

class PauseRule : public ::testing::Test, protected holdfast::testing::RuleBench {
 protected:
  void publish(const std::vector<Event>& events, OperationId operation = {}) {
    model::EncodedEvents encoded;
    for (const auto& event : events) encoded.add(event, now_.wall, operation);
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) {
      if (operation.value != 0) {
        ASSERT_TRUE(plan.make_room(1, events.size()).ok());
        plan.begin_operation(operation, {});
      }
      plan.publish(encoded, true, ids);
      if (operation.value == 0) return;
      ASSERT_TRUE(plan.seal(operation).ok());
    });
  }
  void publish(std::string_view type) { publish({Event{.type = type, .payload = {}}}); }
  void pause(std::string_view pattern) {
    commit([&](CommitPlan& plan) { ASSERT_TRUE(plan.pause_types(pattern).ok()); });
  }
  void resume(std::string_view pattern) {
    commit([&](CommitPlan& plan) { ASSERT_TRUE(plan.resume_types(pattern).ok()); });
  }
  /// One part of putting back what is held up to `last`, as the runtime does it; false = there is
  /// none left.
  bool release(model::DueTime last = model::kWallDueBegin - 1, std::size_t most = 1'000) {
    const auto part = pass_.next(*ledger_);
    if (!part.has_value()) return false;
    std::vector<model::DueRecord> released;
    std::optional<ParkedWindow::Key> reached;
    std::size_t seen = 0;
    for (const auto& [name, record] : store_.due_times) {
      if (record.subscription != part->subscription || record.event.priority != part->lane)
        continue;
      if (ParkedWindow::Key{record.due, record.event.sequence} < part->from) continue;
      if (record.due > last) break;
      if (++seen > most) {
        reached = {record.due, record.event.sequence};
        break;
      }
      const auto& copy = store_.parked.at({record.subscription, record.event});
      const auto event = copy->event(record.event.sequence);
      const bool expired = event.expires_at != 0 && event.expires_at <= now_.wall;
      if (expired || !ledger_->paused_types.matches(event.type)) released.push_back(record);
    }
    commit([&](CommitPlan& plan) {
      for (const auto& record : released) plan.release(*state_, record);
    });
    pass_.done(reached);
    return true;
  }
  void release_all() {
    while (release()) {
    }
    commit([&](CommitPlan& plan) { plan.end_release(); });
  }
  [[nodiscard]] std::uint64_t held() const { return state_->lanes[Priority::normal].paused; }

  HeldRelease pass_;
};

TEST_F(PauseRule, WhatIsPausedIsHeldAndOthersGoOn) {
  subscribe();
  pause("a.*");
  publish("a.x");
  publish("b");
  publish("a.y.z");
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 3U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
  EXPECT_EQ(state_->lanes[Priority::normal].owed, 1U);
}

TEST_F(PauseRule, WhatWasHeldComesBackOnceItIsResumed) {
  subscribe();
  pause("a");
  for (int i = 0; i < 3; ++i) publish("a");
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 3U);
  resume("a");
  EXPECT_TRUE(store_.paused_types.releasing);
  EXPECT_EQ(next(), 0U) << "it is put back by who reads it, and not by itself";
  release_all();
  EXPECT_FALSE(store_.paused_types.releasing);
  EXPECT_EQ(held(), 0U);
  for (const model::Sequence each : {1U, 2U, 3U}) EXPECT_EQ(next(), each);
  EXPECT_EQ(state_->lanes[Priority::normal].owed, 0U);
  EXPECT_TRUE(store_.settlements.empty());
}

TEST_F(PauseRule, NothingIsReleasedWhereNothingIsHeld) {
  subscribe();
  pause("a");
  resume("a");
  EXPECT_FALSE(store_.paused_types.releasing);
}

TEST_F(PauseRule, APauseIsFoundAgainAfterARestart) {
  subscribe();
  pause("a");
  publish("a");
  EXPECT_EQ(next(), 0U);
  start();
  EXPECT_TRUE(ledger_->paused_types.matches("a"));
  EXPECT_EQ(held(), 1U);
  publish("a");
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 2U);
  resume("a");
  start();
  EXPECT_TRUE(ledger_->paused_types.record().releasing);
  release_all();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
}

TEST_F(PauseRule, ARestartInTheMiddleOfAReleaseLosesNothing) {
  subscribe();
  pause("a");
  for (int i = 0; i < 4; ++i) publish("a");
  EXPECT_EQ(next(), 0U);
  resume("a");
  EXPECT_TRUE(release(model::kWallDueBegin - 1, 2));
  EXPECT_EQ(held(), 2U);
  pass_ = {};
  start();
  EXPECT_EQ(held(), 2U);
  release_all();
  for (const model::Sequence each : {1U, 2U, 3U, 4U}) EXPECT_EQ(next(), each);
}

TEST_F(PauseRule, WhatAnotherPatternPausesAsWellStaysHeld) {
  subscribe();
  pause("a.*");
  pause("a.x");
  publish("a.x");
  publish("a.y");
  EXPECT_EQ(next(), 0U);
  resume("a.*");
  release_all();
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
  resume("a.x");
  release_all();
  EXPECT_EQ(next(), 1U);
}

TEST_F(PauseRule, APauseThatEndsDuringAReleaseIsGoneOverFromTheBeginning) {
  subscribe();
  pause("a");
  pause("b");
  publish("b");
  publish("a");
  EXPECT_EQ(next(), 0U);
  resume("a");
  EXPECT_TRUE(release());
  resume("b");
  release_all();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(held(), 0U);
}

TEST_F(PauseRule, ItIsLookedAtAgainWhenItIsWritten) {
  subscribe();
  pause("a");
  publish("a");
  const auto lease = scheduler_->take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  auto copy = *lease;
  EXPECT_EQ(gate(*ledger_, copy, copy.chunk->event(1), now_.wall), Verdict::hold);
  resume("a");
  answer(copy, Kind::hold);
  EXPECT_EQ(held(), 0U) << "nobody would put it back";
  EXPECT_EQ(next(), 1U);
}

TEST_F(PauseRule, WhatAHandlerHasGoesOnAndItsRetryIsHeld) {
  subscribe();
  publish("a");
  publish("a");
  const auto first = take();
  const auto second = take();
  pause("a");
  answer(*first);
  EXPECT_EQ(state_->lanes[Priority::normal].owed, 1U);
  answer(*second, Kind::retry);
  advance(kHour);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
  resume("a");
  release_all();
  const auto again = take();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->attempt, 2U)
      << "the attempt before the pause is forgotten, or the pause counted";
  EXPECT_TRUE(again->started);
}

TEST_F(PauseRule, WhatExpiresWhileItIsHeldEnds) {
  subscribe();
  pause("a");
  publish({{.type = "a", .payload = {}, .expires_at = now_.wall + 2 * kHour},
           {.type = "a", .payload = {}, .expires_at = now_.wall + kHour},
           {.type = "a", .payload = {}}});
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 3U);
  advance(kHour - 1'000'000);
  EXPECT_TRUE(release(model::paused_due(now_.wall) - 1));
  EXPECT_EQ(held(), 3U);
  advance(2'000'000);
  pass_.restart();
  EXPECT_TRUE(release(model::paused_due(now_.wall) - 1));
  EXPECT_EQ(held(), 2U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(state_->expired, 1U);
  EXPECT_EQ(state_->lanes[Priority::normal].owed, 2U);
}

TEST_F(PauseRule, ItsTimeComesFirst) {
  subscribe();
  pause("a");
  publish({{.type = "a", .payload = {}, .not_before = now_.wall + kHour}});
  const auto lease = scheduler_->take(Priority::low);
  ASSERT_TRUE(lease.has_value());
  auto copy = *lease;
  EXPECT_EQ(gate(*ledger_, copy, copy.chunk->event(1), now_.wall), Verdict::postpone);
}

TEST_F(PauseRule, WhatIsCancelledIsNotHeld) {
  subscribe();
  pause("a");
  publish("a");
  commit([&](CommitPlan& plan) {
    const auto event = store_.chunks[Priority::normal].begin()->second->event(1);
    EXPECT_EQ(plan.cancel(event, "no").receipt.outcome, CancelOutcome::prevented);
  });
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(state_->cancelled, 1U);
}

TEST_F(PauseRule, AMemberIsHeldAndItsOperationGoesOnAfterwards) {
  subscribe();
  pause("a");
  publish(
      {{.type = "b", .payload = {}}, {.type = "a", .payload = {}}, {.type = "b", .payload = {}}},
      {77});
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
  start();
  resume("a");
  release_all();
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 3U);
  EXPECT_EQ(ledger_->operations.find(OperationId{77})->record.state, OperationState::committed);
}

TEST_F(PauseRule, AnOperationGoesBackWhateverIsPaused) {
  subscribe();
  publish({{.type = "b", .payload = {}}, {.type = "a", .payload = {}}}, {77});
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(Kind::retry), 2U);
  pause("a");
  pause("b");
  advance(kHour);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
  start();
  // As it was read for a release in the same commit.
  model::DueRecord held_then;
  for (const auto& [name, record] : store_.due_times) {
    if (model::is_paused_due(record.due)) held_then = record;
  }
  commit([&](CommitPlan& plan) {
    EXPECT_TRUE(plan.roll_back({77}, "no").ok());
    plan.release(*state_, held_then);
  });
  EXPECT_EQ(held(), 0U) << "it is put back twice";
  EXPECT_EQ(next(), 2U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(next(), 1U);
  EXPECT_TRUE(cleanup_);
  EXPECT_EQ(ledger_->operations.find(OperationId{77})->record.state, OperationState::rolled_back);
  EXPECT_EQ(next(), 0U);
}

TEST_F(PauseRule, AnEphemeralSubscriptionKeepsWhatIsHeldInMemory) {
  subscribe_ephemeral();
  pause("a.*");
  pause("a.x");
  publish("a.x");
  publish("a.y");
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 2U);
  EXPECT_TRUE(store_.settlements.empty());
  resume("a.*");
  EXPECT_FALSE(store_.paused_types.releasing);
  EXPECT_EQ(next(), 2U);
  EXPECT_EQ(next(), 0U);
  resume("a.x");
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(held(), 0U);
}

TEST_F(PauseRule, ASuspectThatWasHeldStaysOne) {
  subscribe();
  publish("a");
  pause("a");
  core::detach(*ledger_, *state_);
  commit([&](CommitPlan& plan) {
    plan.accuse({.subscription = state_->record.id,
                 .event = {Priority::normal, 1},
                 .chunk = store_.chunks[Priority::normal].begin()->second});
  });
  start();
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
  resume("a");
  release_all();
  const auto lease = take();
  ASSERT_TRUE(lease.has_value());
  EXPECT_TRUE(lease->suspect);
  EXPECT_EQ(lease->attempt, 2U);
}

TEST_F(PauseRule, WhatIsAccusedIsNotHeldAnyMore) {
  subscribe();
  pause("a");
  publish("a");
  EXPECT_EQ(next(), 0U);
  core::detach(*ledger_, *state_);
  // It had been answered before, and its handler had still to return.
  commit([&](CommitPlan& plan) {
    plan.accuse({.subscription = state_->record.id,
                 .event = {Priority::normal, 1},
                 .parked = true,
                 .due = model::paused_due(0),
                 .chunk = store_.chunks[Priority::normal].begin()->second});
  });
  EXPECT_EQ(held(), 0U);
  start();
  EXPECT_EQ(held(), 0U);
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 1U);
}

TEST_F(PauseRule, WithAKeyItKeepsBackWhatComesAfterIt) {
  subscribe();
  pause("a");
  publish({{.type = "a", .payload = {}, .ordering_key = "k"},
           {.type = "b", .payload = {}, .ordering_key = "k"},
           {.type = "b", .payload = {}, .ordering_key = "other"}});
  EXPECT_EQ(next(), 3U);
  EXPECT_EQ(next(), 0U);
  resume("a");
  release_all();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
}

TEST_F(PauseRule, ARewindKeepsCountOfWhatIsHeld) {
  subscribe();
  pause("a");
  publish("a");
  publish("a");
  EXPECT_EQ(next(), 0U);
  core::detach(*ledger_, *state_);
  commit([&](CommitPlan& plan) {
    CommitPlan::Rewind to;
    to.from = {{1, 1, 2, 1}};
    to.backlog[Priority::normal].owed = 1;
    to.parked_before = to.from;
    to.kept = {store_.due_times.begin()->second};
    plan.rewind(*state_, to);
  });
  EXPECT_EQ(held(), 1U);
  attach();
  EXPECT_EQ(next(), 0U);
  EXPECT_EQ(held(), 2U);
  resume("a");
  release_all();
  EXPECT_EQ(next(), 1U);
  EXPECT_EQ(next(), 2U);
}

TEST_F(PauseRule, ARemovedSubscriptionLeavesNothingToRelease) {
  subscribe();
  pause("a");
  publish("a");
  EXPECT_EQ(next(), 0U);
  core::detach(*ledger_, *state_);
  commit([&](CommitPlan& plan) { plan.remove(state_->record.id); });
  resume("a");
  EXPECT_FALSE(store_.paused_types.releasing);
  EXPECT_FALSE(pass_.next(*ledger_).has_value());
}

TEST_F(PauseRule, PatternsAreLimitedAndEachIsThereOnce) {
  for (std::size_t i = 0; i < kPausedTypesMax; ++i) pause("t" + std::to_string(i));
  pause("t0");
  EXPECT_EQ(store_.paused_types.patterns.size(), kPausedTypesMax);
  EXPECT_TRUE(
      std::is_sorted(store_.paused_types.patterns.begin(), store_.paused_types.patterns.end()));
  commit([&](CommitPlan& plan) {
    EXPECT_EQ(plan.pause_types("one.more").code(), StatusCode::resource_exhausted);
    EXPECT_EQ(plan.resume_types("one.more").code(), StatusCode::not_found);
  });
  resume("t0");
  pause("one.more");
}

}  // namespace
}  // namespace holdfast::core
