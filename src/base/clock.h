// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "holdfast/types.h"

namespace holdfast::base {

/// Nanoseconds since this machine was booted, sleep included: for delays and time-outs, which must
/// not move when somebody sets the clock.
using BootTime = std::int64_t;

/// Nanoseconds that a journal has been in use: boot time, carried on over reboots. It never goes
/// back, and setting the clock does not move it, so it is what stored due times and ages are told
/// in.
using BusTime = std::int64_t;

struct Now {
  WallTime wall = 0;
  BootTime boot = 0;
  BusTime bus = 0;
};

/// What to add to boot time for bus time to go on from `last`, which was read by the journal's last
/// writer. While the machine was off nothing but the wall clock tells how long that was; when it
/// was set back meanwhile, no time has passed.
[[nodiscard]] std::int64_t bus_offset(const Now& last, const Now& now, bool rebooted);

/// Threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

/// The machine's; its bus time is boot time. Static storage.
[[nodiscard]] const Clock& system_clock();

/// `machine` with the bus time of a journal. `machine` must outlive it.
class BusClock final : public Clock {
 public:
  explicit BusClock(const Clock& machine) : machine_(machine) {}
  /// Before anybody else uses it.
  void set_offset(std::int64_t offset) noexcept { offset_ = offset; }
  [[nodiscard]] Now now() const override {
    auto now = machine_.now();
    now.bus = now.boot + offset_;
    return now;
  }

 private:
  const Clock& machine_;
  std::int64_t offset_ = 0;
};

/// Changes with every boot of the machine; empty when it cannot be told.
[[nodiscard]] std::string boot_id();

}  // namespace holdfast::base
