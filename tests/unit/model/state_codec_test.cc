// SPDX-License-Identifier: MIT
#include "model/state_codec.h"

#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "support/chunks.h"

namespace holdfast::model {
namespace {

using holdfast::testing::make_chunk;

constexpr SubscriptionId kId{7};
constexpr EventId kEvent{Priority::high, 41};
constexpr std::int64_t kBig = std::numeric_limits<std::int64_t>::max();

SubscriptionRecord a_subscription() {
  SubscriptionRecord record;
  record.id = kId;
  record.name = "mail \xc3\xa9";
  record.filter = {{"order.*", "a.>"},
                   {.priorities = {Priority::low, Priority::critical},
                    .source_kinds = {SourceKind::plugin},
                    .source_names = {"shop"},
                    .metadata_equals = {{"k", "v"}, {"k2", ""}}}};
  record.earlier.push_back({{{"b"}, {}}, {{5, 6, 7, 8}}});
  record.earlier.push_back({{{}, {.priorities = {Priority::normal}}}, {{9, 9, 9, 9}}});
  record.start = {{1, 2, 3, 4}};
  record.attempts_max = 9;
  record.paused = true;
  return record;
}

void expect_same(const FilterRecord& a, const FilterRecord& b) {
  EXPECT_EQ(a.types, b.types);
  EXPECT_EQ(a.match.priorities, b.match.priorities);
  EXPECT_EQ(a.match.source_kinds, b.match.source_kinds);
  EXPECT_EQ(a.match.source_names, b.match.source_names);
  EXPECT_EQ(a.match.metadata_equals, b.match.metadata_equals);
}

TEST(StateCodec, GivesBackASubscription) {
  const auto record = a_subscription();
  const auto decoded = decode_subscription("key", encode(record, "key"));
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(decoded->id, record.id);
  EXPECT_EQ(decoded->name, record.name);
  expect_same(decoded->filter, record.filter);
  ASSERT_EQ(decoded->earlier.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    expect_same(decoded->earlier[i].filter, record.earlier[i].filter);
    EXPECT_EQ(decoded->earlier[i].until, record.earlier[i].until);
  }
  EXPECT_EQ(decoded->start, record.start);
  EXPECT_EQ(decoded->attempts_max, 9U);
  EXPECT_TRUE(decoded->paused);
}

// What core::Filter::check lets in, with as many earlier filters as the runtime lets pile up.
TEST(StateCodec, GivesBackTheLargestSubscriptionThereCanBe) {
  FilterRecord largest;
  largest.types.assign(64, std::string(255, 't'));
  largest.match = {.priorities = std::vector(4, Priority::low),
                   .source_kinds = std::vector(4, SourceKind::external),
                   .source_names = std::vector<std::string>(64, std::string(255, '\0')),
                   .metadata_equals = {64, {std::string(255, '\xff'), "v"}}};
  SubscriptionRecord record;
  record.id = {1};
  record.name = std::string(255, 'n');
  record.filter = largest;
  for (int i = 0; i < 16; ++i) record.earlier.push_back({largest, {{9, 9, 9, 9}}});
  const auto decoded = decode_subscription("key", encode(record, "key"));
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  expect_same(decoded->filter, largest);
  ASSERT_EQ(decoded->earlier.size(), 16U);
  expect_same(decoded->earlier.back().filter, largest);
}

TEST(StateCodec, GivesBackASubscriptionThatWantsEverything) {
  SubscriptionRecord record;
  record.id = {1};
  record.name = "all";
  const auto decoded = decode_subscription("key", encode(record, "key"));
  ASSERT_TRUE(decoded.ok());
  expect_same(decoded->filter, {});
  EXPECT_TRUE(decoded->earlier.empty());
}

TEST(StateCodec, RefusesASubscriptionWithAnUnknownPriority) {
  auto record = a_subscription();
  record.filter.match.priorities = {static_cast<Priority>(4)};
  EXPECT_TRUE(decode_subscription("k", encode(record, "k")).status() == StatusCode::data_loss);
  record = a_subscription();
  record.earlier[0].filter.match.source_kinds = {static_cast<SourceKind>(4)};
  EXPECT_TRUE(decode_subscription("k", encode(record, "k")).status() == StatusCode::data_loss);
}

TEST(StateCodec, ACursorWhoseSettledAheadSetGoesRoundIsRefused) {
  // Its differences are what a set that goes on above the highest sequence would have.
  const CursorRecord record{.subscription = kId,
                            .lane = Priority::high,
                            .floor = 1ULL << 63U,
                            .ahead = {(1ULL << 63U) + (1ULL << 62U), 5}};
  const auto decoded = decode_cursor("key", encode(record, "key"), kId, Priority::high);
  EXPECT_EQ(decoded.status(), StatusCode::data_loss) << decoded.status().to_string();
}

TEST(StateCodec, GivesBackACursorWithWhatIsSettledAheadOfIt) {
  for (const auto& ahead :
       std::vector<std::vector<Sequence>>{{},
                                          {42},
                                          {42, 43, 44},
                                          {170, 171, 300},
                                          {41 + 127, 41 + 128 + 127, 1'000'000, 1ULL << 50U}}) {
    const CursorRecord record{.subscription = kId,
                              .lane = Priority::high,
                              .floor = 41,
                              .ahead = ahead,
                              .owed = 12,
                              .parked = 3,
                              .as_of = 99};
    const auto decoded = decode_cursor("key", encode(record, "key"), kId, Priority::high);
    ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
    EXPECT_EQ(decoded->subscription, kId);
    EXPECT_EQ(decoded->lane, Priority::high);
    EXPECT_EQ(decoded->floor, 41U);
    EXPECT_EQ(decoded->ahead, ahead);
    EXPECT_EQ(decoded->owed, 12U);
    EXPECT_EQ(decoded->parked, 3U);
    EXPECT_EQ(decoded->as_of, 99U);
  }
}

TEST(StateCodec, KeepsADenseSettledAheadSetSmall) {
  CursorRecord record{.floor = 1};
  for (Sequence sequence = 2; sequence < 4'002; ++sequence) record.ahead.push_back(sequence);
  EXPECT_LT(encode(record, "key").size(), 4'200U);
}

TEST(StateCodec, GivesBackASettlement) {
  const SettlementRecord record{.subscription = kId,
                                .event = kEvent,
                                .attempts = 4,
                                .due = -kBig,
                                .suspect = true,
                                .last_error = "why"};
  const auto decoded = decode_settlement("key", encode(record, "key"), kId, kEvent);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->subscription, kId);
  EXPECT_EQ(decoded->event, kEvent);
  EXPECT_EQ(decoded->attempts, 4U);
  EXPECT_EQ(decoded->due, -kBig);
  EXPECT_TRUE(decoded->suspect);
  EXPECT_EQ(decoded->last_error, "why");
}

TEST(StateCodec, GivesBackADueTime) {
  const DueRecord record{.due = 7, .attempts = 3, .suspect = true};
  const auto decoded = decode_due("key", encode(record, "key"), kId, kEvent, 7);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->subscription, kId);
  EXPECT_EQ(decoded->event, kEvent);
  EXPECT_EQ(decoded->due, 7);
  EXPECT_EQ(decoded->attempts, 3U);
  EXPECT_TRUE(decoded->suspect);
}

TEST(StateCodec, GivesBackADeadLetterWithItsOwnCopyOfTheEvent) {
  const auto chunk = make_chunk(kEvent, {"order.placed"}, {3}, 8);
  const DeadLetterRecord record{.subscription = kId,
                                .event = kEvent,
                                .attempts = 5,
                                .reason = "no",
                                .died_at = 77,
                                .chunk = chunk};
  const auto decoded = decode_dead_letter("key", encode(record, "key"), kId, kEvent);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(decoded->attempts, 5U);
  EXPECT_EQ(decoded->reason, "no");
  EXPECT_EQ(decoded->died_at, 77);
  EXPECT_EQ(decoded->chunk->bytes(), chunk->bytes());
}

TEST(StateCodec, RefusesADeadLetterOfAnotherEvent) {
  const DeadLetterRecord record{
      .subscription = kId, .event = kEvent, .reason = "no", .chunk = make_chunk(kEvent, 1)};
  const auto bytes = encode(record, "key");
  EXPECT_TRUE(decode_dead_letter("key", bytes, kId, {Priority::high, 42}).status() ==
              StatusCode::data_loss);
}

TEST(StateCodec, GivesBackUserStateAlsoWhenItIsEmptyOrBinary) {
  for (const auto& value : {std::string(), std::string("\0\xff", 2), std::string(100'000, 'v')}) {
    const auto decoded = decode_state("key", encode_state(value, {12}, "key"), "name", "k");
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->name, "name");
    EXPECT_EQ(decoded->key, "k");
    EXPECT_EQ(decoded->value, value);
    EXPECT_EQ(decoded->version, CommitNumber{12});
  }
}

TEST(StateCodec, GivesBackARetentionMarkAndALostRange) {
  const RetentionMark mark{Priority::low, 9, 100, 150, 200, 300, 11, true};
  const auto decoded = decode_retention_mark("key", encode(mark, "key"), Priority::low, 9);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->sequence, 9U);
  EXPECT_EQ(decoded->published_at, 100);
  EXPECT_EQ(decoded->published_bus, 150);
  EXPECT_EQ(decoded->counted_to, 11U);
  EXPECT_TRUE(decoded->claims_forgotten);
  EXPECT_EQ(decoded->bytes_before, 200U);
  EXPECT_EQ(decoded->unclaimed, 300U);
  const auto lost =
      decode_lost_range("key", encode(LostRange{Priority::high, 3, 5}, "key"), Priority::high);
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->from, 3U);
  EXPECT_EQ(lost->to, 5U);
}

TEST(StateCodec, GivesBackWhatACommitSaysOfItself) {
  Commit commit;
  commit.epoch = 3;
  commit.number = {44};
  commit.durable_known = {40};
  commit.written_at = {99, 98, 97};
  commit.next = {{1, 2, 3, 4}};
  commit.trim = {{1, 1, 2, 2}};
  commit.clean = true;
  const auto decoded = decode_meta("key", encode_meta(commit, "key"));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->epoch, 3U);
  EXPECT_EQ(decoded->number, CommitNumber{44});
  EXPECT_EQ(decoded->durable_known, CommitNumber{40});
  EXPECT_EQ(decoded->written_at.wall, 99);
  EXPECT_EQ(decoded->written_at.boot, 98);
  EXPECT_EQ(decoded->written_at.bus, 97);
  EXPECT_EQ(decoded->next, commit.next);
  EXPECT_EQ(decoded->trim, commit.trim);
  EXPECT_TRUE(decoded->clean);
}

