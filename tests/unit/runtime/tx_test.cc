// SPDX-License-Identifier: MIT
// A handler's tx: state and follow-up events that commit together with its ack, or not at all.
#include <atomic>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Transacting : public BusTest {};
HOLDFAST_ON_BOTH_STORES(Transacting);

TEST_P(Transacting, StateFollowUpAndAckAreOneCommit) {
  open();
  Runs followed;
  const auto follow = must(bus->subscribe({.name = "follow", .types = {"follow"}},
                                          [&](Delivery& d) { followed.note(d); }));
  Settlements settled;
  const auto s = must(
      bus->subscribe({.name = "s",
                      .types = {"go"},
                      .on_settled =
                          [&](EventId id, Settled how) {
                            settled.add({id, how});
                          }},
                     [](Delivery& delivery) {
                       auto tx = delivery.tx();
                       tx.publish({.type = "follow", .payload = "1", .priority = Priority::high});
                       tx.publish({.type = "follow", .payload = "2", .priority = Priority::high});
                       tx.state().put("k", "v");
                       tx.state("shared").put("k", "w");
                       EXPECT_TRUE(is_ok(tx.status()));
                     }));
  publish("go");
  ASSERT_TRUE(settled.wait_for_count(1));
  ASSERT_TRUE(followed.wait_for_count(2));
  EXPECT_EQ(followed.payloads(), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(must(bus->state("s", "k")), "v");
  EXPECT_EQ(must(bus->state("shared", "k")), "w");
  EXPECT_EQ(must(bus->get({Priority::high, 1}))->commit,
            must(bus->get({Priority::high, 2}))->commit);
}

TEST_P(Transacting, AnyOtherOutcomeDropsTheTx) {
  open();
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}, .retry = retry_at_once(2)},
                                     [](Delivery& delivery) {
                                       delivery.tx().state().put("k", "v");
                                       delivery.tx().publish({.type = "follow"});
                                       const auto what = delivery.event().payload_text();
                                       if (what == "throw") throw std::runtime_error("no");
                                       if (what == "snooze")
                                         return Outcome::snooze(std::chrono::hours(1));
                                       if (what == "reject") return Outcome::reject("no");
                                       return Outcome::retry("no");
                                     }));
  for (const auto* what : {"throw", "reject", "retry"}) {
    must(bus->wait_settled(publish("go", what).id, kPatience));
  }
  const auto snoozed = publish("go", "snooze");
  ASSERT_TRUE(eventually([&] { return state_of(snoozed.id) == EventState::scheduled; }));
  EXPECT_EQ(must(bus->state("s", "k")), std::nullopt);
  EXPECT_TRUE(scan({.types = {"follow"}}).empty());
}

TEST_P(Transacting, ReadsSeeTheLastCommitAndItsOwnWritesOverIt) {
  open();
  auto batch = bus->batch();
  batch.state("s").put("a", "1").put("b", "2").put("p/1", "x").put("p/2", "y").put("p/3", "z");
  must(batch.commit());
  std::atomic<bool> ran{false};
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}}, [&](Delivery& delivery) {
    auto state = delivery.tx().state();
    EXPECT_EQ(must(state.get("a")), "1");
    EXPECT_EQ(must(state.get("none")), std::nullopt);
    state.put("a", "10");
    EXPECT_EQ(must(state.get("a")), "10");
    state.put("a", "11");
    EXPECT_EQ(must(state.get("a")), "11");
    state.erase("b");
    EXPECT_EQ(must(state.get("b")), std::nullopt);
    state.erase("p/2");
    state.put("p/4", "new");
    state.put("p/1", "changed");
    std::map<std::string, std::string> seen;
    must(state.scan("p/", [&](std::string_view key, std::string_view value) {
      seen.emplace(key, value);
      return true;
    }));
    EXPECT_EQ(seen, (std::map<std::string, std::string>{
                        {"p/1", "changed"}, {"p/3", "z"}, {"p/4", "new"}}));
    std::vector<std::string> order;
    must(state.scan("p/", [&](std::string_view key, std::string_view) {
      order.emplace_back(key);
      return order.size() < 2;
    }));
    EXPECT_EQ(order, (std::vector<std::string>{"p/1", "p/3"}));
    ran = true;
  }));
  must(bus->wait_settled(publish("go").id, kPatience));
  EXPECT_TRUE(ran);
  EXPECT_EQ(must(bus->state("s", "a")), "11");
  EXPECT_EQ(must(bus->state("s", "b")), std::nullopt);
  EXPECT_EQ(must(bus->state("s", "p/2")), std::nullopt);
  EXPECT_EQ(must(bus->state("s", "p/4")), "new");
}

