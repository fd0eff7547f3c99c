// SPDX-License-Identifier: MIT
// What runs say of themselves while they last.
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Progressing : public BusTest {
 protected:
  ~Progressing() override { let_go.set(); }
  Runs inside;
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Progressing);

TEST_P(Progressing, LatestIsToldWhileItRuns) {
  open();
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    delivery.progress(0.25, "a quarter");
    delivery.progress(0.5, "half");
    delivery.progress(std::numeric_limits<double>::quiet_NaN(), "nothing");
    inside.note(delivery);
    let_go.wait();
  }));
  publish("a.b");
  ASSERT_TRUE(inside.wait_for_count(1));
  const auto running = bus->stats().running;
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].progress, 0.5);
  EXPECT_EQ(running[0].note, "half");
  let_go.set();
}

TEST_P(Progressing, IsCutToItsLimits) {
  options.workers = Workers::single();
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 4}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  publish_many("a.b", 3);
  ASSERT_TRUE(owed.wait_for_count(3));
  owed.all()[0]->progress(-3, std::string(300, 'x'));
  // Its 255th byte is the first of a character.
  owed.all()[1]->progress(7, std::string(254, 'x') + "\u00fc");
  const auto running = bus->stats().running;
  ASSERT_EQ(running.size(), 3U);
  EXPECT_EQ(running[0].progress, 0.0);
  EXPECT_EQ(running[0].note, std::string(255, 'x'));
  EXPECT_EQ(running[1].progress, 1.0);
  EXPECT_EQ(running[1].note, std::string(254, 'x'));
  EXPECT_EQ(running[2].progress, std::nullopt);
  EXPECT_EQ(running[2].note, "");
  Deferred().progress(0.5);
}

TEST_P(Progressing, OfARunIsNotTheNextOnes) {
  options.workers = Workers::single();
  open();
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "0") return delivery.progress(1.0, "done");
    inside.note(delivery);
    let_go.wait();
  }));
  publish_many("a.b", 2);
  ASSERT_TRUE(inside.wait_for_count(1));
  EXPECT_EQ(bus->stats().running.at(0).progress, std::nullopt);
  EXPECT_EQ(bus->stats().running.at(0).note, "");
  let_go.set();
}

TEST_P(Progressing, OfTheLongestRunningIsToldWhereThereAreMoreThanTheLimit) {
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 1'000}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  publish_many("a.b", kRunningToldMax + 20);
  ASSERT_TRUE(owed.wait_for_count(kRunningToldMax + 20));
  const auto running = bus->stats().running;
  ASSERT_EQ(running.size(), kRunningToldMax);
  for (std::size_t i = 1; i < running.size(); ++i) {
    ASSERT_GE(running[i - 1].running_for, running[i].running_for);
  }
}

}  // namespace
}  // namespace holdfast::testing
