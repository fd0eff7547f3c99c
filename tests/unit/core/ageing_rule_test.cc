// SPDX-License-Identifier: MIT
// The rule by itself; what the scheduler makes of it is in ageing_test.cc.
#include <gtest/gtest.h>

#include "core/ageing.h"
#include "support/ageing.h"

namespace holdfast::core {
namespace {

using holdfast::testing::kAgeing;
using holdfast::testing::kSecond;

TEST(AgeingRule, AnEventMovesUpOneLanePerMaxWaitUpToHigh) {
  const AgeingRule rule(kAgeing);
  const auto effective = [&](Priority lane, base::BusTime age) {
    return AgeingRule::effective(lane, rule.level(lane, 0, age));
  };
  EXPECT_EQ(effective(Priority::low, 60 * kSecond - 1), Priority::low);
  EXPECT_EQ(effective(Priority::low, 60 * kSecond), Priority::normal);
  EXPECT_EQ(effective(Priority::low, 120 * kSecond - 1), Priority::normal);
  EXPECT_EQ(effective(Priority::low, 120 * kSecond), Priority::high);
  EXPECT_EQ(effective(Priority::low, 1'000'000 * kSecond), Priority::high);
  EXPECT_EQ(effective(Priority::normal, 15 * kSecond - 1), Priority::normal);
  EXPECT_EQ(effective(Priority::normal, 15 * kSecond), Priority::high);
  EXPECT_EQ(effective(Priority::normal, 1'000'000 * kSecond), Priority::high);
  EXPECT_EQ(effective(Priority::high, 1'000'000 * kSecond), Priority::high);
  EXPECT_EQ(effective(Priority::critical, 1'000'000 * kSecond), Priority::critical);
}

TEST(AgeingRule, AHighEventAgesThoughItStaysHigh) {
  const AgeingRule rule(kAgeing);
  EXPECT_EQ(rule.level(Priority::high, 0, 5 * kSecond - 1), 0U);
  EXPECT_EQ(rule.level(Priority::high, 0, 5 * kSecond), 1U);
}

TEST(AgeingRule, TurnedOffNothingMovesUp) {
  const AgeingRule rule(Ageing::strict());
  for (const auto lane : kAllPriorities) {
    EXPECT_EQ(rule.level(lane, 0, 1'000'000 * kSecond), 0U);
    EXPECT_EQ(rule.next(lane, 0, 0), AgeingRule::kNever);
  }
}

TEST(AgeingRule, TheLongestWaitThereIsDoesNotOverflow) {
  const AgeingRule rule({true, kMaxWaitMax, kMaxWaitMax, kMaxWaitMax});
  const std::int64_t year = 365 * 86'400 * kSecond;
  EXPECT_EQ(rule.level(Priority::low, 100 * year, 101 * year), 2U);
  EXPECT_EQ(rule.level(Priority::low, 100 * year, 100 * year + 59 * 86'400 * kSecond), 1U);
  EXPECT_GT(rule.next(Priority::low, 1, 100 * year), 100 * year);
}

TEST(OfferTimes, NeverTakesAnEventForOlderThanItIsAndAtMostAStepForYounger) {
  OfferTimes times;
  std::map<model::Sequence, base::BusTime> offered;
  const std::int64_t step = 10;
  base::BusTime now = 1'000;
  for (model::Sequence sequence = 50; sequence < 1'000; ++sequence) {
    now += static_cast<base::BusTime>(sequence * 7 % 13);
    times.note(sequence, sequence + 1, now, step);
    offered[sequence] = now;
    for (const auto& [each, at] : offered) {
      const auto since = times.since(each);
      if (since == OfferTimes::kLongAgo) {
        EXPECT_GE(now - at, 16 * step) << each;
        continue;
      }
      EXPECT_GE(since, at) << each;
      EXPECT_LT(since - at, step) << each;
    }
  }
  EXPECT_EQ(times.since(49), OfferTimes::kLongAgo);
}

TEST(OfferTimes, WithNothingNotedItWasLongAgo) {
  EXPECT_EQ(OfferTimes().since(7), OfferTimes::kLongAgo);
}

}  // namespace
}  // namespace holdfast::core
