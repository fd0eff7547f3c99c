// SPDX-License-Identifier: MIT
#include "tools/exit_code.h"

namespace holdfast::tool {

ExitCode exit_code_of(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::ok: return ExitCode::fine;
    case StatusCode::invalid_argument:
    case StatusCode::unimplemented: return ExitCode::usage;
    case StatusCode::not_found:
    case StatusCode::already_exists:
    case StatusCode::stale:
    case StatusCode::cancelled:
    case StatusCode::conflict: return ExitCode::nothing;
    case StatusCode::unavailable:
    case StatusCode::resource_exhausted:
    case StatusCode::deadline_exceeded: return ExitCode::unavailable;
    case StatusCode::indeterminate:
    case StatusCode::poisoned: return ExitCode::unknown;
    case StatusCode::locked:
    // Another writer went on with the journal, which is what a lock is there to tell.
    case StatusCode::fenced: return ExitCode::locked;
    case StatusCode::data_loss: return ExitCode::damaged;
    case StatusCode::internal: return ExitCode::defect;
  }
  return ExitCode::defect;
}

ExitCode exit_code_of_open(StatusCode code) noexcept {
  return code == StatusCode::not_found ? ExitCode::usage : exit_code_of(code);
}

}  // namespace holdfast::tool
