// SPDX-License-Identifier: MIT
// Looking at a live bus: get, scan, stats. (Dead letters: outcome_test.cc.)
#include <algorithm>
#include <atomic>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Looking : public BusTest {
 protected:
  ~Looking() override { let_go.set(); }
  Signal let_go;
};
HOLDFAST_ON_BOTH_STORES(Looking);

TEST_P(Looking, GetTellsEveryStateAnEventCanBeIn) {
  open();
  Runs runs;
  const auto s = must(
      bus->subscribe({.name = "s", .types = {"work"}, .concurrency = 1}, [&](Delivery& delivery) {
        runs.note(delivery);
        const auto what = delivery.event().payload_text();
        if (what == "dies") return Outcome::reject("no");
        if (what == "later") return Outcome::retry_after(std::chrono::hours(1), "busy");
        if (what == "hold") let_go.wait();
        return Outcome::ack();
      }));
  const auto unclaimed = publish("other");
  const auto settled = publish("work", "done");
  const auto dead = publish("work", "dies");
  const auto scheduled = publish("work", "later");
  const auto leased = publish("work", "hold");
  const auto ready = publish("work", "waits");
  ASSERT_TRUE(runs.wait_for_count(4));
  must(bus->wait_settled(settled.id, kPatience));
  must(bus->wait_settled(dead.id, kPatience));
  EXPECT_TRUE(eventually([&] { return state_of(scheduled.id) == EventState::scheduled; }));
  EXPECT_EQ(state_of(unclaimed.id), EventState::unclaimed);
  EXPECT_EQ(state_of(settled.id), EventState::settled);
  EXPECT_EQ(state_of(dead.id), EventState::dead);
  EXPECT_EQ(state_of(leased.id), EventState::leased);
  EXPECT_EQ(state_of(ready.id), EventState::ready);

  const auto standings = [&](EventId id) { return must(bus->get(id))->standings; };
  EXPECT_TRUE(standings(unclaimed.id).empty());
  EXPECT_TRUE(standings(settled.id).empty());
  ASSERT_EQ(standings(dead.id).size(), 1U);
  EXPECT_EQ(standings(dead.id)[0].state, EventState::dead);
  EXPECT_EQ(standings(dead.id)[0].last_error, "no");
  ASSERT_EQ(standings(leased.id).size(), 1U);
  EXPECT_EQ(standings(leased.id)[0].state, EventState::leased);
  EXPECT_EQ(standings(leased.id)[0].subscription, "s");
  EXPECT_EQ(standings(ready.id)[0].state, EventState::ready);

  const auto in_state = [&](EventState state) {
    const auto found = scan({.states = {state}});
    return found.size() == 1 ? found[0].first : EventId{};
  };
  EXPECT_EQ(in_state(EventState::unclaimed), unclaimed.id);
  EXPECT_EQ(in_state(EventState::settled), settled.id);
  EXPECT_EQ(in_state(EventState::dead), dead.id);
  EXPECT_EQ(in_state(EventState::scheduled), scheduled.id);
  EXPECT_EQ(in_state(EventState::leased), leased.id);
  EXPECT_EQ(in_state(EventState::ready), ready.id);
  EXPECT_EQ(scan({.states = {EventState::ready, EventState::leased}}).size(), 2U);

  const auto stats = stats_of("s");
  EXPECT_EQ(stats.lanes[2].ready, 1U);
  EXPECT_EQ(stats.lanes[2].leased, 1U);
  EXPECT_EQ(stats.lanes[2].scheduled, 1U);
  EXPECT_EQ(stats.lanes[2].dead, 1U);
  let_go.set();
}

