// SPDX-License-Identifier: MIT
#include "journal/rocks/keys.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::journal {
namespace {

using model::SubscriptionId;

std::string hex(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out.append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
  }
  return out;
}

// On disk since format 1: these bytes never change.
TEST(Keys, HaveTheBytesThatTheFormatSays) {
  const EventId event{Priority::low, 0x0102030405060708};
  EXPECT_EQ(hex(keys::event(event)), "65030102030405060708");
  EXPECT_EQ(hex(keys::subscription({0x01020304})), "6e01020304");
  EXPECT_EQ(hex(keys::cursor({1}, Priority::normal)), "630000000102");
  EXPECT_EQ(hex(keys::settlement({1}, event)), "7300000001030102030405060708");
  EXPECT_EQ(hex(keys::parked({1}, event)), "7000000001030102030405060708");
  EXPECT_EQ(hex(keys::dead_letter({1}, event)), "6400000001030102030405060708");
  EXPECT_EQ(hex(keys::state("ab", "c")), "7561620063");
  EXPECT_EQ(hex(keys::lost_range(Priority::high, 2)), "6d6c010000000000000002");
  EXPECT_EQ(hex(keys::retention_mark(Priority::high, 2)), "6d72010000000000000002");
  EXPECT_EQ(hex(keys::idempotency("ab")), "6b6b6162");
  EXPECT_EQ(hex(keys::idempotency_use(2)), "6b750000000000000002");
  EXPECT_EQ(keys::kIdempotencyRange, "kr");
  EXPECT_EQ(keys::kJournal, "mj");
  EXPECT_EQ(keys::kCommit, "mc");
  EXPECT_EQ(keys::kResumed, "mo");
  EXPECT_EQ(keys::kPausedTypes, "mp");
}

TEST(Keys, SortAsWhatTheyName) {
  std::vector<std::string> sorted;
  for (const auto lane : kAllPriorities) {
    for (const std::uint64_t sequence : {1ULL, 255ULL, 256ULL, 1ULL << 32U, ~0ULL}) {
      sorted.push_back(keys::event({lane, sequence}));
    }
  }
  EXPECT_TRUE(std::is_sorted(sorted.begin(), sorted.end()));
  EXPECT_LT(keys::settlement({1}, {Priority::low, 9}), keys::settlement({2}, {Priority::high, 1}));
}

TEST(Keys, AreTakenApartAgain) {
  const EventId event{Priority::high, 77};
  const auto settlement = keys::parse(keys::settlement({9}, event));
  ASSERT_TRUE(settlement);
  EXPECT_EQ(settlement->table, keys::Table::settlement);
  EXPECT_EQ(settlement->subscription, SubscriptionId{9});
  EXPECT_EQ(settlement->event, event);
  const std::string state = keys::state("name", std::string("a\0b", 3));
  EXPECT_EQ(keys::parse(state)->name, "name");
  EXPECT_EQ(keys::parse(state)->key, std::string("a\0b", 3));
  EXPECT_EQ(keys::parse(keys::cursor({9}, Priority::low))->event.priority, Priority::low);
  EXPECT_EQ(keys::parse(keys::event(event))->event, event);
  EXPECT_EQ(keys::parse_lost_range(keys::lost_range(Priority::high, 77)), event);
  EXPECT_EQ(keys::parse_retention_mark(keys::retention_mark(Priority::high, 77)), event);
  EXPECT_FALSE(keys::parse_lost_range(keys::retention_mark(Priority::high, 77)));
  const std::string key("a\0\xff", 3);
  EXPECT_EQ(keys::parse(keys::idempotency(key))->table, keys::Table::idempotency);
  EXPECT_EQ(keys::parse_idempotency(keys::idempotency(key)), key);
  EXPECT_EQ(keys::parse_idempotency_use(keys::idempotency_use(77)), 77U);
  EXPECT_FALSE(keys::parse_idempotency(keys::idempotency_use(77)));
  EXPECT_TRUE(keys::parse(keys::kIdempotencyRange));
}

TEST(Keys, OfNoTableOrOfAnotherLengthAreRefused) {
  for (const std::string& key :
       {std::string(), std::string("x1"), std::string("t"), std::string("e"), std::string("m"),
        std::string("mx"), std::string("uname"), keys::event({Priority::low, 1}) + "x",
        keys::event({Priority::low, 1}).substr(0, 9), keys::cursor({1}, Priority::low) + "x",
        keys::idempotency(""), keys::idempotency_use(1) + "x", std::string("krx"),
        std::string("kx"), std::string("e\4\0\0\0\0\0\0\0\1", 10),
        keys::lost_range(Priority::low, 1) + "x"}) {
    EXPECT_FALSE(keys::parse(key)) << hex(key);
  }
}

TEST(Keys, TheEndOfAPrefixIsBehindAllThatBeginWithIt) {
  EXPECT_EQ(keys::end_of("ab"), "ac");
  EXPECT_EQ(keys::end_of(std::string("a\xff\xff", 3)), "b");
  const auto prefix = keys::of_subscription(keys::Table::cursor, {0xffffffff});
  EXPECT_LT(keys::cursor({0xffffffff}, Priority::low), keys::end_of(prefix));
}

}  // namespace
}  // namespace holdfast::journal
