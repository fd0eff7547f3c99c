// SPDX-License-Identifier: MIT
// What journal.h says of `find` and `scan`, and each operation of a commit.

#include "stores.h"

namespace holdfast::testing {
namespace {

using namespace journal;
using model::SubscriptionId;

class Records : public JournalTest {
 protected:
  template <typename T>
  std::optional<T> find(const RecordRef& ref) {
    auto found = journal_->find(ref);
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    if (!found.ok() || !*found) return std::nullopt;
    return std::get<T>(**found);
  }
  /// Runs `check` now, and again after reopening where that is possible.
  void now_and_after_reopening(const std::function<void()>& check) {
    check();
    if (HasFatalFailure() || !store_.persists()) return;
    ASSERT_TRUE(journal_->sync().ok());
    if (reopen()) check();
  }
};
HOLDFAST_OVER_ALL_STORES(Records);

model::SubscriptionRecord subscription(std::uint32_t id, const std::string& name) {
  model::SubscriptionRecord record;
  record.id = {id};
  record.name = name;
  record.filter.types = {"a.*"};
  return record;
}

model::CursorRecord cursor(std::uint32_t id, Priority lane, model::Sequence floor) {
  model::CursorRecord record;
  record.subscription = {id};
  record.lane = lane;
  record.floor = floor;
  record.ahead = {floor + 2, floor + 5};
  record.as_of = floor + 10;
  return record;
}

model::SettlementRecord settlement(std::uint32_t id, EventId event, std::uint32_t attempts = 1,
                                   base::BusTime due = 0) {
  model::SettlementRecord record;
  record.subscription = {id};
  record.event = event;
  record.attempts = attempts;
  record.due = due;
  record.last_error = "why";
  return record;
}

model::PutSettlement park(std::uint32_t id, EventId event, base::BusTime due = 0) {
  return {settlement(id, event, 1, due), make_chunk(event, 1, "parked")};
}

model::PutDeadLetter bury(std::uint32_t id, EventId event) {
  model::DeadLetterRecord record;
  record.subscription = {id};
  record.event = event;
  record.reason = "why";
  record.chunk = make_chunk(event, 1, "dead");
  return {record};
}

TEST_P(Records, WhatIsNotThereIsNothingAndNoError) {
  EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::normal, 1}}));
  EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::low, ~std::uint64_t{0}}}));
  EXPECT_FALSE(find<model::SettlementRecord>(SettlementRef{{1}, {Priority::normal, 1}}));
  EXPECT_FALSE(find<model::ParkedEvent>(ParkedRef{{1}, {Priority::normal, 1}}));
  EXPECT_FALSE(find<model::DeadLetterRecord>(DeadLetterRef{{1}, {Priority::normal, 1}}));
  EXPECT_FALSE(find<model::StateRecord>(StateRef{"a", "k"}));
  EXPECT_FALSE(find<model::StateRecord>(StateRef{std::string("a\0b", 3), "k"}));
}

TEST_P(Records, AnEventIsFoundByTheChunkThatHoldsIt) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(writer_->append(Priority::high, 10).ok());
  now_and_after_reopening([&] {
    for (model::Sequence sequence = 1; sequence <= 40; ++sequence) {
      const auto chunk = find<model::ChunkPtr>(EventRef{{Priority::high, sequence}});
      ASSERT_TRUE(chunk) << sequence;
      EXPECT_TRUE((*chunk)->contains(sequence));
      EXPECT_EQ((*chunk)->event(sequence).id, (EventId{Priority::high, sequence}));
    }
    EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::high, 41}}));
    EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::normal, 1}}));
  });
}