TEST(StateCodec, GivesBackIdempotencyKeys) {
  const IdempotencyRecord record{.key = std::string("\0k", 2),
                                 .use = 9,
                                 .event = {Priority::low, 8},
                                 .commit = {7},
                                 .batch = {6},
                                 .token = {5},
                                 .used_at = 4};
  const auto decoded = decode_idempotency("key", encode(record, "key"), record.key);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->key, record.key);
  EXPECT_EQ(decoded->use, 9U);
  EXPECT_EQ(decoded->event, record.event);
  EXPECT_EQ(decoded->commit, CommitNumber{7});
  EXPECT_EQ(decoded->batch, BatchId{6});
  EXPECT_EQ(decoded->token, TokenId{5});
  EXPECT_EQ(decoded->used_at, 4);
  const auto use =
      decode_idempotency_use("key", encode(IdempotencyUse{9, 4, record.key}, "key"), 9);
  ASSERT_TRUE(use.ok());
  EXPECT_EQ(use->number, 9U);
  EXPECT_EQ(use->used_at, 4);
  EXPECT_EQ(use->key, record.key);
  const auto range = decode_idempotency_range("key", encode(IdempotencyRange{3, 9}, "key"));
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(*range, (IdempotencyRange{3, 9}));
}

TEST(StateCodec, RefusesImpossibleIdempotencyKeys) {
  const IdempotencyRecord odd{.event = {static_cast<Priority>(4), 8}};
  EXPECT_TRUE(decode_idempotency("key", encode(odd, "key"), "k").status() == StatusCode::data_loss);
  EXPECT_TRUE(decode_idempotency_range("key", encode(IdempotencyRange{9, 3}, "key")).status() ==
              StatusCode::data_loss);
}

