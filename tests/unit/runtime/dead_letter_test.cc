// SPDX-License-Identifier: MIT
// Visiting dead letters. (How events become them, and the list of them: outcome_test.cc.)
#include <algorithm>
#include <malloc.h>
#include <string>
#include <tuple>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class DeadLetters : public BusTest {
 protected:
  /// Dead letters of `count` events for each of the subscriptions "s" and "t".
  void bury(std::size_t count, std::string_view payload = "p") {
    const auto reject = [](Delivery&) { return Outcome::reject("no"); };
    const auto s = must(bus->subscribe({.name = "s"}, reject));
    const auto t = must(bus->subscribe({.name = "t", .types = {"a.*"}}, reject));
    EventId last;
    for (std::size_t i = 0; i < count; ++i) last = publish("a.b", payload).id;
    must(bus->wait_settled(last, kPatience));
    must(bus->drain());
  }
};
HOLDFAST_ON_BOTH_STORES(DeadLetters);

TEST_P(DeadLetters, AreVisitedAsTheyAreListed) {
  open();
  bury(5);
  for (const auto& filter : std::vector<DeadLetterFilter>{{},
                                                          {.subscription = "t"},
                                                          {.types = {"a.>"}},
                                                          {.types = {"b.>"}},
                                                          {.id = EventId{Priority::normal, 2}},
                                                          {.limit = 7},
                                                          {.limit = 0}}) {
    const auto listed = must(bus->dead_letters(filter));
    std::size_t visited = 0;
    must(bus->scan_dead_letters(filter, [&](const DeadLetter& letter) {
      const auto fields = [](const DeadLetter& one) {
        return std::tuple(one.subscription, one.id, one.attempts, one.reason, one.died_at,
                          one.event.type, one.event.payload);
      };
      if (visited < listed.size()) {
        EXPECT_EQ(fields(letter), fields(listed[visited]));
      }
      ++visited;
      return true;
    }));
    EXPECT_EQ(visited, listed.size());
  }
  EXPECT_EQ(must(bus->dead_letters()).size(), 10U);
}

TEST_P(DeadLetters, AreVisitedUntilTheVisitorSaysSo) {
  open();
  bury(5);
  std::size_t visited = 0;
  must(bus->scan_dead_letters({}, [&](const DeadLetter&) { return ++visited < 3; }));
  EXPECT_EQ(visited, 3U);
}

TEST_P(DeadLetters, FilterThatCannotBeIsRefusedBeforeAnyIsVisited) {
  open();
  bury(1);
  const auto never = [](const DeadLetter&) {
    ADD_FAILURE();
    return true;
  };
  EXPECT_TRUE(
      fails(bus->scan_dead_letters({.types = {"b..c"}}, never), StatusCode::invalid_argument));
  EXPECT_TRUE(
      fails(bus->scan_dead_letters({.subscription = "u"}, never), StatusCode::not_found, {"u"}));
}

TEST_P(DeadLetters, VisitorMayCallTheBus) {
  open();
  bury(5);
  std::size_t redriven = 0;
  must(bus->scan_dead_letters({}, [&](const DeadLetter& letter) {
    redriven += must(bus->redrive({.subscription = letter.subscription, .id = letter.id}));
    publish("from.inside");
    return true;
  }));
  EXPECT_EQ(redriven, 10U);
  EXPECT_TRUE(must(bus->dead_letters()).empty());
}

class DeadLettersOnDisk : public DeadLetters {};
INSTANTIATE_TEST_SUITE_P(On, DeadLettersOnDisk, ::testing::Values(Store::disk), store_name);

TEST_P(DeadLettersOnDisk, AreInMemoryOneAtATimeWhileTheyAreVisited) {
  constexpr std::size_t kCount = 40;
  options.memory_budget = std::size_t{16} << 20U;
  open();
  bury(kCount, std::string(std::size_t{1} << 20U, 'x'));
  // What writing them has still to do in the background would count as well.
  reopen();
  const auto in_use = [] {
    const auto heap = ::mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  const auto before = in_use();
  std::size_t visited = 0;
  std::size_t most = 0;
  must(bus->scan_dead_letters({}, [&](const DeadLetter&) {
    const auto now = in_use();
    most = std::max(most, now - std::min(now, before));
    ++visited;
    return true;
  }));
  EXPECT_EQ(visited, 2 * kCount);
  // What the engine may keep of what it has read, and a few copies of the one letter.
  EXPECT_LT(most, std::size_t{20} << 20U);
}

}  // namespace
}  // namespace holdfast::testing
