// SPDX-License-Identifier: MIT
#include "tools/progress.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unistd.h>

#include "tools/output.h"
#include "tools/text.h"

namespace holdfast::tool {

namespace {

constexpr std::size_t kBarColumns = 24;

void draw(std::string_view line) {
  // A terminal that went away is no reason to stop.
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

Progress::Progress(std::uint64_t bytes_total)
    : is_shown_(is_smart_terminal(STDERR_FILENO)), bytes_total_(bytes_total) {}

void Progress::update(std::uint64_t bytes_read, std::uint64_t events) {
  if (!is_shown_) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  std::string line = "\r\x1b[K";
  if (bytes_total_ > 0) {
    const auto share =
        std::min(1.0, static_cast<double>(bytes_read) / static_cast<double>(bytes_total_));
    const auto filled = static_cast<std::size_t>(share * kBarColumns);
    line.append("[").append(filled, '#').append(kBarColumns - filled, '.').append("] ");
    line.append(std::to_string(static_cast<int>(share * 100))).append(" %  ");
  }
  line += plural(events, "event") + "  " + rate(events, now - begun_);
  draw(line);
  is_drawn_ = true;
}

void Progress::clear() {
  if (!is_drawn_) return;
  draw("\r\x1b[K");
  is_drawn_ = false;
}

std::string rate(std::uint64_t events, std::chrono::nanoseconds duration) {
  const auto seconds = std::max(std::chrono::duration<double>(duration).count(), 1e-6);
  const auto per_second = std::llround(static_cast<double>(events) / seconds);
  return per_second == 0 ? "under 1/s"
                         : with_thousands(static_cast<std::uint64_t>(per_second)) + "/s";
}

}  // namespace holdfast::tool
