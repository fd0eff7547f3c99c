// SPDX-License-Identifier: MIT
#include "journal/rocks/log_file.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <rocksdb/env.h>

#include "base/status_or.h"
#include "journal/rocks/crc32c.h"
#include "journal/rocks/status_map.h"

namespace holdfast::journal {

namespace {

constexpr std::size_t kBlockBytes = 32768;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kHeaderBytes = 7;             // checksum 4, length 2, type 1
constexpr std::size_t kRecyclableHeaderBytes = 11;  // and the log's number 4

enum Type : unsigned char { zero = 0, full = 1, first = 2, middle = 3, last = 4 };
constexpr unsigned char kRecyclable = 4;  // types 5 to 8 are 1 to 4 with the longer header
constexpr unsigned char kSetCompression = 9;

std::uint32_t number_at(std::string_view bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

std::uint32_t unmasked(std::uint32_t crc) {
  const auto rotated = crc - 0xa282ead8U;
  return (rotated >> 17U) | (rotated << 15U);
}

struct Fragment {
  Type type = Type::zero;
  std::string_view bytes;
  std::size_t size = kHeaderBytes;  // with its header, as far as it says
  const char* why = nullptr;        // it is damaged; null = it is not
};

/// The fragment at the front of `rest`, which has room for a header and ends with its block.
Fragment fragment_at(std::string_view rest) {
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(rest[4])) |
                      static_cast<std::size_t>(static_cast<unsigned char>(rest[5])) << 8U;
  auto type = static_cast<unsigned char>(rest[6]);
  auto header_bytes = kHeaderBytes;
  if (type > Type::last && type < kSetCompression) {
    header_bytes = kRecyclableHeaderBytes;
    type = static_cast<unsigned char>(type - kRecyclable);
  }
  if (type == Type::zero && length == 0 && number_at(rest) == 0) return {.why = "is zeros"};
  if (type == Type::zero || type > kSetCompression) return {.why = "has no known type"};
  const auto size = header_bytes + length;
  if (rest.size() < size) return {.size = size, .why = "is cut off"};
  if (crc32c(rest.substr(6, size - 6)) != unmasked(number_at(rest))) {
    return {.size = size, .why = "has a wrong checksum"};
  }
  return {static_cast<Type>(type), rest.substr(header_bytes, length), size};
}

/// Of one byte at least.
bool is_zeros(std::string_view bytes) {
  return bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

/// Puts the fragments of the blocks together to records.
///
/// Damage is told once it is known what was written behind it: before the next whole record, or at
/// the end. Zeros behind all that was written are space that was allocated ahead.
class Assembler {
 public:
  explicit Assembler(const LogVisitor& visitor) : visitor_(visitor) {}

  /// One block, which begins at `offset` in the file.
  void block(std::string_view block, std::uint64_t offset) {
    std::size_t at = 0;
    while (block.size() - at >= kHeaderBytes && !is_zeros(block.substr(at))) {
      const auto fragment = fragment_at(block.substr(at));
      if (fragment.why == nullptr) {
        take(fragment.type, fragment.bytes, offset + at, offset + at + fragment.size);
        at += fragment.size;
        continue;
      }
      damage(offset + at, fragment.why, offset + at + fragment.size);
      // The length is part of what cannot be trusted. The next whole record may begin anywhere.
      do {
        ++at;
      } while (block.size() - at >= kHeaderBytes && !begins_record(block.substr(at)));
    }
    const auto left = block.substr(at);
    if (left.size() >= kHeaderBytes) {
      damage(offset + at, "is zeros", offset + at + kHeaderBytes);
    } else if (block.size() < kBlockBytes && !left.empty() && !is_skipping_) {
      // In a whole block that is padding.
      damage(offset + at, "is cut off", offset + at + kHeaderBytes);
    }
    const auto last = block.find_last_not_of('\0');
    if (last != std::string_view::npos) note_written(offset + last + 1);
    end_ = offset + block.size();
  }

  LogExtent finish() {
    if (is_open_) damage(begin_, "is cut off", end_ + 1);
    if (damage_ && damage_->offset < written_end_) {
      damage_->runs_past_end = damaged_to_ > end_ || is_torn_by_a_kill();
      // Who reads beside a writer sees any part of what is being written.
      is_damaged_ = is_damaged_ || damaged_to_ <= written_end_;
      visitor_.damage(*damage_);
    }
    return {is_damaged_ ? std::nullopt : std::optional(whole_end_), written_end_};
  }

 private:
  /// Zeros behind the beginning of a record: a kill ends a write between two pages of the file, so
  /// that a whole page of it is missing. With less, a record that ends with zeros may be all there,
  /// and damaged.
  [[nodiscard]] bool is_torn_by_a_kill() const {
    return (written_end_ + kPageBytes - 1) / kPageBytes * kPageBytes < damaged_to_;
  }
  static bool begins_record(std::string_view rest) {
    // Asked at every byte: the checksum only where it could be one.
    if (rest[6] != Type::full && rest[6] != Type::first) return false;
    return fragment_at(rest).why == nullptr;
  }

  void take(Type type, std::string_view bytes, std::uint64_t begin, std::uint64_t end) {
    if (type == kSetCompression) return;
    const bool begins = type == Type::full || type == Type::first;
    if (begins) {
      if (is_open_) damage(begin_, "has no end", begin);
      is_open_ = true;
      is_skipping_ = false;
      begin_ = begin;
      head_.clear();
    } else if (!is_open_) {
      // The rest of a record whose beginning was damaged has been told already.
      if (!is_skipping_) damage(begin, "has no beginning", end);
      is_skipping_ = true;
      return;
    }
    head_.append(bytes.substr(0, kLogHeadBytes - std::min(kLogHeadBytes, head_.size())));
    if (type == Type::full || type == Type::last) {
      is_open_ = false;
      whole_end_ = end;
      note_written(end);  // it may end with zeros
      tell_damage();
      visitor_.record({begin_, end, head_});
    }
  }

  void note_written(std::uint64_t end) { written_end_ = std::max(written_end_, end); }
  /// `to`: where it ends, as far as it says.
  void damage(std::uint64_t offset, const char* why, std::uint64_t to) {
    if (!damage_) {
      damage_ = LogDamage{is_open_ ? begin_ : offset, why, false};
      damaged_to_ = to;
    }
    is_open_ = false;
    is_skipping_ = true;
  }
  void tell_damage() {
    if (!damage_) return;
    is_damaged_ = true;
    visitor_.damage(*damage_);
    damage_.reset();
  }

  const LogVisitor& visitor_;
  bool is_open_ = false;      // fragments of a record have come, its last has not
  bool is_skipping_ = false;  // what follows belongs to a record that is damaged
  std::uint64_t begin_ = 0;
  std::string head_;
  std::optional<LogDamage> damage_;  // the first since the last whole record
  std::uint64_t damaged_to_ = 0;
  bool is_damaged_ = false;  // somewhere before the end
  std::uint64_t whole_end_ = 0;
  std::uint64_t written_end_ = 0;  // behind it there are but zeros
  std::uint64_t end_ = 0;          // of what has been read
};

}  // namespace

Result<LogExtent> read_log_file(const Files& files, const std::string& path,
                                const LogVisitor& visitor) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  const auto doing = "reading " + path;
  HOLDFAST_TRY(
      from_rocks(files.env().NewSequentialFile(path, &file, rocksdb::EnvOptions()), doing));
  Assembler assembler(visitor);
  std::vector<char> buffer(kBlockBytes);
  for (std::uint64_t offset = 0;;) {
    // A short read is not yet the end of the file.
    std::size_t filled = 0;
    while (filled < kBlockBytes) {
      rocksdb::Slice piece;
      HOLDFAST_TRY(
          from_rocks(file->Read(kBlockBytes - filled, &piece, buffer.data() + filled), doing));
      if (piece.empty()) break;
      if (piece.data() != buffer.data() + filled) {
        std::memcpy(buffer.data() + filled, piece.data(), piece.size());
      }
      filled += piece.size();
    }
    assembler.block({buffer.data(), filled}, offset);
    offset += filled;
    if (filled < kBlockBytes) break;
  }
  return assembler.finish();
}

}  // namespace holdfast::journal
