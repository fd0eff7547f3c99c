// SPDX-License-Identifier: MIT
// Journaled events run again: which, in what order, at what pace, and what ends it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <thread>

#include "runtime/replay_pace.h"
#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

class Replaying : public BusTest {
 protected:
  struct Given {
    ReplayReceipt receipt;
    std::vector<std::string> payloads;
  };
  Given replay(const ReplayOptions& replay_options = {}) const {
    Given given;
    given.receipt = must(bus->replay(replay_options, [&](const EventView& event) {
      given.payloads.emplace_back(event.payload_text());
      return true;
    }));
    return given;
  }
  Status refusal(const ReplayOptions& replay_options) const {
    const auto result = bus->replay(replay_options, [](const EventView&) {
      ADD_FAILURE();
      return true;
    });
    return result.status();
  }
  /// a in normal, b and c in one batch over two lanes, d in critical, e in normal.
  void publish_five() {
    receipts.push_back(publish("x.a", "a"));
    const auto batch = must(bus->publish_batch(
        std::vector<OwnedEvent>{{.type = "x.b", .payload = "b", .priority = Priority::low},
                                {.type = "y.c", .payload = "c", .priority = Priority::high}}));
    receipts.insert(receipts.end(), batch.receipts.begin(), batch.receipts.end());
    receipts.push_back(publish("x.d", "d", Priority::critical));
    receipts.push_back(publish("y.e", "e"));
  }
  using Payloads = std::vector<std::string>;

  std::vector<Receipt> receipts;
};
HOLDFAST_ON_BOTH_STORES(Replaying);

TEST_P(Replaying, GivesAllLanesInTheOrderOfCommitAndIndex) {
  open();
  publish_five();
  const auto given = replay();
  EXPECT_EQ(given.payloads, (Payloads{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(given.receipt.events, 5U);
  EXPECT_EQ(given.receipt.first->id, receipts.front().id);
  EXPECT_EQ(given.receipt.last->id, receipts.back().id);
  EXPECT_EQ(given.receipt.last->commit, receipts.back().commit);
  EXPECT_EQ(given.receipt.missed, 0U);
  EXPECT_FALSE(given.receipt.stopped);
}

TEST_P(Replaying, OfAnEmptyJournalGivesNothing) {
  open();
  const auto given = replay();
  EXPECT_EQ(given.receipt.events, 0U);
  EXPECT_FALSE(given.receipt.first.has_value());
}

TEST_P(Replaying, TouchesNoSettleState) {
  open();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    runs.note(delivery);
    return delivery.event().type == "x.a" ? Outcome::ack() : Outcome::reject("no");
  }));
  publish_five();
  ASSERT_TRUE(runs.wait_for_count(5));
  ASSERT_TRUE(eventually([&] { return stats_of("s").rejected == 4; }));
  const auto before = scan();
  const auto commits = bus->stats().commits;
  EXPECT_EQ(replay().receipt.events, 5U);
  EXPECT_EQ(bus->stats().commits, commits);
  EXPECT_EQ(scan(), before);
  EXPECT_EQ(runs.size(), 5U);
}

TEST_P(Replaying, EndsAreInclusiveAndInTheTotalOrder) {
  open();
  publish_five();
  const auto between = [&](ReplayPoint from, ReplayPoint to) {
    return replay({.from = from, .to = to}).payloads;
  };
  using Point = ReplayPoint;
  EXPECT_EQ(between(Point::event(receipts[1].id), {}), (Payloads{"b", "c", "d", "e"}));
  EXPECT_EQ(between(Point::event(receipts[2].id), Point::event(receipts[3].id)),
            (Payloads{"c", "d"}));
  EXPECT_EQ(between({}, Point::event(receipts[1].id)), (Payloads{"a", "b"}));
  EXPECT_EQ(between(Point::commit(receipts[1].commit), Point::commit(receipts[1].commit)),
            (Payloads{"b", "c"}));
  EXPECT_EQ(between(Point::event(receipts[2].id), Point::commit(receipts[2].commit)),
            (Payloads{"c"}));
  EXPECT_EQ(between(Point::commit(bus->stats().commit), {}), (Payloads{"e"}));
}