TEST_P(Transacting, ChangeOfAKeyThatWasReadMakesTheHandlerRunAgainUncounted) {
  open();
  Runs runs;
  Collected<std::string> read;
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}, .retry = retry_at_once(1)},
                                     [&](Delivery& delivery) {
                                       auto state = delivery.tx().state();
                                       read.add(must(state.get("k")).value_or("none"));
                                       if (runs.note(delivery) == 0) {
                                         auto batch = bus->batch();
                                         batch.state("s").put("k", "changed");
                                         must(batch.commit());
                                       }
                                       state.put("result", must(state.get("k")).value_or("none"));
                                       delivery.tx().publish({.type = "follow"});
                                     }));
  must(bus->wait_settled(publish("go").id, kPatience));
  EXPECT_EQ(read.all(), (std::vector<std::string>{"none", "changed"}));
  for (const auto& run : runs.all()) EXPECT_EQ(run.attempt, 1U);
  EXPECT_EQ(must(bus->state("s", "result")), "changed");
  EXPECT_EQ(scan({.types = {"follow"}}).size(), 1U);
  EXPECT_EQ(stats_of("s").refused_tx, 1U);
  EXPECT_EQ(stats_of("s").retried, 0U);
}

TEST_P(Transacting, ChangeUnderAScannedPrefixMakesItRunAgain) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}}, [&](Delivery& delivery) {
    auto state = delivery.tx().state();
    int count = 0;
    must(state.scan("p/", [&](auto, auto) { return ++count > 0; }));
    if (runs.note(delivery) == 0) {
      auto batch = bus->batch();
      batch.state("s").put("p/new", "x");
      must(batch.commit());
    }
    state.put("count", std::to_string(count));
  }));
  must(bus->wait_settled(publish("go").id, kPatience));
  EXPECT_EQ(runs.size(), 2U);
  EXPECT_EQ(must(bus->state("s", "count")), "1");
}

TEST_P(Transacting, ChangeOfWhatWasNotReadDisturbsNobody) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}}, [&](Delivery& delivery) {
    auto state = delivery.tx().state();
    (void)must(state.get("k"));
    (void)must(state.get("own"));
    runs.note(delivery);
    auto batch = bus->batch();
    batch.state("s").put("other", "x");
    batch.state("t").put("k", "x");
    must(batch.commit());
    state.put("own", "y");
  }));
  must(bus->wait_settled(publish("go").id, kPatience));
  EXPECT_EQ(runs.size(), 1U);
}

TEST_P(Transacting, CountersRaisedByManyHandlersAtOnceLoseNothing) {
  options.workers = {.critical = 1, .high = 1, .normal = 4, .low = 2};
  open();
  Settlements settled;
  const auto raise = [](Delivery& delivery) {
    auto state = delivery.tx().state("counters");
    const auto value = must(state.get("sum")).value_or("0");
    state.put("sum", std::to_string(std::stoi(value) + 1));
  };
  std::vector<Subscription> subscriptions;
  for (const auto* name : {"s", "t"}) {
    subscriptions.push_back(must(bus->subscribe({.name = name,
                                                 .concurrency = 4,
                                                 .on_settled =
                                                     [&](EventId id, Settled how) {
                                                       settled.add({id, how});
                                                     }},
                                                raise)));
  }
  publish_many("go", 200);
  ASSERT_TRUE(settled.wait_for_count(400));
  EXPECT_EQ(must(bus->state("counters", "sum")), "400");
}