TEST_P(Records, AScanGivesTheChunksWithAnyEventInItsRange) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer_->append(Priority::normal, 10).ok());
  now_and_after_reopening([&] {
    const auto firsts = [&](model::Sequence from, model::Sequence to) {
      std::vector<model::Sequence> out;
      const auto scanned = scan_lane(*journal_, Priority::normal, from, to);
      EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
      for (const auto& chunk : scanned.chunks) out.push_back(chunk->first());
      return out;
    };
    using Firsts = std::vector<model::Sequence>;
    EXPECT_EQ(firsts(1, 51), (Firsts{1, 11, 21, 31, 41}));
    EXPECT_EQ(firsts(10, 12), (Firsts{1, 11}));
    EXPECT_EQ(firsts(11, 21), (Firsts{11}));
    EXPECT_EQ(firsts(15, 16), (Firsts{11}));
    EXPECT_EQ(firsts(45, 1000), (Firsts{41}));
    EXPECT_EQ(firsts(51, 1000), Firsts{});
    EXPECT_EQ(firsts(15, 15), Firsts{});
    EXPECT_EQ(firsts(20, 10), Firsts{});
  });
}

TEST_P(Records, LanesDoNotMix) {
  ASSERT_TRUE(writer_->append(Priority::critical, 1).ok());
  ASSERT_TRUE(writer_->append(Priority::low, 2).ok());
  EXPECT_EQ(scan_lane(*journal_, Priority::critical).events(), 1U);
  EXPECT_EQ(scan_lane(*journal_, Priority::high).events(), 0U);
  EXPECT_EQ(scan_lane(*journal_, Priority::low).events(), 2U);
}

TEST_P(Records, AScanStopsWhenItsSinkSaysSo) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer_->append(Priority::normal, 1).ok());
  int given = 0;
  const auto status = journal_->scan(EventRange{}, [&](model::Record&&) { return ++given < 2; });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(given, 2);
}

TEST_P(Records, AScanIsAsOfItsStart) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer_->append(Priority::normal, 1).ok());
  int given = 0;
  const auto status = journal_->scan(EventRange{}, [&](model::Record&&) {
    ++given;
    return writer_->append(Priority::normal, 1).ok();
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(given, 3);
  given = 0;
  ASSERT_TRUE(writer_->commit({model::PutState{"a", "1", ""}, model::PutState{"a", "2", ""}}).ok());
  EXPECT_TRUE(journal_
                  ->scan(StateRange{"a", ""},
                         [&](model::Record&&) {
                           ++given;
                           return writer_->commit({model::PutState{"a", "3", ""}}).ok();
                         })
                  .ok());
  EXPECT_EQ(given, 2);
}

TEST_P(Records, BelowTheTrimNothingIsSeen) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(writer_->append(Priority::normal, 10).ok());
  ASSERT_TRUE(writer_->trim(Priority::normal, 15, Durability::durable).ok());
  now_and_after_reopening([&] {
    EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::normal, 5}}));
    EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::normal, 14}}));
    EXPECT_TRUE(find<model::ChunkPtr>(EventRef{{Priority::normal, 15}}));
    const auto scanned = scan_lane(*journal_, Priority::normal);
    EXPECT_TRUE(scanned.status.ok());
    ASSERT_FALSE(scanned.chunks.empty());
    // Clamped, not cut: a chunk may begin before.
    EXPECT_EQ(scanned.chunks.front()->first(), 11U);
    EXPECT_EQ(scan_lane(*journal_, Priority::normal, 1, 15).events(), 0U);
  });
}

TEST_P(Records, ALaneTrimmedToItsEndIsEmptyAndGoesOn) {
  ASSERT_TRUE(writer_->append(Priority::normal, 10).ok());
  ASSERT_TRUE(writer_->trim(Priority::normal, 11, Durability::durable).ok());
  now_and_after_reopening([&] {
    EXPECT_EQ(scan_lane(*journal_, Priority::normal).events(), 0U);
    EXPECT_EQ(journal_->state().next[Priority::high], 1U);
  });
  ASSERT_TRUE(writer_->append(Priority::normal, 1).ok());
  EXPECT_EQ(scan_lane(*journal_, Priority::normal).events(), 1U);
}

