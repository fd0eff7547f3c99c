// SPDX-License-Identifier: MIT
#include "tools/event_line.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "tools/text.h"

namespace holdfast::tool {

namespace {

enum class Field : std::uint8_t {
  type,
  payload,
  payload_base64,
  priority,
  source,
  metadata,
  metadata_base64,
  content_type,
  timestamp,
};

constexpr std::array<std::string_view, 9> kFieldNames = {
    "type",     "payload",         "payload_base64", "priority", "source",
    "metadata", "metadata_base64", "content_type",   "timestamp"};

constexpr std::array<std::string_view, kLaneCount> kPriorityNames = {"critical", "high", "normal",
                                                                     "low"};

// Enough of a wrong value to recognise it by.
constexpr std::size_t kShownBytesMax = 60;

std::string in_quotes(std::string_view text) {
  if (text.size() <= kShownBytesMax) return "\"" + std::string(text) + "\"";
  return "\"" + std::string(text.substr(0, kShownBytesMax)) + "…\"";
}

/// Builds the event while the JSON is being read, and stops at the first thing that has no place in
/// it: a tree of a hostile line would be many times as large as the line.
class EventBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return refuse_value("null"); }
  bool boolean(bool /*value*/) override { return refuse_value("a boolean"); }
  bool number_integer(number_integer_t value) override { return integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<WallTime>::max())) {
      return refuse_value("so large a number");
    }
    return integer(static_cast<WallTime>(value));
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return refuse_value(is_field(Field::timestamp) ? "a fraction" : "a number");
  }
  bool binary(binary_t& /*value*/) override { return refuse_value("binary"); }
  bool string(string_t& value) override;
  bool start_object(std::size_t size) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool start_array(std::size_t size) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::json::exception& error) override;

  /// What the fields say together. After the whole line was read without an error.
  Result<OwnedEvent> finish();
  [[nodiscard]] Status error() const { return {StatusCode::invalid_argument, error_}; }

 private:
  enum class Place : std::uint8_t { outside, event, metadata_object, metadata_list, metadata_pair };

  bool fail(std::string message) {
    error_ = std::move(message);
    return false;
  }
  [[nodiscard]] bool is_field(Field field) const {
    return place_ == Place::event && field_ == field;
  }
  [[nodiscard]] bool has(Field field) const { return seen_[static_cast<std::size_t>(field)]; }
  [[nodiscard]] bool is_base64() const { return field_ == Field::metadata_base64; }
  [[nodiscard]] std::string field_name() const {
    return std::string(kFieldNames[static_cast<std::size_t>(field_)]);
  }
  bool refuse_value(const std::string& what);
  bool integer(WallTime value);
  bool set(std::string value);
  bool set_priority(const std::string& name);
  bool set_source(const std::string& text);
  bool set_timestamp(const std::string& text);
  bool set_payload_base64(const std::string& text);
  bool add_metadata(std::string key, std::string value);

  Place place_ = Place::outside;
  Field field_ = Field::type;
  std::bitset<kFieldNames.size()> seen_;
  std::string metadata_key_;
  std::size_t pair_size_ = 0;
  OwnedEvent event_{.type = {}, .payload = {}, .source_kind = SourceKind::external};
  std::string error_;
};

bool EventBuilder::refuse_value(const std::string& what) {
  switch (place_) {
    case Place::outside: return fail("an event is a JSON object, not " + what);
    case Place::event:
      switch (field_) {
        case Field::metadata:
        case Field::metadata_base64:
          return fail(field_name() + " is an object of strings or an array of [key, value], not " +
                      what);
        case Field::timestamp:
          return fail("timestamp is an RFC 3339 text or whole nanoseconds since 1970, not " + what);
        default: return fail(field_name() + " is a text, not " + what);
      }
    case Place::metadata_object:
      return fail(field_name() + ": the value of " + in_quotes(metadata_key_) + " is a text, not " +
                  what);
    case Place::metadata_list:
      return fail(field_name() + " is an array of pairs [key, value], not of " + what);
    case Place::metadata_pair:
      return fail(field_name() + ": a pair is two texts, [key, value], not " + what);
  }
  return fail("no place for " + what);
}

bool EventBuilder::integer(WallTime value) {
  if (!is_field(Field::timestamp)) return refuse_value("a number");
  event_.timestamp = value;
  return true;
}

bool EventBuilder::string(string_t& value) {
  switch (place_) {
    case Place::event: return set(std::move(value));
    case Place::metadata_object: return add_metadata(std::move(metadata_key_), std::move(value));
    case Place::metadata_pair:
      if (++pair_size_ > 2) return refuse_value("three or more");
      if (pair_size_ == 2) return add_metadata(std::move(metadata_key_), std::move(value));
      metadata_key_ = std::move(value);
      return true;
    case Place::outside:
    case Place::metadata_list: return refuse_value("a text");
  }
  return false;
}

bool EventBuilder::set(std::string value) {
  switch (field_) {
    case Field::type: event_.type = std::move(value); return true;
    case Field::payload: event_.payload = std::move(value); return true;
    case Field::payload_base64: return set_payload_base64(value);
    case Field::priority: return set_priority(value);
    case Field::source: return set_source(value);
    case Field::content_type: event_.content_type = std::move(value); return true;
    case Field::timestamp: return set_timestamp(value);
    case Field::metadata:
    case Field::metadata_base64: return refuse_value("a text");
  }
  return false;
}

