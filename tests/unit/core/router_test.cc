// SPDX-License-Identifier: MIT
#include "core/router.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::core {
namespace {

using holdfast::testing::make_chunk;

class RouterTest : public ::testing::Test {
 protected:
  SubscriptionState& add(std::vector<std::string> types, bool durable = true, Match match = {}) {
    auto& state = *states_.emplace_back(std::make_unique<SubscriptionState>());
    state.record.id = {static_cast<std::uint32_t>(states_.size())};
    state.record.filter = {std::move(types), std::move(match)};
    state.interest = std::make_shared<const Interest>(state.record);
    state.durable = durable;
    router_.add(&state);
    return state;
  }

  /// Which sequences go to whom; and that each route is one run without a hole.
  std::map<std::uint32_t, std::vector<Sequence>> route(const ChunkPtr& chunk) {
    std::map<std::uint32_t, std::vector<Sequence>> wanted;
    claimed_.clear();
    visited_.clear();
    for (const auto& route : router_.route(chunk, [&](Sequence sequence, bool claimed) {
           visited_.push_back(sequence);
           if (claimed) claimed_.insert(sequence);
         })) {
      EXPECT_EQ(route.span.chunk, chunk);
      EXPECT_LT(route.span.next, route.span.end);
      for (auto i = route.span.next; i < route.span.end; ++i)
        wanted[route.subscription.value].push_back(i);
    }
    return wanted;
  }

  Router router_;
  std::vector<std::unique_ptr<SubscriptionState>> states_;
  std::set<Sequence> claimed_;
  std::vector<Sequence> visited_;
};

using Wanted = std::map<std::uint32_t, std::vector<Sequence>>;

TEST_F(RouterTest, GivesEachSubscriptionWhatItWantsInOrder) {
  add({"a.*"});
  add({">"});
  add({"c"});
  const auto chunk = make_chunk({Priority::normal, 10}, {"a.x", "a.y", "b", "a.x", "c"});
  EXPECT_EQ(route(chunk), (Wanted{{1, {10, 11, 13}}, {2, {10, 11, 12, 13, 14}}, {3, {14}}}));
  EXPECT_EQ(visited_, (std::vector<Sequence>{10, 11, 12, 13, 14}));
}

TEST_F(RouterTest, ClaimedIsOnlyWhatADurableSubscriptionWants) {
  add({"a.*"});
  add({"b"}, false);
  route(make_chunk({Priority::normal, 1}, {"a.x", "b", "c"}));
  EXPECT_EQ(claimed_, (std::set<Sequence>{1}));
}

TEST_F(RouterTest, LooksInsideWhenAskedTo) {
  add({}, true, {.priorities = {Priority::high}});
  EXPECT_TRUE(route(make_chunk({Priority::normal, 1}, 3)).empty());
  EXPECT_EQ(route(make_chunk({Priority::high, 1}, 3)), (Wanted{{1, {1, 2, 3}}}));
}

TEST_F(RouterTest, SeesSubscriptionsThatComeGoAndChange) {
  const auto chunk = make_chunk({Priority::normal, 1}, {"a", "b"});
  EXPECT_TRUE(route(chunk).empty());
  auto& first = add({"a"});
  EXPECT_EQ(route(chunk), (Wanted{{1, {1}}}));
  add({"b"});
  EXPECT_EQ(route(chunk), (Wanted{{1, {1}}, {2, {2}}}));
  first.record.filter.types = {"b"};
  first.interest = std::make_shared<const Interest>(first.record);
  router_.forget();
  EXPECT_EQ(route(chunk), (Wanted{{1, {2}}, {2, {2}}}));
  router_.remove(&first);
  EXPECT_EQ(route(chunk), (Wanted{{2, {2}}}));
}

TEST_F(RouterTest, StaysRightWithMoreTypesThanItRemembers) {
  add({"even.>"});
  for (int i = 0; i < 10'000; ++i) {
    const auto type = (i % 2 == 0 ? "even." : "odd.") + std::to_string(i);
    const auto chunk = make_chunk({Priority::normal, 1}, {type});
    ASSERT_EQ(route(chunk).size(), i % 2 == 0 ? 1U : 0U) << i;
  }
}

// What an event is owed to must not depend on whether it is routed when it is published or read
// again later: both follow the start and the earlier filters.
TEST_F(RouterTest, DoesNotRouteWhatLiesBeforeAStartOrWasNotWantedEarlier) {
  auto& late = add({">"});
  late.record.start[Priority::normal] = 3;
  late.interest = std::make_shared<const Interest>(late.record);
  auto& changed = add({"a"});
  changed.record.earlier.push_back({{{"b"}, {}}, {{1, 1, 3, 1}}});
  changed.interest = std::make_shared<const Interest>(changed.record);
  router_.forget();
  EXPECT_EQ(route(make_chunk({Priority::normal, 1}, {"a", "a", "a", "a"})),
            (Wanted{{1, {3, 4}}, {2, {3, 4}}}));
  EXPECT_EQ(claimed_, (std::set<Sequence>{3, 4}));
}

}  // namespace
}  // namespace holdfast::core
