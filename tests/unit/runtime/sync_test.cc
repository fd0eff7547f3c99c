// SPDX-License-Identifier: MIT
// Who waits for a sync, and who does not.
#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Syncs : public DiskBusTest {};

TEST_F(Syncs, APublishThatAsksForLessThanDurableWaitsForNone) {
  open();
  const auto before = bus->stats();
  constexpr std::uint64_t kEvents = 1'000;
  for (std::uint64_t i = 0; i < kEvents; ++i) {
    must(bus->publish({.type = "a.b", .payload = "x"}, {.durability = Durability::os}));
  }
  const auto after = bus->stats();
  EXPECT_GE(after.commits - before.commits, kEvents);
  // Those that there are come by themselves, some ten a second.
  EXPECT_LT(after.syncs - before.syncs, kEvents / 4);
  must(bus->wait_durable(after.commit));
  EXPECT_GE(bus->durable_commit(), after.commit);
}

TEST_F(Syncs, WhatNobodyWaitsForIsSyncedByItself) {
  open();
  const auto receipt =
      must(bus->publish({.type = "a.b", .payload = "x"}, {.durability = Durability::os}));
  EXPECT_TRUE(eventually([&] { return bus->durable_commit() >= receipt.commit; }));
}

}  // namespace
}  // namespace holdfast::testing
