// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace holdfast::core {

/// When the time of each of some things is over. A time of 0 never is.
template <typename Id>
class Deadlines {
 public:
  void add(Id id, base::BusTime at) {
    if (at != 0) times_.emplace(at, id);
  }
  /// `at` as it was added with.
  void drop(Id id, base::BusTime at) { times_.erase({at, id}); }
  /// The first whose time is over by `now`.
  [[nodiscard]] std::optional<Id> next_expired(base::BusTime now) const {
    if (times_.empty() || times_.begin()->first > now) return std::nullopt;
    return times_.begin()->second;
  }
  /// All of them, which are forgotten here: whoever asks is to see to them, and should the process
  /// end before, their records still say when.
  std::vector<Id> take_expired(base::BusTime now) {
    std::vector<Id> expired;
    while (const auto id = next_expired(now)) {
      expired.push_back(*id);
      times_.erase(times_.begin());
    }
    return expired;
  }
  [[nodiscard]] std::optional<base::BusTime> next() const {
    if (times_.empty()) return std::nullopt;
    return times_.begin()->first;
  }

 private:
  std::set<std::pair<base::BusTime, Id>> times_;
};

}  // namespace holdfast::core
