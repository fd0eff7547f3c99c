// SPDX-License-Identifier: MIT
#include "indexer/progress.h"

#include <algorithm>
#include <iostream>
#include <unistd.h>

namespace indexer {

Progress::Progress() : is_terminal_(isatty(STDOUT_FILENO) == 1) {}

void Progress::draw(std::uint64_t done, std::uint64_t total, std::string_view note) {
  if (!is_terminal_ || total == 0) return;
  constexpr std::uint64_t kWidth = 40;
  const auto filled = std::min(kWidth, done * kWidth / total);
  std::cout << "\r[" << std::string(filled, '#') << std::string(kWidth - filled, '.') << "] "
            << done << " of " << total << " files" << note << "\x1b[K" << std::flush;
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) std::cout << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

std::string printable(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    if (byte == '\n') {
      text += "\\n";
    } else if (byte == '\\') {
      text += "\\\\";
    } else if (value >= 0x20 && value < 0x7f) {
      text += byte;
    } else {
      text += "\\x";
      text += "0123456789abcdef"[value >> 4U];
      text += "0123456789abcdef"[value & 15U];
    }
  }
  return text;
}

}  // namespace indexer
