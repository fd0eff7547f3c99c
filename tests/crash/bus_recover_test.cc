// SPDX-License-Identifier: MIT
// What a bus finds after its process was killed: order, settle state, retries, and what was
// running.
//
// Method: a child brings a journal into a certain state, says so, and is killed with SIGKILL.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"
#include "support/journal_image.h"

namespace holdfast::testing {
namespace {

Options single_worker() {
  Options options;
  options.workers = Workers::single();
  return options;
}

/// Does not return: the parent kills it.
[[noreturn]] void wait_to_be_killed() {
  while (true) pause();
}

class Recovering : public DiskBusTest {
 protected:
  ChildProcess start(const std::string& role, const std::vector<std::string>& arguments = {}) {
    std::vector<std::string> all = {path()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return ChildProcess::start(role, all);
  }
  /// Runs `role` until it says "ready", and kills it then.
  void run_until_ready(const std::string& role, const std::vector<std::string>& arguments = {}) {
    auto child = start(role, arguments);
    ASSERT_EQ(child.read_line(), "ready");
    child.kill();
    ASSERT_TRUE(child.was_killed());
  }
};

// --- Order --------------------------------------------------------------------------------------

// Publishes 100,000 events of random priority, durably, with or without a subscription that is owed
// them.
const ChildRole kFill("recover-fill", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  if (given.values.at(1) == "claimed") must(bus->subscribe({.name = "s"}, [](Delivery&) {})).end();
  std::mt19937 random(42);
  for (int batch = 0; batch < 100; ++batch) {
    std::vector<OwnedEvent> events;
    for (int i = 0; i < 1'000; ++i) {
      events.push_back({.type = "a.b", .payload = "x", .priority = kAllPriorities[random() % 4]});
    }
    must(bus->publish_batch(events));
  }
  tell(given, "ready");
  wait_to_be_killed();
  return 0;
});

// Acks them one after the other, and reports what is durably settled.
const ChildRole kWork("recover-work", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0), single_worker()));
  Collected<int> settled;
  std::size_t acked = 0;
  const auto s = must(bus->subscribe(
      {.name = "s",
       .on_settled =
           [&](EventId id, Settled) {
             tell(given, to_string(id));
             settled.add(0);
           }},
      // Not far ahead of what the parent has been told, or all would be done before it kills.
      [&](Delivery&) { settled.wait_for_count(++acked < 500 ? 0 : acked - 500); }));
  wait_to_be_killed();
  return 0;
});

class RecoveringOrder : public Recovering, public ::testing::WithParamInterface<const char*> {};

TEST_P(RecoveringOrder, HundredThousandComeBackExactlyByPriorityAndSequence) {
  run_until_ready("recover-fill", {GetParam()});
  std::vector<EventId> expected;
  {
    std::mt19937 random(42);
    std::uint64_t next[kLaneCount] = {};
    for (int i = 0; i < 100'000; ++i) {
      const auto lane = kAllPriorities[random() % 4];
      expected.push_back({lane, ++next[static_cast<std::size_t>(lane)]});
    }
    std::sort(expected.begin(), expected.end());
  }
  options = single_worker();
  open();
  EXPECT_FALSE(bus->recovery().clean);
  std::uint64_t pending = 0;
  for (const auto count : bus->recovery().pending) pending += count;
  EXPECT_EQ(pending, expected.size());
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(expected.size()));
  EXPECT_TRUE(runs.ids() == expected);
}
INSTANTIATE_TEST_SUITE_P(Recovering, RecoveringOrder, ::testing::Values("claimed", "unclaimed"),
                         [](const auto& each) { return std::string(each.param); });

