// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::tool {

/// Cuts bytes, as they arrive, into lines, and never holds more than one line of `line_bytes_max`:
/// of a longer one the rest is counted and thrown away. Threads: one.
class LineReader {
 public:
  struct Line {
    std::string_view text;    ///< Without its end, LF or CRLF. Valid until the next call.
    std::uint64_t number;     ///< From 1.
    std::uint64_t bytes;      ///< Of the line. More than `text` has: it was too long.
    bool is_complete = true;  ///< False for a last line that has no end.
    [[nodiscard]] bool is_too_long() const noexcept { return bytes > text.size() && text.empty(); }
  };

  explicit LineReader(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  /// Adds what was read. Only after `next` has given all lines there were.
  void feed(std::string_view bytes);
  /// No more comes: what is left is the last line.
  void finish() { is_finished_ = true; }
  /// The next line; nothing when more has to be fed first, or, once finished, at the end.
  std::optional<Line> next();

 private:
  Line take(std::string_view line, std::uint64_t bytes, bool is_complete);

  const std::size_t line_bytes_max_;
  std::string partial_;          // The beginning of a line that was not fed to its end.
  std::uint64_t discarded_ = 0;  // Bytes of a line too long, `partial_` is empty then.
  std::string_view fresh_;       // What was fed and not looked at.
  std::string line_;             // Backs the line given last, if it came in pieces.
  std::uint64_t number_ = 0;
  bool is_finished_ = false;
};

}  // namespace holdfast::tool
