// SPDX-License-Identifier: MIT
// A durable subscription set back, or forward, on purpose.
#include <filesystem>

#include "support/bus_test.h"
#include "support/journal_image.h"

namespace holdfast::testing {
namespace {

class Rewinding : public BusTest {
 protected:
  /// Handles `count` runs as "s" and ends.
  void handle(std::size_t count, std::vector<std::string> types = {}) {
    Runs runs;
    Settlements settled;
    auto s = must(bus->subscribe({.name = "s",
                                  .types = std::move(types),
                                  .start = start,
                                  .on_settled =
                                      [&](EventId id, Settled how) {
                                        settled.add({id, how});
                                      }},
                                 [&](Delivery& delivery) {
                                   const auto at = runs.note(delivery);
                                   return at < outcomes.size() ? outcomes[at] : Outcome::ack();
                                 }));
    ASSERT_TRUE(runs.wait_for_count(count));
    ASSERT_TRUE(eventually([&] {
      std::uint64_t left = 0;
      for (const auto& lane : stats_of("s").lanes) left += lane.ready + lane.leased;
      return left == 0;
    }));
    s.end();
    handled = runs.all();
  }
  [[nodiscard]] std::vector<std::string> payloads() const {
    std::vector<std::string> found;
    for (const auto& run : handled) found.push_back(run.payload);
    return found;
  }
  RewindReceipt rewind(const Start& position) { return must(bus->rewind("s", position)); }
  using Payloads = std::vector<std::string>;