TEST_F(Recovering, WhatWasSettledDurablyIsNeverDeliveredAgainAndTheRestKeepsItsOrder) {
  run_until_ready("recover-fill", {"claimed"});
  std::set<EventId> settled;
  for (int kills = 0; kills < 3; ++kills) {
    auto child = start("recover-work");
    for (int i = 0; i < 10'000; ++i) {
      const auto id = parse_event_id(child.read_line());
      ASSERT_TRUE(id.has_value());
      EXPECT_TRUE(settled.insert(*id).second) << to_string(*id);
    }
    child.kill();
    for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
      EXPECT_TRUE(settled.insert(*parse_event_id(line)).second) << line;
    }
  }
  options = single_worker();
  open();
  std::set<EventId> suspects;
  for (const auto& suspect : bus->recovery().suspects) suspects.insert(suspect.event);
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(eventually([&] {
    std::uint64_t owed = 0;
    for (const auto& lane : stats_of("s").lanes) owed += lane.ready + lane.leased + lane.scheduled;
    return owed == 0;
  }));
  must(bus->drain());
  EventId last{Priority::critical, 0};
  std::set<EventId> again;
  for (const auto& run : runs.all()) {
    EXPECT_FALSE(settled.contains(run.id)) << to_string(run.id);
    EXPECT_TRUE(again.insert(run.id).second) << to_string(run.id);
    if (run.attempt > 1 || suspects.contains(run.id)) continue;
    EXPECT_GT(run.id, last);
    last = run.id;
  }
  EXPECT_LE(again.size() + settled.size(), 100'000U);
  for (const auto& [id, state] : scan()) EXPECT_EQ(state, EventState::settled) << to_string(id);
}

// --- Counts -------------------------------------------------------------------------------------

TEST_F(Recovering, NumbersThatAreSkippedAfterAPowerLossAreNotCountedAsPublished) {
  const auto image = path() + ".image";
  open();
  publish_many("a.b", 3);
  publish("a.b", {}, Priority::high);
  must(bus->wait_durable(bus->stats().commit));
  copy_image(path(), image);
  must(bus->close());
  std::filesystem::remove_all(path());
  std::filesystem::rename(image, path());
  pretend_reboot(path());
  open();
  ASSERT_EQ(bus->recovery().lost.size(), kLaneCount);
  const auto published = [](const Stats& stats) {
    std::vector<std::uint64_t> lanes;
    for (const auto& lane : stats.lanes) lanes.push_back(lane.published);
    return lanes;
  };
  EXPECT_EQ(published(bus->stats()), (std::vector<std::uint64_t>{0, 1, 3, 0}));
  const auto next = publish("a.b");
  EXPECT_GT(next.id.sequence, 1'000U);
  EXPECT_EQ(bus->stats().lanes[2].newest, next.id.sequence);
  EXPECT_EQ(published(bus->stats()), (std::vector<std::uint64_t>{0, 1, 4, 0}));
  EXPECT_EQ(published(must(must(JournalView::open(path()))->stats())),
            (std::vector<std::uint64_t>{0, 1, 4, 0}));
  reopen();
  EXPECT_EQ(published(bus->stats()), (std::vector<std::uint64_t>{0, 1, 4, 0}));
}

// --- Settle state -------------------------------------------------------------------------------

// One event that waits for its retry, one that is dead, one that is snoozed, one acked, one
// unclaimed, one deferred and never answered.
const ChildRole kStates("recover-states", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  Collected<std::shared_ptr<Deferred>> owed;
  const auto s = must(bus->subscribe(
      {.name = "s", .types = {"work"}, .concurrency = 9, .retry = retry_at_once(9)},
      [&](Delivery& delivery) {
        const auto what = delivery.event().payload_text();
        if (what == "dead") return Outcome::reject("no");
        if (what == "snooze") return Outcome::snooze(std::chrono::hours(7));
        if (what == "retry") {
          return delivery.attempt() < 3 ? Outcome::retry("first")
                                        : Outcome::retry_after(std::chrono::hours(5), "busy");
        }
        if (what == "defer") owed.add(std::make_shared<Deferred>(delivery.defer()));
        delivery.tx().state().put("acked", "yes");
        return Outcome::ack();
      }));
  must(bus->publish("other", "unclaimed"));
  const auto retry = must(bus->publish("work", "retry"));
  for (const auto* what : {"snooze", "defer"}) must(bus->publish("work", what));
  must(bus->wait_settled(must(bus->publish("work", "dead")).id, kPatience));
  must(bus->wait_settled(must(bus->publish("work", "ack")).id, kPatience));
  const bool done = eventually([&] {
    const auto stored = must(bus->get(retry.id));
    return owed.size() == 1 && stored->standings.at(0).attempts == 3 &&
           bus->stats().lanes[2].owed.scheduled == 2;
  });
  must(bus->wait_durable(bus->stats().commit));
  if (done) tell(given, "ready");
  wait_to_be_killed();
  return 0;
});

