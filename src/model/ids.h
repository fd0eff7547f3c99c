// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "holdfast/types.h"

namespace holdfast::model {

/// Dense position of an event in its lane, from 1.
using Sequence = std::uint64_t;

/// Names a subscription for good; a name that is removed and made again gets a new one.
/// 0 is the bus's own: its cursor tells which events nobody has claimed yet.
struct SubscriptionId {
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(const SubscriptionId&, const SubscriptionId&) = default;
};

/// One value a lane.
template <typename T>
struct PerLane {
  std::array<T, kLaneCount> values{};
  T& operator[](Priority lane) { return values[static_cast<std::size_t>(lane)]; }
  const T& operator[](Priority lane) const { return values[static_cast<std::size_t>(lane)]; }
  auto begin() { return values.begin(); }
  auto end() { return values.end(); }
  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }
  friend bool operator==(const PerLane&, const PerLane&) = default;
};

}  // namespace holdfast::model

template <>
struct std::hash<holdfast::model::SubscriptionId> {
  std::size_t operator()(holdfast::model::SubscriptionId id) const noexcept {
    return std::hash<std::uint32_t>{}(id.value);
  }
};
