// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <string>

#include <spdlog/logger.h>

namespace holdfast::base {

namespace {

std::string escaped(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      line += c;
    } else {
      line.append("\\x").append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
    }
  }
  return line;
}

void write(spdlog::logger* logger, spdlog::level::level_enum level, std::string_view text) {
  if (logger != nullptr && logger->should_log(level)) logger->log(level, escaped(text));
}

}  // namespace

void Log::info(std::string_view text) const { write(logger_.get(), spdlog::level::info, text); }
void Log::warn(std::string_view text) const { write(logger_.get(), spdlog::level::warn, text); }
void Log::error(std::string_view text) const { write(logger_.get(), spdlog::level::err, text); }

}  // namespace holdfast::base