TEST_F(Recovering, EveryStateSurvives) {
  run_until_ready("recover-states");
  open();
  EXPECT_TRUE(bus->recovery().suspects.empty());
  std::map<std::string, StoredEvent> found;
  must(bus->scan({}, [&](const EventView& event, EventState) {
    found[std::string(event.payload_text())] = *must(bus->get(event.id));
    return true;
  }));
  ASSERT_EQ(found.size(), 6U);
  EXPECT_EQ(found["unclaimed"].state, EventState::unclaimed);
  EXPECT_EQ(found["ack"].state, EventState::settled);
  EXPECT_EQ(found["dead"].state, EventState::dead);
  EXPECT_EQ(found["defer"].state, EventState::ready);
  EXPECT_EQ(found["retry"].state, EventState::scheduled);
  EXPECT_EQ(found["snooze"].state, EventState::scheduled);
  EXPECT_EQ(found["retry"].standings.at(0).attempts, 3U);
  EXPECT_EQ(found["retry"].standings.at(0).last_error, "busy");
  EXPECT_EQ(found["snooze"].standings.at(0).attempts, 0U);
  const auto left = [&](const char* what) {
    return std::chrono::nanoseconds(found[what].standings.at(0).next_try -
                                    found[what].published_at);
  };
  EXPECT_GE(left("retry"), std::chrono::hours(5));
  EXPECT_GE(left("snooze"), std::chrono::hours(7));
  EXPECT_EQ(must(bus->state("s", "acked")), "yes");
  EXPECT_EQ(must(bus->dead_letters()).at(0).reason, "no");
  EXPECT_EQ(bus->recovery().pending[2], 4U);  // retry, snooze, defer, unclaimed
  Runs runs;
  const auto s = must(bus->subscribe({.name = "s", .types = {"work"}},
                                     [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(runs.wait_for_count(1));
  must(bus->drain());
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs.all()[0].payload, "defer");
  EXPECT_EQ(runs.all()[0].attempt, 1U);
}

// Settles 20,000 behind one that stays with its handler.
const ChildRole kAhead("recover-ahead", [](const ChildArguments& given) {
  Options options;
  options.workers = {.critical = 1, .high = 1, .normal = 2, .low = 2};
  const auto bus = must(Bus::open(given.values.at(0), options));
  Collected<int> settled;
  const auto s = must(bus->subscribe(
      {.name = "s", .concurrency = 3, .on_settled = [&](EventId, Settled) { settled.add(0); }},
      [](Delivery& delivery) {
        if (delivery.event().id.sequence == 1) wait_to_be_killed();
      }));
  std::vector<OwnedEvent> events(20'000, {.type = "a.b", .payload = "x"});
  must(bus->publish_batch(events));
  if (settled.wait_for_count(19'999)) tell(given, "ready");
  wait_to_be_killed();
  return 0;
});

TEST_F(Recovering, ThousandsSettledAheadOfTheOneThatRanSurvive) {
  run_until_ready("recover-ahead");
  open();
  ASSERT_EQ(bus->recovery().suspects.size(), 1U);
  EXPECT_EQ(bus->recovery().suspects[0].event, (EventId{Priority::normal, 1}));
  EXPECT_EQ(bus->recovery().pending[2], 1U);
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  must(bus->wait_settled({Priority::normal, 1}, kPatience));
  must(bus->drain());
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs.all()[0].id.sequence, 1U);
  EXPECT_EQ(runs.all()[0].attempt, 2U);
}

// --- Poison -------------------------------------------------------------------------------------

// Handles everything; the event "poison" kills the process for real. Says "done" when nothing is
// owed.
const ChildRole kPoison("recover-poison", [](const ChildArguments& given) {
  Options options;
  options.workers = {.critical = 1, .high = 1, .normal = 1, .low = 3};
  const auto bus = must(Bus::open(given.values.at(0), options));
  const auto s = must(bus->subscribe(
      {.name = "fragile", .concurrency = 4, .retry = retry_at_once(3)}, [&](Delivery& delivery) {
        tell(given, std::string(delivery.event().payload_text()) + " " +
                        std::to_string(delivery.attempt()));
        if (delivery.event().payload_text() == "poison") kill(getpid(), SIGKILL);
      }));
  const bool done = eventually([&] {
    std::uint64_t owed = 0;
    for (const auto& lane : bus->stats().lanes)
      owed += lane.owed.ready + lane.owed.leased + lane.owed.scheduled;
    return owed == 0;
  });
  must(bus->close());
  tell(given, "done");
  return done ? 0 : 1;
});

TEST_F(Recovering, EventThatKillsItsProcessEndsInTheDeadLettersAfterItsAttempts) {
  open();
  must(bus->subscribe({.name = "fragile", .retry = retry_at_once(3)}, [](Delivery&) {})).end();
  std::vector<OwnedEvent> events;
  for (int i = 0; i < 20; ++i) {
    events.push_back({.type = "a.b", .payload = i == 10 ? "poison" : "good" + std::to_string(i)});
  }
  const auto poison = must(bus->publish_batch(events)).receipts[10].id;
  must(bus->close());
  bus.reset();

  int kills = 0;
  std::vector<std::string> poison_runs;
  std::set<std::string> good;
  while (kills < 10) {
    auto child = start("recover-poison");
    std::string last;
    for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
      if (line.starts_with("poison")) poison_runs.push_back(line);
      if (line.starts_with("good")) good.insert(line.substr(0, line.find(' ')));
      last = line;
    }
    if (!child.was_killed()) {
      EXPECT_TRUE(child.succeeded());
      EXPECT_EQ(last, "done");
      break;
    }
    ++kills;
    if (kills > 2) continue;  // the last crash is found by the child itself
    open();
    const auto& suspects = bus->recovery().suspects;
    const auto found = std::find_if(suspects.begin(), suspects.end(),
                                    [&](const auto& suspect) { return suspect.event == poison; });
    ASSERT_NE(found, suspects.end());
    EXPECT_EQ(found->subscription, "fragile");
    EXPECT_EQ(found->attempt, static_cast<std::uint32_t>(kills));
    EXPECT_FALSE(found->dead);
    bus.reset();
  }
  EXPECT_EQ(kills, 3);
  EXPECT_EQ(poison_runs, (std::vector<std::string>{"poison 1", "poison 2", "poison 3"}));
  // Its neighbours were all delivered, and none of them was taken for it.
  EXPECT_EQ(good.size(), 19U);
  open();
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].id, poison);
  EXPECT_EQ(letters[0].subscription, "fragile");
  EXPECT_EQ(letters[0].attempts, 3U);
  EXPECT_NE(letters[0].reason, "");
}

TEST_F(Recovering, OpenThatFindsTheLastAttemptSaysThatItIsDead) {
  open();
  must(bus->subscribe({.name = "fragile", .retry = retry_at_once(3)}, [](Delivery&) {})).end();
  const auto poison = publish("a.b", "poison").id;
  bus.reset();
  for (int kills = 1; kills <= 3; ++kills) {
    auto child = start("recover-poison");
    ASSERT_TRUE(child.was_killed());
    open();
    ASSERT_EQ(bus->recovery().suspects.size(), 1U);
    EXPECT_EQ(bus->recovery().suspects[0].event, poison);
    EXPECT_EQ(bus->recovery().suspects[0].dead, kills == 3);
    EXPECT_EQ(state_of(poison), kills == 3 ? EventState::dead : EventState::ready);
    bus.reset();
  }
  open();
  EXPECT_TRUE(bus->recovery().suspects.empty());
  EXPECT_EQ(must(bus->redrive()), 1U);
}

// Says "ready" when so many handlers run at the same moment as it is told, and is killed by
// somebody else.
const ChildRole kBystanders("recover-bystanders", [](const ChildArguments& given) {
  const auto wanted = std::stoi(given.values.at(1));
  Options options;
  options.workers = {.critical = 1, .high = 1, .normal = 3, .low = 3};
  const auto bus = must(Bus::open(given.values.at(0), options));
  std::atomic<int> running{0};
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 6}, [&](Delivery&) {
    if (++running == wanted) tell(given, "ready");
    wait_to_be_killed();
  }));
  must(bus->publish("a.b", "newcomer"));
  wait_to_be_killed();
  return 0;
});

