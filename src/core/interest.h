// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/filter.h"
#include "model/records.h"

namespace holdfast::core {

/// Which events a subscription is owed: those that its filter matches, from its start on, and,
/// before a change of filter, what it wanted then as well. Immutable and shared: readers use it
/// without a lock.
class Interest {
 public:
  explicit Interest(const model::SubscriptionRecord& record)
      : filter_(record.filter.types, record.filter.match), start_(record.start) {
    plain_from_ = record.start;
    for (const auto& each : record.earlier) {
      earlier_.emplace_back(Filter(each.filter.types, each.filter.match), each.until);
      for (const auto lane : kAllPriorities) {
        plain_from_[lane] = std::max(plain_from_[lane], each.until[lane]);
      }
    }
  }

  [[nodiscard]] const Filter& filter() const noexcept { return filter_; }
  [[nodiscard]] bool wants(const EventView& event) const noexcept {
    const auto lane = event.id.priority;
    if (event.id.sequence < start_[lane] || !filter_.matches(event)) return false;
    for (const auto& [filter, until] : earlier_) {
      if (event.id.sequence < until[lane] && !filter.matches(event)) return false;
    }
    return true;
  }
  /// From here on the filter alone decides.
  [[nodiscard]] model::Sequence plain_from(Priority lane) const noexcept {
    return plain_from_[lane];
  }

 private:
  Filter filter_;
  std::vector<std::pair<Filter, model::PerLane<model::Sequence>>> earlier_;
  model::PerLane<model::Sequence> start_;
  model::PerLane<model::Sequence> plain_from_;
};

using InterestPtr = std::shared_ptr<const Interest>;

}  // namespace holdfast::core
