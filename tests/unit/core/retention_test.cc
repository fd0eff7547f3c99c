// SPDX-License-Identifier: MIT
#include "core/retention.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMega = std::uint64_t{1} << 20U;
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
constexpr Priority kLane = Priority::normal;

LaneRetention::Rules rules(Retention settled, Retention unclaimed = {hours(24), 256 * kMega}) {
  return {settled, unclaimed};
}

/// When the wall clock and the bus agree.
LaneRetention::Published at(std::int64_t time) { return {time, time}; }

/// Notes `count` events of `bytes`, one a second from sequence `from` on; returns the marks to
/// store.
std::vector<model::RetentionMark> note(LaneRetention& lane, model::Sequence from, int count,
                                       std::uint64_t bytes, bool claimed = true) {
  std::vector<model::RetentionMark> stored;
  for (int i = 0; i < count; ++i) {
    const auto sequence = from + static_cast<model::Sequence>(i);
    for (const auto& mark :
         lane.note(sequence, bytes, at(static_cast<std::int64_t>(sequence) * kSecond), claimed)) {
      stored.push_back(mark);
    }
  }
  return stored;
}

/// How far a lane may be trimmed that is the only one.
LaneRetention::Trimmed trim_alone(LaneRetention& lane, model::Sequence trim, model::Sequence floor,
                                  base::BusTime now) {
  LaneRetention::Trimmed trimmed{trim, 0};
  while (lane.trim_first(trimmed, floor, now, 0)) {
  }
  return trimmed;
}

TEST(Retention, TheFirstEventIsAlwaysMarked) {
  LaneRetention lane(kLane, rules({hours(24), 256 * kMega}));
  const auto marks = lane.note(1, 10, at(5), true);
  ASSERT_EQ(marks.size(), 1U);
  EXPECT_EQ(marks[0].sequence, 1U);
  EXPECT_EQ(marks[0].lane, kLane);
  EXPECT_EQ(marks[0].bytes_before, 0U);
  EXPECT_TRUE(lane.note(2, 10, at(5), true).empty());
}

TEST(Retention, MarksComeAboutOnceAStepAndTheEndedOneIsStoredAgainWithItsCount) {
  LaneRetention lane(kLane, rules({hours(24 * 365), 256 * kMega}));
  const auto marks = note(lane, 1, 40, kMega / 4, false);
  // One at 1, then one each 4 events, each with the one before it.
  ASSERT_EQ(marks.size(), 1U + 2U * 9U);
  EXPECT_EQ(marks[1].sequence, 1U);
  EXPECT_EQ(marks[1].unclaimed, 4U);
  EXPECT_EQ(marks[2].sequence, 5U);
  EXPECT_EQ(marks[2].unclaimed, 0U);
  EXPECT_EQ(marks[2].bytes_before, kMega);
  EXPECT_EQ(lane.unclaimed(), 40U);
}

TEST(Retention, GoesByBytes) {
  LaneRetention lane(kLane, rules({hours(24), 4 * kMega}));
  note(lane, 1, 40, kMega / 4);
  // 10 MiB noted; all but the newest 4 MiB may go, in whole intervals of 1 MiB.
  EXPECT_EQ(trim_alone(lane, 1, 41, 41 * kSecond).trim, 25U);
}

/// A lane of each priority with 1 MiB in four seconds: 10 of them in low, 4 in high.
class RetentionOfLanes : public ::testing::Test {
 protected:
  RetentionOfLanes() {
    for (const auto lane : kAllPriorities) {
      retention_[lane].emplace(lane, rules({hours(24), 6 * kMega}));
      lanes_[lane] = &*retention_[lane];
      floor_[lane] = 100;
    }
    note(*lanes_[Priority::low], 1, 40, kMega / 4);
    note(*lanes_[Priority::high], 1, 16, kMega / 4);
  }
  model::PerLane<std::optional<LaneRetention>> retention_;
  model::PerLane<LaneRetention*> lanes_;
  model::PerLane<model::Sequence> floor_;
};

TEST_F(RetentionOfLanes, CountsTheirBytesTogetherAndTheOldestGoesFirst) {
  const auto trimmed = trim_lanes(lanes_, floor_, 41 * kSecond);
  EXPECT_EQ(trimmed[Priority::high].trim, 13U);
  EXPECT_EQ(trimmed[Priority::low].trim, 21U);
  EXPECT_EQ(trimmed[Priority::normal].trim, 1U);
  EXPECT_EQ(lanes_[Priority::high]->kept_bytes() + lanes_[Priority::low]->kept_bytes(), 6 * kMega);
}