TEST_P(Replaying, ByTimeGivesWhatWasPublishedThen) {
  open();
  publish_five();
  std::vector<WallTime> times;
  must(bus->replay({}, [&](const EventView& event) {
    times.push_back(event.published_at);
    return true;
  }));
  const auto between = [&](WallTime from, WallTime to) {
    return replay({.from = ReplayPoint::time(from), .to = ReplayPoint::time(to)}).receipt.events;
  };
  const auto expected = [&](WallTime from, WallTime to) {
    return static_cast<std::uint64_t>(std::count_if(
        times.begin(), times.end(), [&](WallTime at) { return at >= from && at <= to; }));
  };
  for (const auto from : times) {
    EXPECT_EQ(between(from, times.back()), expected(from, times.back()));
    EXPECT_EQ(between(times.front(), from), expected(times.front(), from));
  }
  EXPECT_EQ(between(0, times.front() - 1), 0U);
  EXPECT_EQ(between(times.back() + 1, std::numeric_limits<WallTime>::max()), 0U);
}

TEST_P(Replaying, TypesPrioritiesAndLimitChoose) {
  open();
  publish_five();
  EXPECT_EQ(replay({.types = {"y.*"}}).payloads, (Payloads{"c", "e"}));
  EXPECT_EQ(replay({.priorities = {Priority::normal, Priority::low}}).payloads,
            (Payloads{"a", "b", "e"}));
  EXPECT_EQ(replay({.types = {"x.>"}, .limit = 2}).payloads, (Payloads{"a", "b"}));
  const auto none = replay({.limit = 0}).receipt;
  EXPECT_EQ(none.events, 0U);
  EXPECT_FALSE(none.stopped);
}

TEST_P(Replaying, AgreesWithTheNaiveOrderWhereverItBeginsAndEnds) {
  open();
  std::vector<Receipt> all;
  for (int i = 0; i < 300; ++i) {
    const auto lane = static_cast<Priority>(i % 7 % kLaneCount);
    if (i % 10 == 0) {
      const auto batch = publish_many("many", 1 + static_cast<std::size_t>(i) * 7, lane);
      all.insert(all.end(), batch.receipts.begin(), batch.receipts.end());
    } else {
      all.push_back(publish("one", "p", lane));
    }
  }
  const auto ids = [&](const ReplayOptions& which) {
    std::vector<EventId> found;
    must(bus->replay(which, [&](const EventView& event) {
      found.push_back(event.id);
      return true;
    }));
    return found;
  };
  std::vector<EventId> expected;
  for (const auto& receipt : all) expected.push_back(receipt.id);
  ASSERT_EQ(ids({}), expected);
  for (std::size_t from = 0; from < all.size(); from += 1'234) {
    for (std::size_t to = from; to < all.size(); to += 2'345) {
      const auto found =
          ids({.from = ReplayPoint::event(all[from].id), .to = ReplayPoint::event(all[to].id)});
      ASSERT_EQ(found,
                std::vector<EventId>(expected.begin() + static_cast<std::ptrdiff_t>(from),
                                     expected.begin() + static_cast<std::ptrdiff_t>(to) + 1));
    }
    const auto commit = all[from].commit;
    const auto found =
        ids({.from = ReplayPoint::commit(commit), .to = ReplayPoint::commit(commit)});
    ASSERT_EQ(static_cast<std::ptrdiff_t>(found.size()),
              std::count_if(all.begin(), all.end(),
                            [&](const auto& each) { return each.commit == commit; }));
  }
}

// --- What ends it -------------------------------------------------------------------------------

TEST_P(Replaying, HandlerThatSaysNoStopsIt) {
  open();
  publish_five();
  int calls = 0;
  const auto receipt = must(bus->replay({}, [&](const EventView&) { return ++calls < 2; }));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(receipt.events, 2U);
  EXPECT_TRUE(receipt.stopped);
}