TEST_F(Recovering, SuspectsRunOneAtATimeAndOthersGoOnMeanwhile) {
  open();
  must(bus->subscribe({.name = "s"}, [](Delivery&) {})).end();
  publish_many("a.b", 4);
  bus.reset();
  run_until_ready("recover-bystanders", {"5"});
  options.workers = {.critical = 1, .high = 1, .normal = 3, .low = 3};
  open();
  ASSERT_EQ(bus->recovery().suspects.size(), 5U);
  std::atomic<int> suspects_running{0};
  std::atomic<int> most{0};
  Runs runs;
  Signal other_ran;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 6}, [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "other") return other_ran.set();
    most = std::max<int>(most, ++suspects_running);
    // Whatever is no suspect is not held up by them.
    other_ran.wait();
    runs.note(delivery);
    --suspects_running;
  }));
  publish("a.b", "other");
  ASSERT_TRUE(runs.wait_for_count(5));
  EXPECT_EQ(most, 1);
  for (const auto& run : runs.all()) EXPECT_EQ(run.attempt, 2U);
}

TEST_F(Recovering, OneThatWasASuspectAlreadyIsBlamedAloneAndTheOthersKeepTheirAttempts) {
  open();
  must(bus->subscribe({.name = "s"}, [](Delivery&) {})).end();
  bus.reset();
  run_until_ready("recover-bystanders", {"1"});
  // The first newcomer is a suspect now; it and a second one run when the next process is killed.
  run_until_ready("recover-bystanders", {"2"});
  open();
  std::map<EventId, std::uint32_t> attempts;
  for (const auto& suspect : bus->recovery().suspects) {
    EXPECT_EQ(suspect.subscription, "s");
    EXPECT_FALSE(suspect.dead);
    attempts[suspect.event] = suspect.attempt;
  }
  EXPECT_EQ(attempts, (std::map<EventId, std::uint32_t>{{{Priority::normal, 1}, 2},
                                                        {{Priority::normal, 2}, 0}}));
  EXPECT_EQ(must(bus->get({Priority::normal, 1}))->standings.at(0).attempts, 2U);
  EXPECT_EQ(must(bus->get({Priority::normal, 2}))->standings.at(0).attempts, 0U);
}

