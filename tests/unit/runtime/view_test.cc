// SPDX-License-Identifier: MIT
// A journal read without being opened for writing: beside a live bus, and when nobody has it.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Viewing : public DiskBusTest {
 protected:
  /// A journal with something of every kind in it.
  void fill() {
    Settlements settled;
    Runs runs;
    const auto s =
        must(bus->subscribe({.name = "s",
                             .types = {"work"},
                             .on_settled =
                                 [&](EventId id, Settled how) {
                                   settled.add({id, how});
                                 }},
                            [&](Delivery& delivery) {
                              runs.note(delivery);
                              const auto what = delivery.event().payload_text();
                              if (what == "dies") return Outcome::reject("no");
                              if (what == "later")
                                return Outcome::retry_after(std::chrono::hours(1), "busy");
                              delivery.tx().state().put("k", "v");
                              return Outcome::ack();
                            }));
    publish("other", "unclaimed", Priority::high);
    publish("work", "done");
    publish("work", "dies");
    publish("work", "later");
    ASSERT_TRUE(settled.wait_for_count(2));
    ASSERT_TRUE(eventually([&] { return stats_of("s").lanes[2].scheduled == 1; }));
    // It is planned, and written at the latest when a commit behind it is.
    must(bus->make_token());
  }
  std::map<std::string, std::string> bytes_of_files() const {
    std::map<std::string, std::string> bytes;
    for (const auto& file : std::filesystem::recursive_directory_iterator(path())) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      bytes[file.path().string()] = {std::istreambuf_iterator<char>(in), {}};
    }
    return bytes;
  }
};

void expect_filled(const JournalView& view) {
  std::map<std::string, EventState> states;
  must(view.scan({}, [&](const EventView& event, EventState state) {
    states[std::string(event.payload_text())] = state;
    return true;
  }));
  EXPECT_EQ(states, (std::map<std::string, EventState>{{"unclaimed", EventState::unclaimed},
                                                       {"done", EventState::settled},
                                                       {"dies", EventState::dead},
                                                       {"later", EventState::scheduled}}));
  const auto letters = must(view.dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].reason, "no");
  EXPECT_EQ(letters[0].subscription, "s");
  must(view.scan_dead_letters({.subscription = "s"}, [&](const DeadLetter& letter) {
    EXPECT_EQ(letter.id, letters[0].id);
    EXPECT_EQ(letter.event.payload, "dies");
    return true;
  }));
  EXPECT_TRUE(fails(view.scan_dead_letters({.subscription = "u"}, [](const auto&) { return true; }),
                    StatusCode::not_found));
  EXPECT_EQ(must(view.state("s", "k")), "v");
  EXPECT_EQ(must(view.state("s", "none")), std::nullopt);
  const auto stored = must(view.get({Priority::normal, 3}));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(stored->standings.at(0).last_error, "busy");
  EXPECT_EQ(stored->standings.at(0).attempts, 1U);
  EXPECT_FALSE(must(view.get({Priority::normal, 99})).has_value());
  const auto stats = must(view.stats());
  EXPECT_EQ(stats.lanes[2].published, 3U);
  EXPECT_EQ(stats.lanes[1].unclaimed, 1U);
  EXPECT_EQ(stats.lanes[2].owed.scheduled, 1U);
  EXPECT_EQ(stats.lanes[2].owed.dead, 1U);
  ASSERT_EQ(stats.subscriptions.size(), 1U);
  EXPECT_EQ(stats.subscriptions[0].name, "s");
  EXPECT_FALSE(stats.subscriptions[0].attached);
}

TEST_F(Viewing, LiveBusIsReadAsItWasWhenTheViewWasOpened) {
  open();
  fill();
  const auto view = must(JournalView::open(path()));
  EXPECT_EQ(view->info().owner_pid, getpid());
  EXPECT_FALSE(view->info().clean);
  EXPECT_EQ(view->info().uuid.size(), 36U);
  EXPECT_GE(view->info().format, 1U);
  EXPECT_EQ(view->info().epoch, 1U);
  EXPECT_TRUE(view->info().lost.empty());
  publish_many("later", 100);
  expect_filled(*view);
  EXPECT_EQ(must(JournalView::open(path()))->info().uuid, view->info().uuid);
  EXPECT_EQ(must(must(JournalView::open(path()))->stats()).lanes[2].published, 103U);
}

TEST_F(Viewing, ClosedJournalIsReadWithoutChangingAByte) {
  open();
  fill();
  must(bus->close());
  const auto before = bytes_of_files();
  {
    const auto view = must(JournalView::open(path()));
    EXPECT_EQ(view->info().owner_pid, 0);
    EXPECT_TRUE(view->info().clean);
    expect_filled(*view);
  }
  EXPECT_EQ(bytes_of_files(), before);
  reopen();
  EXPECT_TRUE(bus->recovery().clean);
}

TEST_F(Viewing, EveryStateOfABusyBusCanBeOpened) {
  open();
  const auto s = must(bus->subscribe(
      {.name = "s"}, [](Delivery& delivery) { delivery.tx().state().put("k", "v"); }));
  for (int round = 0; round < 10; ++round) {
    const auto batch = publish_many("a.b", 1'000);
    const auto view = JournalView::open(path());
    if (!view.ok()) {
      EXPECT_TRUE(fails(view.status(), StatusCode::unavailable));
      continue;
    }
    // Written before it was opened, so it is in it; whole, in order, without a gap.
    std::uint64_t expected = 1;
    must((*view)->scan({}, [&](const EventView& event, EventState) {
      EXPECT_EQ(event.id.sequence, expected++);
      return true;
    }));
    EXPECT_GT(expected, batch.receipts.back().id.sequence);
  }
}

TEST_F(Viewing, IdsAndFiltersThatNothingCanHaveAreRefused) {
  open();
  publish("a");
  const auto view = must(JournalView::open(path()));
  const auto visit = [](const EventView&, EventState) { return true; };
  EXPECT_TRUE(fails(view->scan({.priorities = {static_cast<Priority>(4)}}, visit),
                    StatusCode::invalid_argument, {"priority is 4", "0 to 3"}));
  EXPECT_TRUE(fails(view->scan({.states = {static_cast<EventState>(9)}}, visit),
                    StatusCode::invalid_argument, {"state is 9", "0 to 8"}));
  for (const EventId bad : {EventId{Priority::normal, 0}, EventId{static_cast<Priority>(7), 1}}) {
    EXPECT_TRUE(fails(view->get(bad), StatusCode::invalid_argument, {"event id"}));
    EXPECT_TRUE(fails(view->dead_letters({.id = bad}), StatusCode::invalid_argument, {"event id"}));
  }
}

TEST_F(Viewing, WhatIsNoJournalIsToldApart) {
  EXPECT_TRUE(fails(JournalView::open(path()), StatusCode::not_found, {path()}));
  std::filesystem::create_directory(path());
  EXPECT_TRUE(fails(JournalView::open(path()), StatusCode::invalid_argument, {path()}));
  EXPECT_TRUE(std::filesystem::is_empty(path()));
  const auto file = path() + "/letter.txt";
  std::ofstream(file) << "dear";
  EXPECT_TRUE(fails(JournalView::open(file), StatusCode::invalid_argument, {file, "not a folder"}));
}

}  // namespace
}  // namespace holdfast::testing
