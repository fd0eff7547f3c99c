// SPDX-License-Identifier: MIT
// Every limit has a name, and its error states the value that met it and the limit.
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

class Limiting : public BusTest {
 protected:
  std::string text(std::size_t size) { return std::string(size, 'x'); }
};
HOLDFAST_ON_BOTH_STORES(Limiting);

TEST_P(Limiting, PayloadOverItsLimitIsRefusedWithValueAndLimit) {
  options.limits.payload_bytes_max = 1'000;
  open();
  EXPECT_TRUE(is_ok(bus->publish("a.b", text(1'000))));
  EXPECT_TRUE(fails(bus->publish("a.b", text(1'001)), StatusCode::invalid_argument,
                    {"payload", "1001", "1000"}));
  EXPECT_EQ(scan().size(), 1U);
}

TEST_P(Limiting, DefaultPayloadLimitIsOneMebibyte) {
  open();
  const auto receipt = must(bus->publish("a.b", text(std::size_t{1} << 20U)));
  EXPECT_EQ(must(bus->get(receipt.id))->event.payload.size(), std::size_t{1} << 20U);
  EXPECT_TRUE(fails(bus->publish("a.b", text((std::size_t{1} << 20U) + 1)),
                    StatusCode::invalid_argument, {"payload", "1048577", "1048576"}));
}

TEST_P(Limiting, PayloadLimitCanBeRaisedToSixtyFourMebibytes) {
  options.limits.payload_bytes_max = kPayloadBytesHardMax + 1;
  options.in_memory = GetParam() == Store::memory;
  EXPECT_TRUE(fails(Bus::open(path(), options), StatusCode::invalid_argument,
                    {"payload_bytes_max", "67108865", "67108864"}));
  options.limits.payload_bytes_max = kPayloadBytesHardMax;
  open();
  Runs runs;
  const auto subscription = must(bus->subscribe("a.b", [&](Delivery& delivery) {
    EXPECT_EQ(delivery.event().payload.size(), kPayloadBytesHardMax);
    runs.add({delivery.event().id, 1, {}, {}});
  }));
  must(bus->publish("a.b", text(kPayloadBytesHardMax)));
  EXPECT_TRUE(runs.wait_for_count(1));
}

TEST_P(Limiting, TypesAreCheckedTokenByToken) {
  open();
  EXPECT_TRUE(is_ok(bus->publish("A-z_0.9", {})));
  EXPECT_TRUE(is_ok(bus->publish(text(kNameBytesMax), {})));
  EXPECT_TRUE(fails(bus->publish(text(kNameBytesMax + 1), {}), StatusCode::invalid_argument,
                    {"type", "256", "255"}));
  for (const auto* bad : {"", ".", "a.", ".a", "a..b", "a b", "a/b", "a.*", "a.>", "\xc3\xa4"}) {
    EXPECT_TRUE(fails(bus->publish(bad, {}), StatusCode::invalid_argument, {"type"})) << bad;
  }
}

TEST_P(Limiting, ContentTypeAndSourceNameAreBounded) {
  open();
  const auto fits = text(kNameBytesMax);
  const auto over = text(kNameBytesMax + 1);
  EXPECT_TRUE(is_ok(bus->publish({.type = "a", .content_type = fits})));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .content_type = over}), StatusCode::invalid_argument,
                    {"content type", "256", "255"}));
  EXPECT_TRUE(is_ok(bus->publish({.type = "a", .source = Source::plugin(fits)})));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .source = Source::plugin(over)}),
                    StatusCode::invalid_argument, {"source", "256", "255"}));
}

TEST_P(Limiting, MetadataIsBoundedByPairsAndBytes) {
  open();
  std::vector<MetadataPair> pairs(kMetadataPairsMax, {"k", "v"});
  EXPECT_TRUE(is_ok(bus->publish({.type = "a", .metadata = pairs})));
  pairs.emplace_back("k", "v");
  EXPECT_TRUE(fails(bus->publish({.type = "a", .metadata = pairs}), StatusCode::invalid_argument,
                    {"metadata", "65", "64"}));
  auto value = text(kMetadataBytesMax - 1);
  pairs = {{"k", value}};
  EXPECT_TRUE(is_ok(bus->publish({.type = "a", .metadata = pairs})));
  value.push_back('x');
  pairs = {{"k", value}};
  EXPECT_TRUE(fails(bus->publish({.type = "a", .metadata = pairs}), StatusCode::invalid_argument,
                    {"metadata", "16385", "16384"}));
  pairs = {{"", "v"}};
  EXPECT_TRUE(fails(bus->publish({.type = "a", .metadata = pairs}), StatusCode::invalid_argument,
                    {"metadata key"}));
  const auto key = text(kNameBytesMax + 1);
  pairs = {{key, "v"}};
  EXPECT_TRUE(fails(bus->publish({.type = "a", .metadata = pairs}), StatusCode::invalid_argument,
                    {"metadata key", "256", "255"}));
}