// Says "ready" when the first event waits for its retry and the second snoozes, both in the
// journal.
const ChildRole kWaiting("recover-waiting", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  const auto s = must(bus->subscribe({.name = "s"}, [](Delivery& delivery) {
    return delivery.event().payload_text() == "snooze"
               ? Outcome::snooze(std::chrono::hours(1))
               : Outcome::retry_after(std::chrono::hours(1));
  }));
  for (const auto* how : {"retry", "snooze"}) {
    const auto id = must(bus->publish("a.b", how)).id;
    eventually([&] { return must(bus->get(id))->state == EventState::scheduled; });
  }
  tell(given, "ready");
  wait_to_be_killed();
  return 0;
});

TEST_F(Recovering, EventThatOnlyWaitsIsNoSuspectAndLosesNoAttempt) {
  run_until_ready("recover-waiting");
  open();
  EXPECT_TRUE(bus->recovery().suspects.empty());
  for (const std::uint32_t attempts : {1U, 0U}) {
    const auto stored = must(bus->get({Priority::normal, 2 - attempts}));
    EXPECT_EQ(stored->state, EventState::scheduled);
    EXPECT_EQ(stored->standings.at(0).attempts, attempts);
  }
}

// Ends its subscription from inside the handler and stays there; the next handler acks meanwhile.
const ChildRole kSuperseded("recover-superseded", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  std::optional<Subscription> first;
  Signal subscribed;
  Signal ended;
  first = must(bus->subscribe({.name = "s"}, [&](Delivery&) {
    subscribed.wait();
    first->end();
    ended.set();
    wait_to_be_killed();
  }));
  subscribed.set();
  const auto id = must(bus->publish("a.b", "x")).id;
  ended.wait();
  const auto second = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  must(bus->wait_settled(id, std::chrono::minutes(1)));
  tell(given, "ready");
  wait_to_be_killed();
  return 0;
});

