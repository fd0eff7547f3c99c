// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/clock.h"
#include "holdfast/types.h"

namespace holdfast::model {

/// When a parked event comes back. Delays are told in bus time, which nobody can set; a moment that
/// a publisher names is one of the wall clock, and moves with it. Both are one number on disk: its
/// range tells the clock, so that each clock's due times lie together in their order. What waits
/// for something else than time stands under a number of no clock, until it is put under one.
///
///     bus time           | no clock        | wall time, from 1970 to 2116
///     -2^63 ... 2^61 - 1 | 2^61 ... 2^62-1 | 2^62 ... 2^63 - 1
using DueTime = std::int64_t;

enum class DueClock : std::uint8_t { bus = 0, wall = 1, none = 2 };
/// Those that go on by themselves.
inline constexpr DueClock kDueClocks[] = {DueClock::bus, DueClock::wall};
inline constexpr std::size_t kDueClockCount = 3;

inline constexpr DueTime kBusDueEnd = DueTime{1} << 61U;
inline constexpr DueTime kWallDueBegin = DueTime{1} << 62U;

/// Of a member of an operation whose turn has not come.
inline constexpr DueTime kTurnDue = kBusDueEnd;
/// Of a member that was acknowledged, and would be compensated if its operation went back: nobody
/// is owed it.
inline constexpr DueTime kKeptDue = kBusDueEnd + 1;

/// From here on: of what is held because its type is paused, in the order of when it expires.
inline constexpr DueTime kPausedDue = kBusDueEnd + (DueTime{1} << 60U);

/// `expires_at` of 0 = never, and behind all others. By microseconds, rounded up: what is due has
/// expired.
constexpr DueTime paused_due(WallTime expires_at) {
  constexpr auto kNever = kWallDueBegin - 1;
  return expires_at == 0
             ? kNever
             : std::min(kPausedDue + std::max<WallTime>(expires_at, 0) / 1'000 + 1, kNever - 1);
}
constexpr bool is_paused_due(DueTime due) { return due >= kPausedDue && due < kWallDueBegin; }

constexpr DueTime due_at_bus(base::BusTime time) { return std::min(time, kBusDueEnd - 1); }
/// What lies behind the end of the range is due at its end.
constexpr DueTime due_at_wall(WallTime time) {
  return kWallDueBegin + std::clamp<WallTime>(time, 0, kWallDueBegin - 1);
}
constexpr DueClock clock_of(DueTime due) {
  return due >= kWallDueBegin ? DueClock::wall : due >= kBusDueEnd ? DueClock::none : DueClock::bus;
}
/// The first due time of a clock, and the end of its range.
constexpr DueTime first_due(DueClock clock) {
  return clock == DueClock::wall   ? kWallDueBegin
         : clock == DueClock::none ? kBusDueEnd
                                   : std::numeric_limits<DueTime>::min();
}
constexpr DueTime last_due(DueClock clock) {
  return clock == DueClock::wall ? std::numeric_limits<DueTime>::max() : kBusDueEnd - 1;
}
/// As its clock tells time.
constexpr std::int64_t time_of(DueTime due) {
  return clock_of(due) == DueClock::wall ? due - kWallDueBegin : due;
}
/// What is due by now, as a due time of `clock`.
constexpr DueTime due_now(DueClock clock, const base::Now& now) {
  return clock == DueClock::wall ? due_at_wall(now.wall) : due_at_bus(now.bus);
}

/// One value a clock.
template <typename T>
struct PerClock {
  T values[kDueClockCount]{};
  T& operator[](DueClock clock) { return values[static_cast<std::size_t>(clock)]; }
  const T& operator[](DueClock clock) const { return values[static_cast<std::size_t>(clock)]; }
  auto begin() { return std::begin(values); }
  auto end() { return std::end(values); }
  auto begin() const { return std::begin(values); }
  auto end() const { return std::end(values); }
};

}  // namespace holdfast::model
