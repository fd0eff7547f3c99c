// SPDX-License-Identifier: MIT
#pragma once

// What the tests of ageing wait for.

#include <chrono>

#include "base/clock.h"
#include "holdfast/options.h"

namespace holdfast::testing {

inline constexpr base::BusTime kSecond = 1'000'000'000;
inline constexpr Ageing kAgeing{.enabled = true,
                                .high = std::chrono::seconds(5),
                                .normal = std::chrono::seconds(15),
                                .low = std::chrono::seconds(60)};

}  // namespace holdfast::testing
