// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace holdfast::testing {

/// Counts by size, to within an eighth: what a percentile needs, in little memory.
class Latencies {
 public:
  void add(std::uint64_t nanoseconds) {
    ++counts_[bucket(nanoseconds)];
    ++count_;
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// Upper end of the bucket in which `part` of them are reached; 0 when there are none.
  [[nodiscard]] std::uint64_t percentile(double part) const {
    const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (counts_[i] > 0 && seen >= wanted) return upper_end(i);
    }
    return 0;
  }

 private:
  static constexpr unsigned kParts = 3;  // bits: eighths
  static std::size_t bucket(std::uint64_t value) {
    if (value < (1U << kParts)) return static_cast<std::size_t>(value);
    const auto power = static_cast<unsigned>(std::bit_width(value)) - 1;
    const auto part = (value >> (power - kParts)) & ((1U << kParts) - 1);
    return static_cast<std::size_t>((power - kParts + 1) << kParts | part);
  }
  static std::uint64_t upper_end(std::size_t bucket) {
    if (bucket < (1U << kParts)) return bucket;
    const auto power = (bucket >> kParts) + kParts - 1;
    const auto part = (bucket & ((1U << kParts) - 1)) + 1;
    return (std::uint64_t{1} << power) + (std::uint64_t{part} << (power - kParts));
  }
  std::array<std::uint64_t, 64U << kParts> counts_{};
  std::uint64_t count_ = 0;
};

}  // namespace holdfast::testing
