// SPDX-License-Identifier: MIT
#include "base/fail_point.h"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

// The environment is read once a process, so each case runs in a child of its own.
[[noreturn]] void pass(const char* armed, std::string_view name, int times) {
  setenv("HOLDFAST_FAIL_POINT", armed, 1);  // NOLINT(concurrency-mt-unsafe)
  for (int i = 0; i < times; ++i) pass_fail_point(name);
  std::_Exit(0);
}

class FailPointDeathTest : public ::testing::Test {
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(FailPointDeathTest, KillsTheProcessThatPassesIt) {
  EXPECT_EXIT(pass("here", "here", 1), ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailPointDeathTest, LetsPassUntilTheCountIsReached) {
  EXPECT_EXIT(pass("here:3", "here", 2), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("here:3", "here", 3), ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailPointDeathTest, LeavesEveryOtherPlaceAlone) {
  EXPECT_EXIT(pass("here", "her", 9), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("here", "there", 9), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(pass("", "", 9), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace holdfast::base
