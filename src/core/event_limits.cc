// SPDX-License-Identifier: MIT
#include "core/event_limits.h"

#include <algorithm>
#include <string>

#include "base/status_or.h"
#include "core/filter.h"
#include "holdfast/options.h"

namespace holdfast::core {

namespace {

Status over(std::string_view what, std::size_t value, std::size_t limit, std::string_view unit) {
  return {StatusCode::invalid_argument, std::string(what) + " has " + std::to_string(value) + " " +
                                            std::string(unit) + ", the limit is " +
                                            std::to_string(limit)};
}

Status check_length(std::string_view text, std::string_view what) {
  if (text.empty()) return {StatusCode::invalid_argument, std::string(what) + " is empty"};
  if (text.size() > kNameBytesMax) return over(what, text.size(), kNameBytesMax, "bytes");
  return {};
}

}  // namespace

Status check_metadata(std::span<const MetadataPair> metadata) {
  if (metadata.size() > kMetadataPairsMax) {
    return over("metadata", metadata.size(), kMetadataPairsMax, "pairs");
  }
  std::size_t bytes = 0;
  for (const auto& [key, value] : metadata) {
    if (auto status = check_length(key, "metadata key"); !status.ok()) return status;
    bytes += key.size() + value.size();
  }
  if (bytes > kMetadataBytesMax) return over("metadata", bytes, kMetadataBytesMax, "bytes");
  return {};
}

Status check_number(std::size_t value, std::size_t last, std::string_view what) {
  if (value <= last) return {};
  return {StatusCode::invalid_argument, std::string(what) + " is " + std::to_string(value) +
                                            ", it must be 0 to " + std::to_string(last)};
}

Status check_event_id(EventId id) {
  if (auto status = check_enum(id.priority, Priority::low, "priority of an event id");
      !status.ok()) {
    return status;
  }
  if (id.sequence != 0) return {};
  return {StatusCode::invalid_argument, "sequence of an event id is 0, it must be at least 1"};
}

Status check_name(std::string_view name, std::string_view what) {
  if (auto status = check_length(name, what); !status.ok()) return status;
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return {StatusCode::invalid_argument, std::string(what) + " has a control character"};
  }
  return {};
}

Status check_state_key(std::string_view key) { return check_length(key, "state key"); }

Status check_state_value(std::string_view value) {
  if (value.size() <= kStateValueBytesMax) return {};
  return over("state value", value.size(), kStateValueBytesMax, "bytes");
}

namespace {

Status check_conditions(const Event& event) {
  if (event.not_before < 0 || event.expires_at < 0) {
    return {StatusCode::invalid_argument,
            std::string(event.not_before < 0 ? "not_before" : "expires_at") + " is before 1970"};
  }
  if (event.expires_at != 0 && event.expires_at <= event.not_before) {
    return {StatusCode::invalid_argument, "expires_at is " + std::to_string(event.expires_at) +
                                              ", it must be later than not_before, " +
                                              std::to_string(event.not_before)};
  }
  return {};
}

}  // namespace

Status check_event(const Event& event, std::size_t payload_bytes_max) {
  if (auto status = check_type(event.type); !status.ok()) return status;
  if (event.payload.bytes.size() > payload_bytes_max) {
    return over("payload", event.payload.bytes.size(), payload_bytes_max, "bytes");
  }
  if (auto status = check_enum(event.priority, Priority::low, "priority"); !status.ok()) {
    return status;
  }
  if (auto status = check_enum(event.source.kind, SourceKind::external, "source kind");
      !status.ok()) {
    return status;
  }
  if (event.content_type.size() > kNameBytesMax) {
    return over("content type", event.content_type.size(), kNameBytesMax, "bytes");
  }
  if (event.source.name.size() > kNameBytesMax) {
    return over("source name", event.source.name.size(), kNameBytesMax, "bytes");
  }
  if (event.ordering_key.size() > kNameBytesMax) {
    return over("ordering key", event.ordering_key.size(), kNameBytesMax, "bytes");
  }
  if (event.idempotency_key.size() > kNameBytesMax) {
    return over("idempotency key", event.idempotency_key.size(), kNameBytesMax, "bytes");
  }
  if (event.source.kind == SourceKind::plugin && event.source.name.empty()) {
    return {StatusCode::invalid_argument, "source is a plug-in without a name"};
  }
  if (event.timestamp < 0) {
    return {StatusCode::invalid_argument, "timestamp is before 1970"};
  }
  HOLDFAST_TRY(check_conditions(event));
  return check_metadata(event.metadata);
}

Event borrow(const OwnedEvent& owned, std::vector<MetadataPair>& pairs) {
  pairs.assign(owned.metadata.begin(), owned.metadata.end());
  return {.type = owned.type,
          .payload = Payload(owned.payload),
          .content_type = owned.content_type,
          .priority = owned.priority,
          .source = {owned.source_kind, owned.source_name},
          .metadata = pairs,
          .timestamp = owned.timestamp,
          .not_before = owned.not_before,
          .expires_at = owned.expires_at,
          .token = owned.token,
          .ordering_key = owned.ordering_key,
          .idempotency_key = owned.idempotency_key};
}

}  // namespace holdfast::core
