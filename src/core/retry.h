// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

#include "holdfast/status.h"
#include "holdfast/subscription.h"

namespace holdfast::core {

/// The longest delay a retry or snooze may ask for; a longer one is shortened to it.
inline constexpr std::chrono::nanoseconds kDelayMax = std::chrono::hours(24 * 30);

Status check_retry(const RetryPolicy& policy);

/// How long to wait after failed attempt `attempt` (from 1). `random` is drawn evenly from [0, 1)
/// by the caller: the rule itself is pure.
std::chrono::nanoseconds backoff(const RetryPolicy& policy, std::uint32_t attempt, double random);

/// Within [0, kDelayMax].
std::chrono::nanoseconds clamp_delay(std::chrono::nanoseconds delay);

}  // namespace holdfast::core
