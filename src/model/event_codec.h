// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "holdfast/event.h"

namespace holdfast::model {

/// `event` as a FlatBuffer (schemas/event.fbs). The view lives until this thread encodes again.
[[nodiscard]] std::string_view encode_event(const Event& event, WallTime timestamp,
                                            OperationId operation = {});

/// Whether `record` is a well-formed event whose strings are within their limits. Its first byte
/// must be at a multiple of 8.
[[nodiscard]] bool verify_event(std::string_view record);

/// What the publisher said. `record` must have been verified, or just been encoded.
[[nodiscard]] EventView read_event(std::string_view record) noexcept;
[[nodiscard]] std::string_view read_event_type(std::string_view record) noexcept;
/// Whether anything in it can keep it from being handed out (a time, a token).
[[nodiscard]] bool is_conditional_event(std::string_view record) noexcept;

}  // namespace holdfast::model
