// SPDX-License-Identifier: MIT
#include "core/state_versions.h"

#include <string>

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

StateReads reads(std::string_view name, std::string_view key, std::uint64_t visible,
                 bool prefix = false) {
  StateReads out;
  out.reads.push_back({StateVersions::full_key(name, key), prefix, {visible}});
  return out;
}

TEST(StateVersions, NothingReadNeverConflicts) {
  StateVersions versions;
  versions.note_write("s", "k", {9});
  EXPECT_FALSE(versions.changed_since({}));
}

TEST(StateVersions, AKeyWrittenAfterItWasReadConflicts) {
  StateVersions versions;
  versions.note_write("s", "k", {5});
  EXPECT_FALSE(versions.changed_since(reads("s", "k", 5)));
  EXPECT_TRUE(versions.changed_since(reads("s", "k", 4)));
  EXPECT_FALSE(versions.changed_since(reads("s", "kk", 4)));
  EXPECT_FALSE(versions.changed_since(reads("s", "j", 4)));
  EXPECT_FALSE(versions.changed_since(reads("t", "k", 4)));
  versions.note_write("s", "k", {6});
  EXPECT_TRUE(versions.changed_since(reads("s", "k", 5)));
}

TEST(StateVersions, AScannedPrefixConflictsWithAKeyThatWasNotThereThen) {
  StateVersions versions;
  versions.note_write("s", "user/7", {5});
  EXPECT_TRUE(versions.changed_since(reads("s", "user/", 4, true)));
  EXPECT_FALSE(versions.changed_since(reads("s", "user/", 5, true)));
  EXPECT_TRUE(versions.changed_since(reads("s", "", 4, true)));
  EXPECT_FALSE(versions.changed_since(reads("s", "user/8", 4, true)));
  EXPECT_FALSE(versions.changed_since(reads("s", "zz", 4, true)));
  EXPECT_FALSE(versions.changed_since(reads("t", "", 4, true)));
}

TEST(StateVersions, AnOldWriteUnderThePrefixDoesNotHideANewOne) {
  StateVersions versions;
  versions.note_write("s", "a1", {2});
  versions.note_write("s", "a2", {8});
  EXPECT_TRUE(versions.changed_since(reads("s", "a", 5, true)));
}

TEST(StateVersions, NamesAndKeysCannotBeConfused) {
  StateVersions versions;
  versions.note_write("ab", "c", {5});
  EXPECT_FALSE(versions.changed_since(reads("a", "bc", 1)));
  EXPECT_FALSE(versions.changed_since(reads("a", "", 1, true)));
}

TEST(StateVersions, OneConflictAmongManyReadsIsEnough) {
  StateVersions versions;
  versions.note_write("s", "k", {5});
  auto all = reads("s", "a", 1);
  all.reads.push_back(reads("s", "k", 4).reads[0]);
  all.reads.push_back(reads("s", "z", 1).reads[0]);
  EXPECT_TRUE(versions.changed_since(all));
}

TEST(StateVersions, ForgetsInBoundedMemoryAndThenSaysChanged) {
  StateVersions versions;
  versions.note_write("s", "k", {1});
  std::size_t largest = 0;
  std::uint64_t commit = 1;
  for (int i = 0; i < 200'000; ++i) {
    versions.note_write("s", "other" + std::to_string(i), {++commit});
    largest = std::max(largest, versions.size());
  }
  EXPECT_LE(largest, 65'536U);
  // Whatever was read before anything forgotten is refused; reading afresh is always possible.
  EXPECT_TRUE(versions.changed_since(reads("s", "k", 0)));
  EXPECT_TRUE(versions.changed_since(reads("s", "untouched", 2)));
  EXPECT_FALSE(versions.changed_since(reads("s", "k", commit)));
  EXPECT_FALSE(versions.changed_since(reads("s", "other199999", commit)));
  EXPECT_TRUE(versions.changed_since(reads("s", "other199999", commit - 1)));
}

}  // namespace
}  // namespace holdfast::core
