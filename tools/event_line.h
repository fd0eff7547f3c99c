// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include "holdfast/event.h"
#include "holdfast/result.h"

namespace holdfast::tool {

/// Room for the largest payload there is, in base64, and everything else.
inline constexpr std::size_t kLineBytesMax = std::size_t{90} << 20U;

/// The event that a line of JSON describes; docs/tool.md has the fields. Holds to the form only:
/// what the bus allows is for the bus to say.
///
/// Takes no more memory than the line itself needs, whatever is in it. Fails with
/// `invalid_argument`, saying where and why.
[[nodiscard]] Result<OwnedEvent> parse_event_line(std::string_view line);

}  // namespace holdfast::tool