TEST_P(Looking, StateIsTheMostPendingOverAllSubscriptions) {
  open();
  const auto done = must(bus->subscribe({.name = "done"}, [](Delivery&) {}));
  const auto dead =
      must(bus->subscribe({.name = "dead"}, [](Delivery&) { return Outcome::reject("no"); }));
  const auto receipt = publish("a.b");
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(state_of(receipt.id), EventState::dead);
  EXPECT_EQ(must(bus->get(receipt.id))->standings.size(), 1U);
  must(bus->subscribe({.name = "idle"}, [](Delivery&) {
    return Outcome::snooze(std::chrono::hours(1));
  })).end();
  const auto next = publish("a.b");
  // The one acked, the other given up on: with two left, one could still be with its handler.
  ASSERT_TRUE(eventually([&] {
    const auto standings = must(bus->get(next.id))->standings;
    return standings.size() == 2 &&
           std::any_of(standings.begin(), standings.end(),
                       [](const auto& each) { return each.state == EventState::dead; });
  }));
  EXPECT_EQ(state_of(next.id), EventState::ready);
}

TEST_P(Looking, GetOfWhatWasNeverPublishedIsNothing) {
  open();
  EXPECT_FALSE(must(bus->get({Priority::normal, 1})).has_value());
  EXPECT_FALSE(
      must(bus->get({Priority::low, std::numeric_limits<std::uint64_t>::max()})).has_value());
}

TEST_P(Looking, ScanGoesByLaneAndSequenceAndFilters) {
  open();
  for (int i = 0; i < 10; ++i) {
    publish(i % 2 == 0 ? "even" : "odd", std::to_string(i), Priority::low);
    publish(i % 2 == 0 ? "even" : "odd", std::to_string(i), Priority::high);
  }
  const auto ids = [&](const ScanFilter& filter) {
    std::vector<EventId> found;
    for (const auto& [id, state] : scan(filter)) found.push_back(id);
    return found;
  };
  std::vector<EventId> expected;
  for (const auto lane : {Priority::high, Priority::low}) {
    for (std::uint64_t sequence = 1; sequence <= 10; ++sequence)
      expected.push_back({lane, sequence});
  }
  EXPECT_EQ(ids({}), expected);
  EXPECT_EQ(ids({.types = {"odd"}}).size(), 10U);
  EXPECT_EQ(ids({.types = {"odd", "even"}}).size(), 20U);
  EXPECT_EQ(ids({.priorities = {Priority::low}}),
            std::vector<EventId>(expected.begin() + 10, expected.end()));
  EXPECT_EQ(ids({.priorities = {Priority::low}, .from_sequence = 3, .to_sequence = 5}),
            (std::vector<EventId>{{Priority::low, 3}, {Priority::low, 4}, {Priority::low, 5}}));
  EXPECT_EQ(ids({.limit = 3}), std::vector<EventId>(expected.begin(), expected.begin() + 3));
  EXPECT_EQ(ids({.limit = 12}), std::vector<EventId>(expected.begin(), expected.begin() + 12));
  EXPECT_TRUE(ids({.limit = 0}).empty());
  EXPECT_TRUE(ids({.from_sequence = 11}).empty());
  EXPECT_TRUE(ids({.from_sequence = 5, .to_sequence = 4}).empty());
  EXPECT_TRUE(fails(bus->scan({.types = {"a..b"}}, [](const auto&, auto) { return true; }),
                    StatusCode::invalid_argument));
}

TEST_P(Looking, ScanStopsWhenTheVisitorSaysSo) {
  open();
  publish_many("a.b", 10, Priority::high);
  publish_many("a.b", 10, Priority::low);
  for (const std::size_t stop_after : {1U, 10U, 15U}) {
    std::size_t visited = 0;
    must(bus->scan({}, [&](const EventView&, EventState) { return ++visited < stop_after; }));
    EXPECT_EQ(visited, stop_after);
  }
}

TEST_P(Looking, VisitorMayCallTheBus) {
  open();
  publish_many("a.b", 5);
  int visited = 0;
  must(bus->scan({.to_sequence = 5}, [&](const EventView& event, EventState) {
    EXPECT_TRUE(must(bus->get(event.id)).has_value());
    publish("from.inside");
    must(bus->scan({.limit = 1}, [](const EventView&, EventState) { return true; }));
    ++visited;
    return true;
  }));
  EXPECT_EQ(visited, 5);
}