TEST_P(Limiting, BatchIsBoundedByEventsAndBytes) {
  open();
  std::vector<OwnedEvent> events(kBatchEventsMax + 1, {.type = "a", .payload = {}});
  EXPECT_TRUE(fails(bus->publish_batch(events), StatusCode::invalid_argument,
                    {"batch", "100001", "100000"}));
  events.assign(65, {.type = "a", .payload = text(std::size_t{1} << 20U)});
  EXPECT_TRUE(fails(bus->publish_batch(events), StatusCode::invalid_argument,
                    {"batch", "bytes", "67108864"}));
  auto builder = bus->batch();
  for (std::size_t i = 0; i <= kBatchEventsMax; ++i) builder.add({.type = "a"});
  EXPECT_TRUE(fails(builder.status(), StatusCode::invalid_argument, {"batch", "100001", "100000"}));
  EXPECT_EQ(builder.size(), kBatchEventsMax);
  EXPECT_TRUE(fails(builder.commit(), StatusCode::invalid_argument, {"batch", "100001", "100000"}));
  auto large = bus->batch();
  for (const auto& event : events) large.add({.type = "a", .payload = event.payload});
  EXPECT_EQ(large.size(), 63U);
  EXPECT_TRUE(fails(large.commit(), StatusCode::invalid_argument, {"batch", "bytes", "67108864"}));
  EXPECT_TRUE(scan().empty());
}

TEST_P(Limiting, BatchOfSixtyMebibytesIsOneCommit) {
  open();
  std::vector<OwnedEvent> events(60, {.type = "a", .payload = text(1'000'000)});
  const auto batch = must(bus->publish_batch(events));
  EXPECT_EQ(batch.receipts.size(), 60U);
  for (const auto& receipt : batch.receipts) {
    const auto stored = must(bus->get(receipt.id));
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->commit, batch.commit);
    EXPECT_EQ(stored->event.payload.size(), 1'000'000U);
  }
}

TEST_P(Limiting, BuilderStateIsBoundedByKeysValuesWritesAndBytes) {
  open();
  const auto refused = [&](const std::function<void(Batch&)>& fill,
                           const std::vector<std::string>& parts) {
    auto batch = bus->batch();
    fill(batch);
    EXPECT_TRUE(fails(batch.commit(), StatusCode::invalid_argument, parts));
  };
  refused([&](Batch& b) { b.state("").put("k", "v"); }, {"state name"});
  refused([&](Batch& b) { b.state(text(256)).put("k", "v"); }, {"state name", "256", "255"});
  refused([&](Batch& b) { b.state("s").put("", "v"); }, {"state key"});
  refused([&](Batch& b) { b.state("s").erase(text(256)); }, {"state key", "256", "255"});
  refused([&](Batch& b) { b.state("s").put("k", text(kStateValueBytesMax + 1)); },
          {"state value", "1048577", "1048576"});
  refused(
      [&](Batch& b) {
        for (std::size_t i = 0; i <= kTxWritesMax; ++i) b.state("s").put("k", "v");
      },
      {"10001", "10000"});
  refused(
      [&](Batch& b) {
        for (int i = 0; i < 17; ++i) b.state("s").put("k", text(kStateValueBytesMax));
      },
      {"bytes", "16777216"});
  auto batch = bus->batch();
  for (std::size_t i = 0; i < kTxWritesMax; ++i) batch.state("s").put(std::to_string(i), "v");
  EXPECT_TRUE(is_ok(batch.commit()));
}

TEST_P(Limiting, SubscriptionsAreBoundedInNumber) {
  options.limits.subscriptions_max = 2;
  open();
  const auto ack = [](Delivery&) {};
  std::vector<Subscription> live;
  for (const auto* name : {"one", "two"}) {
    live.push_back(must(bus->subscribe({.name = name}, ack)));
  }
  EXPECT_TRUE(fails(bus->subscribe({.name = "three"}, ack), StatusCode::resource_exhausted,
                    {"2 subscriptions", "subscriptions_max is 2"}));
  // Ephemeral ones do not count; a known one may come back; a removed one makes room.
  live.push_back(must(bus->subscribe("a.b", ack)));
  live[0].end();
  live[0] = must(bus->subscribe({.name = "one"}, ack));
  live[0].end();
  must(bus->remove_subscription("one"));
  EXPECT_TRUE(is_ok(bus->subscribe({.name = "three"}, ack)));
}

