// SPDX-License-Identifier: MIT
// What is owed for long must not keep all that was published since.
#include <chrono>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

constexpr std::uint64_t kPassing = 70'000;

class HoldingBack : public BusTest {
 protected:
  HoldingBack() {
    options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
    options.unclaimed_retention = options.retention;
  }
  /// Events that nobody wants, so many that they are not kept for a few old ones.
  void pass_by() {
    for (std::uint64_t i = 0; i < kPassing; i += 1'000) publish_many("noise", 1'000);
  }
  [[nodiscard]] std::uint64_t waiting_for(std::string_view subscription) const {
    const auto& lane = stats_of(subscription).lanes[2];
    return lane.ready + lane.leased + lane.scheduled;
  }
  [[nodiscard]] std::uint64_t trimmed() const { return bus->stats().lanes[2].trimmed; }
};
HOLDFAST_ON_BOTH_STORES(HoldingBack);

TEST_P(HoldingBack, OfAFewEventsForWhoIsNotThereKeepsTheseAlone) {
  open();
  must(bus->subscribe({.name = "gone", .types = {"held"}}, [](Delivery&) {})).end();
  std::vector<EventId> held;
  for (const auto* payload : {"a", "b", "c"}) held.push_back(publish("held", payload).id);
  pass_by();
  ASSERT_TRUE(eventually([&] { return trimmed() > kPassing / 2; }));
  EXPECT_EQ(waiting_for("gone"), 3U);
  EXPECT_EQ(must(bus->get(held[1]))->event.payload, "b");
  EXPECT_FALSE(must(bus->get({Priority::normal, held[2].sequence + 1})).has_value());
  const auto receipt = must(bus->cancel(held[1]));
  EXPECT_EQ(receipt.outcome, CancelOutcome::prevented);
  if (GetParam() == Store::disk) reopen();
  Runs runs;
  const auto subscription = must(bus->subscribe({.name = "gone", .types = {"held"}},
                                                [&](Delivery& delivery) { runs.note(delivery); }));
  publish("held", "d");
  ASSERT_TRUE(runs.wait_for_count(3));
  EXPECT_EQ(runs.payloads(), (std::vector<std::string>{"a", "c", "d"}));
  EXPECT_EQ(runs.ids().front(), held.front());
}

TEST_P(HoldingBack, OfAnEventThatIsWithItsHandlerForLongKeepsThatAlone) {
  open();
  Runs runs;
  Signal go_on;
  const auto subscription =
      must(bus->subscribe({.name = "slow", .types = {"held"}}, [&](Delivery& delivery) {
        runs.note(delivery);
        go_on.wait();
      }));
  publish("held", "a");
  ASSERT_TRUE(runs.wait_for_count(1));
  pass_by();
  EXPECT_TRUE(eventually([&] { return trimmed() > kPassing / 2; }));
  go_on.set();
  ASSERT_TRUE(eventually([&] { return stats_of("slow").acked == 1; }));
  EXPECT_EQ(waiting_for("slow"), 0U);
  EXPECT_EQ(runs.size(), 1U);
}

}  // namespace
}  // namespace holdfast::testing