TEST_P(Replaying, HandlerThatThrowsOrIsEmptyEndsIt) {
  open();
  publish_five();
  const auto thrown =
      bus->replay({}, [](const EventView&) -> bool { throw std::runtime_error("oh no"); });
  EXPECT_TRUE(fails(thrown, StatusCode::invalid_argument, {"the handler threw: oh no"}));
  EXPECT_TRUE(fails(bus->replay({}, ReplayHandler()), StatusCode::invalid_argument,
                    {"the handler is empty"}));
}

TEST_P(Replaying, HandlerMayPublishAndThatIsNotReplayed) {
  open();
  publish_five();
  const auto receipt = must(bus->replay({}, [&](const EventView& event) {
    publish("again", event.payload_text());
    return true;
  }));
  EXPECT_EQ(receipt.events, 5U);
  EXPECT_EQ(replay().receipt.events, 10U);
}

TEST_P(Replaying, WhatCannotBeIsRefusedWithItsValue) {
  open();
  publish_five();
  const auto bad = StatusCode::invalid_argument;
  EXPECT_TRUE(fails(refusal({.types = {"a..b"}}), bad, {"\"a..b\"", "empty token"}));
  EXPECT_TRUE(fails(refusal({.priorities = {static_cast<Priority>(9)}}), bad, {"priority", "9"}));
  EXPECT_TRUE(fails(refusal({.speed = -1.5}), bad, {"speed is -1.5"}));
  EXPECT_TRUE(fails(refusal({.speed = std::nan("")}), bad, {"speed is nan"}));
  EXPECT_TRUE(fails(refusal({.gap_max = nanoseconds(-3)}), bad, {"gap_max is -3 ns"}));
  EXPECT_TRUE(fails(refusal({.from = ReplayPoint::event({Priority::normal, 0})}), bad, {"from"}));
  EXPECT_TRUE(fails(refusal({.to = ReplayPoint::event({Priority::normal, 0})}), bad, {"to"}));
  EXPECT_TRUE(fails(refusal({.from = ReplayPoint::commit({0})}), bad, {"commit 0"}));
  EXPECT_TRUE(fails(refusal({.to = ReplayPoint::commit({99})}), bad,
                    {"commit 99", std::to_string(bus->stats().commit.value)}));
  EXPECT_TRUE(fails(refusal({.from = ReplayPoint::event(receipts[1].id),
                             .to = ReplayPoint::event(receipts[0].id)}),
                    bad, {"behind"}));
  EXPECT_TRUE(fails(refusal({.from = ReplayPoint::event(receipts[2].id),
                             .to = ReplayPoint::commit(receipts[0].commit)}),
                    bad, {"behind"}));
  EXPECT_TRUE(
      fails(refusal({.from = ReplayPoint::time(8), .to = ReplayPoint::time(7)}), bad, {"8", "7"}));
  EXPECT_TRUE(fails(refusal({.from = ReplayPoint::event({Priority::normal, 77})}),
                    StatusCode::not_found, {"normal:77"}));
}

TEST_P(Replaying, OfAClosedBusIsUnavailable) {
  open();
  must(bus->close());
  EXPECT_TRUE(fails(refusal({}), StatusCode::unavailable, {"closed"}));
}

TEST_P(Replaying, ClosingEndsItBetweenTwoEvents) {
  open();
  publish_five();
  int calls = 0;
  const auto result = bus->replay({}, [&](const EventView&) {
    if (++calls > 1) return true;
    // In another thread, which need not wait for this one: nothing is held here.
    std::thread([&] { must(bus->close()); }).join();
    return true;
  });
  EXPECT_TRUE(fails(result, StatusCode::unavailable, {"closed"}));
  EXPECT_EQ(calls, 1);
}

// --- The pace -----------------------------------------------------------------------------------

ReplayOptions waits_for_ever() { return {.speed = 1e-12, .gap_max = nanoseconds::max()}; }

