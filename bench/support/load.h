// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/event.h"

namespace holdfast::bench {

/// The same events for everybody: as a publisher has them, and the record bytes that the bus makes
/// of them, which is what baselines write.
class Load {
 public:
  static constexpr std::size_t kBatchEvents = 1000;

  /// `batch_events`: as many as `batch` gives.
  explicit Load(std::size_t payload_bytes, std::size_t batch_events = kBatchEvents);

  [[nodiscard]] std::uint64_t batch_events() const { return batch_events_; }

  [[nodiscard]] Event event(std::uint64_t index) const {
    return {.type = kType, .payload = payloads_[index % payloads_.size()]};
  }
  [[nodiscard]] std::string_view record(std::uint64_t index) const {
    return records_[index % records_.size()];
  }
  [[nodiscard]] std::size_t record_overhead() const {
    return records_[0].size() - payloads_[0].size() - kType.size();
  }
  /// The events from `index` on, a whole batch of them.
  [[nodiscard]] std::span<const OwnedEvent> batch(std::uint64_t index) const {
    return {owned_.data() + index % payloads_.size(), batch_events_};
  }

 private:
  static constexpr std::string_view kType = "order.placed";
  std::size_t batch_events_;
  std::vector<std::string> payloads_;
  std::vector<std::string> records_;
  std::vector<OwnedEvent> owned_;
};

}  // namespace holdfast::bench
