// SPDX-License-Identifier: MIT
// A process that dies in the middle of an operation: it goes on where it was, forward or back, and
// never ends between the two.
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"

namespace holdfast::testing {
namespace {

using Effects = std::map<std::string, std::string>;

/// Adds `sign` to what was done for the event before, in the commit of its ack.
void note(Delivery& delivery, std::string_view sign) {
  const auto key = std::string(delivery.event().payload_text());
  auto tx = delivery.tx();
  const auto before = must(tx.state().get(key)).value_or("");
  tx.state().put(key, before + std::string(sign));
}

// Opens the journal, publishes an operation of three members unless there is one, and serves it to
// its end. Arguments: folder, the member that is rejected.
const ChildRole kServe("operation-serve", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  const auto& bad = given.values.at(1);
  SubscribeOptions options{.name = "s", .retry = retry_at_once(100)};
  options.compensate = [&](Delivery& delivery) {
    // Not at the first go.
    if (delivery.attempt() == 1) return Outcome::retry("not yet");
    note(delivery, "-");
    return Outcome::ack();
  };
  const auto s = must(bus->subscribe(std::move(options), [&](Delivery& delivery) {
    if (delivery.event().payload_text() == bad) return Outcome::reject("no");
    note(delivery, "+");
    return Outcome::ack();
  }));
  if (bus->operations().empty()) {
    const std::vector<OwnedEvent> events = {
        {.type = "a", .payload = "1", .priority = Priority::low},
        {.type = "b", .payload = "2"},
        {.type = "c", .payload = "3", .priority = Priority::high}};
    must(bus->publish_batch(events, {.operation = OperationOptions{}}));
  }
  must(bus->wait_settled(bus->operations().front().id, kPatience));
  must(bus->close());
  return 0;
});

class OperationKill : public DiskBusTest {
 protected:
  /// Kills a child at the `pass`th time that `point` is passed, and has another one end what it
  /// began. False when it was not killed.
  bool round(const std::string& folder, const std::string& bad, const std::string& point,
             int pass) {
    auto child = ChildProcess::start("operation-serve", {folder, bad},
                                     {"HOLDFAST_FAIL_POINT=" + point + ":" + std::to_string(pass)});
    if (!child.was_killed()) {
      EXPECT_TRUE(child.succeeded());
      return false;
    }
    auto next = ChildProcess::start("operation-serve", {folder, bad});
    EXPECT_TRUE(next.succeeded());
    return true;
  }
  void check(const std::string& folder, OperationState state, const Effects& wanted) {
    const auto view = must(JournalView::open(folder));
    const auto operations = view->operations();
    ASSERT_EQ(operations.size(), 1U);
    EXPECT_EQ(operations[0].state, state) << to_string(operations[0].state);
    Effects found;
    for (const auto* key : {"1", "2", "3"}) {
      const auto value = must(view->state("s", key));
      if (value.has_value()) found[key] = *value;
    }
    EXPECT_EQ(found, wanted);
  }
  int kills(const std::string& bad, OperationState state, const Effects& wanted) {
    int killed = 0;
    for (const std::string point :
         {"open.committed", "commit.planned", "commit.written", "commit.synced"}) {
      for (int pass = 1;; ++pass) {
        SCOPED_TRACE(point + ":" + std::to_string(pass));
        const TempFolder folder;
        const auto journal = folder.inside("journal");
        if (!round(journal, bad, point, pass)) break;
        ++killed;
        check(journal, state, wanted);
        if (HasFailure()) return killed;
      }
    }
    return killed;
  }
};

TEST_F(OperationKill, AtEveryFailPointOfItsWayForwardItEndsCommittedAndEachEffectIsThereOnce) {
  EXPECT_GT(kills("none", OperationState::committed, {{"1", "+"}, {"2", "+"}, {"3", "+"}}), 10);
}

TEST_F(OperationKill, AtEveryFailPointOfItsWayBackItEndsRolledBackAndEachIsUndoneOnce) {
  EXPECT_GT(kills("3", OperationState::rolled_back, {{"1", "+-"}, {"2", "+-"}, {"3", "-"}}), 10);
}

}  // namespace
}  // namespace holdfast::testing
