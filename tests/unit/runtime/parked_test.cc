// SPDX-License-Identifier: MIT
// Events that failed wait as copies of their own, and come back from them.
#include <atomic>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Parked : public BusTest {};
HOLDFAST_ON_BOTH_STORES(Parked);

TEST_P(Parked, EveryRetryIsRunThoughItIsDueBeforeItsCopyIsWritten) {
  open();
  constexpr std::uint64_t kEvents = 3'000;
  std::atomic<std::uint64_t> acked{0};
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    if (delivery.attempt() < 3) return Outcome::retry_after(std::chrono::nanoseconds(0));
    ++acked;
    return Outcome::ack();
  }));
  const auto batch = publish_many("a.b", kEvents);
  must(bus->wait_settled(batch, kPatience));
  EXPECT_EQ(acked, kEvents);
  EXPECT_EQ(stats_of("s").retried, 2 * kEvents);
  EXPECT_EQ(stats_of("s").blocked, "");
}

}  // namespace
}  // namespace holdfast::testing
