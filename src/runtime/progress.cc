// SPDX-License-Identifier: MIT
#include "runtime/progress.h"

#include <algorithm>
#include <cmath>

#include "holdfast/options.h"

namespace holdfast::internal {

std::string_view cut(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max) return text;
  auto end = bytes_max;
  const auto continues = [&] { return (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U; };
  while (end + 4 > bytes_max && end > 0 && continues()) --end;
  return text.substr(0, end);
}

void Progress::tell(double fraction, std::string_view note) {
  if (std::isnan(fraction)) return;
  const std::lock_guard lock(mutex_);
  told_.fraction = std::clamp(fraction, 0.0, 1.0);
  told_.note = cut(note, kProgressNoteBytesMax);
  is_told_ = true;
}

Progress::Told Progress::told() const {
  if (!is_told_) return {};
  const std::lock_guard lock(mutex_);
  return told_;
}

void Progress::reset() {
  if (!is_told_) return;
  const std::lock_guard lock(mutex_);
  told_ = {};
  is_told_ = false;
}

}  // namespace holdfast::internal
