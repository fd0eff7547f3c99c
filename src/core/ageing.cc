// SPDX-License-Identifier: MIT
#include "core/ageing.h"

#include <algorithm>
#include <chrono>

namespace holdfast::core {

AgeingRule::AgeingRule(const Ageing& ageing) : enabled_(ageing.enabled) {
  const auto nanoseconds = [](std::chrono::milliseconds wait) {
    return std::chrono::nanoseconds(wait).count();
  };
  waits_[Priority::high] = nanoseconds(ageing.high);
  waits_[Priority::normal] = nanoseconds(ageing.normal);
  waits_[Priority::low] = nanoseconds(ageing.low);
}

void OfferTimes::note(model::Sequence from, model::Sequence end, base::BusTime now,
                      std::int64_t step) {
  if (parts_.empty()) from_ = from;
  if (!parts_.empty() && now - parts_.back().first < step) {
    parts_.back().end = end;
    parts_.back().last = now;
    return;
  }
  if (parts_.size() == kPartsMax) {
    from_ = parts_.front().end;
    parts_.erase(parts_.begin());
  }
  parts_.push_back({end, now, now});
}

base::BusTime OfferTimes::since(model::Sequence sequence) const noexcept {
  if (sequence < from_ || parts_.empty()) return kLongAgo;
  const auto part = std::find_if(parts_.begin(), parts_.end() - 1,
                                 [sequence](const Part& each) { return sequence < each.end; });
  return part->last;
}

}  // namespace holdfast::core