TEST_P(Records, AGapThatIsNoLostRangeEndsTheScanWithDataLoss) {
  ASSERT_TRUE(writer_->append(Priority::normal, 10).ok());
  auto gap = writer_->make({model::Append{make_chunk({Priority::normal, 21}, 5)}});
  gap.next[Priority::normal] = 26;
  ASSERT_TRUE(writer_->commit(gap).ok());
  now_and_after_reopening([&] {
    const auto scanned = scan_lane(*journal_, Priority::normal);
    EXPECT_EQ(scanned.status, StatusCode::data_loss);
    EXPECT_NE(scanned.status.message().find("normal:11"), std::string::npos)
        << scanned.status.message();
    EXPECT_NE(scanned.status.message().find("normal:20"), std::string::npos);
    EXPECT_EQ(scanned.events(), 10U);
    EXPECT_EQ(journal_->find(EventRef{{Priority::normal, 15}}).status(), StatusCode::data_loss);
    EXPECT_TRUE(find<model::ChunkPtr>(EventRef{{Priority::normal, 21}}));
  });
}

TEST_P(Records, AGapAtTheEndIsOneToo) {
  ASSERT_TRUE(writer_->append(Priority::normal, 10).ok());
  auto gap = writer_->make();
  gap.next[Priority::normal] = 21;
  ASSERT_TRUE(writer_->commit(gap).ok());
  EXPECT_EQ(scan_lane(*journal_, Priority::normal).status, StatusCode::data_loss);
  EXPECT_TRUE(scan_lane(*journal_, Priority::normal, 1, 11).status.ok());
}

TEST_P(Records, ALostRangeIsNoGap) {
  ASSERT_TRUE(writer_->append(Priority::normal, 10).ok());
  auto skip = writer_->make({model::PutLostRange{{Priority::normal, 11, 15}},
                             model::PutLostRange{{Priority::normal, 16, 20}},
                             model::PutLostRange{{Priority::high, 1, 7}}});
  skip.next[Priority::normal] = 21;
  skip.next[Priority::high] = 8;
  ASSERT_TRUE(writer_->commit(skip).ok());
  ASSERT_TRUE(writer_->append(Priority::normal, 5).ok());
  now_and_after_reopening([&] {
    const auto scanned = scan_lane(*journal_, Priority::normal);
    EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
    EXPECT_EQ(scanned.events(), 15U);
    EXPECT_TRUE(scan_lane(*journal_, Priority::high).status.ok());
    EXPECT_FALSE(find<model::ChunkPtr>(EventRef{{Priority::normal, 13}}));
    const auto lost = scan_all<model::LostRange>(*journal_, LostRanges{});
    ASSERT_EQ(lost.size(), 3U);
    EXPECT_EQ(lost[0].lane, Priority::high);
    EXPECT_EQ(lost[1].from, 11U);
    EXPECT_EQ(lost[2].to, 20U);
  });
  EXPECT_EQ(journal_->state().lost.size(), store_.persists() ? 3U : 0U);
}

TEST_P(Records, SubscriptionsComeBackInOrderOfTheirIds) {
  ASSERT_TRUE(writer_
                  ->commit({model::PutSubscription{subscription(300, "c")},
                            model::PutSubscription{subscription(2, "b")},
                            model::PutSubscription{subscription(2, "b2")}})
                  .ok());
  now_and_after_reopening([&] {
    const auto all = scan_all<model::SubscriptionRecord>(*journal_, Subscriptions{});
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name, "b2");
    EXPECT_EQ(all[1].id, SubscriptionId{300});
    EXPECT_EQ(all[1].filter.types, std::vector<std::string>{"a.*"});
  });
}

