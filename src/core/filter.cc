// SPDX-License-Identifier: MIT
#include "core/filter.h"

#include <algorithm>
#include <string>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "holdfast/options.h"

namespace holdfast::core {

namespace {

constexpr std::size_t kPatternsMax = 64;
constexpr std::size_t kSourceNamesMax = 64;
constexpr std::size_t kSourceKinds = static_cast<std::size_t>(SourceKind::external) + 1;

bool is_token_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

/// The first token of `rest`, which loses it and its dot.
std::string_view take_token(std::string_view& rest) {
  const auto dot = rest.find('.');
  const auto token = rest.substr(0, dot);
  rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  return token;
}

Status check_dotted(std::string_view text, std::string_view what, bool wildcards) {
  const auto fail = [&](std::string why) {
    return Status(StatusCode::invalid_argument, std::string(what) + " " + std::move(why));
  };
  if (text.empty()) return fail("is empty");
  if (text.size() > kNameBytesMax) {
    return fail("has " + std::to_string(text.size()) + " bytes, the limit is " +
                std::to_string(kNameBytesMax));
  }
  if (text.front() == '.' || text.back() == '.') return fail("begins or ends with a dot");
  auto rest = text;
  while (!rest.empty()) {
    const auto token = take_token(rest);
    if (token.empty()) return fail("has an empty token");
    if (wildcards && token == "*") continue;
    if (wildcards && token == ">") {
      if (rest.empty()) continue;
      return fail("has '>' before its last token");
    }
    if (!std::all_of(token.begin(), token.end(), is_token_byte)) {
      return fail("has a byte outside of A-Z a-z 0-9 _ - in a token");
    }
  }
  return {};
}

template <typename T>
bool none_or_any(const std::vector<T>& wanted, const auto& value) {
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

Status check_count(std::size_t count, std::size_t most, std::string_view whose,
                   std::string_view what) {
  if (count <= most) return {};
  return {StatusCode::invalid_argument, std::string(whose) + " has " + std::to_string(count) + " " +
                                            std::string(what) + ", the limit is " +
                                            std::to_string(most)};
}

Status check_source_name(std::string_view name) {
  if (!name.empty() && name.size() <= kNameBytesMax) return {};
  return {StatusCode::invalid_argument, "source name has " + std::to_string(name.size()) +
                                            " bytes, it needs 1 to " +
                                            std::to_string(kNameBytesMax)};
}

/// What is stored with a subscription is read back by every later open, so nothing may get in that
/// the reading refuses.
Status check_match(const Match& match) {
  HOLDFAST_TRY(check_count(match.priorities.size(), kLaneCount, "match", "priorities"));
  for (const auto priority : match.priorities) {
    HOLDFAST_TRY(check_enum(priority, Priority::low, "priority"));
  }
  HOLDFAST_TRY(check_count(match.source_kinds.size(), kSourceKinds, "match", "source kinds"));
  for (const auto kind : match.source_kinds) {
    HOLDFAST_TRY(check_enum(kind, SourceKind::external, "source kind"));
  }
  HOLDFAST_TRY(check_count(match.source_names.size(), kSourceNamesMax, "match", "source names"));
  for (const auto& name : match.source_names) HOLDFAST_TRY(check_source_name(name));
  const auto& pairs = match.metadata_equals;
  HOLDFAST_TRY(check_count(pairs.size(), kMetadataPairsMax, "match", "metadata pairs"));
  return check_metadata(std::vector<MetadataPair>(pairs.begin(), pairs.end()));
}

}  // namespace

Status check_type(std::string_view type) { return check_dotted(type, "type", false); }
Status check_pattern(std::string_view pattern) { return check_dotted(pattern, "pattern", true); }

bool pattern_matches(std::string_view pattern, std::string_view type) noexcept {
  while (!pattern.empty() && !type.empty()) {
    const auto wanted = take_token(pattern);
    if (wanted == ">") return true;
    const auto token = take_token(type);
    if (wanted != "*" && wanted != token) return false;
  }
  return pattern.empty() && type.empty();
}

bool any_pattern_matches(const std::vector<std::string>& patterns, std::string_view type) noexcept {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return pattern_matches(pattern, type); });
}

Status Filter::check(const std::vector<std::string>& types, const Match& match) {
  HOLDFAST_TRY(check_count(types.size(), kPatternsMax, "subscription", "patterns"));
  for (const auto& pattern : types) {
    if (auto status = check_pattern(pattern); !status.ok()) {
      return status.with_context("\"" + pattern.substr(0, kNameBytesMax) + "\"");
    }
  }
  return check_match(match);
}

bool Filter::matches_inside(const EventView& event) const noexcept {
  if (!none_or_any(match_.priorities, event.id.priority) ||
      !none_or_any(match_.source_kinds, event.source.kind) ||
      !none_or_any(match_.source_names, event.source.name)) {
    return false;
  }
  return std::all_of(
      match_.metadata_equals.begin(), match_.metadata_equals.end(),
      [&](const auto& pair) { return event.metadata.find(pair.first) == pair.second; });
}

bool operator==(const Filter& a, const Filter& b) noexcept {
  return a.types_ == b.types_ && a.match_.priorities == b.match_.priorities &&
         a.match_.source_kinds == b.match_.source_kinds &&
         a.match_.source_names == b.match_.source_names &&
         a.match_.metadata_equals == b.match_.metadata_equals;
}

}  // namespace holdfast::core