TEST_F(Recovering, HandlerWhoseEventAnotherHasAckedMeanwhileAccusesNobody) {
  run_until_ready("recover-superseded");
  open();
  EXPECT_TRUE(bus->recovery().suspects.empty());
  EXPECT_EQ(state_of({Priority::normal, 1}), EventState::settled);
}

// --- Cancelled ----------------------------------------------------------------------------------

// Cancels one event that waits, one that its handler holds, and a token, and is killed while the
// handler still has it.
const ChildRole kCancel("recover-cancel", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0), single_worker()));
  Signal started;
  const auto s = must(bus->subscribe({.name = "s", .on_cancel = [](Delivery&) {}}, [&](Delivery&) {
    started.set();
    wait_to_be_killed();
  }));
  const auto running = must(bus->publish({.type = "a.b", .payload = "running"})).id;
  started.wait();
  const auto waiting = must(bus->publish({.type = "a.b", .payload = "waiting"})).id;
  const auto token = must(bus->make_token());
  must(bus->publish({.type = "a.b", .payload = "token", .token = token}));
  must(bus->publish({.type = "a.b", .payload = "innocent"}));
  must(bus->cancel(running, "one"));
  must(bus->cancel(waiting, "two"));
  must(bus->cancel(token, "three"));
  tell(given, "ready");
  wait_to_be_killed();
  return 0;
});

TEST_F(Recovering, WhatWasCancelledStaysSoAndIsCleanedUp) {
  run_until_ready("recover-cancel");
  open();
  EXPECT_EQ(state_of({Priority::normal, 1}), EventState::cancelled);
  EXPECT_EQ(state_of({Priority::normal, 2}), EventState::cancelled);
  EXPECT_EQ(state_of({Priority::normal, 3}), EventState::cancelled);
  Runs runs;
  Runs cleanups;
  Settlements settled;
  const auto s =
      must(bus->subscribe({.name = "s",
                           .on_cancel = [&](Delivery& delivery) { cleanups.note(delivery); },
                           .on_settled =
                               [&](EventId id, Settled how) {
                                 settled.add({id, how});
                               }},
                          [&](Delivery& delivery) { runs.note(delivery); }));
  ASSERT_TRUE(settled.wait_for_count(4));
  EXPECT_EQ(runs.payloads(), (std::vector<std::string>{"innocent"}));
  // Of those only one had been begun.
  EXPECT_EQ(cleanups.payloads(), (std::vector<std::string>{"running"}));
  std::map<EventId, Settled> ended;
  for (const auto& [id, how] : settled.all()) ended[id] = how;
  EXPECT_EQ(ended, (std::map<EventId, Settled>{{{Priority::normal, 1}, Settled::cancelled},
                                               {{Priority::normal, 2}, Settled::cancelled},
                                               {{Priority::normal, 3}, Settled::cancelled},
                                               {{Priority::normal, 4}, Settled::acked}}));
}

}  // namespace
}  // namespace holdfast::testing
