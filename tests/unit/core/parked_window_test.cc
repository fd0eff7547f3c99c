// SPDX-License-Identifier: MIT
#include "core/parked_window.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

using Key = ParkedWindow::Key;

model::DueRecord record(Key key) {
  return {.subscription = {1},
          .event = {Priority::normal, key.sequence},
          .due = key.due,
          .attempts = 1};
}

class ParkedWindowTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kLimit = 4;

  void add(Key key) { window_.add(key, {.attempts = 1}, kLimit); }
  /// Everything that is due by then, in the order it comes.
  std::vector<Key> due(base::BusTime now) {
    std::vector<Key> keys;
    while (auto next = window_.take_due(now)) keys.push_back(next->first);
    return keys;
  }
  /// Reads the next `count` of what is on disk, as if it were still as it was when reading began.
  void refill(Key from, std::size_t count) {
    std::vector<model::DueRecord> records;
    std::optional<Key> reached;
    for (const auto& key : disk_) {
      if (key < from) continue;
      if (records.size() == count) {
        reached = key;
        break;
      }
      records.push_back(record(key));
    }
    window_.refilled(from, records, reached, [this](EventId event) {
      return std::find(known_.begin(), known_.end(), event.sequence) != known_.end();
    });
  }

  ParkedWindow window_;
  std::vector<Key> disk_;
  std::vector<model::Sequence> known_;
};

TEST_F(ParkedWindowTest, GivesWhatIsDueFirstAndNothingBeforeItsTime) {
  window_.open(false, std::numeric_limits<model::DueTime>::min());
  for (const Key key : {Key{7, 1}, Key{3, 2}, Key{7, 0}, Key{9, 4}}) add(key);
  EXPECT_EQ(window_.next_due(), 3);
  EXPECT_TRUE(due(2).empty());
  EXPECT_EQ(due(8), (std::vector<Key>{{3, 2}, {7, 0}, {7, 1}}));
  EXPECT_EQ(window_.next_due(), 9);
}

TEST_F(ParkedWindowTest, WhatIsDueLastMakesRoomForWhatIsDueSooner) {
  window_.open(false, std::numeric_limits<model::DueTime>::min());
  for (base::BusTime i = 0; i < 10; ++i) add({100 - i, 1});
  EXPECT_EQ(window_.size(), kLimit);
  EXPECT_EQ(window_.next_due(), 91);
  EXPECT_FALSE(window_.is_behind(94));
  EXPECT_TRUE(window_.is_behind(95)) << "that one is on disk alone";
  add({96, 2});
  EXPECT_EQ(due(1'000), (std::vector<Key>{{91, 1}, {92, 1}, {93, 1}, {94, 1}}));
}

TEST_F(ParkedWindowTest, WhatIsOnDiskIsReadOnceThereIsRoom) {
  disk_ = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}};
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  EXPECT_TRUE(window_.is_behind(0));
  ASSERT_TRUE(window_.wants_refill(0, kLimit));
  const auto from = window_.begin_refill();
  EXPECT_FALSE(window_.wants_refill(0, kLimit)) << "one reading at a time";
  refill(from, 3);
  EXPECT_FALSE(window_.wants_refill(2, kLimit));
  EXPECT_EQ(due(10), (std::vector<Key>{{1, 1}, {2, 2}, {3, 3}}));
  ASSERT_TRUE(window_.wants_refill(1, kLimit));
  refill(window_.begin_refill(), 3);
  EXPECT_EQ(due(10), (std::vector<Key>{{4, 4}, {5, 5}}));
  EXPECT_FALSE(window_.is_behind(1'000'000)) << "these were all";
  EXPECT_FALSE(window_.wants_refill(0, kLimit));
}

TEST_F(ParkedWindowTest, WhatIsParkedWhileItReadsIsNotForgotten) {
  disk_ = {{5, 5}, {50, 50}, {90, 90}};
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  const auto from = window_.begin_refill();
  add({10, 10});  // before what the reading reaches, and not in what it saw
  add({70, 70});  // behind: the next reading finds it
  refill(from, 2);
  disk_.insert(disk_.begin() + 2, {70, 70});
  EXPECT_EQ(due(60), (std::vector<Key>{{5, 5}, {10, 10}, {50, 50}}));
  refill(window_.begin_refill(), 9);
  EXPECT_EQ(due(100), (std::vector<Key>{{70, 70}, {90, 90}}));
}

