// SPDX-License-Identifier: MIT
#pragma once

// What `--json` prints. docs/tool.md describes each field; a test holds the two together.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "holdfast/event.h"
#include "holdfast/query.h"

namespace holdfast::tool {

/// Keeps fields in the order they were put in.
using Json = nlohmann::ordered_json;

/// One line without its end. Text that is not UTF-8 is shown with replacement characters: whatever
/// has to be exact was put in as base64.
[[nodiscard]] std::string to_line(const Json& json);

/// `bytes` as the field `payload` if they are UTF-8, otherwise as `payload_base64`.
void put_payload(Json& json, std::string_view bytes);

[[nodiscard]] Json event_json(const EventView& event, EventState state);
[[nodiscard]] Json event_json(const StoredEvent& event);
[[nodiscard]] Json dead_letter_json(const DeadLetter& letter);

}  // namespace holdfast::tool