TEST_P(Records, CursorsAreReplacedAndKeepWhatTheyHold) {
  ASSERT_TRUE(writer_
                  ->commit({model::PutCursor{cursor(1, Priority::low, 3)},
                            model::PutCursor{cursor(1, Priority::high, 5)},
                            model::PutCursor{cursor(1, Priority::low, 7)},
                            model::PutCursor{cursor(0, Priority::normal, 9)}})
                  .ok());
  now_and_after_reopening([&] {
    const auto all = scan_all<model::CursorRecord>(*journal_, Cursors{});
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].subscription, model::SubscriptionId{0});
    EXPECT_EQ(all[1].lane, Priority::high);
    EXPECT_EQ(all[2].floor, 7U);
    EXPECT_EQ(all[2].ahead, (std::vector<model::Sequence>{9, 12}));
  });
}

TEST_P(Records, SettlementsAreScannedBySubscriptionLaneAndSequence) {
  const EventId normal{Priority::normal, 5};
  const EventId high{Priority::high, 900};
  const EventId later{Priority::normal, 300};
  ASSERT_TRUE(
      writer_->commit({park(2, normal), park(1, later), park(1, normal), park(1, high)}).ok());
  now_and_after_reopening([&] {
    const auto all = scan_all<model::SettlementRecord>(*journal_, Settlements{});
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0].event, high);
    EXPECT_EQ(all[1].event, normal);
    EXPECT_EQ(all[2].event, later);
    EXPECT_EQ(all[3].subscription, SubscriptionId{2});
    EXPECT_EQ(all[0].last_error, "why");
    const auto after =
        scan_all<model::SettlementRecord>(*journal_, Settlements{SubscriptionId{1}, normal});
    ASSERT_EQ(after.size(), 1U);
    EXPECT_EQ(after[0].event, later);
    EXPECT_EQ(
        scan_all<model::SettlementRecord>(*journal_, Settlements{SubscriptionId{1}, {}}).size(),
        3U);
    EXPECT_EQ(
        scan_all<model::SettlementRecord>(*journal_, Settlements{SubscriptionId{3}, {}}).size(),
        0U);
  });
}

TEST_P(Records, ASettlementWithoutACopyLeavesTheOneThatIsThere) {
  const EventId event{Priority::normal, 5};
  ASSERT_TRUE(writer_->commit({park(1, event)}).ok());
  ASSERT_TRUE(writer_->commit({model::PutSettlement{settlement(1, event, 2), nullptr}}).ok());
  now_and_after_reopening([&] {
    EXPECT_EQ(find<model::SettlementRecord>(SettlementRef{{1}, event})->attempts, 2U);
    const auto parked = find<model::ParkedEvent>(ParkedRef{{1}, event});
    ASSERT_TRUE(parked);
    EXPECT_EQ(parked->chunk->type(5), "parked");
    EXPECT_EQ(parked->event, event);
  });
}

TEST_P(Records, DueTimesAreScannedInTheirOrderFromAnyOfThemOn) {
  const auto normal = [](model::Sequence sequence) { return EventId{Priority::normal, sequence}; };
  ASSERT_TRUE(
      writer_
          ->commit({park(1, normal(5), 300), park(1, normal(6), -4), park(1, normal(7), 300),
                    park(1, normal(8), 20), park(1, {Priority::high, 1}, 1), park(2, normal(5), 1)})
          .ok());
  const auto due = [&](DueTimes from) {
    std::vector<std::pair<base::BusTime, model::Sequence>> found;
    for (const auto& record : scan_all<model::DueRecord>(*journal_, from)) {
      EXPECT_EQ(record.subscription, from.subscription);
      EXPECT_EQ(record.event.priority, from.lane);
      EXPECT_EQ(record.attempts, 1U);
      found.emplace_back(record.due, record.event.sequence);
    }
    return found;
  };
  using Found = std::vector<std::pair<base::BusTime, model::Sequence>>;
  now_and_after_reopening([&] {
    EXPECT_EQ(due({{1}, Priority::normal}), (Found{{-4, 6}, {20, 8}, {300, 5}, {300, 7}}));
    EXPECT_EQ(due({{1}, Priority::normal, 300, 6}), (Found{{300, 7}}));
    EXPECT_EQ(due({{1}, Priority::normal, 20, 9}), (Found{{300, 5}, {300, 7}}));
    EXPECT_EQ(due({{1}, Priority::low}), Found{});
  });
}