TEST_P(Transacting, BadFollowUpFailsTheAckAndNothingOfTheTxIsThere) {
  open();
  const auto s = must(bus->subscribe(
      {.name = "s", .types = {"go"}, .retry = retry_at_once(2)}, [](Delivery& delivery) {
        auto tx = delivery.tx();
        tx.publish({.type = "good"});
        tx.publish({.type = "bad type"});
        tx.state().put("k", "v");
        EXPECT_TRUE(fails(tx.status(), StatusCode::invalid_argument, {"type"}));
        tx.publish({.type = ""});  // the first error sticks
        EXPECT_TRUE(fails(tx.status(), StatusCode::invalid_argument, {"byte outside"}));
      }));
  must(bus->wait_settled(publish("go").id, kPatience));
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].attempts, 2U);
  EXPECT_NE(letters[0].reason.find("byte outside"), std::string::npos) << letters[0].reason;
  EXPECT_EQ(must(bus->state("s", "k")), std::nullopt);
  EXPECT_TRUE(scan({.types = {"good"}}).empty());
}

class TxLimits : public BusTest {
 protected:
  /// Runs a handler that fills its tx with `fill`; returns the reason it died of, or "" if it
  /// acked.
  template <typename Fill>
  std::string reason_of(Fill fill, std::string name = "s") {
    Settlements settled;
    const auto s = must(bus->subscribe({.name = name,
                                        .types = {"go"},
                                        .retry = retry_at_once(1),
                                        .start = Start::new_only(),
                                        .on_settled =
                                            [&](EventId id, Settled how) {
                                              settled.add({id, how});
                                            }},
                                       [&](Delivery& delivery) { fill(delivery.tx()); }));
    const auto id = publish("go").id;
    if (!settled.wait_for_count(1)) return "timed out";
    for (const auto& letter : must(bus->dead_letters({.id = id}))) return letter.reason;
    return {};
  }
  static void expect_parts(const std::string& reason, const std::vector<std::string>& parts) {
    for (const auto& part : parts) EXPECT_NE(reason.find(part), std::string::npos) << reason;
  }
};
HOLDFAST_ON_BOTH_STORES(TxLimits);

TEST_P(TxLimits, TenThousandWritesAreFineAndOneMoreIsNot) {
  open();
  const auto put = [](std::size_t count) {
    return [count](Tx tx) {
      for (std::size_t i = 0; i < count; ++i) tx.state().put(std::to_string(i), "v");
    };
  };
  const auto publish = [](std::size_t count) {
    return [count](Tx tx) {
      for (std::size_t i = 0; i < count; ++i) tx.publish({.type = "follow"});
    };
  };
  EXPECT_EQ(reason_of(put(kTxWritesMax)), "");
  expect_parts(reason_of(put(kTxWritesMax + 1)), {"10001", "10000"});
  EXPECT_EQ(reason_of(publish(kTxWritesMax)), "");
  expect_parts(reason_of(publish(kTxWritesMax + 1)), {"10001", "10000"});
  EXPECT_EQ(scan({.types = {"follow"}}).size(), kTxWritesMax);
}

TEST_P(TxLimits, SixteenMebibytesAreTheMost) {
  open();
  const std::string value(kStateValueBytesMax - 16, 'x');
  EXPECT_EQ(reason_of([&](Tx tx) {
              for (int i = 0; i < 16; ++i) tx.state().put(std::to_string(i), value);
            }),
            "");
  expect_parts(reason_of([&](Tx tx) {
                 for (int i = 0; i < 17; ++i) tx.state().put(std::to_string(i), value);
               }),
               {"bytes", "16777216"});
  expect_parts(reason_of([&](Tx tx) {
                 for (int i = 0; i < 17; ++i) tx.publish({.type = "follow", .payload = value});
               }),
               {"bytes", "16777216"});
}