TEST_P(Looking, VisitorThatThrowsOrIsEmptyEndsItsVisitAlone) {
  open();
  auto batch = bus->batch();
  batch.state("n").put("k", "v");
  must(batch.commit());
  const auto s =
      must(bus->subscribe({.name = "s"}, [](Delivery&) { return Outcome::reject("no"); }));
  must(bus->wait_settled(publish("a.b").id, kPatience));
  const auto thrown = [](const auto&...) -> bool { throw std::runtime_error("over"); };
  const auto told = [](const Status& status) {
    return fails(status, StatusCode::invalid_argument, {"visitor threw", "over"});
  };
  EXPECT_TRUE(told(bus->scan({}, thrown)));
  EXPECT_TRUE(told(bus->scan_dead_letters({}, thrown)));
  EXPECT_TRUE(told(bus->scan_state("n", "", thrown)));
  EXPECT_TRUE(fails(bus->scan({}, nullptr), StatusCode::invalid_argument, {"empty"}));
  EXPECT_TRUE(fails(bus->scan_dead_letters({}, nullptr), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->scan_state("n", "", nullptr), StatusCode::invalid_argument));
  EXPECT_TRUE(is_ok(bus->scan({}, [](const auto&, auto) { return true; })));
}

TEST_P(Looking, CloseInsideAVisitorIsAConflictAndNotADeadlock) {
  open();
  publish("a.b");
  Status status;
  must(bus->scan({}, [&](const auto&, auto) {
    status = bus->close();
    return true;
  }));
  EXPECT_TRUE(fails(status, StatusCode::conflict, {"visitor"}));
}

TEST_P(Looking, ParkedAndDeadEventsAreScannedInTheirPlace) {
  open();
  Settlements settled;
  const auto s = must(bus->subscribe({.name = "s",
                                      .on_settled =
                                          [&](EventId id, Settled how) {
                                            settled.add({id, how});
                                          }},
                                     [](Delivery& delivery) {
                                       const auto n = delivery.event().id.sequence;
                                       if (n % 3 == 0) return Outcome::reject("no");
                                       return n % 3 == 1 ? Outcome::snooze(std::chrono::hours(1))
                                                         : Outcome::ack();
                                     }));
  publish_many("a.b", 30);
  ASSERT_TRUE(settled.wait_for_count(20));
  ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].scheduled == 10; }));
  std::uint64_t expected = 1;
  for (const auto& [id, state] : scan()) {
    EXPECT_EQ(id.sequence, expected++);
    EXPECT_EQ(state, id.sequence % 3 == 0   ? EventState::dead
                     : id.sequence % 3 == 1 ? EventState::scheduled
                                            : EventState::settled);
  }
  EXPECT_EQ(expected, 31U);
}

TEST_P(Looking, EventThatFailsOverAndOverNeverLooksSettled) {
  open();
  Runs runs;
  const auto s = must(
      bus->subscribe({.name = "s", .retry = retry_at_once(1'000'000)}, [&](Delivery& delivery) {
        runs.note(delivery);
        return delivery.event().type == "dies" ? Outcome::reject("no") : Outcome::retry();
      }));
  const auto batch = publish_many("fails", 4);
  const std::set<EventState> pending = {EventState::ready, EventState::leased,
                                        EventState::scheduled};
  for (std::size_t i = 0; i < 200; ++i) {
    for (const auto& receipt : batch.receipts) {
      EXPECT_TRUE(pending.contains(state_of(receipt.id))) << to_string(state_of(receipt.id));
    }
    for (const auto& [id, state] : scan({.types = {"fails"}})) {
      EXPECT_TRUE(pending.contains(state)) << to_string(state);
    }
    const auto dead = publish("dies");
    must(bus->wait_settled(dead.id, kPatience));
    EXPECT_EQ(state_of(dead.id), EventState::dead);
  }
  EXPECT_TRUE(runs.wait_for_count(500));
}

