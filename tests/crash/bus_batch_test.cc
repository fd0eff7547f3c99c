// SPDX-License-Identifier: MIT
// A process that dies while a handler has a batch: what of it counts, and who is to blame.
#include <algorithm>
#include <map>
#include <set>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"

namespace holdfast::testing {
namespace {

constexpr std::uint32_t kSize = 8;

std::uint64_t owed(const Bus& bus) {
  std::uint64_t owed = 0;
  for (const auto& lane : bus.stats().lanes) {
    owed += lane.owed.ready + lane.owed.leased + lane.owed.scheduled;
  }
  return owed;
}

SubscribeOptions fragile() {
  return {.name = "fragile", .types = {"a.b"}, .batch_size = kSize, .retry = retry_at_once(3)};
}

// Handles batches, and says of each event "payload attempt size"; dies of poison.
const ChildRole kPoison("batch-poison", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  const auto s = must(bus->subscribe_batch(fragile(), [&](BatchDelivery& batch) {
    bool poison = false;
    for (const auto member : batch) {
      const auto payload = std::string(member.event().payload_text());
      tell(given,
           payload + " " + std::to_string(member.attempt()) + " " + std::to_string(batch.size()));
      poison = poison || payload == "poison";
    }
    if (poison) raise(SIGKILL);
  }));
  const bool done = eventually([&] { return owed(*bus) == 0; });
  must(bus->close());
  tell(given, "done");
  return done ? 0 : 1;
});

class BatchKill : public DiskBusTest {};

TEST_F(BatchKill, EventThatKillsItsProcessEndsInTheDeadLettersAndBurnsNoAttemptsOfItsNeighbours) {
  open();
  must(bus->subscribe_batch(fragile(), [](BatchDelivery&) {})).end();
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 20; ++i) {
    events.push_back({.type = "a.b", .payload = i == 10 ? "poison" : "good" + std::to_string(i)});
  }
  const auto receipts = must(bus->publish_batch(events)).receipts;
  const auto poison = receipts[10].id;
  must(bus->close());
  bus.reset();

  std::vector<std::string> poison_runs;
  std::map<std::string, std::set<std::string>> good;
  int kills = 0;
  for (; kills < 10; ++kills) {
    auto child = ChildProcess::start("batch-poison", {path()});
    std::string last;
    for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
      const auto space = line.find(' ');
      if (line.starts_with("poison")) poison_runs.push_back(line);
      if (line.starts_with("good")) good[line.substr(0, space)].insert(line.substr(space + 1));
      last = line;
    }
    if (!child.was_killed()) {
      EXPECT_TRUE(child.succeeded());
      EXPECT_EQ(last, "done");
      break;
    }
    open();
    const auto suspects = bus->recovery().suspects;
    const auto found = std::find_if(suspects.begin(), suspects.end(),
                                    [&](const auto& suspect) { return suspect.event == poison; });
    ASSERT_NE(found, suspects.end());
    EXPECT_EQ(found->attempt, static_cast<std::uint32_t>(kills));
    EXPECT_EQ(found->dead, kills == 3);
    // All of the batch first, and then it alone.
    EXPECT_EQ(suspects.size(), kills == 0 ? kSize : 1U);
    bus.reset();
  }
  EXPECT_EQ(kills, 4);
  EXPECT_EQ(poison_runs,
            (std::vector<std::string>{"poison 1 8", "poison 1 1", "poison 2 1", "poison 3 1"}));
  EXPECT_EQ(good.size(), 19U);
  for (const auto& [payload, runs] : good) {
    for (const auto& run : runs) EXPECT_TRUE(run.starts_with("1 ")) << payload << ": " << run;
    const auto number = std::stoi(payload.substr(4));
    const bool beside_it = number >= 8 && number < 16;
    EXPECT_TRUE(!beside_it || runs.contains("1 1")) << payload << " did not come alone";
  }
  open();
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].id, poison);
  EXPECT_EQ(letters[0].attempts, 3U);
}

// Acks batches, each with a tx that counts them and their events.
const ChildRole kCounting("batch-counting", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  const auto s = must(bus->subscribe_batch(fragile(), [&](BatchDelivery& batch) {
    auto tx = batch.tx();
    auto state = tx.state();
    for (const auto member : batch) {
      const auto key = std::string(member.event().payload_text());
      const auto before = must(state.get(key)).value_or("");
      state.put(key, before + "x");
    }
    tx.publish({.type = "counted"});
    tell(given, "batch");
  }));
  (void)eventually([&] { return owed(*bus) == 0; });
  tell(given, "done");
  while (true) pause();
  return 0;
});

TEST_F(BatchKill, AcksAndTheirTxAreThereForAllOfABatchOrForNone) {
  open();
  must(bus->subscribe_batch(fragile(), [](BatchDelivery&) {})).end();
  const std::size_t count = 400;
  publish_many("a.b", count);
  must(bus->close());
  bus.reset();
  for (int round = 0; round < 6; ++round) {
    auto child = ChildProcess::start("batch-counting", {path()});
    // Somewhere in the middle of it, wherever that is.
    for (int i = 0; i < 3 + 2 * round; ++i) {
      if (child.read_line() == "done") break;
    }
    child.kill();
    ASSERT_TRUE(child.was_killed());
    open();
    std::size_t counted = 0;
    must(bus->scan_state("fragile", "", [&](std::string_view, std::string_view value) {
      EXPECT_EQ(value, "x") << "once for each event that was acked";
      ++counted;
      return true;
    }));
    std::uint64_t pending = 0;
    for (const auto& [id, state] : scan({.types = {"a.b"}})) {
      if (state != EventState::settled) ++pending;
    }
    EXPECT_EQ(counted + pending, count);
    bus.reset();
  }
}

}  // namespace
}  // namespace holdfast::testing