TEST_P(Records, ASettlementHasOneDueTimeAndTakesItAlongWhenItGoes) {
  const EventId event{Priority::normal, 5};
  const auto due = [&] {
    std::vector<base::BusTime> times;
    for (const auto& record :
         scan_all<model::DueRecord>(*journal_, DueTimes{{1}, Priority::normal})) {
      times.push_back(record.due);
    }
    return times;
  };
  ASSERT_TRUE(writer_->commit({park(1, event, 10), park(1, {Priority::normal, 6}, 11)}).ok());
  ASSERT_TRUE(
      writer_->commit({model::PutSettlement{settlement(1, event, 2, 90), nullptr, 10}}).ok());
  now_and_after_reopening([&] { EXPECT_EQ(due(), (std::vector<base::BusTime>{11, 90})); });
  ASSERT_TRUE(writer_->commit({model::EraseSettlement{{1}, event, 90}}).ok());
  now_and_after_reopening([&] { EXPECT_EQ(due(), (std::vector<base::BusTime>{11})); });
  ASSERT_TRUE(writer_->commit({model::EraseSubscription{{1}}}).ok());
  now_and_after_reopening([&] { EXPECT_EQ(due(), std::vector<base::BusTime>{}); });
}

TEST_P(Records, CancellationMarksAreFoundUntilTheyAreErased) {
  const EventId event{Priority::high, 7};
  model::TokenRecord token;
  token.id = {42};
  token.made_at = 1;
  token.used_at = 2;
  token.deadline = 3;
  token.first[Priority::low] = 4;
  token.last[Priority::low] = 5;
  token.published = 6;
  token.ended = 2;
  token.cancelled_in = {9};
  token.cancelled_at = 10;
  token.reason = "why";
  ASSERT_TRUE(
      writer_->commit({model::PutToken{token}, model::PutTombstone{{event, 11, "gone"}}}).ok());
  std::vector<model::Record> tokens;
  std::vector<model::Record> tombstones;
  const auto read = [&] {
    tokens.clear();
    tombstones.clear();
    const auto into = [](auto& records) {
      return [&records](model::Record&& record) {
        records.push_back(std::move(record));
        return true;
      };
    };
    ASSERT_TRUE(journal_->scan(Tokens{}, into(tokens)).ok());
    ASSERT_TRUE(journal_->scan(Tombstones{}, into(tombstones)).ok());
  };
  read();
  ASSERT_EQ(tokens.size(), 1U);
  const auto& found = std::get<model::TokenRecord>(tokens[0]);
  EXPECT_EQ(found.id, token.id);
  EXPECT_EQ(found.made_at, 1);
  EXPECT_EQ(found.used_at, 2);
  EXPECT_EQ(found.deadline, 3);
  EXPECT_EQ(found.first, token.first);
  EXPECT_EQ(found.last, token.last);
  EXPECT_EQ(found.published, 6U);
  EXPECT_EQ(found.ended, 2U);
  EXPECT_EQ(found.cancelled_in, token.cancelled_in);
  EXPECT_EQ(found.cancelled_at, 10);
  EXPECT_EQ(found.reason, "why");
  ASSERT_EQ(tombstones.size(), 1U);
  EXPECT_EQ(std::get<model::TombstoneRecord>(tombstones[0]).event, event);
  const auto one = journal_->find(TombstoneRef{event});
  ASSERT_TRUE(one.ok() && one->has_value());
  EXPECT_EQ(std::get<model::TombstoneRecord>(**one).reason, "gone");
  ASSERT_TRUE(writer_->commit({model::EraseToken{{42}}, model::EraseTombstone{event}}).ok());
  read();
  EXPECT_TRUE(tokens.empty() && tombstones.empty());
}

