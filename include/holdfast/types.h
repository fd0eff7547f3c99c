// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/export.h"

namespace holdfast {

/// How urgent an event is: the lane it waits in. The more urgent lane goes first, but for what has
/// aged (`Ageing`).
/// On disk since format 1; never renumber.
enum class Priority : std::uint8_t { critical = 0, high = 1, normal = 2, low = 3 };

/// Number of lanes: one per priority.
inline constexpr std::size_t kLaneCount = 4;

/// All priorities, most urgent first.
inline constexpr std::array<Priority, kLaneCount> kAllPriorities = {
    Priority::critical, Priority::high, Priority::normal, Priority::low};

/// "critical", "high", "normal" or "low". Static storage. And back: nothing for any other text.
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(Priority priority) noexcept;
[[nodiscard]] HOLDFAST_EXPORT std::optional<Priority> parse_priority(
    std::string_view text) noexcept;

/// How much a crash may take away.
enum class Durability : std::uint8_t {
  durable = 0,  ///< fsynced: survives power loss.
  os = 1,       ///< Written: survives this process; power loss may take the last 100 ms or so.
};
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(Durability durability) noexcept;

/// A number that cannot be mixed up with another kind of number.
template <typename Tag>
struct StrongNumber {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const StrongNumber&, const StrongNumber&) = default;
};

/// Numbers the commits of a journal, densely from 1, over all its lanes. 0 = none.
using CommitNumber = StrongNumber<struct CommitNumberTag>;

/// Identifies an atomic batch. 0 = published alone.
using BatchId = StrongNumber<struct BatchIdTag>;

/// Names an operation for good: it can be kept anywhere and outlives the process. 0 = none.
using OperationId = StrongNumber<struct OperationIdTag>;

/// The name of an event: its lane, and its dense position there from 1, never used twice.
/// Printed as "high:1042". Ordered by priority, then sequence, as a single worker delivers with
/// `Ageing::strict()`.
struct EventId {
  Priority priority = Priority::normal;
  std::uint64_t sequence = 0;
  friend constexpr auto operator<=>(const EventId&, const EventId&) = default;
};
[[nodiscard]] HOLDFAST_EXPORT std::string to_string(EventId id);
/// Nothing for any other text, also for sequence 0.
[[nodiscard]] HOLDFAST_EXPORT std::optional<EventId> parse_event_id(std::string_view text) noexcept;

/// Bytes that belong to somebody else.
using Bytes = std::span<const std::byte>;
[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A moment on the wall clock: nanoseconds since 1970-01-01 UTC. 0 = not given.
using WallTime = std::int64_t;

}  // namespace holdfast

template <>
struct std::hash<holdfast::EventId> {
  std::size_t operator()(const holdfast::EventId& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.sequence * holdfast::kLaneCount +
                                      static_cast<std::uint64_t>(id.priority));
  }
};
