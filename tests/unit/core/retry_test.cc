// SPDX-License-Identifier: MIT
#include "core/retry.h"

#include <limits>

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(Backoff, DoublesFromTheFirstToTheLargest) {
  const RetryPolicy policy{
      .backoff_first = milliseconds(200), .backoff_max = milliseconds(3'000), .jitter = 0};
  EXPECT_EQ(backoff(policy, 1, 0.5), milliseconds(200));
  EXPECT_EQ(backoff(policy, 2, 0.5), milliseconds(400));
  EXPECT_EQ(backoff(policy, 3, 0.5), milliseconds(800));
  EXPECT_EQ(backoff(policy, 4, 0.5), milliseconds(1'600));
  EXPECT_EQ(backoff(policy, 5, 0.5), milliseconds(3'000));
  EXPECT_EQ(backoff(policy, 6, 0.5), milliseconds(3'000));
}

TEST(Backoff, DoesNotOverflowAtAnyAttempt) {
  const RetryPolicy policy;
  for (const std::uint32_t attempt :
       {62U, 63U, 64U, 65U, 1'000U, 2'000U, std::numeric_limits<std::uint32_t>::max()}) {
    EXPECT_EQ(backoff(policy, attempt, 0.5), milliseconds(60'000)) << attempt;
  }
  const RetryPolicy none{.backoff_first = milliseconds(0), .backoff_max = milliseconds(0)};
  EXPECT_EQ(backoff(none, 1, 0.9).count(), 0);
}

// 0 * 2^attempt is not a number once 2^attempt is infinite.
TEST(Backoff, OfZeroStaysZeroHoweverManyAttempts) {
  const RetryPolicy policy{.backoff_first = milliseconds(0), .backoff_max = milliseconds(60'000)};
  EXPECT_EQ(backoff(policy, 1'000, 0.5).count(), 0);
  EXPECT_EQ(backoff(policy, 1'100, 0.5).count(), 0);
}

TEST(Backoff, JitterStaysWithinItsShare) {
  const RetryPolicy policy{.backoff_first = milliseconds(1'000), .jitter = 0.2};
  EXPECT_EQ(backoff(policy, 1, 0.0), milliseconds(800));
  EXPECT_EQ(backoff(policy, 1, 0.5), milliseconds(1'000));
  EXPECT_GT(backoff(policy, 1, 0.999), milliseconds(1'199));
  EXPECT_LT(backoff(policy, 1, 0.999), milliseconds(1'200));
  const RetryPolicy whole{.backoff_first = milliseconds(1'000), .jitter = 1.0};
  EXPECT_EQ(backoff(whole, 1, 0.0).count(), 0);
}

TEST(Backoff, IsNeverMoreThanThirtyDays) {
  const RetryPolicy policy{.backoff_first = std::chrono::hours(24 * 400),
                           .backoff_max = std::chrono::hours(24 * 4'000)};
  EXPECT_EQ(backoff(policy, 3, 0.999), kDelayMax);
}

TEST(Backoff, OfTheLongestSpansThereAreDoesNotOverflow) {
  const RetryPolicy uncapped{.backoff_max = milliseconds::max(), .jitter = 0};
  EXPECT_TRUE(check_retry(uncapped).ok());
  EXPECT_EQ(backoff(uncapped, 1, 0.5), milliseconds(200));
  EXPECT_EQ(backoff(uncapped, 2, 0.5), milliseconds(400));
  EXPECT_EQ(backoff(uncapped, 64, 0.5), kDelayMax);
  const RetryPolicy longest{.backoff_first = milliseconds::max(),
                            .backoff_max = milliseconds::max()};
  EXPECT_EQ(backoff(longest, 1, 0.999), kDelayMax);
  EXPECT_EQ(backoff(longest, 64, 0.999), kDelayMax);
}

TEST(Delay, IsShortenedToThirtyDaysAndNeverNegative) {
  EXPECT_EQ(clamp_delay(nanoseconds(-1)).count(), 0);
  EXPECT_EQ(clamp_delay(nanoseconds(5)).count(), 5);
  EXPECT_EQ(clamp_delay(nanoseconds::max()), kDelayMax);
  EXPECT_EQ(clamp_delay(nanoseconds::min()).count(), 0);
}

TEST(RetryPolicy, MayWaitForTheSameTimeEachTime) {
  EXPECT_TRUE(check_retry({.backoff_first = milliseconds(5), .backoff_max = milliseconds(5)}).ok());
}

TEST(RetryPolicy, IsRefusedWithTheValueThatIsWrong) {
  EXPECT_TRUE(check_retry({}).ok());
  EXPECT_NE(check_retry({.attempts_max = 0}).message().find("attempts_max is 0"),
            std::string::npos);
  EXPECT_FALSE(check_retry({.backoff_first = milliseconds(-1)}).ok());
  const auto reversed =
      check_retry({.backoff_first = milliseconds(20), .backoff_max = milliseconds(10)});
  EXPECT_NE(reversed.message().find("20"), std::string::npos);
  EXPECT_NE(reversed.message().find("10"), std::string::npos);
  EXPECT_FALSE(check_retry({.jitter = -0.1}).ok());
  EXPECT_FALSE(check_retry({.jitter = 1.1}).ok());
  EXPECT_FALSE(check_retry({.jitter = std::numeric_limits<double>::quiet_NaN()}).ok());
  EXPECT_TRUE(check_retry({.attempts_max = 1, .jitter = 1.0}).ok());
}

}  // namespace
}  // namespace holdfast::core