TEST_F(RetentionOfLanes, WhatSomebodyIsOwedHoldsUpItsOwnLaneAlone) {
  floor_[Priority::high] = 1;
  const auto trimmed = trim_lanes(lanes_, floor_, 41 * kSecond);
  EXPECT_EQ(trimmed[Priority::high].trim, 1U);
  EXPECT_EQ(trimmed[Priority::low].trim, 33U);
}

TEST(Retention, GoesByAge) {
  LaneRetention lane(kLane, rules({seconds(10), 256 * kMega}));
  note(lane, 1, 40, 10);
  const auto trimmed = trim_alone(lane, 1, 41, 40 * kSecond);
  // An interval goes when the one behind it is older than 10 s as well, so that no young event
  // does.
  EXPECT_EQ(trimmed.trim, 29U);
  EXPECT_EQ(trim_alone(lane, trimmed.trim, 41, 40 * kSecond).trim, 29U) << "and not twice";
}

TEST(Retention, ZeroMeansAtOnceButTheNewestIntervalStays) {
  for (const auto& zero : {Retention{seconds(0), 256 * kMega}, Retention{hours(24), 0}}) {
    LaneRetention lane(kLane, rules(zero));
    note(lane, 1, 40, kMega);
    EXPECT_EQ(trim_alone(lane, 1, 41, 41 * kSecond).trim, 40U);
  }
}

