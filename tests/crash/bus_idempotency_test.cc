// SPDX-License-Identifier: MIT
// Publishing again after a crash: what was published is not published twice.
//
// Method: a child publishes under keys and is killed with SIGKILL somewhere in between; whoever
// comes after it publishes all of it again, without knowing how far it came.
#include <map>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"

namespace holdfast::testing {
namespace {

constexpr std::uint64_t kKeys = 400;

Event keyed(const std::string& key) { return {.type = "order.placed", .idempotency_key = key}; }

struct Told {
  std::uint64_t key;
  Receipt receipt;
};

// Publishes under one key after the other, some durably and some not, now and then a batch of
// three, and reports each receipt.
const ChildRole kPublish("idempotency-publish", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  const auto tell = [&](std::uint64_t key, const Receipt& receipt) {
    const Told told{key, receipt};
    if (!report(given.report_fd, &told, sizeof(told))) _exit(0);
  };
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    if (key % 10 == 7 && key + 3 <= kKeys) {
      std::vector<OwnedEvent> events;
      for (int i = 0; i < 3; ++i) {
        events.push_back({.type = "order.placed",
                          .idempotency_key = std::to_string(key + static_cast<std::uint64_t>(i))});
      }
      const auto receipts = must(bus->publish_batch(events)).receipts;
      for (std::size_t i = 0; i < 3; ++i) tell(key + i, receipts[i]);
      key += 2;
      continue;
    }
    const auto durability = key % 3 == 0 ? Durability::durable : Durability::os;
    tell(key, must(bus->publish(keyed(std::to_string(key)), {.durability = durability})));
  }
  while (true) pause();
  return 0;
});

class PublishingAgainAfterACrash : public DiskBusTest {};

TEST_F(PublishingAgainAfterACrash, GivesTheReceiptsOfBeforeAndPublishesNothingTwice) {
  std::map<std::uint64_t, Receipt> told;
  // How far each child goes beyond what was there before it.
  for (const std::uint64_t kill_after : {1U, 60U, 130U, 131U, 300U, 400U}) {
    auto child = ChildProcess::start("idempotency-publish", {path()});
    for (std::uint64_t count = 0; count < kill_after; ++count) {
      const auto one = child.read_one<Told>();
      ASSERT_TRUE(one.has_value());
      const auto [known, is_new] = told.emplace(one->key, one->receipt);
      if (is_new) continue;
      EXPECT_TRUE(one->receipt.duplicate) << one->key;
      EXPECT_EQ(one->receipt.id, known->second.id) << one->key;
      EXPECT_EQ(one->receipt.commit, known->second.commit) << one->key;
    }
    child.kill();
    ASSERT_TRUE(child.was_killed());
  }
  ASSERT_EQ(told.size(), kKeys);
  open();
  EXPECT_EQ(scan().size(), kKeys);
  for (const auto& [key, receipt] : told) {
    const auto again = must(bus->publish(keyed(std::to_string(key))));
    EXPECT_TRUE(again.duplicate) << key;
    EXPECT_EQ(again.id, receipt.id) << key;
    EXPECT_EQ(again.commit, receipt.commit) << key;
  }
  EXPECT_EQ(bus->stats().idempotency_keys, kKeys);
}

}  // namespace
}  // namespace holdfast::testing
