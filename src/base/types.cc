// SPDX-License-Identifier: MIT
#include "holdfast/types.h"

#include <charconv>
#include <string>

#include "holdfast/event.h"
#include "holdfast/operation.h"
#include "holdfast/query.h"
#include "holdfast/token.h"

namespace holdfast {

namespace {

constexpr std::array<std::string_view, kLaneCount> kPriorityNames = {"critical", "high", "normal",
                                                                     "low"};
constexpr std::array<std::string_view, 9> kStateNames = {"leased",    "scheduled", "ready",
                                                         "unclaimed", "dead",      "settled",
                                                         "cancelled", "expired",   "paused"};

/// At least 1.
std::optional<std::uint64_t> parse_number_after(std::string_view prefix,
                                                std::string_view text) noexcept {
  if (!text.starts_with(prefix)) return std::nullopt;
  const auto digits = text.substr(prefix.size());
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value == 0) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string_view to_string(Priority priority) noexcept {
  const auto index = static_cast<std::size_t>(priority);
  return index < kLaneCount ? kPriorityNames[index] : "unknown";
}

std::optional<Priority> parse_priority(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kLaneCount; ++i) {
    if (kPriorityNames[i] == text) return static_cast<Priority>(i);
  }
  return std::nullopt;
}

std::string_view to_string(Durability durability) noexcept {
  return durability == Durability::durable ? "durable" : "os";
}

std::string to_string(EventId id) {
  return std::string(to_string(id.priority)) + ":" + std::to_string(id.sequence);
}

std::optional<EventId> parse_event_id(std::string_view text) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto priority = parse_priority(text.substr(0, colon));
  const auto digits = text.substr(colon + 1);
  std::uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
  if (!priority || error != std::errc() || end != digits.data() + digits.size() || sequence == 0) {
    return std::nullopt;
  }
  return EventId{*priority, sequence};
}

std::string to_string(TokenId id) { return "token:" + std::to_string(id.value); }

std::optional<TokenId> parse_token_id(std::string_view text) noexcept {
  const auto value = parse_number_after("token:", text);
  if (!value.has_value()) return std::nullopt;
  return TokenId{*value};
}

std::string to_string(OperationId id) { return "operation:" + std::to_string(id.value); }

std::optional<OperationId> parse_operation_id(std::string_view text) noexcept {
  const auto value = parse_number_after("operation:", text);
  if (!value.has_value()) return std::nullopt;
  return OperationId{*value};
}

std::string_view to_string(OperationState state) noexcept {
  switch (state) {
    case OperationState::open: return "open";
    case OperationState::committed: return "committed";
    case OperationState::rolling_back: return "rolling back";
    case OperationState::rolled_back: return "rolled back";
    case OperationState::rollback_failed: return "rollback failed";
  }
  return "unknown";
}

std::string_view to_string(MemberState state) noexcept {
  switch (state) {
    case MemberState::pending: return "pending";
    case MemberState::done: return "done";
    case MemberState::compensating: return "compensating";
    case MemberState::undone: return "undone";
  }
  return "unknown";
}

std::string_view to_string(CancelOutcome outcome) noexcept {
  switch (outcome) {
    case CancelOutcome::prevented: return "prevented";
    case CancelOutcome::signalled: return "signalled";
    case CancelOutcome::too_late: return "too late";
  }
  return "unknown";
}

std::string_view to_string(EventState state) noexcept {
  const auto index = static_cast<std::size_t>(state);
  return index < kStateNames.size() ? kStateNames[index] : "unknown";
}

std::optional<EventState> parse_event_state(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kStateNames.size(); ++i) {
    if (kStateNames[i] == text) return static_cast<EventState>(i);
  }
  return std::nullopt;
}

std::string to_string(const Source& source) {
  switch (source.kind) {
    case SourceKind::system: return "system";
    case SourceKind::plugin: return "plugin(" + std::string(source.name) + ")";
    case SourceKind::user: return "user";
    case SourceKind::external: return "external";
  }
  return "unknown";
}

std::optional<Source> parse_source(std::string_view text) noexcept {
  if (text == "system") return Source::system();
  if (text == "user") return Source::user();
  if (text == "external") return Source::external();
  if (text.starts_with("plugin(") && text.ends_with(")") && text.size() > 8) {
    return Source::plugin(text.substr(7, text.size() - 8));
  }
  return std::nullopt;
}

}  // namespace holdfast
