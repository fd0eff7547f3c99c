// SPDX-License-Identifier: MIT
#pragma once

// Makes the checksums of mutated bytes right, so that what lies behind them is met as well: a
// checksum is no lock, and what it guards has to be safe without it.

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::fuzz {

/// A chunk's: of its header and table, its records as far as the table makes sense, and its keys.
void repair_chunk(std::string& chunk);

/// `body` as a state record under `key`: padded and sealed.
std::string sealed(std::string_view key, std::string body);
/// The same; a chunk in it is repaired before.
std::string sealed_with_chunk(std::string_view key, std::string body);

void repair_watermark(std::string& watermark);

/// Of a file of what is running: its first bytes and each slot's.
void repair_slots(std::string& file);

/// Of each record of a log whose place in it has its bit in `which`, by turns.
void repair_log(std::string& log, std::uint8_t which);

}  // namespace holdfast::fuzz
