// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

namespace holdfast::base {

/// `span` in nanoseconds; one of more than 292 years is as long as they can tell. A caller that
/// means "for ever" says the largest number of a coarser unit, and that overflows when it is
/// converted as it is.
template <typename Rep, typename Period>
[[nodiscard]] constexpr std::chrono::nanoseconds as_nanoseconds(
    std::chrono::duration<Rep, Period> span) noexcept {
  using std::chrono::nanoseconds;
  using Span = std::chrono::duration<Rep, Period>;
  if (span > std::chrono::duration_cast<Span>(nanoseconds::max())) return nanoseconds::max();
  if (span < std::chrono::duration_cast<Span>(nanoseconds::min())) return nanoseconds::min();
  return nanoseconds(span);
}

}  // namespace holdfast::base
