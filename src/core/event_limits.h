// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/status.h"

namespace holdfast::core {

/// Whether `event` is within its limits (include/holdfast/event.h); the error states value and
/// limit.
Status check_event(const Event& event, std::size_t payload_bytes_max);

/// Names of subscriptions and of user state: 1 to 255 bytes, no control characters.
Status check_name(std::string_view name, std::string_view what);

/// A key of user state: 1 to 255 bytes.
Status check_state_key(std::string_view key);

/// A value of user state.
Status check_state_value(std::string_view value);

/// `owned` as what `publish` takes. Borrows from both arguments.
Event borrow(const OwnedEvent& owned, std::vector<MetadataPair>& pairs);

}  // namespace holdfast::core