TEST(StateCodec, RefusesPausedTypesThatAreNotInTheirOrder) {
  const auto decoded = [](const PausedTypesRecord& record) {
    return decode_paused_types("key", encode(record, "key"));
  };
  const auto good = decoded({{"a", "b.*"}, true});
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, (PausedTypesRecord{{"a", "b.*"}, true}));
  EXPECT_TRUE(decoded({{"b", "a"}, false}).status() == StatusCode::data_loss);
  EXPECT_TRUE(decoded({{"a", "a"}, false}).status() == StatusCode::data_loss);
}

TEST(StateCodec, GivesBackWhatAJournalSaysOfItself) {
  JournalMeta meta{.format = 1, .uuid = {}, .created_at = 12};
  for (std::size_t i = 0; i < meta.uuid.size(); ++i)
    meta.uuid[i] = static_cast<std::byte>(i * 16 + i);
  const auto decoded = decode_journal_meta("key", encode(meta, "key"));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->format, 1U);
  EXPECT_EQ(decoded->uuid, meta.uuid);
  EXPECT_EQ(decoded->created_at, 12);
  EXPECT_EQ(to_string(meta.uuid), "00112233-4455-6677-8899-aabbccddeeff");
}

// --- Damage -------------------------------------------------------------------------------------

struct Kind {
  const char* name;
  std::string bytes;
  std::function<Status(std::string_view key, std::string_view value)> decode;
};

