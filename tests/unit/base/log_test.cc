// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <memory>
#include <sstream>

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

namespace holdfast::base {
namespace {

TEST(Log, WritesNowhereByDefault) {
  const Log log;
  log.error("nobody hears this");
}

TEST(Log, EscapesControlCharactersSoThatAPayloadCannotForgeALine) {
  std::ostringstream out;
  const auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger->set_pattern("%v");
  const Log log(logger);
  log.warn("first\nsecond\x1b[31m\x7f {} %s \xc3\xa9");
  EXPECT_EQ(out.str(), "first\\x0asecond\\x1b[31m\\x7f {} %s \xc3\xa9\n");
}

TEST(Log, FollowsTheLevelOfItsLogger) {
  std::ostringstream out;
  const auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger->set_pattern("%l %v");
  logger->set_level(spdlog::level::warn);
  const Log log(logger);
  log.info("a");
  log.warn("b");
  log.error("c");
  EXPECT_EQ(out.str(), "warning b\nerror c\n");
}

}  // namespace
}  // namespace holdfast::base
