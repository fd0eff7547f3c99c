// SPDX-License-Identifier: MIT
#include "base/duration.h"

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsExactWhereNanosecondsCanTellIt) {
  EXPECT_EQ(as_nanoseconds(0s), 0ns);
  EXPECT_EQ(as_nanoseconds(-3ms), -3'000'000ns);
  EXPECT_EQ(as_nanoseconds(9'223'372'036s), 9'223'372'036'000'000'000ns);
  EXPECT_EQ(as_nanoseconds(std::chrono::nanoseconds::min()), std::chrono::nanoseconds::min());
}

TEST(Duration, IsTheLongestThereIsWhereTheyCannot) {
  EXPECT_EQ(as_nanoseconds(9'223'372'037s), std::chrono::nanoseconds::max());
  EXPECT_EQ(as_nanoseconds(std::chrono::milliseconds::max()), std::chrono::nanoseconds::max());
  EXPECT_EQ(as_nanoseconds(std::chrono::hours::max()), std::chrono::nanoseconds::max());
  EXPECT_EQ(as_nanoseconds(std::chrono::seconds::min()), std::chrono::nanoseconds::min());
}

}  // namespace
}  // namespace holdfast::base
