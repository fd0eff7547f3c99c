// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "journal/rocks/files.h"

namespace holdfast::journal {

/// A whole record of one of the engine's log files; its checksums were right.
struct LogRecord {
  std::uint64_t begin = 0;  ///< Offset in the file.
  std::uint64_t end = 0;
  std::string_view head;  ///< The first bytes of what it carries, at most `kLogHeadBytes`.
};
inline constexpr std::size_t kLogHeadBytes = 1024;

/// Bytes that are no whole record, and where the record that they should have been begins.
struct LogDamage {
  std::uint64_t offset = 0;
  std::string why;
  bool runs_past_end = false;  ///< What was written of the file ends before it does.
};

/// How far a log file goes.
struct LogExtent {
  /// Where the last whole record ends; none when there is damage before something that was written.
  std::optional<std::uint64_t> whole;
  std::uint64_t written = 0;  ///< Behind it is nothing but space that was allocated ahead.
};

struct LogVisitor {
  std::function<void(const LogRecord&)> record;
  std::function<void(const LogDamage&)> damage;
};

/// Reads a log file of the engine by its published format (blocks of 32 KiB, each record with a
/// header of checksum, length and type), without the engine and without changing anything. Goes on
/// behind damage at the next record that is whole, which is what the engine never does: only what
/// is still there behind it tells a torn end from a hole. Of damage up to the next whole record the
/// first is told. Zeros up to the end of the file are space that was allocated ahead, and no
/// damage. An error is one of reading.
Result<LogExtent> read_log_file(const Files& files, const std::string& path,
                                const LogVisitor& visitor);

}  // namespace holdfast::journal
