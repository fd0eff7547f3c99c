// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <holdfast/bus.h>

namespace indexer {

/// What is known of one file. The hasher keeps it in its state, where it changes with the ack or
/// not at all.
struct FileEntry {
  std::uint64_t times =
      0;  ///< How often the file was counted: the proof, since 1 is the only right number.
  std::string digest;        ///< SHA-256 of the content, in hex.
  std::uint64_t size = 0;    ///< Size and change time as they were when it was hashed: whether a
  std::int64_t changed = 0;  ///< digest that differs later is wrong, or the file another one.
  std::string path;

  [[nodiscard]] std::string encode() const;
  [[nodiscard]] static std::optional<FileEntry> decode(std::string_view text);
};

/// The key of a file's entry. Not its path: a key has at most 255 bytes, a path up to 4,096.
[[nodiscard]] std::string entry_key(std::string_view path);

/// Everything the hasher has kept, by path. Throws what `unwrap` throws, and for an entry it cannot
/// read.
[[nodiscard]] std::map<std::string, FileEntry> read_catalog(const holdfast::Bus& bus);

}  // namespace indexer