TEST_P(Limiting, SubscribeOptionsOutOfRangeAreRefused) {
  open();
  const auto refused = [&](SubscribeOptions given, const std::vector<std::string>& parts) {
    EXPECT_TRUE(fails(bus->subscribe(std::move(given), [](Delivery&) {}),
                      StatusCode::invalid_argument, parts));
  };
  refused({.name = text(256)}, {"subscription name", "256", "255"});
  refused({.name = "a\nb"}, {"subscription name", "control"});
  refused({.types = {"a..b"}}, {"a..b"});
  refused({.types = {"a.>.b"}}, {"a.>.b"});
  refused({.types = std::vector<std::string>(65, "a")}, {"65", "64"});
  refused({.concurrency = 0}, {"concurrency is 0"});
  refused({.retry = {.attempts_max = 0}}, {"attempts_max is 0"});
  refused({.retry = {.jitter = 1.5}}, {"jitter", "0 to 1"});
  refused({.retry = {.backoff_first = std::chrono::milliseconds(2),
                     .backoff_max = std::chrono::milliseconds(1)}},
          {"backoff_first"});
}

TEST_P(Limiting, MatchIsBoundedAndNothingGetsInThatNoOpenWouldRead) {
  open();
  const auto refused = [&](Match match, const std::vector<std::string>& parts) {
    EXPECT_TRUE(fails(bus->subscribe({.name = "s", .match = std::move(match)}, [](Delivery&) {}),
                      StatusCode::invalid_argument, parts));
  };
  refused({.priorities = {static_cast<Priority>(9)}}, {"priority is 9", "0 to 3"});
  refused({.priorities = std::vector<Priority>(5, Priority::low)}, {"5 priorities", "4"});
  refused({.source_kinds = {static_cast<SourceKind>(9)}}, {"source kind is 9", "0 to 3"});
  refused({.source_kinds = std::vector<SourceKind>(5)}, {"5 source kinds", "4"});
  refused({.source_names = std::vector<std::string>(65, "a")}, {"65 source names", "64"});
  refused({.source_names = {text(256)}}, {"256", "255"});
  refused({.metadata_equals = {{"k", text(20'000)}}}, {"metadata", "16384"});
  refused({.metadata_equals = std::vector<std::pair<std::string, std::string>>(65, {"k", "v"})},
          {"65 metadata pairs", "64"});
  // The most that is let in, with as many earlier filters, is read again.
  Match most{.priorities = {kAllPriorities.begin(), kAllPriorities.end()},
             .source_kinds = {SourceKind::system, SourceKind::user},
             .source_names = std::vector<std::string>(64, text(255)),
             .metadata_equals = {}};
  for (int i = 0; i < 64; ++i)
    most.metadata_equals.emplace_back("k" + std::to_string(i), text(200));
  for (int i = 0; i < 10; ++i) {
    publish("a.b");
    most.metadata_equals[0].second = std::to_string(i);
    must(bus->subscribe({.name = "s", .match = most}, [](Delivery&) {})).end();
  }
  if (GetParam() == Store::disk) reopen();
  EXPECT_EQ(bus->stats().subscriptions.size(), 1U);
}

TEST_P(Limiting, EarlierFiltersOfPendingEventsAreBounded) {
  open();
  must(bus->drain());  // so that all stay pending
  Status status;
  int changes = 0;
  while (status.ok() && changes < 100) {
    publish("a.b");
    const auto types = std::vector<std::string>{"a.>", "t" + std::to_string(++changes)};
    status = bus->subscribe({.name = "s", .types = types}, [](Delivery&) {}).status();
  }
  EXPECT_TRUE(fails(status, StatusCode::resource_exhausted, {"filter of \"s\"", "limit is 16"}));
  EXPECT_EQ(changes, 18);
}

TEST_P(Limiting, WhatNoEventCanHaveIsRefusedWhereverItIsAskedFor) {
  open();
  for (const EventId id : {EventId{static_cast<Priority>(7), 1}, EventId{Priority::low, 0}}) {
    const auto refused = [](const auto& outcome) {
      return fails(outcome, StatusCode::invalid_argument, {"event id"});
    };
    EXPECT_TRUE(refused(bus->get(id)));
    EXPECT_TRUE(refused(bus->redrive({.id = id})));
    EXPECT_TRUE(refused(bus->dead_letters({.id = id})));
    EXPECT_TRUE(
        refused(bus->subscribe({.name = "s", .start = Start::position(id)}, [](Delivery&) {})));
  }
  EXPECT_TRUE(fails(bus->wait_settled({static_cast<Priority>(7), 1}, std::chrono::seconds(1)),
                    StatusCode::invalid_argument));
  const auto all = [](const auto&, auto) { return true; };
  EXPECT_TRUE(fails(bus->scan({.priorities = {static_cast<Priority>(7)}}, all),
                    StatusCode::invalid_argument, {"priority is 7"}));
  EXPECT_TRUE(fails(bus->scan({.states = {static_cast<EventState>(9)}}, all),
                    StatusCode::invalid_argument, {"state is 9"}));
  EXPECT_TRUE(fails(bus->publish({.type = "a.b"}, {.durability = static_cast<Durability>(7)}),
                    StatusCode::invalid_argument, {"durability is 7"}));
}

TEST_P(Limiting, LongestTimesMeanForEverAndNotAtOnce) {
  options.stuck_after = std::chrono::seconds::max();
  open();
  Signal let_go;
  Runs runs;
  const RetryPolicy patient{.backoff_first = std::chrono::hours(1),
                            .backoff_max = std::chrono::milliseconds::max()};
  const auto s = must(bus->subscribe({.name = "s", .retry = patient}, [&](Delivery& delivery) {
    runs.note(delivery);
    let_go.wait();
    return Outcome::retry();
  }));
  const auto receipt = publish("a.b");
  ASSERT_TRUE(runs.wait_for_count(1));
  EXPECT_TRUE(bus->stats().stuck.empty());
  let_go.set();
  EXPECT_TRUE(eventually([&] { return state_of(receipt.id) == EventState::scheduled; }));
  EXPECT_EQ(runs.size(), 1U);
  EXPECT_TRUE(fails(bus->wait_settled(receipt.id, std::chrono::nanoseconds::min()),
                    StatusCode::deadline_exceeded));
}

TEST_P(Limiting, OptionsOutOfRangeAreNamed) {
  const auto refused = [&](Options given, const std::vector<std::string>& parts) {
    given.in_memory = GetParam() == Store::memory;
    EXPECT_TRUE(fails(Bus::open(path(), given), StatusCode::invalid_argument, parts));
  };
  refused({.workers = {.low = 0}}, {"workers.low is 0"});
  refused({.workers = {.critical = 1'024}}, {"1027 workers", "1024"});
  refused({.limits = {.intake_events_max = 0}}, {"intake_events_max"});
  refused({.limits = {.intake_bytes_max = 0}}, {"intake_bytes_max"});
  refused({.memory_budget = 1'000}, {"memory_budget is 1000", "16777216"});
  refused({.retention = {.age = std::chrono::seconds(-1)}}, {"retention.age is -1"});
  refused({.unclaimed_retention = {.age = std::chrono::seconds(-1)}},
          {"unclaimed_retention.age is -1"});
  refused({.ack_linger = std::chrono::milliseconds(-1)}, {"ack_linger is -1", "3600000"});
  refused({.ack_linger = std::chrono::milliseconds::max()}, {"ack_linger", "3600000"});
  refused({.ageing = {.high = std::chrono::milliseconds(0)}}, {"ageing.high is 0", "2592000000"});
  refused({.ageing = {.normal = std::chrono::milliseconds(-1)}}, {"ageing.normal is -1 ms"});
  refused({.ageing = {.low = std::chrono::milliseconds::max()}}, {"ageing.low", "2592000000"});
  refused({.ageing = {.low = kMaxWaitMax + std::chrono::milliseconds(1)}},
          {"ageing.low is 2592000001 ms"});
  refused({.stuck_after = std::chrono::seconds(0)}, {"stuck_after is 0", "at least 1"});
  refused({.durability = static_cast<Durability>(9)}, {"durability is 9", "0 to 1"});
  refused({.intake = static_cast<IntakePolicy>(9)}, {"intake is 9"});
  refused({.on_damage = static_cast<DamagePolicy>(7)}, {"on_damage is 7"});
}

TEST_P(Limiting, DurabilityThatIsNoneIsRefusedByEveryPublish) {
  open();
  const auto none = static_cast<Durability>(2);
  const auto refused = [](const auto& result) {
    return fails(result, StatusCode::invalid_argument, {"durability is 2", "0 to 1"});
  };
  const Event event{.type = "a"};
  const std::vector<OwnedEvent> events(2, {.type = "a", .payload = {}});
  EXPECT_TRUE(refused(bus->publish(event, {none})));
  EXPECT_TRUE(refused(bus->publish_async(event, nullptr, {none})));
  EXPECT_TRUE(refused(bus->publish_future(event, {none}).get()));
  EXPECT_TRUE(refused(bus->publish_batch(events, {.durability = none})));
  EXPECT_TRUE(refused(bus->publish_batch_async(events, nullptr, {.durability = none})));
  auto batch = bus->batch();
  batch.add(event).state("s").put("k", "v");
  EXPECT_TRUE(refused(batch.commit({.durability = none})));
  EXPECT_TRUE(scan().empty());
}

TEST_P(Limiting, ShortestTimeOutsThereAreAreOverAtOnce) {
  open();
  const auto batch = publish_many("a.b", 2);
  const auto shortest = std::chrono::nanoseconds::min();
  EXPECT_TRUE(fails(bus->wait_settled(batch, shortest), StatusCode::deadline_exceeded));
  EXPECT_TRUE(
      fails(bus->wait_settled(batch.receipts[0].id, shortest), StatusCode::deadline_exceeded));
  EXPECT_TRUE(is_ok(bus->drain(shortest)));
}

TEST_P(Limiting, RangesOfSequencesThatHoldNothingAreEmpty) {
  open();
  publish("a.b");
  EXPECT_TRUE(scan({.from_sequence = 9, .to_sequence = 2}).empty());
  constexpr auto kLast = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(scan({.from_sequence = kLast, .to_sequence = 0}).empty());
  EXPECT_EQ(scan({.from_sequence = 0}).size(), 1U);
}

TEST_P(Limiting, TxEventOfNoPriorityFailsItsTx) {
  open();
  Collected<Status> told;
  const auto s = must(bus->subscribe(
      {.name = "s", .types = {"a"}, .retry = retry_at_once(1)}, [&](Delivery& delivery) {
        delivery.tx().publish({.type = "b", .priority = static_cast<Priority>(9)});
        told.add(delivery.tx().status());
      }));
  must(bus->wait_settled(publish("a").id, kPatience));
  EXPECT_TRUE(fails(told.all().at(0), StatusCode::invalid_argument, {"priority is 9", "0 to 3"}));
  EXPECT_EQ(scan().size(), 1U);
}

TEST_P(Limiting, OldestDeadLettersGoWhenThereAreTooMany) {
  options.limits.dead_letters_max = 3;
  std::ostringstream said;
  options.logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said));
  open();
  Settlements settled;
  const auto subscription = must(bus->subscribe({.name = "s",
                                                 .on_settled =
                                                     [&](EventId id, Settled how) {
                                                       settled.add({id, how});
                                                     }},
                                                [](Delivery&) { return Outcome::reject("no"); }));
  for (int i = 0; i < 5; ++i) {
    publish("a.b");
    ASSERT_TRUE(settled.wait_for_count(static_cast<std::size_t>(i) + 1));
  }
  const auto letters = must(bus->dead_letters());
  ASSERT_EQ(letters.size(), 3U);
  EXPECT_EQ(letters.front().id.sequence, 3U);
  EXPECT_EQ(letters.back().id.sequence, 5U);
  EXPECT_EQ(bus->stats().dropped_dead_letters, 2U);
  EXPECT_TRUE(is_ok(bus->publish("a.b", {})));
  ASSERT_TRUE(settled.wait_for_count(6));
  must(bus->close());
  for (const auto* part : {"limits.dead_letters_max = 3", "gone since it was opened: 3"}) {
    EXPECT_NE(said.str().find(part), std::string::npos) << said.str();
  }
}

TEST_P(Limiting, DeadLettersAllStayWhereTheLimitSaysSo) {
  options.limits.dead_letters_max = kKeepAllDeadLetters;
  open();
  const auto subscription =
      must(bus->subscribe({.name = "s"}, [](Delivery&) { return Outcome::reject("no"); }));
  const auto batch = publish_many("a.b", 100);
  must(bus->wait_settled(batch, kPatience));
  EXPECT_EQ(must(bus->dead_letters()).size(), 100U);
}

TEST_P(Limiting, IdsThatNoEventCanHaveAreRefused) {
  open();
  EXPECT_TRUE(fails(bus->get({Priority::normal, 0}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->get({static_cast<Priority>(7), 1}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->publish({.type = "a", .priority = static_cast<Priority>(7)}),
                    StatusCode::invalid_argument, {"priority", "7"}));
  EXPECT_TRUE(fails(bus->wait_settled({static_cast<Priority>(7), 1}, std::chrono::seconds(1)),
                    StatusCode::invalid_argument));
}

}  // namespace
}  // namespace holdfast::testing
