// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast::journal {

/// CRC-32C (Castagnoli) of `bytes`, going on from `crc`. The engine's log uses it, and the engine
/// does not lend its own.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) noexcept;

}  // namespace holdfast::journal