TEST_P(Looking, StatsCountWhatHappened) {
  open();
  Settlements settled;
  const auto s = must(bus->subscribe(
      {.name = "s",
       .condition = [](const EventView& event) { return event.payload_text() != "skip"; },
       .retry = retry_at_once(2),
       .on_settled =
           [&](EventId id, Settled how) {
             settled.add({id, how});
           }},
      [](Delivery& delivery) {
        return delivery.event().payload_text() == "fail" ? Outcome::retry("why") : Outcome::ack();
      }));
  for (const auto* payload : {"ack", "ack", "skip", "fail"})
    publish("a.b", payload, Priority::high);
  ASSERT_TRUE(settled.wait_for_count(4));
  must(bus->subscribe({.name = "gone"}, [](Delivery&) {})).end();
  publish("a.b", "ack", Priority::low);
  ASSERT_TRUE(settled.wait_for_count(5));
  const auto stats = bus->stats();
  EXPECT_EQ(stats.events_published, 5U);
  EXPECT_EQ(stats.lanes[1].published, 4U);
  EXPECT_EQ(stats.lanes[3].published, 1U);
  EXPECT_EQ(stats.lanes[1].trimmed, 0U);
  EXPECT_GE(stats.commits, 5U);
  EXPECT_GE(stats.syncs, 1U);
  EXPECT_LE(stats.durable_commit, stats.commit);
  EXPECT_EQ(stats.intake_events, 0U);
  EXPECT_EQ(stats.publishes_refused, 0U);
  EXPECT_TRUE(is_ok(stats.health));
  ASSERT_EQ(stats.subscriptions.size(), 2U);
  const auto of_s = stats_of("s");
  EXPECT_TRUE(of_s.attached);
  EXPECT_EQ(of_s.acked, 3U);
  EXPECT_EQ(of_s.skipped, 1U);
  EXPECT_EQ(of_s.retried, 1U);
  EXPECT_EQ(of_s.rejected, 1U);
  EXPECT_EQ(of_s.refused_tx, 0U);
  EXPECT_EQ(of_s.last_error, "why");
  EXPECT_EQ(of_s.blocked, "");
  EXPECT_FALSE(stats_of("gone").attached);
  EXPECT_EQ(stats_of("gone").lanes[3].ready, 1U);
  EXPECT_EQ(stats.lanes[3].owed.ready, 1U);
  EXPECT_EQ(stats.lanes[1].owed.dead, 1U);
}

TEST_P(Looking, CountsReturnToNothingWhenAllIsDone) {
  open();
  {
    const auto s = must(bus->subscribe(
        {.name = "s", .concurrency = 3, .retry = retry_at_once(3)}, [](Delivery& delivery) {
          return delivery.attempt() < 2 ? Outcome::retry() : Outcome::ack();
        }));
    std::vector<OwnedEvent> events;
    for (std::size_t i = 0; i < 2'000; ++i) {
      events.push_back({.type = "a.b", .payload = {}, .priority = kAllPriorities[i % kLaneCount]});
    }
    must(bus->wait_settled(must(bus->publish_batch(events)), kPatience));
    must(bus->drain());
  }
  const auto stats = bus->stats();
  for (const auto& lane : stats.lanes) {
    EXPECT_EQ(lane.owed.ready, 0U);
    EXPECT_EQ(lane.owed.leased, 0U);
    EXPECT_EQ(lane.owed.scheduled, 0U);
    EXPECT_EQ(lane.owed.dead, 0U);
    EXPECT_EQ(lane.unclaimed, 0U);
  }
  EXPECT_TRUE(eventually([&] { return bus->stats().resident_bytes == 0; }));
}

TEST_P(Looking, NothingIsLeasedOnceItsSubscriptionHasEnded) {
  open();
  Signal running;
  auto s = must(bus->subscribe({.name = "s", .concurrency = 3}, [&](Delivery& delivery) {
    running.set();
    Signal stop;
    const std::stop_callback callback(delivery.stop_token(), [&] { stop.set(); });
    stop.wait();
    return Outcome::stopped();
  }));
  publish_many("a.b", 5);
  ASSERT_TRUE(running.wait());
  s.end();
  // As soon as its answer has been committed.
  EXPECT_TRUE(eventually([&] { return scan({.states = {EventState::ready}}).size() == 5; }));
  const auto lane = stats_of("s").lanes[2];
  EXPECT_EQ(lane.leased, 0U);
  // What a handler had begun waits beside the retries until somebody subscribes again.
  EXPECT_EQ(lane.ready + lane.scheduled, 5U);
}