std::vector<Kind> all_kinds() {
  Commit commit;
  commit.number = {4};
  const auto chunk = make_chunk(kEvent, 1);
  const auto status = [](auto decode) {
    return [decode](std::string_view key, std::string_view value) {
      return decode(key, value).status();
    };
  };
  return {
      {"subscription", encode(a_subscription(), "key"), status(decode_subscription)},
      {"cursor",
       encode(
           CursorRecord{.subscription = kId, .lane = Priority::high, .floor = 3, .ahead = {5, 900}},
           "key"),
       status([](auto k, auto v) { return decode_cursor(k, v, kId, Priority::high); })},
      {"settlement", encode(SettlementRecord{.attempts = 1, .last_error = "e"}, "key"),
       status([](auto k, auto v) { return decode_settlement(k, v, kId, kEvent); })},
      {"dead letter", encode(DeadLetterRecord{.reason = "r", .chunk = chunk}, "key"),
       status([](auto k, auto v) { return decode_dead_letter(k, v, kId, kEvent); })},
      {"mark", encode(RetentionMark{Priority::low, 9, 1, 2, 3}, "key"),
       status([](auto k, auto v) { return decode_retention_mark(k, v, Priority::low, 9); })},
      {"lost range", encode(LostRange{Priority::low, 3, 4}, "key"),
       status([](auto k, auto v) { return decode_lost_range(k, v, Priority::low); })},
      {"state", encode_state("value", {3}, "key"),
       status([](auto k, auto v) { return decode_state(k, v, "n", "k"); })},
      {"idempotency key", encode(IdempotencyRecord{.use = 3, .event = kEvent}, "key"),
       status([](auto k, auto v) { return decode_idempotency(k, v, "k"); })},
      {"use of a key", encode(IdempotencyUse{3, 4, "name"}, "key"),
       status([](auto k, auto v) { return decode_idempotency_use(k, v, 3); })},
      {"range of keys", encode(IdempotencyRange{3, 4}, "key"), status(decode_idempotency_range)},
      {"operation", encode(OperationRecord{.members = 3, .reason = "r"}, "key"),
       status([](auto k, auto v) { return decode_operation(k, v, {7}); })},
      {"member", encode(MemberRecord{.event = kEvent}, "key"),
       status([](auto k, auto v) { return decode_member(k, v, {7}, 0); })},
      {"paused types", encode(PausedTypesRecord{{"a", "b.*"}, true}, "key"),
       status(decode_paused_types)},
      {"commit", encode_meta(commit, "key"), status(decode_meta)},
      {"journal", encode(JournalMeta{.format = 1}, "key"), status(decode_journal_meta)},
  };
}