  Start start = Start::earliest();
  std::vector<Outcome> outcomes;
  std::vector<holdfast::testing::Run> handled;
};
HOLDFAST_ON_BOTH_STORES(Rewinding);

TEST_P(Rewinding, ToTheEarliestGivesEverythingKeptOnceMore) {
  open();
  const auto first = publish("a", "1");
  publish("a", "2", Priority::high);
  publish("a", "3");
  handle(3);
  const auto receipt = rewind(Start::earliest());
  EXPECT_EQ(receipt.total, 3U);
  EXPECT_EQ(receipt.owed, (std::array<std::uint64_t, 4>{0, 1, 2, 0}));
  EXPECT_EQ(receipt.from, (std::array<std::uint64_t, 4>{1, 1, 1, 1}));
  EXPECT_FALSE(receipt.trimmed);
  EXPECT_EQ(receipt.commit, bus->stats().commit);
  EXPECT_LE(receipt.commit, bus->durable_commit());
  EXPECT_EQ(stats_of("s").lanes[2].ready, 2U);
  EXPECT_EQ(state_of(first.id), EventState::ready);
  handle(3);
  EXPECT_EQ(payloads(), (Payloads{"2", "1", "3"}));
  for (const auto& run : handled) EXPECT_EQ(run.attempt, 1U);
  EXPECT_EQ(state_of(first.id), EventState::settled);
}

TEST_P(Rewinding, ToAnEventTakesTheOtherLanesFromItsCommitOn) {
  open();
  publish("a", "1");
  publish("a", "2", Priority::high);
  const auto third = publish("a", "3");
  publish("a", "4", Priority::high);
  publish("a", "5");
  handle(5);
  EXPECT_EQ(rewind(Start::position(third.id)).total, 3U);
  handle(3);
  EXPECT_EQ(payloads(), (Payloads{"4", "3", "5"}));
}

TEST_P(Rewinding, ForwardDropsWhatWasOwed) {
  open();
  handle(0);
  const auto dropped = publish("a", "1");
  publish("a", "2", Priority::low);
  const auto receipt = rewind(Start::new_only());
  EXPECT_EQ(receipt.total, 0U);
  EXPECT_EQ(stats_of("s").lanes[2].ready, 0U);
  EXPECT_EQ(state_of(dropped.id), EventState::settled);
  publish("a", "3");
  handle(1);
  EXPECT_EQ(payloads(), (Payloads{"3"}));
}

TEST_P(Rewinding, ToATimeGivesWhatWasPublishedFromThenOn) {
  open();
  publish("a", "1");
  publish("a", "2");
  handle(2);
  const auto at = must(bus->get({Priority::normal, 2}))->published_at;
  const auto first = must(bus->get({Priority::normal, 1}))->published_at;
  EXPECT_EQ(rewind(Start::time(at)).total, at > first ? 1U : 2U);
  EXPECT_EQ(rewind(Start::time(0)).total, 2U);
  EXPECT_EQ(rewind(Start::time(at + 1)).total, 0U);
}

TEST_P(Rewinding, GivesAlsoWhatIsOlderThanTheSubscription) {
  open();
  publish("a", "1");
  start = Start::new_only();
  handle(0);
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 1U);
  EXPECT_EQ(rewind(Start::earliest()).total, 1U);
  EXPECT_EQ(bus->stats().lanes[2].unclaimed, 0U) << "it is claimed now";
  handle(1);
  EXPECT_EQ(payloads(), (Payloads{"1"}));
}

TEST_P(Rewinding, FilterOfNowAloneDecides) {
  open();
  handle(0, {"a"});
  publish("a", "1");
  publish("b", "2");
  handle(1, {"a"});
  // With the change those of before must match both filters.
  publish("a", "3");
  handle(0, {"a", "b"});
  publish("b", "4");
  EXPECT_EQ(rewind(Start::earliest()).total, 4U);
  handle(4, {"a", "b"});
  EXPECT_EQ(payloads(), (Payloads{"1", "2", "3", "4"}));
}

TEST_P(Rewinding, RetriesFromThereOnAreOwedAtOnceAndThoseBeforeAreDropped) {
  open();
  const auto before = publish("a", "1");
  const auto second = publish("a", "2");
  outcomes = {Outcome::retry_after(std::chrono::hours(1), "busy"),
              Outcome::snooze(std::chrono::hours(1))};
  handle(2);
  EXPECT_EQ(stats_of("s").lanes[2].scheduled, 2U);
  EXPECT_EQ(rewind(Start::position(second.id)).total, 1U);
  EXPECT_EQ(stats_of("s").lanes[2].scheduled, 0U);
  EXPECT_EQ(state_of(before.id), EventState::settled);
  outcomes.clear();
  handle(1);
  EXPECT_EQ(payloads(), (Payloads{"2"}));
  EXPECT_EQ(handled[0].attempt, 1U);
}

TEST_P(Rewinding, DeadLetterOfWhatIsOwedAgainIsErasedAndOthersStay) {
  open();
  publish("a", "1");
  const auto second = publish("a", "2");
  outcomes = {Outcome::reject("no"), Outcome::reject("no")};
  handle(2);
  ASSERT_EQ(must(bus->dead_letters()).size(), 2U);
  const auto receipt = rewind(Start::position(second.id));
  EXPECT_EQ(receipt.total, 1U);
  EXPECT_EQ(receipt.dead_letters_erased, 1U);
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].event.payload, "1");
  outcomes.clear();
  handle(1);
  EXPECT_EQ(must(bus->redrive()), 1U);
}

TEST_P(Rewinding, OtherSubscriptionsAreNotTouched) {
  open();
  publish("a", "1");
  handle(1);
  Runs others;
  auto other =
      must(bus->subscribe({.name = "other"}, [&](Delivery& delivery) { others.note(delivery); }));
  ASSERT_TRUE(others.wait_for_count(1));
  rewind(Start::earliest());
  handle(1);
  EXPECT_EQ(others.size(), 1U);
}

TEST_P(Rewinding, WhatCannotBeIsRefusedAndChangesNothing) {
  open();
  publish("a", "1");
  const auto nobody = bus->rewind("nobody", Start::earliest());
  EXPECT_TRUE(fails(nobody, StatusCode::not_found, {"\"nobody\""}));
  handle(1);
  EXPECT_TRUE(fails(bus->rewind("s", Start::position({Priority::normal, 99})),
                    StatusCode::not_found, {"normal:99"}));
  EXPECT_TRUE(fails(bus->rewind("s", Start::position({Priority::normal, 0})),
                    StatusCode::invalid_argument, {"position"}));
  {
    const auto attached = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
    EXPECT_TRUE(fails(bus->rewind("s", Start::earliest()), StatusCode::conflict, {"\"s\""}));
  }
  publish("a", "2");
  handle(1);
  EXPECT_EQ(payloads(), (Payloads{"2"}));
  must(bus->close());
  EXPECT_TRUE(fails(bus->rewind("s", Start::earliest()), StatusCode::unavailable));
}

