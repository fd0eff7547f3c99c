// SPDX-License-Identifier: MIT
// Callbacks run on threads that others wait for: what would wait for itself there is refused.
#include <atomic>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class CallingBack : public BusTest {
 protected:
  /// What every call says that waits for a commit.
  std::vector<Status> calls_that_wait() {
    std::vector<Status> all;
    std::vector<OwnedEvent> events(1, {.type = "a.b", .payload = {}});
    all.push_back(bus->publish("a.b", {}).status());
    all.push_back(bus->publish_batch(events).status());
    all.push_back(bus->subscribe({.name = "t"}, [](Delivery&) {}).status());
    all.push_back(bus->remove_subscription("s"));
    all.push_back(bus->redrive().status());
    all.push_back(bus->wait_settled({Priority::normal, 1}, std::chrono::hours(1)));
    all.push_back(bus->drain());
    all.push_back(bus->close());
    return all;
  }
  static void expect_refused(const std::vector<Status>& all) {
    for (const auto& status : all) EXPECT_TRUE(fails(status, StatusCode::conflict, {"callback"}));
  }
};
HOLDFAST_ON_BOTH_STORES(CallingBack);

TEST_P(CallingBack, FromAPublishNothingWaitsForItself) {
  open();
  for (const auto durability : {Durability::durable, Durability::os}) {
    Collected<std::vector<Status>> said;
    must(bus->publish_async({.type = "a.b"}, [&](const auto&) { said.add(calls_that_wait()); },
                            {.durability = durability}));
    ASSERT_TRUE(said.wait_for_count(1));
    expect_refused(said.all()[0]);
  }
  EXPECT_TRUE(is_ok(bus->publish("a.b", {})));
}

TEST_P(CallingBack, FromOnSettledNothingWaitsForItself) {
  open();
  Collected<std::vector<Status>> said;
  const auto s = must(bus->subscribe(
      {.name = "s", .on_settled = [&](EventId, Settled) { said.add(calls_that_wait()); }},
      [](Delivery&) {}));
  publish("a.b");
  ASSERT_TRUE(said.wait_for_count(1));
  expect_refused(said.all()[0]);
}

TEST_P(CallingBack, MayPublishWithoutWaitingAndIsRefusedWhenTheIntakeIsFull) {
  options.limits.intake_events_max = 32;
  open();
  Collected<Status> said;
  must(bus->publish_async({.type = "a.b"},
                          [&](const auto&) {
                            // It would wait here for room that only this thread can make.
                            Status status;
                            while (status.ok())
                              status = bus->publish_async({.type = "c.d"}, nullptr);
                            said.add(status);
                          },
                          {.durability = Durability::os}));
  ASSERT_TRUE(said.wait_for_count(1));
  EXPECT_TRUE(fails(said.all()[0], StatusCode::resource_exhausted));
  EXPECT_TRUE(eventually([&] { return scan({.types = {"c.d"}}).size() >= 30; }));
}

}  // namespace
}  // namespace holdfast::testing
