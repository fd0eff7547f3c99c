// SPDX-License-Identifier: MIT
// Opening: what is a journal, who may have it, and what comes back after a proper close.
// (After a crash: tests/crash.)
#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <pthread.h>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

namespace fs = std::filesystem;

class Opening : public DiskBusTest {
 protected:
  Result<std::unique_ptr<Bus>> try_open() { return Bus::open(path(), options); }
};

TEST_F(Opening, NewJournalIsCreatedForItsOwnerAlone) {
  open();
  EXPECT_TRUE(bus->recovery().created);
  EXPECT_TRUE(bus->recovery().clean);
  struct stat found {};
  ASSERT_EQ(stat(path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
  reopen();
  EXPECT_FALSE(bus->recovery().created);
}

TEST_F(Opening, MissingJournalIsNotCreatedWhenThatWasNotWanted) {
  options.create_if_missing = false;
  EXPECT_FALSE(try_open().ok());
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(Opening, SecondOpenIsLockedAndNamesThePid) {
  open();
  EXPECT_TRUE(fails(try_open(), StatusCode::locked, {std::to_string(getpid())}));
  // And the first one is none the worse for it.
  publish("a.b");
  must(bus->close());
  EXPECT_TRUE(is_ok(try_open()));
}

TEST(OpeningWithoutThreads, SaysSoAndThrowsNothing) {
  pthread_attr_t before;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  pthread_attr_t huge = before;
  // More than an address space has.
  ASSERT_EQ(pthread_attr_setstacksize(&huge, std::size_t{1} << 47U), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  const auto opened = Bus::open("no-threads", {.in_memory = true});
  EXPECT_EQ(pthread_setattr_default_np(&before), 0);
  EXPECT_TRUE(fails(opened, StatusCode::unavailable, {"threads"}));
}

TEST_F(Opening, FileIsNoJournal) {
  std::ofstream(path()) << "text";
  EXPECT_TRUE(fails(try_open(), StatusCode::invalid_argument, {path()}));
  EXPECT_EQ(fs::file_size(path()), 4U);
}

TEST_F(Opening, FolderWithSomethingElseInItIsNoJournalAndStaysAsItIs) {
  fs::create_directory(path());
  std::ofstream(fs::path(path()) / "letter.txt") << "dear";
  EXPECT_TRUE(fails(try_open(), StatusCode::invalid_argument, {path()}));
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(path()))
    entries.push_back(entry.path().filename());
  EXPECT_EQ(entries, std::vector<fs::path>{"letter.txt"});
}

TEST_F(Opening, EmptyFolderBecomesAJournal) {
  fs::create_directory(path());
  EXPECT_TRUE(is_ok(try_open()));
}

// A filter that could be stored and not be read again would close the journal to everybody.
TEST_F(Opening, JournalWithTheLargestFiltersIsOpenedAgain) {
  open();
  Match match;
  match.metadata_equals.resize(kMetadataPairsMax, {"k", "v"});
  const std::vector<MetadataPair> metadata = {{"k", "v"}};
  // As long as one that each of the filters wants is pending, all of them are kept.
  const auto subscribe = [&](int number) {
    match.source_names = {"p", std::to_string(number)};
    return must(bus->subscribe({.name = "s", .match = match}, [](Delivery& delivery) {
      Signal asked;
      const std::stop_callback ask(delivery.stop_token(), [&] { asked.set(); });
      asked.wait();
      return Outcome::stopped();
    }));
  };
  subscribe(0).end();
  must(bus->publish({.type = "a.b", .source = Source::plugin("p"), .metadata = metadata}));
  for (int i = 1; i <= 16; ++i) subscribe(i).end();
  reopen();
  EXPECT_EQ(stats_of("s").name, "s");
}

TEST_F(Opening, InMemoryBusTouchesNoFolder) {
  options.in_memory = true;
  open();
  publish("a.b");
  EXPECT_FALSE(fs::exists(path()));
}

// --- After a proper close -----------------------------------------------------------------------

TEST_F(Opening, PendingEventsComeBackInTheOrderOfPriority) {
  open();
  must(bus->subscribe({.name = "s"}, [](Delivery&) {})).end();
  std::mt19937 random(7);
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 5'000; ++i) {
    events.push_back({.type = "a.b", .payload = {}, .priority = kAllPriorities[random() % 4]});
  }
  std::vector<EventId> expected;
  for (const auto& receipt : must(bus->publish_batch(events)).receipts) {
    expected.push_back(receipt.id);
  }
  std::sort(expected.begin(), expected.end());
  options.workers = Workers::single();
  reopen();
  EXPECT_TRUE(bus->recovery().clean);
  std::uint64_t pending = 0;
  for (const auto count : bus->recovery().pending) pending += count;
  EXPECT_EQ(pending, 5'000U);
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(expected.size()));
  EXPECT_EQ(runs.ids(), expected);
}

TEST_F(Opening, UnclaimedEventsComeBackUnclaimedAndAreGivenToALaterSubscription) {
  open();
  const auto receipt = publish("a.b", "kept");
  reopen();
  EXPECT_EQ(state_of(receipt.id), EventState::unclaimed);
  EXPECT_EQ(bus->recovery().pending[2], 1U);
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 1U);
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.payloads()[0], "kept");
}

