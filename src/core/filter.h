// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/status.h"
#include "holdfast/subscription.h"

namespace holdfast::core {

/// A type is dotted tokens of [A-Za-z0-9_-], at most 255 bytes.
Status check_type(std::string_view type);

/// A pattern is a type in which `*` may stand for one token, and `>`, as the last, for one or more.
Status check_pattern(std::string_view pattern);

/// Both must be valid.
[[nodiscard]] bool pattern_matches(std::string_view pattern, std::string_view type) noexcept;

/// No pattern at all matches every type.
[[nodiscard]] bool any_pattern_matches(const std::vector<std::string>& patterns,
                                       std::string_view type) noexcept;

/// What a subscription wants.
class Filter {
 public:
  Filter() = default;
  Filter(std::vector<std::string> types, Match match)
      : types_(std::move(types)), match_(std::move(match)) {}

  static Status check(const std::vector<std::string>& types, const Match& match);

  [[nodiscard]] bool matches_type(std::string_view type) const noexcept {
    return any_pattern_matches(types_, type);
  }
  /// Whether anything but the type is asked for.
  [[nodiscard]] bool looks_inside() const noexcept {
    return !match_.priorities.empty() || !match_.source_kinds.empty() ||
           !match_.source_names.empty() || !match_.metadata_equals.empty();
  }
  /// Everything but the type.
  [[nodiscard]] bool matches_inside(const EventView& event) const noexcept;
  [[nodiscard]] bool matches(const EventView& event) const noexcept {
    return matches_type(event.type) && matches_inside(event);
  }
  [[nodiscard]] const std::vector<std::string>& types() const noexcept { return types_; }
  [[nodiscard]] const Match& match() const noexcept { return match_; }
  friend bool operator==(const Filter& a, const Filter& b) noexcept;

 private:
  std::vector<std::string> types_;
  Match match_;
};

}  // namespace holdfast::core
