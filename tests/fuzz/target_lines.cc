// SPDX-License-Identifier: MIT
// What the command is given: events as lines of JSON, lines as they arrive, and texts.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/event_limits.h"
#include "fuzz/same.h"
#include "fuzz/targets.h"
#include "tools/event_line.h"
#include "tools/json.h"
#include "tools/line_reader.h"
#include "tools/text.h"

namespace holdfast::fuzz {

namespace {

auto whole(const OwnedEvent& event) {
  const auto& [type, payload, content_type, priority, kind, name, metadata, timestamp, not_before,
               expires_at, token, ordering_key, idempotency_key] = event;
  return std::tie(type, payload, content_type, priority, kind, name, metadata, timestamp,
                  not_before, expires_at, token, ordering_key, idempotency_key);
}

/// The line that says the same.
std::string line_of(const OwnedEvent& event) {
  tool::Json json;
  json["type"] = event.type;
  tool::put_payload(json, event.payload);
  json["priority"] = to_string(event.priority);
  json["source"] = to_string(Source{event.source_kind, event.source_name});
  json["content_type"] = event.content_type;
  auto pairs = tool::Json::array();
  for (const auto& [key, value] : event.metadata) {
    pairs.push_back({tool::to_base64(key), tool::to_base64(value)});
  }
  json["metadata_base64"] = std::move(pairs);
  json["timestamp"] = event.timestamp;
  return tool::to_line(json);
}

/// The lines of `input`, cut the plain way.
std::vector<std::string> plain_lines(std::string_view input) {
  std::vector<std::string> lines;
  while (!input.empty()) {
    const auto end = input.find('\n');
    auto line = input.substr(0, end);
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

struct Gathered {
  std::vector<std::string> lines;
  std::size_t line_bytes_max;

  void take(tool::LineReader& reader) {
    while (const auto line = reader.next()) {
      FUZZ_CHECK(line->text.size() <= line_bytes_max);
      FUZZ_CHECK(line->number == lines.size() + 1);
      FUZZ_CHECK(line->is_too_long() || line->bytes == line->text.size());
      lines.emplace_back(line->is_too_long() ? "too long" : line->text);
    }
  }
};

std::vector<std::string> read_in_pieces(std::string_view input, std::size_t piece,
                                        std::size_t line_bytes_max) {
  tool::LineReader reader(line_bytes_max);
  Gathered gathered{{}, line_bytes_max};
  for (std::size_t at = 0; at < input.size(); at += piece) {
    reader.feed(input.substr(at, piece));
    gathered.take(reader);
  }
  reader.finish();
  gathered.take(reader);
  return gathered.lines;
}

}  // namespace

void run_event_line(std::string_view input) {
  const auto event = tool::parse_event_line(input);
  if (!event.ok()) {
    FUZZ_CHECK(event.status() == StatusCode::invalid_argument);
    FUZZ_CHECK(!event.status().message().empty() && event.status().message().size() < 1000);
    return;
  }
  note_accepted();
  FUZZ_CHECK(event->priority <= Priority::low && event->source_kind <= SourceKind::external);
  FUZZ_CHECK(event->metadata.size() <= 1'001 && event->payload.size() <= input.size());
  const auto again = tool::parse_event_line(line_of(*event));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(whole(*event) == whole(*again));
  // Whatever it is, the bus says yes or why not.
  std::vector<MetadataPair> pairs;
  const auto allowed = core::check_event(core::borrow(*event, pairs), kPayloadBytesHardMax);
  FUZZ_CHECK(allowed.ok() || !allowed.message().empty());
}

void run_lines(std::string_view input) {
  if (input.empty()) return;
  const std::size_t piece = 1 + static_cast<unsigned char>(input.front()) % 20;
  const auto text = input.substr(1);
  // Long enough for all: how they arrive makes no difference.
  const auto lines = read_in_pieces(text, piece, input.size());
  FUZZ_CHECK(lines == plain_lines(text));
  if (lines.size() > 1) note_accepted();
  // Too long are the same ones, however they arrive.
  constexpr std::size_t kShort = 8;
  FUZZ_CHECK(read_in_pieces(text, piece, kShort) == read_in_pieces(text, text.size() + 1, kShort));
}

void run_text(std::string_view input) {
  const auto shown = tool::escape(input);
  FUZZ_CHECK(tool::is_utf8(shown));
  FUZZ_CHECK(std::none_of(shown.begin(), shown.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  }));
  for (const std::size_t columns : {0, 1, 2, 10}) {
    FUZZ_CHECK(tool::columns_of(tool::excerpt(input, columns)) <= columns);
  }
  const auto encoded = tool::to_base64(input);
  FUZZ_CHECK(tool::from_base64(encoded) == std::string(input));
  if (const auto bytes = tool::from_base64(input)) FUZZ_CHECK(tool::to_base64(*bytes) == input);
  if (const auto time = tool::parse_rfc3339(input)) {
    note_accepted();
    FUZZ_CHECK(*time >= 0 && tool::parse_rfc3339(tool::rfc3339(*time)) == *time);
  }
  if (const auto id = parse_event_id(input)) {
    note_accepted();
    FUZZ_CHECK(id->priority <= Priority::low && parse_event_id(to_string(*id)) == *id);
  }
  if (const auto source = parse_source(input)) {
    note_accepted();
    FUZZ_CHECK(parse_source(to_string(*source)) == *source);
  }
  if (const auto token = parse_token_id(input)) {
    FUZZ_CHECK(parse_token_id(to_string(*token)) == *token);
  }
  if (const auto operation = parse_operation_id(input)) {
    FUZZ_CHECK(parse_operation_id(to_string(*operation)) == *operation);
  }
}

}  // namespace holdfast::fuzz