/// Of this process, now.
std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t total = 0;
  std::int64_t resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST_P(TxLimits, NothingIsKeptOfWhatComesAfterTheFirstError) {
  open();
  const std::string payload(std::size_t{1} << 20U, 'x');
  // Made once: a sanitizer keeps what is let go for a while.
  const std::string value(1'000'000, 'x');
  const auto s = must(bus->subscribe({.name = "s", .retry = retry_at_once(1)}, [&](Delivery& d) {
    const auto before = resident_bytes();
    for (int i = 0; i < 200; ++i) {
      d.tx().publish({.type = "c.d", .payload = payload});
      d.tx().state().put("key" + std::to_string(i), value);
    }
    EXPECT_LT(resident_bytes() - before, std::int64_t{64} << 20U);
  }));
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_NE(stats_of("s").last_error.find(std::to_string(kTxBytesMax)), std::string::npos);
}

TEST_P(TxLimits, ReadsAreBounded) {
  open();
  const auto s = must(bus->subscribe({.name = "s", .retry = retry_at_once(1)}, [&](Delivery& d) {
    auto tx = d.tx();
    for (std::size_t i = 0; i < kTxReadsMax; ++i) must(tx.state().get("key"));
    EXPECT_TRUE(
        fails(tx.state().get("key"), StatusCode::invalid_argument, {std::to_string(kTxReadsMax)}));
  }));
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_EQ(must(bus->dead_letters()).size(), 1U);
}

TEST_P(TxLimits, KeysValuesAndNamesAreBounded) {
  open();
  expect_parts(reason_of([](Tx tx) { tx.state().put(std::string(256, 'k'), "v"); }),
               {"state key", "256", "255"});
  expect_parts(reason_of([](Tx tx) { tx.state().erase(""); }), {"state key"});
  expect_parts(
      reason_of([](Tx tx) { tx.state().put("k", std::string(kStateValueBytesMax + 1, 'v')); }),
      {"state value", "1048577", "1048576"});
  expect_parts(reason_of([](Tx tx) { tx.state(std::string(256, 'n')).put("k", "v"); }),
               {"state name", "256", "255"});
  expect_parts(reason_of([](Tx tx) { tx.state("").put("k", "v"); }), {"state name"});
  EXPECT_EQ(reason_of([](Tx tx) {
              EXPECT_TRUE(fails(tx.state().get(""), StatusCode::invalid_argument));
            }),
            "");
}

TEST_P(TxLimits, EphemeralSubscriptionHasNoStateOfItsOwnButMayUseANamedOne) {
  open();
  Settlements settled;
  Collected<Status> statuses;
  const auto s = must(bus->subscribe({.types = {"go"},
                                      .retry = retry_at_once(1),
                                      .on_settled =
                                          [&](EventId id, Settled how) {
                                            settled.add({id, how});
                                          }},
                                     [&](Delivery& delivery) {
                                       if (delivery.event().payload_text() == "named") {
                                         delivery.tx().state("shared").put("k", "v");
                                         delivery.tx().publish({.type = "follow"});
                                       } else {
                                         EXPECT_FALSE(delivery.tx().state().get("k").ok());
                                         delivery.tx().state().put("k", "v");
                                         statuses.add(delivery.tx().status());
                                       }
                                     }));
  publish("go", "named");
  publish("go", "own");
  ASSERT_TRUE(settled.wait_for_count(2));
  EXPECT_EQ(settled.all()[0].second, Settled::acked);
  EXPECT_EQ(settled.all()[1].second, Settled::dead);
  EXPECT_TRUE(fails(statuses.all()[0], StatusCode::invalid_argument, {"ephemeral"}));
  EXPECT_EQ(must(bus->state("shared", "k")), "v");
  EXPECT_EQ(scan({.types = {"follow"}}).size(), 1U);
}

TEST_P(TxLimits, TxThatOnlyReadsIsCheckedAsWell) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}}, [&](Delivery& delivery) {
    (void)must(delivery.tx().state().get("k"));
    if (runs.note(delivery) > 0) return;
    auto batch = bus->batch();
    batch.state("s").put("k", "changed");
    must(batch.commit());
  }));
  must(bus->wait_settled(publish("go").id, kPatience));
  EXPECT_EQ(runs.size(), 2U);
}

}  // namespace
}  // namespace holdfast::testing
