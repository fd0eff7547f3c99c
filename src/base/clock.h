// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "holdfast/types.h"

namespace holdfast::base {

/// Nanoseconds since this machine was booted, sleep included: for delays and time-outs, which must not
/// move when somebody sets the clock.
using BootTime = std::int64_t;

struct Now {
  WallTime wall = 0;
  BootTime boot = 0;
};

/// Threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

/// The machine's. Static storage.
[[nodiscard]] const Clock& system_clock();

/// Changes with every boot of the machine; empty when it cannot be told.
[[nodiscard]] std::string boot_id();

}  // namespace holdfast::base
