// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <mutex>

#include "runtime/bus_state.h"

namespace holdfast::runtime {

/// Keeps lanes from being trimmed while somebody reads them.
class Pins {
 public:
  /// For a lane that is not read.
  static constexpr model::Sequence kNone = std::numeric_limits<model::Sequence>::max();

  /// The caller holds the lock, having read `from` under it.
  Pins(BusState& state, const model::PerLane<model::Sequence>& from) : state_(state), from_(from) {
    for (const auto lane : kAllPriorities) state_.ledger.lanes[lane].pins.insert(from_[lane]);
  }
  ~Pins() {
    const std::lock_guard lock(state_.mutex);
    for (const auto lane : kAllPriorities) {
      auto& pins = state_.ledger.lanes[lane].pins;
      pins.erase(pins.find(from_[lane]));
    }
  }
  Pins(const Pins&) = delete;
  Pins& operator=(const Pins&) = delete;

 private:
  BusState& state_;
  const model::PerLane<model::Sequence> from_;
};

}  // namespace holdfast::runtime