TEST_P(Records, OrderingKeysAreFoundAndComeInTheirOrder) {
  const auto put = [](const std::string& key, model::Sequence newest) {
    return model::PutOrderingKey{{key, {{0, 2, 3, newest}}, {Priority::low, newest}}};
  };
  const std::string odd("b\0\xff", 3);
  ASSERT_TRUE(writer_->commit({put("c", 9), put("a", 4), put(odd, 5), put("a", 6)}).ok());
  now_and_after_reopening([&] {
    const auto one = journal_->find(OrderingKeyRef{"a"});
    ASSERT_TRUE(one.ok() && one->has_value());
    const auto& found = std::get<model::OrderingKeyRecord>(**one);
    EXPECT_EQ(found.last, (model::PerLane<model::Sequence>{{0, 2, 3, 6}}));
    EXPECT_EQ(found.newest, (EventId{Priority::low, 6}));
    EXPECT_FALSE(journal_->find(OrderingKeyRef{"b"})->has_value());
    for (const auto& [after, expected] :
         std::vector<std::pair<std::string, std::vector<std::string>>>{
             {"", {"a", odd, "c"}}, {"a", {odd, "c"}}, {odd, {"c"}}, {"c", {}}}) {
      std::vector<std::string> keys;
      ASSERT_TRUE(journal_
                      ->scan(OrderingKeys{after},
                             [&](model::Record&& record) {
                               keys.push_back(std::get<model::OrderingKeyRecord>(record).key);
                               return true;
                             })
                      .ok());
      EXPECT_EQ(keys, expected);
    }
  });
  ASSERT_TRUE(writer_->commit({model::EraseOrderingKey{"a"}}).ok());
  EXPECT_FALSE(journal_->find(OrderingKeyRef{"a"})->has_value());
}

TEST_P(Records, ErasingASettlementTakesItsParkedEventAlong) {
  const EventId event{Priority::normal, 5};
  const EventId other{Priority::normal, 6};
  ASSERT_TRUE(writer_->commit({park(1, event), park(1, other)}).ok());
  ASSERT_TRUE(writer_->commit({model::EraseSettlement{{1}, event}}).ok());
  now_and_after_reopening([&] {
    EXPECT_FALSE(find<model::SettlementRecord>(SettlementRef{{1}, event}));
    EXPECT_FALSE(find<model::ParkedEvent>(ParkedRef{{1}, event}));
    EXPECT_TRUE(find<model::ParkedEvent>(ParkedRef{{1}, other}));
  });
}

TEST_P(Records, ErasingWhatIsParkedLeavesWhatIsBeforeAndTheDueTimesOfThatAlone) {
  const EventId kept{Priority::normal, 5};
  const EventId first{Priority::normal, 6};
  const EventId other_lane{Priority::low, 1};
  ASSERT_TRUE(writer_
                  ->commit({park(1, kept, 50), park(1, first, 10),
                            park(1, {Priority::normal, ~std::uint64_t{0}}, 90),
                            park(1, other_lane, 50), park(2, first, 10), bury(1, first)})
                  .ok());
  model::EraseParked erase{{1}, {}, {{{1}, kept, 50, 1, false}}};
  erase.from[Priority::normal] = 6;
  ASSERT_TRUE(writer_->commit({erase, park(1, {Priority::high, 3}, 70)}).ok());
  const auto events = [&](std::uint32_t id) {
    std::vector<EventId> found;
    for (const auto& record :
         scan_all<model::SettlementRecord>(*journal_, Settlements{.subscription = {{id}}})) {
      EXPECT_TRUE(find<model::ParkedEvent>(ParkedRef{{id}, record.event}));
      found.push_back(record.event);
    }
    return found;
  };
  const auto due = [&](std::uint32_t id, Priority lane) {
    std::vector<std::pair<base::BusTime, model::Sequence>> times;
    for (const auto& record : scan_all<model::DueRecord>(*journal_, DueTimes{{id}, lane})) {
      times.emplace_back(record.due, record.event.sequence);
    }
    return times;
  };
  using Times = std::vector<std::pair<base::BusTime, model::Sequence>>;
  now_and_after_reopening([&] {
    EXPECT_EQ(events(1), (std::vector<EventId>{{Priority::high, 3}, kept}));
    EXPECT_FALSE(find<model::ParkedEvent>(ParkedRef{{1}, first}));
    EXPECT_FALSE(find<model::ParkedEvent>(ParkedRef{{1}, {Priority::normal, ~std::uint64_t{0}}}));
    EXPECT_FALSE(find<model::ParkedEvent>(ParkedRef{{1}, other_lane}));
    EXPECT_EQ(due(1, Priority::high), (Times{{70, 3}}));
    EXPECT_EQ(due(1, Priority::normal), (Times{{50, 5}}));
    EXPECT_EQ(due(1, Priority::low), Times{});
    EXPECT_EQ(events(2), (std::vector<EventId>{first}));
    EXPECT_EQ(due(2, Priority::normal), (Times{{10, 6}}));
    EXPECT_TRUE(find<model::DeadLetterRecord>(DeadLetterRef{{1}, first}));
  });
}

