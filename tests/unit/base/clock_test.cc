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

}  // namespace
}  // namespace holdfast::base
