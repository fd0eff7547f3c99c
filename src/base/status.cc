// SPDX-License-Identifier: MIT
#include "holdfast/status.h"

#include <string>
#include <string_view>

namespace holdfast {

std::string_view to_string(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::ok: return "ok";
    case StatusCode::invalid_argument: return "invalid_argument";
    case StatusCode::not_found: return "not_found";
    case StatusCode::already_exists: return "already_exists";
    case StatusCode::resource_exhausted: return "resource_exhausted";
    case StatusCode::deadline_exceeded: return "deadline_exceeded";
    case StatusCode::indeterminate: return "indeterminate";
    case StatusCode::stale: return "stale";
    case StatusCode::cancelled: return "cancelled";
    case StatusCode::conflict: return "conflict";
    case StatusCode::unavailable: return "unavailable";
    case StatusCode::locked: return "locked";
    case StatusCode::fenced: return "fenced";
    case StatusCode::poisoned: return "poisoned";
    case StatusCode::data_loss: return "data_loss";
    case StatusCode::unimplemented: return "unimplemented";
    case StatusCode::internal: return "internal";
  }
  return "unknown";
}

std::string Status::to_string() const {
  std::string text(holdfast::to_string(code_));
  if (!message_.empty()) text.append(": ").append(message_);
  return text;
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return *this;
  std::string message(context);
  message.append(": ").append(message_);
  return {code_, std::move(message)};
}

}  // namespace holdfast
