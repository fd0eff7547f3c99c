// SPDX-License-Identifier: MIT
#include "journal/rocks/engine_log.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <string>

namespace holdfast::journal {

namespace {

class EngineLog final : public rocksdb::Logger {
 public:
  // The level is given because its default depends on how the embedding program was compiled.
  explicit EngineLog(base::Log log)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(std::move(log)) {}

  using rocksdb::Logger::Logv;
  __attribute__((format(printf, 2, 0))) void Logv(const char* format, va_list arguments) override {
    write(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }
  __attribute__((format(printf, 3, 0))) void Logv(rocksdb::InfoLogLevel level, const char* format,
                                                  va_list arguments) override {
    write(level, format, arguments);
  }

 private:
  __attribute__((format(printf, 3, 0))) void write(rocksdb::InfoLogLevel level, const char* format,
                                                   va_list arguments) const {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level == rocksdb::InfoLogLevel::HEADER_LEVEL) {
      return;
    }
    std::array<char, 1024> line{};
    std::vsnprintf(line.data(), line.size(), format, arguments);
    const auto text = std::string("rocksdb: ") + line.data();
    if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
      log_.warn(text);
    } else {
      log_.error(text);
    }
  }

  base::Log log_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> make_engine_log(const base::Log& log) {
  return std::make_shared<EngineLog>(log);
}

}  // namespace holdfast::journal
