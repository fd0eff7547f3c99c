// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace holdfast::core {

/// "what: reason", or `what` alone where nobody gave a reason.
[[nodiscard]] inline std::string with_reason(std::string what, std::string_view reason) {
  if (!reason.empty()) what.append(": ").append(reason);
  return what;
}

}  // namespace holdfast::core
