// SPDX-License-Identifier: MIT
#include "tools/json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tools/text.h"

namespace holdfast::tool {

namespace {

template <typename Pairs>
bool has_unique_keys(const Pairs& pairs) {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : pairs) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

/// An object where no key repeats (nearly always), in the order of the event; pairs otherwise.
template <typename Pairs>
void put_metadata(Json& json, const Pairs& pairs) {
  const bool is_text = std::all_of(pairs.begin(), pairs.end(), [](const auto& pair) {
    return is_utf8(pair.first) && is_utf8(pair.second);
  });
  auto metadata = Json::object();
  if (!is_text) {
    metadata = Json::array();
    for (const auto& [key, value] : pairs) {
      metadata.push_back(Json::array({to_base64(key), to_base64(value)}));
    }
    json["metadata_base64"] = std::move(metadata);
    return;
  }
  if (has_unique_keys(pairs)) {
    for (const auto& [key, value] : pairs) metadata[std::string(key)] = value;
  } else {
    metadata = Json::array();
    for (const auto& [key, value] : pairs) metadata.push_back(Json::array({key, value}));
  }
  json["metadata"] = std::move(metadata);
}

std::vector<MetadataPair> pairs_of(const MetadataView& metadata) {
  std::vector<MetadataPair> pairs;
  pairs.reserve(metadata.size());
  for (std::size_t i = 0; i < metadata.size(); ++i) pairs.push_back(metadata[i]);
  return pairs;
}

Source source_of(const OwnedEvent& event) { return {event.source_kind, event.source_name}; }

}  // namespace

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void put_payload(Json& json, std::string_view bytes) {
  if (is_utf8(bytes)) {
    json["payload"] = bytes;
  } else {
    json["payload_base64"] = to_base64(bytes);
  }
}

Json event_json(const EventView& event, EventState state) {
  Json json;
  json["id"] = to_string(event.id);
  json["type"] = event.type;
  json["priority"] = to_string(event.priority());
  json["state"] = to_string(state);
  json["commit"] = event.commit.value;
  json["batch"] = event.batch_id.value;
  json["published_at"] = rfc3339(event.published_at);
  json["timestamp"] = rfc3339(event.timestamp);
  json["source"] = to_string(event.source);
  json["content_type"] = event.content_type;
  put_payload(json, event.payload_text());
  put_metadata(json, pairs_of(event.metadata));
  return json;
}

Json event_json(const StoredEvent& stored) {
  Json json;
  json["id"] = to_string(stored.id);
  json["type"] = stored.event.type;
  json["priority"] = to_string(stored.id.priority);
  json["state"] = to_string(stored.state);
  json["commit"] = stored.commit.value;
  json["batch"] = stored.batch_id.value;
  json["published_at"] = rfc3339(stored.published_at);
  json["timestamp"] = rfc3339(stored.event.timestamp);
  json["source"] = to_string(source_of(stored.event));
  json["content_type"] = stored.event.content_type;
  put_payload(json, stored.event.payload);
  put_metadata(json, stored.event.metadata);
  auto standings = Json::array();
  for (const auto& standing : stored.standings) {
    Json one;
    one["subscription"] = standing.subscription;
    one["state"] = to_string(standing.state);
    one["attempts"] = standing.attempts;
    one["next_try"] = standing.next_try != 0 ? Json(rfc3339(standing.next_try)) : Json();
    one["last_error"] = standing.last_error;
    standings.push_back(std::move(one));
  }
  json["standings"] = std::move(standings);
  return json;
}

Json dead_letter_json(const DeadLetter& letter) {
  Json json;
  json["id"] = to_string(letter.id);
  json["type"] = letter.event.type;
  json["priority"] = to_string(letter.id.priority);
  json["state"] = to_string(EventState::dead);
  json["subscription"] = letter.subscription;
  json["attempts"] = letter.attempts;
  json["reason"] = letter.reason;
  json["died_at"] = rfc3339(letter.died_at);
  json["timestamp"] = rfc3339(letter.event.timestamp);
  json["source"] = to_string(source_of(letter.event));
  json["content_type"] = letter.event.content_type;
  put_payload(json, letter.event.payload);
  put_metadata(json, letter.event.metadata);
  return json;
}

}  // namespace holdfast::tool
