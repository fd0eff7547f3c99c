// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "support/load.h"

namespace holdfast::bench {

/// The least that durable can cost: a file to which records are appended, with one fdatasync for
/// each group. Nothing finds them again. Throws when the file system fails.
class RawLog {
 public:
  enum class Space {
    as_it_grows,   ///< Each append makes the file longer, and each sync its size durable.
    preallocated,  ///< The file is longer than what was appended, by 16 MiB at a time.
  };
  RawLog(const std::filesystem::path& file, Space space);
  ~RawLog();
  RawLog(const RawLog&) = delete;
  RawLog& operator=(const RawLog&) = delete;

  /// The events [from, from + count) in one call, and synced.
  void write(const Load& load, std::uint64_t from, std::uint64_t count);

 private:
  int file_;
  Space space_;
  std::uint64_t end_ = 0;
  std::uint64_t allocated_ = 0;
  std::string group_;
};

}  // namespace holdfast::bench
