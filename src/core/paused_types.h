// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/filter.h"
#include "model/records.h"

namespace holdfast::core {

/// Event types of which nothing is handed out, by pattern. What comes to the front of a lane is
/// held (`model::paused_due`), and put back once no pattern matches it any more:
/// commit_plan_pause.cc.
class PausedTypes {
 public:
  /// So many pauses have ended in this run.
  [[nodiscard]] std::uint64_t ended() const noexcept { return ended_; }
  [[nodiscard]] bool any() const noexcept { return !record_.patterns.empty(); }
  [[nodiscard]] bool matches(std::string_view type) const noexcept {
    return any() && any_pattern_matches(record_.patterns, type);
  }
  [[nodiscard]] bool contains(std::string_view pattern) const {
    return std::binary_search(record_.patterns.begin(), record_.patterns.end(), pattern);
  }
  [[nodiscard]] const model::PausedTypesRecord& record() const noexcept { return record_; }

  void restore(model::PausedTypesRecord record) { record_ = std::move(record); }
  /// It must not be there yet.
  void add(std::string_view pattern) {
    auto& patterns = record_.patterns;
    patterns.emplace(std::lower_bound(patterns.begin(), patterns.end(), pattern), pattern);
  }
  /// It must be there.
  void erase(std::string_view pattern) {
    auto& patterns = record_.patterns;
    patterns.erase(std::lower_bound(patterns.begin(), patterns.end(), pattern));
    ++ended_;
  }
  void set_releasing(bool releasing) { record_.releasing = releasing; }

 private:
  model::PausedTypesRecord record_;
  std::uint64_t ended_ = 0;
};

}  // namespace holdfast::core
