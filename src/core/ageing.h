// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/clock.h"
#include "holdfast/options.h"
#include "model/ids.h"

namespace holdfast::core {

/// How far an event moves up for having waited: one level, and lane, for each `max_wait` of its
/// lane, up to high. A high event has nowhere to go: its one level says that it has aged.
class AgeingRule {
 public:
  static constexpr std::size_t kLevels = 3;
  static constexpr base::BusTime kNever = std::numeric_limits<base::BusTime>::max();

  explicit AgeingRule(const Ageing& ageing);

  [[nodiscard]] bool enabled() const noexcept { return enabled_; }
  /// Time for one level, ns.
  [[nodiscard]] std::int64_t max_wait(Priority lane) const noexcept { return waits_[lane]; }
  [[nodiscard]] static constexpr std::size_t level_max(Priority lane) noexcept {
    constexpr std::array<std::size_t, kLaneCount> kMax = {0, 1, 1, 2};
    return kMax[static_cast<std::size_t>(lane)];
  }
  [[nodiscard]] std::size_t level(Priority lane, base::BusTime since,
                                  base::BusTime now) const noexcept {
    if (!enabled_ || level_max(lane) == 0 || now - since < waits_[lane]) return 0;
    return level_max(lane) == 1 || now - since < 2 * waits_[lane] ? 1 : 2;
  }
  /// When what is at `level` moves up.
  [[nodiscard]] base::BusTime next(Priority lane, std::size_t level,
                                   base::BusTime since) const noexcept {
    if (!enabled_ || level >= level_max(lane)) return kNever;
    return since + static_cast<std::int64_t>(level + 1) * waits_[lane];
  }
  /// The lane that it competes in.
  [[nodiscard]] static constexpr Priority effective(Priority lane, std::size_t level) noexcept {
    if (lane <= Priority::high) return lane;
    return static_cast<Priority>(static_cast<std::size_t>(lane) - level);
  }

 private:
  bool enabled_;
  model::PerLane<std::int64_t> waits_;
};

/// When the events of a lane were offered, for those that are read back from disk: exact to the
/// step it is noted with, and never too early. A few numbers, however many events there are.
class OfferTimes {
 public:
  /// Before everything that is noted, or longer ago than matters.
  static constexpr base::BusTime kLongAgo = 0;

  /// [from, end) is offered now.
  void note(model::Sequence from, model::Sequence end, base::BusTime now, std::int64_t step);
  [[nodiscard]] base::BusTime since(model::Sequence sequence) const noexcept;

 private:
  // Those that fall out were offered more than sixteen steps ago, the two waits after which nothing
  // moves up any more.
  static constexpr std::size_t kPartsMax = 18;
  struct Part {
    model::Sequence end = 0;
    base::BusTime first = 0;
    base::BusTime last = 0;
  };
  model::Sequence from_ = 0;
  std::vector<Part> parts_;
};

}  // namespace holdfast::core