TEST_F(ParkedWindowTest, WhatIsSettledWhileItReadsDoesNotComeBack) {
  disk_ = {{5, 5}, {6, 6}, {7, 7}};
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  const auto from = window_.begin_refill();
  window_.remove({6, 6});
  refill(from, 9);
  EXPECT_EQ(due(100), (std::vector<Key>{{5, 5}, {7, 7}}));
}

TEST_F(ParkedWindowTest, WhatIsReadIsAsItWasStored) {
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  const auto from = window_.begin_refill();
  auto stored = record({5, 5});
  stored.attempts = 3;
  stored.suspect = stored.started = stored.cleanup = true;
  window_.refilled(from, {record({4, 4}), stored}, std::nullopt, [](EventId) { return false; });
  const auto plain = window_.take_due(5);
  ASSERT_TRUE(plain.has_value());
  EXPECT_FALSE(plain->second.suspect || plain->second.started || plain->second.cleanup);
  const auto read = window_.take_due(5);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->second.attempts, 3U);
  EXPECT_TRUE(read->second.suspect && read->second.started && read->second.cleanup);
}

TEST_F(ParkedWindowTest, WhatIsWithAHandlerIsNotReadAgain) {
  disk_ = {{5, 5}, {6, 6}};
  known_ = {5};
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  refill(window_.begin_refill(), 9);
  EXPECT_EQ(due(100), (std::vector<Key>{{6, 6}}));
}

TEST_F(ParkedWindowTest, AReadingIsVoidWhenOthersHadToMakeRoomMeanwhile) {
  disk_ = {{50, 1}, {51, 2}};
  window_.open(false, std::numeric_limits<model::DueTime>::min());
  for (const Key key : {Key{1, 1}, Key{2, 2}, Key{3, 3}, Key{4, 4}, Key{50, 1}}) add(key);
  const auto from = window_.begin_refill();
  add({0, 9});
  refill(from, 9);
  EXPECT_EQ(due(3), (std::vector<Key>{{0, 9}, {1, 1}, {2, 2}, {3, 3}}));
  EXPECT_TRUE(window_.is_behind(4)) << "that one has made room and must be read again";
  EXPECT_TRUE(due(100).empty());
}

TEST_F(ParkedWindowTest, WhatCannotBeReadForGoodStaysOnDiskUntilItIsOpenedAgain) {
  disk_ = {{5, 5}};
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  window_.begin_refill();
  window_.refill_failed(false);
  EXPECT_TRUE(window_.is_behind(0)) << "it is tried another time";
  window_.begin_refill();
  window_.refill_failed(true);
  EXPECT_FALSE(window_.is_behind(0));
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  refill(window_.begin_refill(), 9);
  EXPECT_EQ(due(100), (std::vector<Key>{{5, 5}}));
}

TEST_F(ParkedWindowTest, AReadingIsVoidWhenAnEarlierOneFailedForGoodMeanwhile) {
  disk_ = {{5, 5}};
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  const auto from = window_.begin_refill();
  window_.refill_failed(true);
  refill(from, 9);
  EXPECT_TRUE(due(100).empty());
}

TEST_F(ParkedWindowTest, WhatIsNotInMemoryCannotBeTakenOutOfIt) {
  window_.open(false, std::numeric_limits<model::DueTime>::min());
  add({5, 5});
  EXPECT_FALSE(window_.take({5, 6}).has_value());
  EXPECT_TRUE(window_.take({5, 5}).has_value());
  EXPECT_FALSE(window_.take({5, 5}).has_value());
}

TEST_F(ParkedWindowTest, ClosedItKeepsNothing) {
  window_.open(false, std::numeric_limits<model::DueTime>::min());
  add({1, 1});
  window_.close();
  add({2, 2});
  EXPECT_TRUE(due(100).empty());
  EXPECT_FALSE(window_.next_due().has_value());
  window_.open(true, std::numeric_limits<model::DueTime>::min());
  EXPECT_TRUE(window_.is_behind(0));
}

TEST_F(ParkedWindowTest, OfAnEphemeralSubscriptionNothingIsOnDiskToComeBack) {
  window_.open(false, std::numeric_limits<model::DueTime>::min());
  const auto chunk = testing::make_chunk({Priority::normal, 1}, 1);
  for (base::BusTime i = 0; i < 10; ++i)
    window_.add({i, 1}, {.attempts = 1, .chunk = chunk}, kLimit);
  EXPECT_EQ(due(100).size(), 10U);
}

}  // namespace
}  // namespace holdfast::core
