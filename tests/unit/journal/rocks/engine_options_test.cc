// SPDX-License-Identifier: MIT
#include "journal/rocks/engine_options.h"

#include <sys/resource.h>

#include <gtest/gtest.h>

#include "support/limits.h"

namespace holdfast::journal {
namespace {

int open_files_with_a_limit_of(std::uint64_t limit) {
  testing::limit_descriptors(limit);
  const auto engine = make_engine_options({.memory_bytes = std::size_t{32} << 20U});
  testing::unlimit_descriptors();
  return engine.options.max_open_files;
}

TEST(EngineOptionsTest, TablesLeaveMostOfALowLimitOfDescriptorsToOthers) {
  EXPECT_EQ(open_files_with_a_limit_of(1'024), 256);
  EXPECT_EQ(open_files_with_a_limit_of(576), 256);
  EXPECT_EQ(open_files_with_a_limit_of(256), 96);
  EXPECT_EQ(open_files_with_a_limit_of(128), 32);
  EXPECT_EQ(open_files_with_a_limit_of(64), 20) << "the engine takes no fewer";
}

}  // namespace
}  // namespace holdfast::journal