TEST_F(Opening, WhatIsSettledStaysSettled) {
  open();
  std::set<EventId> handled;
  for (int round = 0; round < 5; ++round) {
    Runs runs;
    auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
    publish_many("a.b", 100);
    ASSERT_TRUE(runs.wait_for_count(100));
    s.end();
    reopen();
    for (const auto& id : runs.ids()) EXPECT_TRUE(handled.insert(id).second) << to_string(id);
    EXPECT_EQ(bus->recovery().pending[2], 0U);
  }
}

TEST_F(Opening, SequencesAndCommitsGoOn) {
  open();
  const auto first = publish("a.b");
  const auto batch = publish_many("a.b", 2);
  reopen();
  const auto second = publish("a.b");
  EXPECT_EQ(second.id.sequence, first.id.sequence + 3);
  EXPECT_GT(second.commit, batch.commit);
  EXPECT_NE(publish_many("a.b", 2).batch_id, batch.batch_id);
}

TEST_F(Opening, AttemptsRetryTimesAndErrorsSurvive) {
  open();
  Runs runs;
  const SubscribeOptions subscribing{.name = "s", .retry = retry_at_once(5)};
  auto s = must(bus->subscribe(subscribing, [&](Delivery& delivery) {
    runs.note(delivery);
    return delivery.attempt() < 3 ? Outcome::retry("first")
                                  : Outcome::retry_after(std::chrono::hours(5), "busy");
  }));
  const auto receipt = publish("a.b", "payload");
  ASSERT_TRUE(runs.wait_for_count(3));
  ASSERT_TRUE(eventually([&] {
    return state_of(receipt.id) == EventState::scheduled &&
           must(bus->get(receipt.id))->standings[0].attempts == 3;
  }));
  const auto before = must(bus->get(receipt.id))->standings.at(0);
  s.end();
  reopen();
  const auto after = must(bus->get(receipt.id))->standings.at(0);
  EXPECT_EQ(after.state, EventState::scheduled);
  EXPECT_EQ(after.attempts, 3U);
  EXPECT_NEAR(static_cast<double>(after.next_try - before.next_try), 0, 1e9)
      << "told by the wall clock, kept by another";
  EXPECT_EQ(after.last_error, "busy");
  s = must(bus->subscribe(subscribing, [&](Delivery& delivery) { runs.note(delivery); }));
  // Not due yet: what comes later overtakes it.
  must(bus->wait_settled(publish("a.b").id, kPatience));
  EXPECT_EQ(runs.size(), 4U);
  EXPECT_EQ(state_of(receipt.id), EventState::scheduled);
  EXPECT_EQ(stats_of("s").lanes[2].scheduled, 1U);
}

TEST_F(Opening, RetryThatIsDueGoesOnCountingWhereItWas) {
  open();
  Runs runs;
  std::atomic<bool> pause{true};
  const SubscribeOptions subscribing{.name = "s", .retry = retry_at_once(3)};
  auto s = must(bus->subscribe(subscribing, [&](Delivery& delivery) {
    runs.note(delivery);
    return Outcome::retry_after(std::chrono::milliseconds(pause ? 1 : 0), "no");
  }));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(runs.wait_for_count(1));
  s.end();
  reopen();
  const auto before = must(bus->get(receipt.id))->standings.at(0).attempts;
  Runs again;
  s = must(bus->subscribe(subscribing, [&](Delivery& delivery) {
    again.note(delivery);
    return Outcome::retry("no");
  }));
  must(bus->wait_settled(receipt.id, kPatience));
  EXPECT_EQ(must(bus->dead_letters()).at(0).attempts, 3U);
  if (before == 3) return;
  EXPECT_EQ(again.all().at(0).attempt, before + 1);
}

TEST_F(Opening, DeadLettersSurviveAndCanBeRedriven) {
  open();
  auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) { return Outcome::reject("why"); }));
  const auto receipt = publish("a.b", "body");
  must(bus->wait_settled(receipt.id, kPatience));
  s.end();
  reopen();
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].reason, "why");
  EXPECT_EQ(letters[0].event.payload, "body");
  EXPECT_EQ(stats_of("s").lanes[2].dead, 1U);
  EXPECT_EQ(must(bus->redrive()), 1U);
  reopen();
  EXPECT_TRUE(must(bus->dead_letters()).empty());
  Runs runs;
  s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.all()[0].attempt, 1U);
}