TEST_P(Records, ADeadLetterKeepsItsEvent) {
  const EventId event{Priority::normal, 5};
  ASSERT_TRUE(writer_->commit({bury(1, event), bury(2, event), bury(2, {Priority::high, 9})}).ok());
  now_and_after_reopening([&] {
    const auto found = find<model::DeadLetterRecord>(DeadLetterRef{{2}, event});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->reason, "why");
    EXPECT_EQ(found->chunk->type(5), "dead");
    EXPECT_EQ(scan_all<model::DeadLetterRecord>(*journal_, DeadLetters{}).size(), 3U);
    const auto of_two =
        scan_all<model::DeadLetterRecord>(*journal_, DeadLetters{SubscriptionId{2}});
    ASSERT_EQ(of_two.size(), 2U);
    EXPECT_EQ(of_two[0].event.priority, Priority::high);
  });
  ASSERT_TRUE(writer_->commit({model::EraseDeadLetter{{2}, event}}).ok());
  EXPECT_FALSE(find<model::DeadLetterRecord>(DeadLetterRef{{2}, event}));
  EXPECT_EQ(scan_all<model::DeadLetterRecord>(*journal_, DeadLetters{}).size(), 2U);
}

TEST_P(Records, ErasingASubscriptionTakesEverythingOfItAndNothingElse) {
  const EventId event{Priority::normal, 5};
  for (const std::uint32_t id : {1U, 2U, 0xffffffffU}) {
    ASSERT_TRUE(writer_
                    ->commit({model::PutSubscription{subscription(id, "s" + std::to_string(id))},
                              model::PutCursor{cursor(id, Priority::low, 3)}, park(id, event),
                              bury(id, event)})
                    .ok());
  }
  // In one commit with what comes before and after it.
  ASSERT_TRUE(writer_
                  ->commit({park(1, {Priority::low, 1}), model::EraseSubscription{{1}},
                            model::EraseSubscription{{0xffffffffU}},
                            model::PutCursor{cursor(1, Priority::high, 8)}})
                  .ok());
  now_and_after_reopening([&] {
    const auto subscriptions = scan_all<model::SubscriptionRecord>(*journal_, Subscriptions{});
    ASSERT_EQ(subscriptions.size(), 1U);
    EXPECT_EQ(subscriptions[0].id, SubscriptionId{2});
    const auto cursors = scan_all<model::CursorRecord>(*journal_, Cursors{});
    ASSERT_EQ(cursors.size(), 2U);
    EXPECT_EQ(cursors[0].floor, 8U);
    EXPECT_EQ(scan_all<model::SettlementRecord>(*journal_, Settlements{}).size(), 1U);
    EXPECT_EQ(scan_all<model::DeadLetterRecord>(*journal_, DeadLetters{}).size(), 1U);
    EXPECT_FALSE(find<model::ParkedEvent>(ParkedRef{{1}, event}));
    EXPECT_FALSE(find<model::SettlementRecord>(SettlementRef{{0xffffffffU}, event}));
    EXPECT_TRUE(find<model::ParkedEvent>(ParkedRef{{2}, event}));
  });
}