TEST_P(Rewinding, AnswerThatAnEarlierHandlerStillOwesIsStale) {
  open();
  std::optional<Deferred> deferred;
  Signal taken;
  {
    const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
      deferred = delivery.defer();
      taken.set();
      return Outcome::ack();
    }));
    publish("a", "1");
    ASSERT_TRUE(taken.wait());
  }
  EXPECT_EQ(rewind(Start::earliest()).total, 1U);
  EXPECT_TRUE(fails(deferred->settle(Outcome::ack()), StatusCode::stale, {"rewound"}));
  handle(1);
  EXPECT_EQ(payloads(), (Payloads{"1"}));
}

TEST_P(Rewinding, WaitForAnEventThatIsOwedAgainGoesOn) {
  open();
  const auto receipt = publish("a", "1");
  handle(1);
  must(bus->wait_settled(receipt.id, kPatience));
  rewind(Start::earliest());
  EXPECT_TRUE(
      fails(bus->wait_settled(receipt.id, std::chrono::seconds(0)), StatusCode::deadline_exceeded));
  rewind(Start::new_only());
  must(bus->wait_settled(receipt.id, kPatience));
}

class RewindingOnDisk : public Rewinding {
 protected:
  /// What is left of the journal when the process dies here.
  void crash() {
    const auto image = path() + ".image";
    copy_image(path(), image);
    must(bus->close());
    bus.reset();
    std::filesystem::remove_all(path());
    std::filesystem::rename(image, path());
    open();
  }
};
INSTANTIATE_TEST_SUITE_P(On, RewindingOnDisk, ::testing::Values(Store::disk), store_name);

TEST_P(RewindingOnDisk, SurvivesACrash) {
  open();
  publish("a", "1");
  publish("a", "2");
  publish("a", "3");
  outcomes = {Outcome::ack(), Outcome::reject("no"),
              Outcome::retry_after(std::chrono::hours(1), "busy")};
  handle(3);
  EXPECT_EQ(rewind(Start::earliest()).total, 3U);
  crash();
  EXPECT_EQ(bus->recovery().pending[2], 3U);
  EXPECT_TRUE(must(bus->dead_letters()).empty());
  EXPECT_EQ(stats_of("s").lanes[2].scheduled, 0U);
  outcomes.clear();
  handle(3);
  EXPECT_EQ(payloads(), (Payloads{"1", "2", "3"}));
}

TEST_P(RewindingOnDisk, ForwardSurvivesACrash) {
  open();
  handle(0);
  publish("a", "1");
  rewind(Start::new_only());
  crash();
  publish("a", "2");
  handle(1);
  EXPECT_EQ(payloads(), (Payloads{"2"}));
}

TEST_P(Rewinding, PositionThatIsTrimmedIsTheEarliestKeptAndOlderRetriesStay) {
  options.retention = {.age = std::chrono::seconds(0), .bytes = 0};
  open();
  const auto old = publish("a", "old");
  outcomes = {Outcome::retry_after(std::chrono::hours(1), "busy")};
  handle(1);
  outcomes.clear();
  const std::string payload(std::size_t{1} << 20U, 'p');
  for (int i = 0; i < 5; ++i) publish("a", payload);
  handle(5);
  ASSERT_TRUE(eventually([&] { return bus->stats().lanes[2].trimmed > old.id.sequence; }));
  const auto receipt = rewind(Start::position(old.id));
  EXPECT_TRUE(receipt.trimmed);
  EXPECT_GT(receipt.from[2], old.id.sequence);
  const auto lane = stats_of("s").lanes[2];
  EXPECT_EQ(lane.scheduled, 1U) << "the retry is nowhere else";
  EXPECT_EQ(receipt.owed[2], lane.ready + 1);
  // Whoever goes past all of it drops that as well.
  EXPECT_EQ(rewind(Start::new_only()).total, 0U);
  EXPECT_EQ(stats_of("s").lanes[2].scheduled, 0U);
}

}  // namespace
}  // namespace holdfast::testing
