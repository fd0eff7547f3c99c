// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <roaring/roaring.hh>

#include "model/ids.h"

namespace holdfast::core {

/// A set of sequences of one lane, compressed (Chambi, Lemire and others, "Better bitmap
/// performance with Roaring bitmaps", 2016): a million neighbours take 128 KiB, single ones a few
/// dozen bytes.
class SequenceSet {
 public:
  using Sequence = model::Sequence;

  void add(Sequence sequence) { parts_[high(sequence)].add(low(sequence)); }
  void remove(Sequence sequence) {
    const auto part = parts_.find(high(sequence));
    if (part == parts_.end()) return;
    part->second.remove(low(sequence));
    if (part->second.isEmpty()) parts_.erase(part);
  }
  void clear() { parts_.clear(); }

  [[nodiscard]] bool contains(Sequence sequence) const {
    if (parts_.empty()) return false;
    const auto part = parts_.find(high(sequence));
    return part != parts_.end() && part->second.contains(low(sequence));
  }
  [[nodiscard]] bool empty() const noexcept { return parts_.empty(); }
  [[nodiscard]] std::uint64_t size() const {
    std::uint64_t size = 0;
    for (const auto& [high, part] : parts_) size += part.cardinality();
    return size;
  }
  /// Whether any of [from, to] is in it.
  [[nodiscard]] bool has_any(Sequence from, Sequence to) const {
    for (auto part = parts_.lower_bound(high(from)); part != parts_.end(); ++part) {
      if (part->first > high(to)) break;
      const auto end =
          part->first == high(to) ? low(to) : std::numeric_limits<std::uint32_t>::max();
      const auto begin = part->first == high(from) ? low(from) : 0U;
      const auto before = begin == 0 ? 0 : part->second.rank(begin - 1);
      if (part->second.rank(end) > before) return true;
    }
    return false;
  }
  /// Calls `visit` for each below `end`, ascending.
  template <typename Visit>
  void each_below(Sequence end, Visit&& visit) const {
    for (const auto& [high, part] : parts_) {
      for (const auto low : part) {
        const auto sequence = (Sequence{high} << 32U) | low;
        if (sequence >= end) return;
        visit(sequence);
      }
    }
  }

 private:
  static std::uint32_t high(Sequence sequence) {
    return static_cast<std::uint32_t>(sequence >> 32U);
  }
  static std::uint32_t low(Sequence sequence) { return static_cast<std::uint32_t>(sequence); }

  std::map<std::uint32_t, Roaring> parts_;  // by the upper half of the sequence
};

}  // namespace holdfast::core
