// SPDX-License-Identifier: MIT
// Idempotency keys: the operations of a commit that write them, and what finds them again.

#include "stores.h"

namespace holdfast::testing {
namespace {

using namespace journal;

class IdempotencyRecords : public JournalTest {
 protected:
  std::optional<model::IdempotencyRecord> find(const std::string& key) {
    auto found = journal_->find(IdempotencyRef{key});
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    if (!found.ok() || !*found) return std::nullopt;
    return std::get<model::IdempotencyRecord>(**found);
  }
  std::vector<model::IdempotencyUse> uses(const IdempotencyUses& spec = {}) {
    return scan_all<model::IdempotencyUse>(*journal_, spec);
  }
  static model::PutIdempotency use(const std::string& key, std::uint64_t number,
                                   std::uint64_t replaces = 0) {
    return {{.key = key,
             .use = number,
             .event = {Priority::high, 70 + number},
             .commit = {40 + number},
             .batch = {5},
             .token = {6},
             .used_at = static_cast<base::BusTime>(900 + number)},
            replaces};
  }
};
HOLDFAST_OVER_ALL_STORES(IdempotencyRecords);

TEST_P(IdempotencyRecords, AKeyIsFoundWithAllThatIsKnownOfItWhateverItsBytes) {
  const std::string odd("\0k\xff", 3);
  ASSERT_TRUE(writer_->commit({use("k", 1), use(odd, 2), use(std::string(255, 'k'), 3)}).ok());
  now_and_after_reopening([&] {
    const auto found = find(odd);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->key, odd);
    EXPECT_EQ(found->use, 2U);
    EXPECT_EQ(found->event, (EventId{Priority::high, 72}));
    EXPECT_EQ(found->commit, CommitNumber{42});
    EXPECT_EQ(found->batch, BatchId{5});
    EXPECT_EQ(found->token, TokenId{6});
    EXPECT_EQ(found->used_at, 902);
    EXPECT_EQ(find("k")->use, 1U);
    EXPECT_EQ(find(std::string(255, 'k'))->use, 3U);
    EXPECT_FALSE(find("kk"));
    EXPECT_FALSE(find(""));
    EXPECT_FALSE(find(std::string("\0k", 2)));
  });
}

TEST_P(IdempotencyRecords, UsesAreScannedByAgeFromOneNumberToAnother) {
  for (std::uint64_t number = 1; number <= 300; ++number) {
    ASSERT_TRUE(writer_->commit({use("k" + std::to_string(1'000 - number), number)}).ok());
  }
  now_and_after_reopening([&] {
    const auto all = uses();
    ASSERT_EQ(all.size(), 300U);
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(all[i].number, i + 1);
      ASSERT_EQ(all[i].key, "k" + std::to_string(999 - i));
      ASSERT_EQ(all[i].used_at, static_cast<base::BusTime>(901 + i));
    }
    const auto some = uses({255, 258});
    ASSERT_EQ(some.size(), 3U);
    EXPECT_EQ(some.front().number, 255U);
    EXPECT_TRUE(uses({301}).empty());
    EXPECT_TRUE(uses({7, 7}).empty());
    EXPECT_TRUE(uses({8, 7}).empty());
  });
}

TEST_P(IdempotencyRecords, AKeyThatIsUsedAnewLeavesItsOldPlace) {
  ASSERT_TRUE(writer_->commit({use("a", 1), use("b", 2)}).ok());
  ASSERT_TRUE(writer_->commit({use("a", 3, 1)}).ok());
  now_and_after_reopening([&] {
    EXPECT_EQ(find("a")->use, 3U);
    const auto all = uses();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].key, "b");
    EXPECT_EQ(all[1].key, "a");
  });
}

TEST_P(IdempotencyRecords, WhatIsErasedIsGoneFromBothPlaces) {
  ASSERT_TRUE(writer_->commit({use("a", 1), use("b", 2)}).ok());
  // Forgotten and used in one commit: in their order.
  ASSERT_TRUE(writer_
                  ->commit({model::EraseIdempotency{1, "a"}, model::EraseIdempotency{2, "b"},
                            use("b", 3, 2)})
                  .ok());
  now_and_after_reopening([&] {
    EXPECT_FALSE(find("a"));
    EXPECT_EQ(find("b")->use, 3U);
    ASSERT_EQ(uses().size(), 1U);
    EXPECT_EQ(uses()[0].number, 3U);
  });
}

TEST_P(IdempotencyRecords, TheRangeIsTheOneThatWasWrittenLast) {
  const auto range = [&] {
    return scan_all<model::IdempotencyRange>(*journal_, IdempotencyRanges{});
  };
  EXPECT_TRUE(range().empty());
  ASSERT_TRUE(writer_->commit({use("a", 1), model::PutIdempotencyRange{{1, 2}}}).ok());
  ASSERT_TRUE(writer_->commit({model::PutIdempotencyRange{{2, 9}}}).ok());
  now_and_after_reopening([&] {
    ASSERT_EQ(range().size(), 1U);
    EXPECT_EQ(range()[0], (model::IdempotencyRange{2, 9}));
  });
}

}  // namespace
}  // namespace holdfast::testing
