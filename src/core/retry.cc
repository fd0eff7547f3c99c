// SPDX-License-Identifier: MIT
#include "core/retry.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/duration.h"

namespace holdfast::core {

Status check_retry(const RetryPolicy& policy) {
  if (policy.attempts_max == 0) {
    return {StatusCode::invalid_argument, "retry.attempts_max is 0, it must be at least 1"};
  }
  if (policy.backoff_first.count() < 0 || policy.backoff_max < policy.backoff_first) {
    return {StatusCode::invalid_argument,
            "retry.backoff_first is " + std::to_string(policy.backoff_first.count()) +
                " ms and backoff_max " + std::to_string(policy.backoff_max.count()) +
                " ms: 0 <= backoff_first <= backoff_max must hold"};
  }
  if (!(policy.jitter >= 0.0 && policy.jitter <= 1.0)) {
    return {StatusCode::invalid_argument,
            "retry.jitter is " + std::to_string(policy.jitter) + ", it must be 0 to 1"};
  }
  return {};
}

std::chrono::nanoseconds clamp_delay(std::chrono::nanoseconds delay) {
  return std::clamp(delay, std::chrono::nanoseconds(0), kDelayMax);
}

std::chrono::nanoseconds backoff(const RetryPolicy& policy, std::uint32_t attempt, double random) {
  // Doubling is done in floating point: at attempt 64 an integer would have wrapped long ago. Not
  // without end, though: nothing times infinity is not a number.
  const auto doublings = std::clamp(attempt, std::uint32_t{1}, std::uint32_t{64}) - 1;
  const auto first = static_cast<double>(base::as_nanoseconds(policy.backoff_first).count());
  const auto doubled = first * std::exp2(static_cast<double>(doublings));
  const auto most =
      static_cast<double>(clamp_delay(base::as_nanoseconds(policy.backoff_max)).count());
  const auto base = std::min(doubled, most);
  const auto jittered = base * (1.0 + policy.jitter * (2.0 * random - 1.0));
  return clamp_delay(std::chrono::nanoseconds(static_cast<std::int64_t>(jittered)));
}

}  // namespace holdfast::core