TEST(Retention, NothingThatIsOwedGoes) {
  LaneRetention lane(kLane, rules({seconds(0), 0}, {seconds(0), 0}));
  note(lane, 1, 40, kMega);
  EXPECT_EQ(trim_alone(lane, 1, 1, 1'000 * kSecond).trim, 1U);
  EXPECT_EQ(trim_alone(lane, 1, 7, 1'000 * kSecond).trim, 7U) << "7 itself is owed";
  EXPECT_EQ(trim_alone(lane, 7, 41, 1'000 * kSecond).trim, 40U);
}

TEST(Retention, TheTrimPointNeverGoesBack) {
  LaneRetention lane(kLane, rules({seconds(0), 0}));
  note(lane, 1, 10, kMega);
  EXPECT_EQ(trim_alone(lane, 20, 5, 100 * kSecond).trim, 20U);
}

TEST(Retention, UnclaimedEventsStayByTheirOwnRule) {
  LaneRetention lane(kLane, rules({seconds(0), 0}, {seconds(100), 256 * kMega}));
  note(lane, 1, 10, kMega);
  note(lane, 11, 1, kMega, false);
  note(lane, 12, 10, kMega);
  EXPECT_EQ(lane.unclaimed(), 1U);
  auto trimmed = trim_alone(lane, 1, 22, 30 * kSecond);
  EXPECT_EQ(trimmed.trim, 11U) << "stops before the interval of the unclaimed one";
  EXPECT_EQ(trimmed.unclaimed, 0U);
  trimmed = trim_alone(lane, 11, 22, 200 * kSecond);
  EXPECT_EQ(trimmed.trim, 21U);
  EXPECT_EQ(trimmed.unclaimed, 1U) << "and is told as expired";
  EXPECT_EQ(lane.unclaimed(), 0U);
}

TEST(Retention, AnEventThatIsClaimedLaterFollowsTheRuleOfSettledOnes) {
  LaneRetention lane(kLane, rules({seconds(0), 0}, {hours(24), 256 * kMega}));
  note(lane, 1, 4, kMega, false);
  EXPECT_EQ(trim_alone(lane, 1, 5, 100 * kSecond).trim, 1U);
  const auto mark = lane.claim(2);
  ASSERT_TRUE(mark.has_value());
  EXPECT_EQ(mark->sequence, 2U);
  EXPECT_EQ(mark->unclaimed, 0U);
  ASSERT_TRUE(lane.claim(1).has_value());
  EXPECT_EQ(lane.unclaimed(), 2U);
  EXPECT_EQ(trim_alone(lane, 1, 5, 100 * kSecond).trim, 3U);
  EXPECT_FALSE(lane.claim(1).has_value()) << "below every mark";
}

TEST(Retention, StoredMarksAndARecountGiveTheSameState) {
  const auto same_rules = rules({seconds(5), 3 * kMega}, {seconds(20), 256 * kMega});
  LaneRetention before(kLane, same_rules);
  std::vector<model::RetentionMark> stored;
  const auto keep = [&](const model::RetentionMark& mark) {
    for (auto& each : stored) {
      if (each.sequence == mark.sequence) {
        each = mark;
        return;
      }
    }
    stored.push_back(mark);
  };
  for (model::Sequence i = 1; i <= 50; ++i) {
    for (const auto& mark :
         before.note(i, kMega / 3, at(static_cast<std::int64_t>(i / 3) * kSecond), i % 7 != 0))
      keep(mark);
  }
  LaneRetention after(kLane, same_rules);
  for (const auto& mark : stored) after.restore(mark);
  const auto from = after.recount_from(1);
  EXPECT_GT(from, 40U) << "only the last interval is read again";
  for (auto i = from; i <= 50; ++i) {
    after.note_again(i, kMega / 3, static_cast<std::int64_t>(i / 3) * kSecond, i % 7 != 0);
  }
  EXPECT_EQ(after.unclaimed(), before.unclaimed());
  for (std::int64_t now = 10; now < 60; ++now) {
    const auto a = trim_alone(before, 1, 51, now * kSecond);
    const auto b = trim_alone(after, 1, 51, now * kSecond);
    ASSERT_EQ(a.trim, b.trim) << now;
    ASSERT_EQ(a.unclaimed, b.unclaimed) << now;
  }
}

TEST(Retention, WhatAClaimHasCountedIsNotCountedAgain) {
  LaneRetention before(kLane, rules({}));
  note(before, 1, 3, 100, false);
  const auto mark = before.claim(2);
  ASSERT_TRUE(mark.has_value());
  note(before, 4, 1, 100, false);
  LaneRetention after(kLane, rules({}));
  after.restore(*mark);
  for (model::Sequence i = 1; i <= 4; ++i) {
    after.note_again(i, 100, static_cast<std::int64_t>(i) * kSecond, i == 2);
  }
  EXPECT_EQ(before.unclaimed(), 3U);
  EXPECT_EQ(after.unclaimed(), 3U);
}

/// The open mark of a process is stored when it ends, with its count; so is whatever another
/// process, with other rules, makes of the same events.
TEST(Retention, OtherRulesForgetNoCountOfWhatNobodyHasClaimed) {
  std::map<model::Sequence, model::RetentionMark> stored;
  const auto open = [&](std::uint64_t bytes, model::Sequence end) {
    LaneRetention lane(kLane, rules({hours(24), bytes}, {hours(24), bytes}));
    for (const auto& [sequence, mark] : stored) lane.restore(mark);
    for (auto i = lane.recount_from(1); i < end; ++i) {
      lane.note_again(i, kMega, static_cast<std::int64_t>(i) * kSecond, i > 3);
    }
    return lane;
  };
  const auto add = [&](LaneRetention& lane, model::Sequence from, model::Sequence end) {
    for (auto i = from; i < end; ++i) {
      const auto now = at(static_cast<std::int64_t>(i) * kSecond);
      for (const auto& mark : lane.note(i, kMega, now, i > 3)) stored[mark.sequence] = mark;
    }
  };
  auto first = open(16'384 * kMega, 1);
  add(first, 1, 10);
  auto second = open(3 * kMega, 10);
  EXPECT_EQ(second.unclaimed(), 3U);
  add(second, 10, 20);
  EXPECT_EQ(open(3 * kMega, 20).unclaimed(), 3U);
}

/// Somebody who comes later, and begins behind them, wants the same: a recount cannot tell.
TEST(Retention, WhatNobodyHadClaimedIsCountedBeforeSomebodyCouldSeemToHave) {
  LaneRetention before(kLane, rules({}));
  note(before, 1, 3, 100, false);
  const auto mark = before.keep_count();
  ASSERT_TRUE(mark.has_value());
  EXPECT_FALSE(before.keep_count().has_value()) << "it is stored once";
  note(before, 4, 1, 100, false);
  const auto forgotten = before.forget_claims();
  ASSERT_EQ(forgotten.size(), 1U);
  note(before, 5, 1, 100, false);
  EXPECT_EQ(before.forget_claims().size(), 1U) << "one more has come";
  for (const auto& [stored, count] : {std::pair(*mark, 3U), std::pair(forgotten[0], 4U)}) {
    LaneRetention after(kLane, rules({}));
    after.restore(stored);
    for (model::Sequence i = 1; i <= 5; ++i) {
      after.note_again(i, 100, static_cast<std::int64_t>(i) * kSecond, true);
    }
    EXPECT_EQ(after.unclaimed(), count);
  }
}

TEST(Retention, ARecountWithoutMarksBeginsAtTheTrimPoint) {
  LaneRetention lane(kLane, rules({}));
  EXPECT_EQ(lane.recount_from(17), 17U);
}

TEST(Retention, ARecountWithoutMarksCountsFromTheTrimPoint) {
  LaneRetention lane(kLane, rules({}));
  for (model::Sequence i = 17; i < 20; ++i) lane.note_again(i, 100, 17 * kSecond, i != 18);
  EXPECT_EQ(lane.unclaimed(), 1U);
  EXPECT_EQ(lane.recount_from(17), 17U) << "the first of them is marked now";
}

TEST(Retention, ForEverIsForEver) {
  for (const std::uint64_t unclaimed : {0U, 1U}) {
    LaneRetention lane(kLane, rules(Retention::forever(), Retention::forever()));
    // Both at the beginning of time, with nearly all the bytes there can be behind them.
    lane.restore({.lane = kLane, .sequence = 1, .unclaimed = unclaimed});
    lane.restore({.lane = kLane, .sequence = 500, .bytes_before = kAll - 2});
    (void)lane.note(500, 1, at(0), true);
    EXPECT_EQ(trim_alone(lane, 1, 501, std::numeric_limits<std::int64_t>::max()).trim, 1U);
  }
}

TEST(Retention, WhatIsKeptForEverIsMarkedForTheRuleThatMayComeLater) {
  LaneRetention keeping(kLane, rules(Retention::forever(), Retention::forever()));
  LaneRetention after(kLane, rules({hours(24), 256 * kMega}));
  model::Sequence last = 0;
  for (const auto& mark : note(keeping, 1, 1'024, kMega)) {
    if (mark.sequence > last) after.restore(mark);
    last = std::max(last, mark.sequence);
  }
  // In steps of 64 MiB, of which the last one is counted again.
  const auto from = after.recount_from(1);
  EXPECT_GT(from, 1'024U - 65U);
  for (auto i = from; i <= 1'024; ++i) {
    after.note_again(i, kMega, static_cast<std::int64_t>(i) * kSecond, true);
  }
  const auto trim = trim_alone(after, 1, 1'025, 1'024 * kSecond).trim;
  EXPECT_GE(trim, 1'024U - 256U - 64U);
  EXPECT_LE(trim, 1'024U - 256U + 64U);
}

TEST(Retention, TheWallClockTrimsNothingHoweverItIsSet) {
  LaneRetention lane(kLane, rules({seconds(10), 256 * kMega}));
  constexpr std::int64_t kCentury = 100LL * 365 * 24 * 3'600 * kSecond;
  std::int64_t wall = 0;
  for (model::Sequence i = 1; i <= 10; ++i) {
    wall = i % 2 == 0 ? -kCentury : kCentury;
    (void)lane.note(i, kMega, {wall, static_cast<std::int64_t>(i) * kSecond}, true);
  }
  EXPECT_EQ(trim_alone(lane, 1, 11, 11 * kSecond).trim, 1U);
  EXPECT_GT(trim_alone(lane, 1, 11, 16 * kSecond).trim, 1U) << "its age does";
}

TEST(Retention, WhoClaimsWhatAForgottenOneMayHaveClaimedIsNotTakenForTheFirst) {
  LaneRetention lane(kLane, rules({hours(24), 0}, {seconds(1'000), 256 * kMega}));
  note(lane, 1, 4, kMega / 8, true);
  note(lane, 5, 1, kMega / 8, false);  // nobody's, until its own time is over
  EXPECT_EQ(lane.forget_claims().size(), 1U);
  EXPECT_TRUE(lane.forget_claims().empty()) << "it is stored once";
  for (model::Sequence i = 1; i <= 4; ++i) EXPECT_FALSE(lane.claim(i).has_value());
  note(lane, 6, 20, kMega / 8, true);
  EXPECT_EQ(trim_alone(lane, 1, 26, 30 * kSecond).trim, 1U);
  EXPECT_EQ(lane.unclaimed(), 1U);
}

TEST(Retention, KeepsABoundedNumberOfMarks) {
  LaneRetention lane(kLane, rules({seconds(0), 0}, {hours(24), 256 * kMega}));
  std::size_t fresh = 0;
  for (model::Sequence i = 1; i <= 20'000; ++i) {
    for (const auto& mark : lane.note(i, 100, at(static_cast<std::int64_t>(i) * kSecond), true)) {
      fresh += mark.sequence == i ? 1U : 0U;
    }
  }
  EXPECT_LE(fresh, LaneRetention::kMarksMax + 2);
}

TEST(Retention, FindsWhereATimeBegins) {
  LaneRetention lane(kLane, rules({hours(24), 256 * kMega}));
  note(lane, 1, 40, kMega / 4);
  EXPECT_EQ(lane.at_or_before(0), 1U);
  for (std::int64_t second = 1; second <= 60; ++second) {
    const auto sequence = lane.at_or_before(second * kSecond);
    EXPECT_LE(sequence, static_cast<model::Sequence>(second)) << "never later than the right one";
  }
  EXPECT_EQ(lane.at_or_before(1'000 * kSecond), 37U);
}

}  // namespace
}  // namespace holdfast::core
