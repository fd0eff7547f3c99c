// SPDX-License-Identifier: MIT
// The runs that are under way: in their order, by event, and by when the clock looks at them.
#include "runtime/outstanding.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::runtime {
namespace {

using internal::DeliveryState;

class OutstandingRuns : public ::testing::Test {
 protected:
  ~OutstandingRuns() override { outstanding.clear(); }
  DeliveryState& add(Priority lane, model::Sequence sequence) {
    auto& run = *runs.emplace_back(std::make_shared<DeliveryState>());
    run.lease.event = {lane, sequence};
    outstanding.add(run);
    return run;
  }
  std::vector<EventId> in_order() {
    std::vector<EventId> all;
    outstanding.for_each([&](DeliveryState& run) { all.push_back(run.lease.event); });
    return all;
  }
  std::vector<DeliveryState*> of(EventId event) {
    std::vector<DeliveryState*> found;
    outstanding.for_each(event, [&](DeliveryState& run) { found.push_back(&run); });
    return found;
  }
  std::vector<std::shared_ptr<DeliveryState>> runs;  // as the workers keep them
  Outstanding outstanding;
};

TEST_F(OutstandingRuns, AreInTheOrderInWhichTheyBegan) {
  add(Priority::low, 7);
  auto& middle = add(Priority::high, 3);
  add(Priority::normal, 5);
  EXPECT_EQ(in_order(),
            (std::vector<EventId>{{Priority::low, 7}, {Priority::high, 3}, {Priority::normal, 5}}));
  outstanding.remove(middle);
  EXPECT_EQ(in_order(), (std::vector<EventId>{{Priority::low, 7}, {Priority::normal, 5}}));
  outstanding.add(middle);
  EXPECT_EQ(in_order().back(), (EventId{Priority::high, 3}));
}

TEST_F(OutstandingRuns, AreFoundByTheirEventHoweverManyThereAre) {
  for (model::Sequence sequence = 1; sequence <= 1'000; ++sequence) {
    for (const auto lane : kAllPriorities) add(lane, sequence);
  }
  auto& twice = add(Priority::high, 500);
  EXPECT_EQ(outstanding.size(), 4'001U);
  EXPECT_EQ(of({Priority::high, 500}).size(), 2U);
  EXPECT_EQ(of({Priority::low, 500}).size(), 1U);
  EXPECT_TRUE(of({Priority::low, 1'001}).empty());
  outstanding.remove(twice);
  EXPECT_EQ(of({Priority::high, 500}).size(), 1U);
  for (const auto& run : runs) outstanding.remove(*run);
  EXPECT_EQ(outstanding.size(), 0U);
  EXPECT_TRUE(in_order().empty());
}

TEST_F(OutstandingRuns, ThatHaveAnsweredAreNotToldOfAnyMore) {
  auto& run = add(Priority::low, 7);
  run.answered = true;
  EXPECT_TRUE(in_order().empty());
  EXPECT_TRUE(of(run.lease.event).empty());
  EXPECT_EQ(outstanding.first(), &run);
}

TEST_F(OutstandingRuns, AreWatchedByTheirTimeUntilTheyAreTakenOrGone) {
  auto& first = add(Priority::low, 1);
  auto& second = add(Priority::low, 2);
  auto& third = add(Priority::low, 3);
  EXPECT_FALSE(outstanding.next_watch().has_value());
  outstanding.watch(second, 20);
  outstanding.watch(first, 90);
  outstanding.watch(first, 10);
  outstanding.watch(third, 30);
  EXPECT_EQ(outstanding.next_watch(), 10);
  EXPECT_EQ(outstanding.take_due(9), nullptr);
  EXPECT_EQ(outstanding.take_due(15), &first);
  EXPECT_EQ(outstanding.take_due(15), nullptr);
  outstanding.remove(second);
  EXPECT_EQ(outstanding.next_watch(), 30);
  outstanding.unwatch(third);
  EXPECT_FALSE(outstanding.next_watch().has_value());
}

TEST_F(OutstandingRuns, MayBeRemovedTwice) {
  auto& run = add(Priority::low, 1);
  outstanding.remove(run);
  outstanding.remove(run);
  EXPECT_EQ(outstanding.size(), 0U);
}

}  // namespace
}  // namespace holdfast::runtime
