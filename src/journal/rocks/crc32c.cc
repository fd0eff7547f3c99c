// SPDX-License-Identifier: MIT
#include "journal/rocks/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace holdfast::journal {

namespace {

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// Eight bytes a step: about ten times as fast as one, for a log of some tens of MiB.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    table[0][i] = crc;
  }
  for (std::size_t slice = 1; slice < table.size(); ++slice) {
    for (std::uint32_t i = 0; i < 256; ++i) {
      const auto before = table[slice - 1][i];
      table[slice][i] = (before >> 8U) ^ table[0][before & 0xffU];
    }
  }
  return table;
}

constexpr Table kTable = make_table();

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) noexcept {
  crc = ~crc;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof(word));
    word ^= crc;
    crc = 0;
    for (unsigned i = 0; i < 8; ++i) crc ^= kTable[7 - i][(word >> (8 * i)) & 0xffU];
    bytes.remove_prefix(8);
  }
  for (const char c : bytes)
    crc = (crc >> 8U) ^ kTable[0][(crc ^ static_cast<unsigned char>(c)) & 0xffU];
  return ~crc;
}

}  // namespace holdfast::journal
