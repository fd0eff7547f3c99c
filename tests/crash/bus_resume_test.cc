// SPDX-License-Identifier: MIT
// A process that dies while what a pause has held is put back: the next one goes on with it.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"

namespace holdfast::testing {
namespace {

std::vector<OwnedEvent> events() {
  return {{.type = "a", .payload = "1", .idempotency_key = "1"},
          {.type = "a", .payload = "2", .priority = Priority::low, .idempotency_key = "2"},
          {.type = "b", .payload = "3", .idempotency_key = "3"},
          {.type = "a", .payload = "4", .idempotency_key = "4"}};
}

// Serves the events to their end, publishing those that are not there. Arguments: folder; "pause" =
// all of type "a" are held for a time before.
const ChildRole kServe("resume-serve", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  const TypePattern pattern{"a"};
  const bool pauses = given.values.at(1) == "pause";
  if (pauses) must(bus->pause(pattern));
  const auto s = must(bus->subscribe({.name = "s"}, [](Delivery& delivery) {
    const auto key = std::string(delivery.event().payload_text());
    auto tx = delivery.tx();
    tx.state().put(key, must(tx.state().get(key)).value_or("") + "+");
    return Outcome::ack();
  }));
  const auto receipt = must(bus->publish_batch(events(), {.mode = BatchMode::independent}));
  if (pauses) {
    const bool held = eventually([&] {
      const auto stats = bus->stats();
      std::uint64_t count = 0;
      for (const auto& lane : stats.subscriptions.at(0).lanes) count += lane.paused;
      return count == 3;
    });
    if (!held) return 1;
  }
  if (!bus->stats().paused_types.empty()) must(bus->resume(pattern));
  must(bus->wait_settled(receipt, kPatience));
  must(bus->close());
  return 0;
});

class ResumeKill : public DiskBusTest {
 protected:
  int kills(const std::string& point) {
    for (int pass = 1;; ++pass) {
      SCOPED_TRACE(point + ":" + std::to_string(pass));
      const TempFolder folder;
      const auto journal = folder.inside("journal");
      auto child =
          ChildProcess::start("resume-serve", {journal, "pause"},
                              {"HOLDFAST_FAIL_POINT=" + point + ":" + std::to_string(pass)});
      if (!child.was_killed()) {
        EXPECT_TRUE(child.succeeded());
        return pass - 1;
      }
      EXPECT_TRUE(ChildProcess::start("resume-serve", {journal, "serve"}).succeeded());
      const auto view = must(JournalView::open(journal));
      for (const auto* key : {"1", "2", "3", "4"}) {
        EXPECT_EQ(must(view->state("s", key)), "+") << key;
      }
      if (HasFailure()) return pass;
    }
  }
};

TEST_F(ResumeKill, AtEveryFailPointEveryEventThatWasHeldIsHandedOutOnce) {
  int killed = 0;
  for (const auto* point :
       {"open.committed", "commit.planned", "commit.written", "commit.synced"}) {
    killed += kills(point);
    if (HasFailure()) return;
  }
  EXPECT_GT(killed, 10);
}

}  // namespace
}  // namespace holdfast::testing
