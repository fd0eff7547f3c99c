// SPDX-License-Identifier: MIT
#include "core/sequence_set.h"

#include <vector>

#include <gtest/gtest.h>

namespace holdfast::core {
namespace {

using Sequence = SequenceSet::Sequence;

// What is kept together has the upper half of a sequence in common.
constexpr Sequence kOther = Sequence{1} << 32U;

TEST(SequenceSetTest, HasWhatWasAddedAndNotRemoved) {
  SequenceSet set;
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.contains(7));
  set.add(7);
  set.add(kOther + 7);
  EXPECT_TRUE(set.contains(7));
  EXPECT_FALSE(set.contains(8));
  EXPECT_FALSE(set.contains(2 * kOther + 7));
  EXPECT_EQ(set.size(), 2U);
  set.remove(2 * kOther + 7);
  set.remove(8);
  EXPECT_EQ(set.size(), 2U) << "what is not in it cannot be removed";
  set.remove(7);
  EXPECT_FALSE(set.contains(7));
  set.remove(kOther + 7);
  EXPECT_TRUE(set.empty());
}

TEST(SequenceSetTest, KnowsWhetherAnyOfARangeIsInItBothEndsIncluded) {
  SequenceSet set;
  set.add(10);
  set.add(2 * kOther);
  EXPECT_TRUE(set.has_any(10, 10));
  EXPECT_FALSE(set.has_any(0, 9));
  EXPECT_FALSE(set.has_any(11, 2 * kOther - 1));
  EXPECT_TRUE(set.has_any(11, 2 * kOther));
  EXPECT_TRUE(set.has_any(0, 9 * kOther));
}

TEST(SequenceSetTest, VisitsThoseBelowAnEndAscending) {
  SequenceSet set;
  for (const Sequence each : {kOther + 1, Sequence{3}, kOther, Sequence{1}}) set.add(each);
  std::vector<Sequence> seen;
  set.each_below(kOther + 1, [&](Sequence sequence) { seen.push_back(sequence); });
  EXPECT_EQ(seen, (std::vector<Sequence>{1, 3, kOther}));
}

}  // namespace
}  // namespace holdfast::core