TEST(StateCodec, AFlippedBitAnywhereIsFound) {
  for (const auto& kind : all_kinds()) {
    ASSERT_TRUE(kind.decode("key", kind.bytes).ok()) << kind.name;
    for (std::size_t byte = 0; byte < kind.bytes.size(); ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        auto damaged = kind.bytes;
        damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit));
        ASSERT_TRUE(kind.decode("key", damaged) == StatusCode::data_loss)
            << kind.name << " byte " << byte << " bit " << bit;
      }
    }
  }
}

TEST(StateCodec, EveryCutIsFound) {
  for (const auto& kind : all_kinds()) {
    for (std::size_t size = 0; size < kind.bytes.size(); ++size) {
      ASSERT_TRUE(kind.decode("key", kind.bytes.substr(0, size)) == StatusCode::data_loss)
          << kind.name << " cut to " << size;
    }
    EXPECT_TRUE(kind.decode("key", kind.bytes + std::string(8, '\0')) == StatusCode::data_loss);
  }
}

TEST(StateCodec, ARecordUnderAnotherKeyIsFound) {
  for (const auto& kind : all_kinds()) {
    EXPECT_TRUE(kind.decode("kez", kind.bytes) == StatusCode::data_loss) << kind.name;
    EXPECT_TRUE(kind.decode("", kind.bytes) == StatusCode::data_loss) << kind.name;
  }
}

TEST(StateCodec, ReadsFromAnyAddress) {
  for (const auto& kind : all_kinds()) {
    for (std::size_t shift = 0; shift < 8; ++shift) {
      const auto shifted = std::string(shift, 'x') + kind.bytes;
      EXPECT_TRUE(kind.decode("key", std::string_view(shifted).substr(shift)).ok()) << kind.name;
    }
  }
}

// Checksums that fit do not make a record well-formed: a forger can compute them.
// Found by fuzzing: the numbers of a vector of 8 bytes each, at an odd multiple of 4.
TEST(StateCodec, NumbersThatLieAskewAreRefused) {
  TokenRecord token;
  token.id = {7};
  token.first = {{11, 12, 13, 14}};
  token.last = {{21, 22, 23, 24}};
  const auto value = encode(token, "key");
  auto body = value.substr(0, value.size() - 8);
  const auto number_at = [&](std::size_t at) {
    std::uint32_t number = 0;
    std::memcpy(&number, body.data() + at, sizeof(number));
    return number;
  };
  const auto numbers = body.find(std::string("\x0b\0\0\0\0\0\0\0\x0c", 9));
  ASSERT_NE(numbers, std::string::npos);
  const auto vector = numbers - 4;  // its length comes first
  std::size_t field = 0;            // that says where it is
  while (field + number_at(field) != vector) field += 4;
  const auto copy = static_cast<std::uint32_t>(body.size() - field);
  const auto whole = body.substr(vector, 4 + 8 * kLaneCount);
  for (const std::uint32_t moved : {0U, 4U}) {
    auto forged = body + std::string(moved, '\0') + whole;
    const auto distance = copy + moved;
    std::memcpy(forged.data() + field, &distance, sizeof(distance));
    forged.resize((forged.size() + 7) / 8 * 8);
    const auto sum = base::checksum(forged, base::checksum("key"));
    forged.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
    const auto decoded = decode_token("key", forged, token.id);
    // Behind its length of 4 bytes: the one that is moved by 4 lies well.
    EXPECT_EQ(decoded.ok(), moved == 4) << decoded.status().to_string();
  }
}

TEST(StateCodec, JunkWithAGoodChecksumIsRefusedOrReadSafely) {
  for (const auto& kind : all_kinds()) {
    const auto body_size = kind.bytes.size() - 8;
    for (std::size_t byte = 0; byte < body_size; ++byte) {
      for (const int value : {0, 1, 0x7f, 0xff}) {
        auto forged = kind.bytes.substr(0, body_size);
        forged[byte] = static_cast<char>(value);
        const auto sum = base::checksum(forged, base::checksum("key"));
        forged.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
        const auto status = kind.decode("key", forged);  // the sanitizers watch
        ASSERT_TRUE(status.ok() || status == StatusCode::data_loss) << kind.name;
      }
    }
  }
}

}  // namespace
}  // namespace holdfast::model