// --- Retention ----------------------------------------------------------------------------------

class Keeping : public BusTest {
 protected:
  /// `mebibytes` of events of `type`, in 16 KiB each.
  void publish_mebibytes(std::size_t mebibytes, std::string_view type = "a.b") {
    std::vector<OwnedEvent> events(
        64, {.type = std::string(type), .payload = std::string(16 << 10U, 'x')});
    for (std::size_t i = 0; i < mebibytes; ++i) must(bus->publish_batch(events));
  }
  [[nodiscard]] std::uint64_t kept() const {
    const auto lane = bus->stats().lanes[2];
    return lane.newest - lane.trimmed;
  }
};
HOLDFAST_ON_BOTH_STORES(Keeping);

TEST_P(Keeping, SettledEventsAreTrimmedByBytes) {
  options.retention.bytes = std::uint64_t{4} << 20U;
  open();
  Collected<int> done;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { done.add(0); }));
  publish_mebibytes(20);
  ASSERT_TRUE(done.wait_for_count(20 * 64));
  // At most 4 MiB, and one step of 1 MiB or the other that is not full yet.
  ASSERT_TRUE(eventually([&] { return kept() <= 7 * 64; }));
  EXPECT_GE(kept(), 3U * 64);
  EXPECT_FALSE(must(bus->get({Priority::normal, 1})).has_value());
  const auto newest = bus->stats().lanes[2].newest;
  EXPECT_TRUE(must(bus->get({Priority::normal, newest})).has_value());
  EXPECT_EQ(scan().front().first.sequence, bus->stats().lanes[2].trimmed + 1);
  // Settled and gone is settled.
  EXPECT_TRUE(is_ok(bus->wait_settled({Priority::normal, 1}, kPatience)));
}

TEST_P(Keeping, RetentionOfNothingLetsSettledEventsGoAtOnce) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  open();
  Collected<int> done;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { done.add(0); }));
  publish_mebibytes(10);
  ASSERT_TRUE(done.wait_for_count(10 * 64));
  EXPECT_TRUE(eventually([&] { return kept() <= 2 * 64; }));
}

TEST_P(Keeping, NothingThatIsOwedIsEverTrimmed) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  options.unclaimed_retention = options.retention;
  open();
  must(bus->subscribe({.name = "s"}, [](Delivery&) {})).end();
  const auto first = publish("a.b", "first");
  publish_mebibytes(10);
  Collected<std::string> seen;
  const auto t = must(bus->subscribe({.name = "t"}, [&](Delivery& delivery) {
    seen.add(std::string(delivery.event().payload_text().substr(0, 5)));
  }));
  ASSERT_TRUE(seen.wait_for_count(10 * 64 + 1));
  EXPECT_EQ(seen.all()[0], "first");
  EXPECT_EQ(bus->stats().lanes[2].trimmed, 0U);
  EXPECT_TRUE(eventually([&] { return state_of(first.id) == EventState::ready; }));
}

TEST_P(Keeping, OldPendingEventDoesNotKeepTheSpaceOfThoseBehindIt) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  open();
  Collected<int> done;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    if (delivery.event().type == "later") return Outcome::snooze(std::chrono::hours(1));
    done.add(0);
    return Outcome::ack();
  }));
  const auto pending = publish("later", "still here");
  publish_mebibytes(10);
  ASSERT_TRUE(done.wait_for_count(10 * 64));
  EXPECT_TRUE(eventually([&] { return kept() <= 2 * 64; }));
  const auto stored = must(bus->get(pending.id));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->event.payload, "still here");
  EXPECT_EQ(stored->state, EventState::scheduled);
  EXPECT_EQ(scan().front().first, pending.id);
}

