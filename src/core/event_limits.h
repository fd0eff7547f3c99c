// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/status.h"

namespace holdfast::core {

/// Whether `event` is within its limits (include/holdfast/event.h); the error states value and
/// limit.
Status check_event(const Event& event, std::size_t payload_bytes_max);

/// Pairs as an event may have them: their number, their bytes together, and keys of 1 to 255 bytes.
Status check_metadata(std::span<const MetadataPair> metadata);

/// Whether an event can have this id; not whether one has.
Status check_event_id(EventId id);

/// An enumeration is a number that the caller can choose freely.
Status check_number(std::size_t value, std::size_t last, std::string_view what);
template <typename Enum>
Status check_enum(Enum value, Enum last, std::string_view what) {
  return check_number(static_cast<std::size_t>(value), static_cast<std::size_t>(last), what);
}

/// Names of subscriptions and of user state: 1 to 255 bytes, no control characters.
Status check_name(std::string_view name, std::string_view what);

/// A key of user state: 1 to 255 bytes.
Status check_state_key(std::string_view key);

/// A value of user state.
Status check_state_value(std::string_view value);

/// `owned` as what `publish` takes. Borrows from both arguments.
Event borrow(const OwnedEvent& owned, std::vector<MetadataPair>& pairs);

}  // namespace holdfast::core
