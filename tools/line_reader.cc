// SPDX-License-Identifier: MIT
#include "tools/line_reader.h"

#include <utility>

namespace holdfast::tool {

void LineReader::feed(std::string_view bytes) { fresh_ = bytes; }

LineReader::Line LineReader::take(std::string_view line, std::uint64_t bytes, bool is_complete) {
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
    --bytes;
  }
  return {line, ++number_, bytes, is_complete};
}

std::optional<LineReader::Line> LineReader::next() {
  // Gives the memory of a long line back.
  if (!line_.empty()) line_ = std::string();
  const auto end = fresh_.find('\n');
  const bool has_end = end != std::string_view::npos;
  const auto piece = fresh_.substr(0, end);
  fresh_.remove_prefix(has_end ? end + 1 : fresh_.size());

  if (discarded_ > 0 || partial_.size() + piece.size() > line_bytes_max_) {
    discarded_ += partial_.size() + piece.size();
    partial_ = std::string();
    if (!has_end && !is_finished_) return std::nullopt;
    return take({}, std::exchange(discarded_, 0), has_end);
  }
  if (has_end && partial_.empty()) return take(piece, piece.size(), true);
  partial_ += piece;
  if (!has_end && (!is_finished_ || partial_.empty())) return std::nullopt;
  line_ = std::exchange(partial_, std::string());
  return take(line_, line_.size(), has_end);
}

}  // namespace holdfast::tool
