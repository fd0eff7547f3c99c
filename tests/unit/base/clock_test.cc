// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(Clock, BootTimeNeverGoesBack) {
  auto last = system_clock().now().boot;
  EXPECT_GT(last, 0);
  for (int i = 0; i < 1'000; ++i) {
    const auto now = system_clock().now().boot;
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, WallTimeIsThatOfThisCentury) {
  EXPECT_GT(system_clock().now().wall, std::int64_t{1'600'000'000} * 1'000'000'000);
}

TEST(Clock, BootIdStaysTheSameWhileTheMachineRuns) { EXPECT_EQ(boot_id(), boot_id()); }

TEST(BusTime, GoesOnWithBootTimeHoweverTheWallClockIsSet) {
  const Now last{.wall = 1'000, .boot = 50, .bus = 700};
  for (const WallTime wall : {0, 1'000, 1'000'000}) {
    const Now now{.wall = wall, .boot = 80};
    EXPECT_EQ(now.boot + bus_offset(last, now, false), 730);
  }
}

TEST(BusTime, GoesOnOverARebootByWhatTheWallClockSays) {
  const Now last{.wall = 1'000, .boot = 50'000, .bus = 700};
  const Now now{.wall = 1'400, .boot = 3};
  EXPECT_EQ(now.boot + bus_offset(last, now, true), 1'100);
}

TEST(BusTime, NeverGoesBack) {
  const Now last{.wall = 1'000, .boot = 50'000, .bus = 700};
  EXPECT_EQ(3 + bus_offset(last, {.wall = 4, .boot = 3}, true), 700);
}

TEST(BusTime, RunsOnFromItsOffset) {
  BusClock clock(system_clock());
  const auto before = clock.now();
  EXPECT_EQ(before.bus, before.boot) << "of a new journal";
  clock.set_offset(1'000'000'000'000);
  const auto after = clock.now();
  EXPECT_EQ(after.bus, after.boot + 1'000'000'000'000);
}

}  // namespace
}  // namespace holdfast::base
