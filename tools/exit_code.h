// SPDX-License-Identifier: MIT
#pragma once

#include "holdfast/status.h"

namespace holdfast::tool {

/// What the process ends with. Scripts rely on the numbers; never renumber. docs/tool.md has the
/// table.
enum class ExitCode : int {
  fine = 0,
  nothing = 1,        ///< Found nothing, or a check failed (a line of input was refused).
  usage = 2,          ///< Wrong arguments, or JOURNAL is not a journal this version can read.
  damaged = 3,        ///< What was durable is damaged or missing.
  locked = 4,         ///< Another process has the journal open.
  unavailable = 5,    ///< Not now or not for you: permission, disk space, a journal in motion.
  unknown = 6,        ///< A write failed: what was not confirmed may or may not be in the journal.
  defect = 7,         ///< A defect of holdfast itself.
  interrupted = 130,  ///< Stopped by a signal, in good order.
};

/// Each code of the library has its place.
[[nodiscard]] ExitCode exit_code_of(StatusCode code) noexcept;

/// The same for opening a journal: one that is not there is a wrong argument, not an empty answer.
[[nodiscard]] ExitCode exit_code_of_open(StatusCode code) noexcept;

}  // namespace holdfast::tool
