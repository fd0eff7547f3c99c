// SPDX-License-Identifier: MIT
#include "fuzz/repair.h"

#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "journal/rocks/crc32c.h"

namespace holdfast::fuzz {

namespace {

// docs/journal-format.md has the places.
constexpr std::size_t kChunkHeader = 48;
constexpr std::size_t kChunkChecksumAt = 40;
constexpr std::size_t kTableEntry = 16;
constexpr std::size_t kWatermarkChecksumAt = 184;

template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
  T value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

template <typename T>
void put_at(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

/// A checksum as the log has it, so that one of bytes that hold checksums is no trap.
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U; }

std::size_t padded(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

}  // namespace

void repair_chunk(std::string& chunk) {
  if (chunk.size() < kChunkHeader) return;
  put_at<std::uint32_t>(chunk, 0, 0x31434648);
  const auto count = number_at<std::uint32_t>(chunk, 4);
  const auto room = (chunk.size() - kChunkHeader) / kTableEntry;
  if (count == 0 || count > room) return;
  auto offset = kChunkHeader + count * kTableEntry;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto entry = kChunkHeader + i * kTableEntry;
    const auto length = number_at<std::uint32_t>(chunk, entry);
    if (padded(length) > chunk.size() - offset) break;
    put_at(chunk, entry + 4, base::checksum32(std::string_view(chunk).substr(offset, length)));
    offset += padded(length);
  }
  if (chunk[33] != 0 && chunk.size() - offset >= 8) {
    const auto keys = number_at<std::uint32_t>(chunk, offset);
    put_at(chunk, offset + 4, base::checksum32(std::string_view(chunk).substr(offset + 8), keys));
  }
  const std::string_view whole(chunk);
  const auto head = base::checksum(whole.substr(0, kChunkChecksumAt));
  put_at(chunk, kChunkChecksumAt,
         base::checksum(whole.substr(kChunkHeader, count * kTableEntry), head));
}

std::string sealed(std::string_view key, std::string body) {
  body.resize(padded(body.size()));
  const auto sum = base::checksum(body, base::checksum(key));
  body.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  return body;
}

std::string sealed_with_chunk(std::string_view key, std::string body) {
  const auto at = body.find("HFC1");
  if (at != std::string::npos && at >= sizeof(std::uint32_t)) {
    const auto size = number_at<std::uint32_t>(body, at - sizeof(std::uint32_t));
    if (size <= body.size() - at) {
      auto chunk = body.substr(at, size);
      repair_chunk(chunk);
      body.replace(at, size, chunk);
    }
  }
  return sealed(key, std::move(body));
}

void repair_watermark(std::string& watermark) {
  if (watermark.size() < kWatermarkChecksumAt + 8) return;
  put_at(watermark, kWatermarkChecksumAt,
         base::checksum(std::string_view(watermark).substr(0, kWatermarkChecksumAt)));
}

void repair_log(std::string& log, std::uint8_t which) {
  // The header of a record: checksum 4, length 2, type 1; the checksum is of type and what follows,
  // and no header lies across the end of a block.
  constexpr std::size_t kHeader = 7;
  constexpr std::size_t kBlock = 32768;
  std::size_t at = 0;
  for (unsigned i = 0; at + kHeader <= log.size(); ++i) {
    if (kBlock - at % kBlock < kHeader) {
      at += kBlock - at % kBlock;
      continue;
    }
    const auto length = number_at<std::uint16_t>(log, at + 4);
    if (at + kHeader + length > log.size()) return;
    if ((which >> (i % 8) & 1U) != 0) {
      put_at(log, at, masked(journal::crc32c(std::string_view(log).substr(at + 6, length + 1U))));
    }
    at += kHeader + length;
  }
}

void repair_slots(std::string& file) {
  constexpr std::size_t kHeader = 64;
  constexpr std::size_t kSlot = 64;
  constexpr std::size_t kOthers = 8'000;
  if (file.size() < kHeader) return;
  std::string door = "HFSLOTS3boot";
  door.resize(48);
  file.replace(0, door.size(), door);
  const auto count = number_at<std::uint64_t>(file, 48);
  if (count > file.size()) return;
  for (std::size_t i = 0; i < count && kHeader + (i + 1) * kSlot <= file.size(); ++i) {
    const auto at = kHeader + i * kSlot;
    if (number_at<std::uint32_t>(file, at) == 0) continue;
    const std::size_t bytes = number_at<std::uint16_t>(file, at + 18) * std::size_t{8};
    const auto others_at = kHeader + count * kSlot + i * kOthers;
    const std::string_view whole(file);
    if (bytes > 0 && (others_at > file.size() || bytes > file.size() - others_at)) continue;
    const auto seed = bytes == 0 ? i : base::checksum(whole.substr(others_at, bytes), i);
    put_at(file, at, std::max(1U, base::checksum32(whole.substr(at + 4, 16), seed)));
  }
}

}  // namespace holdfast::fuzz
