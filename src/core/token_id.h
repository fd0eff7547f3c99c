// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "holdfast/token.h"
#include "holdfast/types.h"
#include "model/ids.h"

namespace holdfast::core {

// A token of a single event is that event's name in another form, so that none has to be stored:
//
//     1 | lane: 2 bits | sequence: 61 bits        a single event
//     0 | epoch: 31 bits | count: 32 bits         one that was made: never used twice
inline constexpr std::uint64_t kSingleEvent = std::uint64_t{1} << 63U;
inline constexpr unsigned kTokenLaneShift = 61;

[[nodiscard]] constexpr TokenId token_of(EventId event) {
  return {kSingleEvent | (static_cast<std::uint64_t>(event.priority) << kTokenLaneShift) |
          event.sequence};
}
[[nodiscard]] constexpr std::optional<EventId> single_event(TokenId token) {
  if ((token.value & kSingleEvent) == 0) return std::nullopt;
  const auto lane = (token.value >> kTokenLaneShift) & 3U;
  return EventId{static_cast<Priority>(lane),
                 token.value & ((std::uint64_t{1} << kTokenLaneShift) - 1)};
}
[[nodiscard]] constexpr TokenId made_token(std::uint64_t epoch, std::uint32_t count) {
  return {((epoch & 0x7fff'ffffU) << 32U) | count};
}

}  // namespace holdfast::core