bool EventBuilder::set_priority(const std::string& name) {
  const auto priority = parse_priority(name);
  if (!priority) {
    return fail("priority is critical, high, normal or low, not " + in_quotes(name) +
                did_you_mean(name, kPriorityNames));
  }
  event_.priority = *priority;
  return true;
}

bool EventBuilder::set_source(const std::string& text) {
  const auto source = parse_source(text);
  if (!source) {
    return fail("source is system, user, external or plugin(NAME), not " + in_quotes(text));
  }
  event_.source_kind = source->kind;
  event_.source_name = source->name;
  return true;
}

bool EventBuilder::set_timestamp(const std::string& text) {
  const auto time = parse_rfc3339(text);
  if (!time) {
    return fail("timestamp is " + in_quotes(text) +
                "; an RFC 3339 text looks like 2026-05-01T02:40:11.5Z");
  }
  event_.timestamp = *time;
  return true;
}

bool EventBuilder::set_payload_base64(const std::string& text) {
  auto bytes = from_base64(text);
  if (!bytes) return fail("payload_base64 is not base64 (RFC 4648, with padding)");
  event_.payload = *std::move(bytes);
  return true;
}

bool EventBuilder::add_metadata(std::string key, std::string value) {
  // Far more than the bus takes; what is above it needs no memory before it is refused.
  if (event_.metadata.size() > 1'000) return fail(field_name() + " has more than 1,000 pairs");
  if (place_ == Place::metadata_object) {
    const auto same = std::find_if(event_.metadata.begin(), event_.metadata.end(),
                                   [&](const auto& pair) { return pair.first == key; });
    if (same != event_.metadata.end()) {
      return fail(field_name() + " has " + in_quotes(key) +
                  " twice; keys that repeat are given as an array of [key, value]");
    }
  }
  if (is_base64()) {
    auto key_bytes = from_base64(key);
    auto value_bytes = from_base64(value);
    if (!key_bytes || !value_bytes) {
      return fail("metadata_base64 is not base64 (RFC 4648, with padding)");
    }
    key = *std::move(key_bytes);
    value = *std::move(value_bytes);
  }
  event_.metadata.emplace_back(std::move(key), std::move(value));
  return true;
}

bool EventBuilder::key(string_t& name) {
  if (place_ == Place::metadata_object) {
    metadata_key_ = std::move(name);
    return true;
  }
  const auto* const found = std::find(kFieldNames.begin(), kFieldNames.end(), name);
  if (found == kFieldNames.end()) {
    return fail("there is no field " + in_quotes(name) + did_you_mean(name, kFieldNames));
  }
  field_ = static_cast<Field>(found - kFieldNames.begin());
  if (has(field_)) return fail(field_name() + " is given twice");
  seen_.set(static_cast<std::size_t>(field_));
  return true;
}

bool EventBuilder::start_object(std::size_t /*size*/) {
  if (place_ == Place::outside) {
    place_ = Place::event;
    return true;
  }
  if (is_field(Field::metadata) || is_field(Field::metadata_base64)) {
    place_ = Place::metadata_object;
    return true;
  }
  return refuse_value("an object");
}

bool EventBuilder::end_object() {
  place_ = place_ == Place::metadata_object ? Place::event : Place::outside;
  return true;
}

bool EventBuilder::start_array(std::size_t /*size*/) {
  if (is_field(Field::metadata) || is_field(Field::metadata_base64)) {
    place_ = Place::metadata_list;
    return true;
  }
  if (place_ == Place::metadata_list) {
    place_ = Place::metadata_pair;
    pair_size_ = 0;
    return true;
  }
  return refuse_value("an array");
}

bool EventBuilder::end_array() {
  if (place_ == Place::metadata_list) {
    place_ = Place::event;
    return true;
  }
  if (pair_size_ != 2) return refuse_value("fewer");
  place_ = Place::metadata_list;
  return true;
}

bool EventBuilder::parse_error(std::size_t position, const std::string& /*last_token*/,
                               const nlohmann::json::exception& error) {
  // "[...] parse error at line 1, column 5: REASON; last read: 'as long as the line'"
  std::string_view reason = error.what();
  reason = reason.substr(0, std::min(reason.find("; last read"), reason.size()));
  if (const auto column = reason.find("column "); column != std::string_view::npos) {
    if (const auto colon = reason.find(": ", column); colon != std::string_view::npos) {
      reason.remove_prefix(colon + 2);
    }
  }
  return fail("not JSON at byte " + std::to_string(position) + ": " +
              std::string(reason.substr(0, 2 * kShownBytesMax)));
}

Result<OwnedEvent> EventBuilder::finish() {
  if (!has(Field::type)) fail("type is missing");
  if (has(Field::payload) && has(Field::payload_base64)) {
    fail("payload and payload_base64 are both given");
  }
  if (has(Field::metadata) && has(Field::metadata_base64)) {
    fail("metadata and metadata_base64 are both given");
  }
  if (!error_.empty()) return error();
  return std::move(event_);
}

}  // namespace

Result<OwnedEvent> parse_event_line(std::string_view line) {
  // The parser takes a NUL for the end, and what follows it for nothing.
  if (const auto nul = line.find('\0'); nul != std::string_view::npos) {
    return Status(StatusCode::invalid_argument,
                  "not JSON at byte " + std::to_string(nul + 1) + ": a NUL byte");
  }
  EventBuilder builder;
  if (!nlohmann::json::sax_parse(line, &builder)) return builder.error();
  return builder.finish();
}

}  // namespace holdfast::tool
