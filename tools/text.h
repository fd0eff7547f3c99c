// SPDX-License-Identifier: MIT
#pragma once

// How values look: to people, who may have a terminal that obeys what it is told, and in JSON.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/types.h"

namespace holdfast::tool {

/// Length of the UTF-8 sequence `text` begins with, and its code point; 0 when it begins with none.
[[nodiscard]] std::size_t utf8_length(std::string_view text, char32_t& code_point) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// `text` on one line, harmless on a terminal: control characters, marks that turn the writing
/// direction round, and bytes that are not UTF-8 become \xNN, a backslash becomes two.
[[nodiscard]] std::string escape(std::string_view text);
/// The beginning of `escape(text)`, cut between characters to at most `columns_max`, with an
/// ellipsis where something was cut. Looks at no more of `text` than it needs.
[[nodiscard]] std::string excerpt(std::string_view text, std::size_t columns_max);
/// Characters of a text that `escape` has made.
[[nodiscard]] std::size_t columns_of(std::string_view escaped) noexcept;

[[nodiscard]] std::string with_thousands(std::uint64_t number);                // 1,204
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);                    // 12.4 MiB
[[nodiscard]] std::string human_duration(std::chrono::nanoseconds duration);   // 2 h 04 min
[[nodiscard]] std::string plural(std::uint64_t count, std::string_view noun);  // 1 event, 2 events

/// In the zone of whoever reads it: 2026-05-01 02:40:11.123
[[nodiscard]] std::string local_time(WallTime time);
/// Exact, as in JSON: 2026-05-01T00:40:11.123456789Z
[[nodiscard]] std::string rfc3339(WallTime time);
/// Any RFC 3339 moment from 1970 to 2261, with up to nine decimals and an offset or Z.
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text) noexcept;

[[nodiscard]] std::string to_base64(std::string_view bytes);
/// RFC 4648 with padding; nothing for anything else.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

/// The one of `known` that `word` was most likely meant to be, if any is near enough.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view word,
                                                      std::span<const std::string_view> known);
/// "; did you mean NEAREST?", or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string_view> known);

}  // namespace holdfast::tool
