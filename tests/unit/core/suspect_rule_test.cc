// SPDX-License-Identifier: MIT
// What was running when the process died, and the order of those that have an ordering key.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/rule_bench.h"

namespace holdfast::core {
namespace {

class SuspectRule : public ::testing::Test, protected holdfast::testing::RuleBench {
 protected:
  /// All in one commit, each with the ordering key "k".
  std::vector<EventId> publish(const std::vector<Priority>& lanes) {
    model::EncodedEvents encoded;
    for (const auto lane : lanes) {
      encoded.add({.type = "a", .payload = {}, .priority = lane, .ordering_key = "k"}, now_.wall);
    }
    std::vector<EventId> ids;
    commit([&](CommitPlan& plan) { plan.publish(encoded, false, ids); });
    return ids;
  }
  /// The first is handled, the second is with its handler when the process dies, and the answer to
  /// the first is not written yet.
  void die_with_the_answer_of(EventId first, EventId second) {
    const auto before = store_;
    ASSERT_EQ(take_and_answer(), first);
    const auto lease = take();
    ASSERT_TRUE(lease.has_value());
    ASSERT_EQ(lease->event, second);
    store_ = before;
    start();
    core::detach(*ledger_, *state_);
    commit([&](CommitPlan& plan) {
      EXPECT_FALSE(plan.accuse({.subscription = state_->record.id,
                                .event = second,
                                .chunk = chunk_of(second),
                                .counted = true}));
    });
    start();
  }
  ChunkPtr chunk_of(EventId event) {
    return std::prev(store_.chunks[event.priority].upper_bound(event.sequence))->second;
  }
  EventId take_and_answer() {
    const auto lease = take();
    if (!lease.has_value()) return {};
    suspect_ = lease->suspect;
    answer(*lease);
    return lease->event;
  }

  bool suspect_ = false;
};

TEST_F(SuspectRule, OfAKeyComesAfterWhatIsOwedAgainInAnotherLane) {
  subscribe();
  const auto first = publish({Priority::low}).front();
  const auto second = publish({Priority::critical}).front();
  die_with_the_answer_of(first, second);
  EXPECT_EQ(take_and_answer(), first);
  EXPECT_FALSE(suspect_);
  EXPECT_EQ(take_and_answer(), second);
  EXPECT_TRUE(suspect_);
  EXPECT_EQ(take_and_answer(), EventId{});
}

TEST_F(SuspectRule, OfAKeyComesAfterWhatIsOwedAgainInItsOwnLane) {
  subscribe();
  const auto ids = publish({Priority::normal, Priority::normal, Priority::normal});
  die_with_the_answer_of(ids[0], ids[1]);
  EXPECT_EQ(take_and_answer(), ids[0]);
  EXPECT_EQ(take_and_answer(), ids[1]);
  EXPECT_TRUE(suspect_);
  EXPECT_EQ(take_and_answer(), ids[2]);
}

TEST_F(SuspectRule, OfAKeyStillComesAfterItWhenTheProcessDiesOnceMore) {
  subscribe();
  const auto first = publish({Priority::low}).front();
  const auto second = publish({Priority::critical}).front();
  die_with_the_answer_of(first, second);
  start();
  EXPECT_EQ(take_and_answer(), first);
  EXPECT_EQ(take_and_answer(), second);
}

}  // namespace
}  // namespace holdfast::core