TEST_P(Keeping, DeadLettersOutliveTheirPlaceInTheLane) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  open();
  Collected<int> done;
  std::atomic<bool> works{false};
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    done.add(0);
    if (delivery.event().type == "dies" && !works) return Outcome::reject("no");
    return Outcome::ack();
  }));
  const auto dead = publish("dies", "body");
  publish_mebibytes(10);
  ASSERT_TRUE(done.wait_for_count(10 * 64 + 1));
  ASSERT_TRUE(eventually([&] { return bus->stats().lanes[2].trimmed > dead.id.sequence; }));
  EXPECT_EQ(must(bus->dead_letters())[0].event.payload, "body");
  EXPECT_EQ(state_of(dead.id), EventState::dead);
  works = true;
  EXPECT_EQ(must(bus->redrive()), 1U);
  EXPECT_TRUE(is_ok(bus->wait_settled(dead.id, kPatience)));
  EXPECT_EQ(stats_of("s").acked, 10U * 64 + 1);
}

TEST_P(Keeping, UnclaimedEventsHaveARetentionOfTheirOwn) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  open();
  publish_mebibytes(8, "nobody.wants");
  Collected<int> done;
  const auto s =
      must(bus->subscribe({.name = "s", .types = {"a.b"}}, [&](Delivery&) { done.add(0); }));
  publish_mebibytes(2);
  ASSERT_TRUE(done.wait_for_count(128));
  // They are within the default for unclaimed ones.
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 8U * 64);
  EXPECT_EQ(bus->stats().lanes[2].trimmed, 0U);
  EXPECT_EQ(bus->stats().expired_unclaimed, 0U);
}

TEST_P(Keeping, UnclaimedEventsExpireAndAreCounted) {
  options.unclaimed_retention.bytes = std::uint64_t{4} << 20U;
  open();
  publish_mebibytes(20, "nobody.wants");
  ASSERT_TRUE(eventually([&] { return kept() <= 7 * 64; }));
  const auto stats = bus->stats();
  EXPECT_EQ(stats.expired_unclaimed, stats.lanes[2].trimmed);
  EXPECT_EQ(stats.lanes[2].unclaimed, kept());
}

class KeepingOnDisk : public DiskBusTest {};

TEST_F(KeepingOnDisk, VisitThatKeepsEverythingTakesNothingAndThenTheOldRulesHoldAgain) {
  const Retention nothing{.age = std::chrono::seconds(0), .bytes = 0};
  const auto trimmed = [&] { return bus->stats().lanes[2].trimmed; };
  options.retention = options.unclaimed_retention = Retention::forever();
  open();
  std::vector<OwnedEvent> events(64, {.type = "a.b", .payload = std::string(16 << 10U, 'x')});
  for (int i = 0; i < 80; ++i) must(bus->publish_batch(events));
  {
    const auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
    must(bus->wait_settled({Priority::normal, 80 * 64}, kPatience));
  }
  reopen();
  EXPECT_EQ(trimmed(), 0U);
  EXPECT_EQ(scan().size(), 80U * 64);
  options.retention = options.unclaimed_retention = nothing;
  reopen();
  EXPECT_TRUE(eventually([&] { return trimmed() >= 63U * 64; }));
}

TEST_F(KeepingOnDisk, SpaceComesBackByItself) {
  options.retention.bytes = std::uint64_t{1} << 20U;
  open();
  // Bytes that do not compress.
  std::string noise(256 << 10U, '\0');
  std::uint64_t x = 88'172'645'463'325'252;
  const auto publish_noise = [&](int mebibytes) {
    for (int i = 0; i < mebibytes * 4; ++i) {
      for (auto& c : noise) {
        x ^= x << 13U, x ^= x >> 7U, x ^= x << 17U;
        c = static_cast<char>(x);
      }
      must(bus->publish("a.b", noise));
    }
  };
  publish_noise(200);
  const auto full = bus->stats().disk_bytes;
  EXPECT_GT(full, std::uint64_t{150} << 20U);
  Collected<int> done;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { done.add(0); }));
  ASSERT_TRUE(done.wait_for_count(800));
  EXPECT_TRUE(eventually([&] { return bus->stats().disk_bytes < full / 2; }));
  publish_noise(100);
  EXPECT_TRUE(eventually([&] { return bus->stats().disk_bytes < full / 2; }));
}

}  // namespace
}  // namespace holdfast::testing
