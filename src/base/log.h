// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string_view>

namespace spdlog {
class logger;
}

namespace holdfast::base {

/// A place for log lines: the embedder's spdlog logger, or nowhere. A value.
/// Text from events is written with control characters escaped, so that a payload cannot forge
/// lines or drive a terminal. Threads: any.
class Log {
 public:
  Log() = default;
  explicit Log(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

  void info(std::string_view text) const;
  void warn(std::string_view text) const;
  void error(std::string_view text) const;

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace holdfast::base
