// SPDX-License-Identifier: MIT
#include "tools/exit_code.h"

namespace holdfast::tool {

ExitCode exit_code_of(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::ok: return ExitCode::fine;
    case StatusCode::invalid_argument: return ExitCode::usage;
    case StatusCode::not_found: return ExitCode::nothing;
    case StatusCode::already_exists: return ExitCode::nothing;
    case StatusCode::resource_exhausted: return ExitCode::unavailable;
    case StatusCode::deadline_exceeded: return ExitCode::unavailable;
    case StatusCode::indeterminate: return ExitCode::unknown;
    case StatusCode::stale: return ExitCode::nothing;
    case StatusCode::cancelled: return ExitCode::nothing;
    case StatusCode::conflict: return ExitCode::nothing;
    case StatusCode::unavailable: return ExitCode::unavailable;
    case StatusCode::locked: return ExitCode::locked;
    // Another writer went on with the journal, which is what a lock is there to tell.
    case StatusCode::fenced: return ExitCode::locked;
    case StatusCode::poisoned: return ExitCode::unknown;
    case StatusCode::data_loss: return ExitCode::damaged;
    case StatusCode::unimplemented: return ExitCode::usage;
    case StatusCode::internal: return ExitCode::defect;
  }
  return ExitCode::defect;
}

ExitCode exit_code_of_open(StatusCode code) noexcept {
  return code == StatusCode::not_found ? ExitCode::usage : exit_code_of(code);
}

}  // namespace holdfast::tool
