// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>

#include "holdfast/bus.h"
#include "holdfast/replay.h"
#include "runtime/replay_reader.h"

namespace holdfast::runtime {

class Engine;

/// Where the events of a replay go.
class ReplayTarget {
 public:
  virtual ~ReplayTarget() = default;
  /// Whether to go on; an error ends the replay.
  virtual Result<bool> give(const EventView& event) = 0;
  /// Nothing comes for a while, or ever: what was given must be done now.
  virtual Status flush() { return {}; }
};

/// Gives `target` what `options` name, at their pace. `closing` ends a wait; what comes after it is
/// for `access` to refuse.
Result<ReplayReceipt> replay(const ReplayAccess& access, const ReplayOptions& options,
                             const std::stop_token& closing, ReplayTarget& target);
Result<ReplayReceipt> replay(const ReplayAccess& access, const ReplayOptions& options,
                             const std::stop_token& closing, const ReplayHandler& handler);
/// Into another bus.
Result<ReplayReceipt> replay(const ReplayAccess& access, const ReplayOptions& options,
                             const std::stop_token& closing, Engine& into);

}  // namespace holdfast::runtime
