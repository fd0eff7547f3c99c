// SPDX-License-Identifier: MIT
#include "journal/rocks/status_map.h"

#include <gtest/gtest.h>

namespace holdfast::journal {
namespace {

using Engine = rocksdb::Status;

StatusCode code_of(const Engine& status) { return from_rocks(status, "reading").code(); }

TEST(StatusMapTest, OkStaysOk) { EXPECT_TRUE(from_rocks(Engine::OK(), "reading").ok()); }

TEST(StatusMapTest, WhatIsNotAsItWasWrittenIsDamage) {
  EXPECT_EQ(code_of(Engine::Corruption("a block")), StatusCode::data_loss);
  EXPECT_EQ(code_of(Engine::NotFound("a key that must be there")), StatusCode::data_loss);
  EXPECT_EQ(code_of(Engine::TryAgain("a log that ends")), StatusCode::data_loss);
  EXPECT_EQ(code_of(Engine::PathNotFound("a table")), StatusCode::data_loss);
}

// An embedder who takes `unavailable` for damage would throw away a journal that is whole.
TEST(StatusMapTest, WhatMayWorkTheNextTimeIsNoDamage) {
  EXPECT_EQ(code_of(Engine::IOError("Input/output error")), StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::NoSpace()), StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::TimedOut()), StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::Aborted()), StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::ShutdownInProgress()), StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::Incomplete()), StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::Busy()), StatusCode::locked);
}

TEST(StatusMapTest, AFileThatCannotBeOpenedIsNoWrongOption) {
  EXPECT_EQ(code_of(Engine::InvalidArgument("x: IO error: no permission")),
            StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::InvalidArgument("Direct I/O is not supported by the file system")),
            StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::InvalidArgument("options incompatible with filesystem")),
            StatusCode::unavailable);
  EXPECT_EQ(code_of(Engine::InvalidArgument("comparator")), StatusCode::invalid_argument);
}

TEST(StatusMapTest, WhatTheEngineCannotDoAndWhatNobodyThoughtOf) {
  EXPECT_EQ(code_of(Engine::NotSupported("a format")), StatusCode::unimplemented);
  EXPECT_EQ(code_of(Engine::MergeInProgress()), StatusCode::internal);
}

TEST(StatusMapTest, TheMessageSaysWhatWasDoneAndTheWordsOfTheEngine) {
  const auto status = from_rocks(Engine::Corruption("block 7"), "reading 000012.sst");
  EXPECT_EQ(status.message(), "reading 000012.sst: Corruption: block 7");
}

}  // namespace
}  // namespace holdfast::journal