TEST_P(Records, UserStateHasTheCommitThatWroteItAsVersion) {
  ASSERT_TRUE(writer_->commit({model::PutState{"a", "k", "1"}}).ok());
  ASSERT_TRUE(writer_->commit({model::PutState{"a", "k2", std::string("\0\xff", 2)}}).ok());
  now_and_after_reopening([&] {
    EXPECT_EQ(find<model::StateRecord>(StateRef{"a", "k"})->version, CommitNumber{1});
    const auto second = find<model::StateRecord>(StateRef{"a", "k2"});
    EXPECT_EQ(second->version, CommitNumber{2});
    EXPECT_EQ(second->value, std::string("\0\xff", 2));
  });
}

TEST_P(Records, UserStatesAreScannedByNameAndPrefix) {
  const std::string odd("x\0y\xff", 4);
  ASSERT_TRUE(writer_
                  ->commit({model::PutState{"a", "x", "1"}, model::PutState{"a", odd, "2"},
                            model::PutState{"a", "\xff", "3"}, model::PutState{"ab", "x", "4"},
                            model::PutState{"a", "", "5"}, model::PutState{"b", "x", "6"}})
                  .ok());
  now_and_after_reopening([&] {
    const auto values = [&](const StateRange& range) {
      std::string all;
      for (const auto& record : scan_all<model::StateRecord>(*journal_, range)) all += record.value;
      return all;
    };
    EXPECT_EQ(values({"a", ""}), "5123");
    EXPECT_EQ(values({"a", "x"}), "12");
    EXPECT_EQ(values({"a", std::string("x\0", 2)}), "2");
    EXPECT_EQ(values({"a", "\xff"}), "3");
    EXPECT_EQ(values({"ab", ""}), "4");
    EXPECT_EQ(values({"none", ""}), "");
    EXPECT_EQ(values({std::string("a\0", 2), ""}), "");
  });
}

TEST_P(Records, RetentionMarksBelowTheTrimAreGone) {
  const auto mark = [](Priority lane, model::Sequence sequence, std::uint64_t bytes) {
    return model::PutRetentionMark{
        {.lane = lane, .sequence = sequence, .bytes_before = bytes, .unclaimed = 3}};
  };
  ASSERT_TRUE(writer_->append(Priority::normal, 20).ok());
  ASSERT_TRUE(writer_
                  ->commit({mark(Priority::normal, 11, 100), mark(Priority::normal, 1, 0),
                            mark(Priority::normal, 11, 120), mark(Priority::high, 1, 7)})
                  .ok());
  ASSERT_EQ(scan_all<model::RetentionMark>(*journal_, RetentionMarks{}).size(), 3U);
  int seen = 0;
  EXPECT_TRUE(journal_->scan(RetentionMarks{}, [&](model::Record&&) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2) << "whoever has seen enough ends it";
  ASSERT_TRUE(writer_->trim(Priority::normal, 11, Durability::durable).ok());
  now_and_after_reopening([&] {
    const auto marks = scan_all<model::RetentionMark>(*journal_, RetentionMarks{});
    ASSERT_EQ(marks.size(), 2U);
    EXPECT_EQ(marks[0].lane, Priority::high);
    EXPECT_EQ(marks[1].sequence, 11U);
    EXPECT_EQ(marks[1].bytes_before, 120U);
    EXPECT_EQ(marks[1].unclaimed, 3U);
  });
}

}  // namespace
}  // namespace holdfast::testing
