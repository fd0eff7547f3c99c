// SPDX-License-Identifier: MIT
#include "base/checksum.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

// From the published test vectors of XXH3 and a second implementation: a library that computed
// anything else could not read the journals of today.
TEST(Checksum, IsXxh3AndFrozen) {
  EXPECT_EQ(checksum(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(checksum("a"), 0xe6c632b61e964e1fULL);
  EXPECT_EQ(checksum("abc"), 0x78af5f94892f3950ULL);
}

TEST(Checksum, ChangesWithEachBitAndWithTheSeed) {
  std::string bytes(300, 'x');
  std::set<std::uint64_t> seen{checksum(bytes), checksum(bytes, 1)};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      seen.insert(checksum(bytes));
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
    }
  }
  EXPECT_EQ(seen.size(), 2 + 8 * bytes.size());
}

TEST(Checksum, ShortFormIsItsLowerHalf) {
  EXPECT_EQ(checksum32("abc", 7), static_cast<std::uint32_t>(checksum("abc", 7)));
}

}  // namespace
}  // namespace holdfast::base