TEST_F(Opening, ThousandsSettledAheadOfOneThatIsNotSurvive) {
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 2};
  open();
  Signal let_go;
  Signal held;
  Settlements settled;
  const SubscribeOptions subscribing{
      .name = "s", .concurrency = 3, .on_settled = [&](EventId id, Settled how) {
        settled.add({id, how});
      }};
  auto s = must(bus->subscribe(subscribing, [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "0") {
      held.set();
      let_go.wait();
      return Outcome::stopped();
    }
    return Outcome::ack();
  }));
  // More than a row may be long: the oldest is parked while its handler runs.
  publish_many("a.b", 20'000);
  ASSERT_TRUE(held.wait());
  ASSERT_TRUE(settled.wait_for_count(19'999));
  EXPECT_EQ(state_of({Priority::normal, 1}), EventState::leased);
  EXPECT_EQ(stats_of("s").lanes[2].leased, 1U);
  std::jthread ending([&] { s.end(); });
  ASSERT_TRUE(eventually([&] { return !stats_of("s").attached; }));
  let_go.set();
  ending.join();
  reopen();
  EXPECT_EQ(bus->recovery().pending[2], 1U);
  Runs runs;
  s = must(bus->subscribe(subscribing, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  must(bus->wait_settled({Priority::normal, 1}, kPatience));
  must(bus->drain());
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs.payloads()[0], "0");
  EXPECT_EQ(runs.all()[0].attempt, 1U);
}

TEST_F(Opening, HandlerOfAParkedEventMayStillAnswer) {
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 2};
  open();
  Signal let_go;
  Settlements settled;
  const auto s = must(bus->subscribe({.name = "s",
                                      .concurrency = 3,
                                      .on_settled =
                                          [&](EventId id, Settled how) {
                                            settled.add({id, how});
                                          }},
                                     [&](Delivery& delivery) {
                                       if (delivery.event().payload_text() != "0") return;
                                       let_go.wait();
                                       delivery.tx().state().put("k", "late");
                                     }));
  publish_many("a.b", 10'000);
  ASSERT_TRUE(settled.wait_for_count(9'999));
  let_go.set();
  ASSERT_TRUE(settled.wait_for_count(10'000));
  EXPECT_EQ(must(bus->state("s", "k")), "late");
  EXPECT_EQ(stats_of("s").acked, 10'000U);
  EXPECT_EQ(state_of({Priority::normal, 1}), EventState::settled);
  EXPECT_EQ(stats_of("s").lanes[2].ready + stats_of("s").lanes[2].scheduled, 0U);
}

TEST_F(Opening, SubscriptionWithAChangedFilterSurvives) {
  open();
  must(bus->subscribe({.name = "s", .types = {"a", "b"}}, [](Delivery&) {})).end();
  publish("a", "old a");
  publish("b", "old b");
  must(bus->subscribe(
           {.name = "s", .types = {"a", "c"}, .condition = [](const EventView&) { return true; }},
           [](Delivery&) { return Outcome::snooze(std::chrono::milliseconds(0)); }))
      .end();
  publish("c", "new c");
  publish("b", "new b");
  reopen();
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"a", "c"}},
                                     [&](Delivery& delivery) { runs.note(delivery); }));
  must(bus->wait_settled(publish("c", "end").id, kPatience));
  ASSERT_TRUE(runs.wait_for_count(3));
  auto payloads = runs.payloads();
  std::sort(payloads.begin(), payloads.end());
  EXPECT_EQ(payloads, (std::vector<std::string>{"end", "new c", "old a"}));
}

TEST_F(Opening, StateSurvives) {
  open();
  auto batch = bus->batch();
  batch.state("s").put("k", "v").put("gone", "x");
  must(batch.commit());
  auto next = bus->batch();
  next.state("s").erase("gone");
  must(next.commit());
  reopen();
  EXPECT_EQ(must(bus->state("s", "k")), "v");
  EXPECT_EQ(must(bus->state("s", "gone")), std::nullopt);
}

TEST_F(Opening, DeferredThatWasNeverAnsweredIsDeliveredAgain) {
  open();
  Collected<std::shared_ptr<Deferred>> owed;
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
    owed.add(std::make_shared<Deferred>(delivery.defer()));
  }));
  publish("a.b", "payload");
  ASSERT_TRUE(owed.wait_for_count(1));
  must(bus->close());
  EXPECT_TRUE(fails(owed.all()[0]->settle(Outcome::ack()), StatusCode::unavailable));
  s.end();
  bus.reset();
  open();
  EXPECT_TRUE(bus->recovery().suspects.empty());
  Runs runs;
  s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_EQ(runs.all()[0].attempt, 1U);
}

TEST_F(Opening, TrimmedLaneStaysTrimmed) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  open();
  Collected<int> done;
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { done.add(0); }));
  std::vector<OwnedEvent> events(256, {.type = "a.b", .payload = std::string(16 << 10U, 'x')});
  must(bus->publish_batch(events));
  must(bus->publish_batch(events));
  ASSERT_TRUE(done.wait_for_count(512));
  ASSERT_TRUE(eventually([&] { return bus->stats().lanes[2].trimmed > 100; }));
  s.end();
  const auto trimmed = bus->stats().lanes[2].trimmed;
  reopen();
  EXPECT_GE(bus->stats().lanes[2].trimmed, trimmed);
  EXPECT_FALSE(must(bus->get({Priority::normal, 1})).has_value());
  EXPECT_EQ(publish("a.b").id.sequence, 513U);
  Runs runs;
  s = must(bus->subscribe({.name = "new"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_GT(runs.ids()[0].sequence, trimmed);
  s.end();
}

}  // namespace
}  // namespace holdfast::testing