TEST_P(Replaying, StopEndsItAlsoInAWait) {
  open();
  publish_five();
  std::stop_source source;
  auto slow = waits_for_ever();
  slow.stop = source.get_token();
  Collected<std::string> given;
  Result<ReplayReceipt> result = Status(StatusCode::internal, "not run");
  std::thread replays([&] {
    result = bus->replay(slow, [&](const EventView& event) {
      given.add(std::string(event.payload_text()));
      return true;
    });
  });
  EXPECT_TRUE(given.wait_for_count(1));
  source.request_stop();
  replays.join();
  ASSERT_TRUE(is_ok(result));
  EXPECT_TRUE(result->stopped);
  EXPECT_EQ(result->events, given.size());
  EXPECT_LT(given.size(), 5U);
}

TEST_P(Replaying, StopThatWasRequestedBeforeGivesNothing) {
  open();
  publish_five();
  std::stop_source source;
  source.request_stop();
  const auto given = replay({.stop = source.get_token()});
  EXPECT_EQ(given.receipt.events, 0U);
  EXPECT_TRUE(given.receipt.stopped);
}

TEST_P(Replaying, ClosingEndsAWaitAndDoesNotWaitForIt) {
  open();
  publish_five();
  Collected<std::string> given;
  Result<ReplayReceipt> result = Status(StatusCode::internal, "not run");
  std::thread replays([&] {
    result = bus->replay(waits_for_ever(), [&](const EventView& event) {
      given.add(std::string(event.payload_text()));
      return true;
    });
  });
  EXPECT_TRUE(given.wait_for_count(1));
  must(bus->close());
  replays.join();
  EXPECT_TRUE(fails(result, StatusCode::unavailable, {"closed"}));
}

TEST_P(Replaying, ClosingEndsAWaitInAHandler) {
  open();
  publish_five();
  Signal begun;
  Status seen;
  const auto s = must(bus->subscribe({.name = "s", .types = {"go"}}, [&](Delivery&) {
    seen = bus->replay(waits_for_ever(),
                       [&](const EventView&) {
                         begun.set();
                         return true;
                       })
               .status();
  }));
  publish("go");
  EXPECT_TRUE(begun.wait());
  must(bus->close());
  EXPECT_TRUE(fails(seen, StatusCode::unavailable, {"closed"}));
}

