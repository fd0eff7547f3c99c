// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast::base {

/// XXH3 (https://xxhash.com), 64 bits, seeded. On disk since format 1.
[[nodiscard]] std::uint64_t checksum(std::string_view bytes, std::uint64_t seed = 0) noexcept;

/// The lower half, where a record of its own length and place is checked with it.
[[nodiscard]] inline std::uint32_t checksum32(std::string_view bytes,
                                              std::uint64_t seed = 0) noexcept {
  return static_cast<std::uint32_t>(checksum(bytes, seed));
}

}  // namespace holdfast::base