TEST_P(Replaying, AtAPaceGivesTheSameInTheSameOrder) {
  open();
  publish_five();
  EXPECT_EQ(replay({.speed = 1e9}).payloads, (Payloads{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(replay({.speed = 1, .gap_max = nanoseconds(0)}).payloads,
            (Payloads{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(replay({.speed = std::numeric_limits<double>::infinity()}).receipt.events, 5U);
}

TEST(ReplayPace, IsThatOfPublishingTimesTheSpeed) {
  runtime::ReplayPace same(1, hours(1));
  EXPECT_EQ(same.due(1'000'000), nanoseconds(0));
  EXPECT_EQ(same.due(4'000'000), nanoseconds(3'000'000));
  EXPECT_EQ(same.due(4'000'000), nanoseconds(3'000'000));
  runtime::ReplayPace faster(10, hours(1));
  EXPECT_EQ(faster.due(0), nanoseconds(0));
  EXPECT_EQ(faster.due(1'000), nanoseconds(100));
  runtime::ReplayPace slower(0.5, hours(1));
  EXPECT_EQ(slower.due(0), nanoseconds(0));
  EXPECT_EQ(slower.due(1'000), nanoseconds(2'000));
}

TEST(ReplayPace, GapThatIsTooLongIsShortened) {
  runtime::ReplayPace pace(1, seconds(1));
  EXPECT_EQ(pace.due(0), nanoseconds(0));
  EXPECT_EQ(pace.due(3'600'000'000'000), seconds(1));
  EXPECT_EQ(pace.due(3'600'500'000'000), milliseconds(1'500));
}

TEST(ReplayPace, ClockThatSteppedBackIsNoWaitAndNothingIsCaughtUpWith) {
  runtime::ReplayPace pace(1, hours(1));
  EXPECT_EQ(pace.due(5'000), nanoseconds(0));
  EXPECT_EQ(pace.due(1'000), nanoseconds(0));
  EXPECT_EQ(pace.due(1'500), nanoseconds(500));
}

TEST(ReplayPace, ZeroAndInfinityWaitForNothingAndExtremesDoNotWrapAround) {
  EXPECT_FALSE(runtime::ReplayPace(0, hours(1)).waits());
  EXPECT_FALSE(runtime::ReplayPace(std::numeric_limits<double>::infinity(), hours(1)).waits());
  runtime::ReplayPace pace(std::numeric_limits<double>::denorm_min(), nanoseconds::max());
  EXPECT_TRUE(pace.waits());
  EXPECT_EQ(pace.due(std::numeric_limits<WallTime>::min()), nanoseconds(0));
  const auto due = pace.due(std::numeric_limits<WallTime>::max());
  EXPECT_GT(due, hours(24 * 365));
  EXPECT_GE(pace.due(std::numeric_limits<WallTime>::max()), due);
}

// --- While events are trimmed -------------------------------------------------------------------

TEST_P(Replaying, WhatIsTrimmedMeanwhileIsCountedAndTheRestGoesOn) {
  options.unclaimed_retention = {.age = seconds(0), .bytes = 0};
  options.retention = options.unclaimed_retention;
  options.memory_budget = std::size_t{64} << 20U;
  open();
  // Nothing goes while somebody is owed it.
  auto pending = must(bus->subscribe({.name = "s", .types = {">"}}, [](Delivery&) {}));
  pending.end();
  constexpr std::uint64_t kCount = 64;
  const std::string payload(std::size_t{128} << 10U, 'p');
  for (std::uint64_t i = 0; i < kCount; ++i) publish("big", payload);
  std::uint64_t given = 0;
  std::uint64_t last = 0;
  const auto receipt = must(bus->replay({}, [&](const EventView& event) {
    EXPECT_GT(event.id.sequence, last);
    last = event.id.sequence;
    if (++given == 2) {
      must(bus->remove_subscription("s"));
      EXPECT_TRUE(eventually([&] { return bus->stats().lanes[2].trimmed > 30; }))
          << "a replay must not keep anything";
    }
    return true;
  }));
  EXPECT_GT(receipt.missed, 20U);
  EXPECT_EQ(receipt.events + receipt.missed, kCount);
  EXPECT_EQ(receipt.events, given);
}

// --- Into another bus ---------------------------------------------------------------------------

class ReplayingInto : public Replaying {
 protected:
  void SetUp() override {
    Options other_options;
    other_options.in_memory = true;
    other = must(Bus::open("", other_options));
  }
  std::unique_ptr<Bus> other;
};
HOLDFAST_ON_BOTH_STORES(ReplayingInto);

TEST_P(ReplayingInto, GivesTheOtherBusTheSameEventsInTheSameOrder) {
  open();
  const std::vector<MetadataPair> metadata{{"k", "1"}, {"k", "2"}};
  must(bus->publish({.type = "full",
                     .payload = "payload",
                     .content_type = "text/plain",
                     .priority = Priority::low,
                     .source = Source::plugin("p"),
                     .metadata = metadata,
                     .timestamp = 12'345}));
  publish_five();
  publish_many("many", 600);
  const auto receipt = must(bus->replay({}, *other));
  EXPECT_EQ(receipt.events, 606U);
  EXPECT_EQ(other->durable_commit(), other->stats().commit);
  std::vector<std::pair<std::string, std::string>> mine;
  std::vector<std::pair<std::string, std::string>> theirs;
  const auto into = [](auto& list) {
    return [&list](const EventView& event) {
      list.emplace_back(event.type, event.payload_text());
      return true;
    };
  };
  must(bus->replay({}, into(mine)));
  std::set<std::uint64_t> commits;
  must(other->replay({}, [&](const EventView& event) {
    commits.insert(event.commit.value);
    EXPECT_EQ(event.batch_id.value, 0U);
    return into(theirs)(event);
  }));
  EXPECT_EQ(mine, theirs);
  EXPECT_EQ(commits.size(), 3U) << "steps of 256 events";
  const auto first = must(other->get({Priority::low, 1}))->event;
  EXPECT_EQ(first.type, "full");
  EXPECT_EQ(first.content_type, "text/plain");
  EXPECT_EQ(first.source_kind, SourceKind::plugin);
  EXPECT_EQ(first.source_name, "p");
  EXPECT_EQ(first.timestamp, 12'345);
  ASSERT_EQ(first.metadata.size(), 2U);
  EXPECT_EQ(first.metadata[1].second, "2");
}

TEST_P(ReplayingInto, ABusItselfIsRefused) {
  open();
  publish("a");
  EXPECT_TRUE(fails(bus->replay({}, *bus), StatusCode::invalid_argument, {"into itself"}));
}

TEST_P(ReplayingInto, WhatTheOtherBusRefusesEndsItAndTellsHowFarItCame) {
  open();
  Options small;
  small.in_memory = true;
  small.limits.payload_bytes_max = 10;
  other = must(Bus::open("", small));
  publish("a", "short");
  publish("b", "much longer than that");
  publish("c");
  EXPECT_TRUE(fails(bus->replay({}, *other), StatusCode::invalid_argument,
                    {"after 1 events", "normal:2", "10"}));
  EXPECT_EQ(other->stats().lanes[2].published, 1U);
}

TEST_P(ReplayingInto, AClosedBusIsUnavailable) {
  open();
  publish("a");
  must(other->close());
  EXPECT_TRUE(fails(bus->replay({}, *other), StatusCode::unavailable));
}

TEST_P(ReplayingInto, AtAPaceNothingIsHeldBackWhileItWaits) {
  open();
  publish("a", "1");
  // Whatever the clock's grain, the second is later.
  ASSERT_TRUE(eventually([&] {
    publish("a", "2");
    std::set<WallTime> times;
    must(bus->replay({}, [&](const EventView& event) {
      times.insert(event.published_at);
      return true;
    }));
    return times.size() > 1;
  }));
  std::stop_source source;
  auto slow = waits_for_ever();
  slow.stop = source.get_token();
  Result<ReplayReceipt> result = Status(StatusCode::internal, "not run");
  std::thread replays([&] { result = bus->replay(slow, *other); });
  EXPECT_TRUE(eventually([&] { return other->stats().lanes[2].published > 0; }));
  source.request_stop();
  replays.join();
  ASSERT_TRUE(is_ok(result));
  EXPECT_TRUE(result->stopped);
  EXPECT_EQ(result->events, other->stats().lanes[2].published);
}

// --- From a view --------------------------------------------------------------------------------

class ReplayingOnDisk : public DiskBusTest {};

TEST_F(ReplayingOnDisk, AViewReplaysWhatWasThereWhenItWasOpened) {
  open();
  publish("a", "1");
  publish("a", "2", Priority::high);
  const auto view = must(JournalView::open(path()));
  publish("a", "3");
  std::string given;
  const auto receipt = must(view->replay({}, [&](const EventView& event) {
    given += event.payload_text();
    return true;
  }));
  EXPECT_EQ(given, "12");
  EXPECT_EQ(receipt.events, 2U);
  EXPECT_EQ(must(view->replay({.from = ReplayPoint::event({Priority::high, 1})}, *bus)).events, 1U);
  EXPECT_EQ(bus->stats().lanes[1].published, 2U);
  EXPECT_TRUE(fails(view->replay({.to = ReplayPoint::commit({99})}, *bus),
                    StatusCode::invalid_argument, {"commit 99"}));
}

TEST_F(ReplayingOnDisk, OutlivesAReopenAndGoesOnOverLostSequences) {
  open();
  publish_many("a", 2'000);
  reopen();
  publish_many("a", 2'000, Priority::low);
  std::uint64_t given = 0;
  must(bus->replay({}, [&](const EventView&) { return ++given > 0; }));
  EXPECT_EQ(given, 4'000U);
}

}  // namespace
}  // namespace holdfast::testing
