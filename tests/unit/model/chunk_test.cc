// SPDX-License-Identifier: MIT
#include "model/chunk.h"

#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "support/chunks.h"

namespace holdfast::model {
namespace {

using holdfast::testing::make_chunk;

constexpr EventId kPlace{Priority::high, 41};

std::string bytes_of(const ChunkPtr& chunk) { return std::string(chunk->bytes()); }

TEST(Chunk, GivesBackEveryEventWithItsPlace) {
  EncodedEvents events;
  for (int i = 0; i < 5; ++i) {
    events.add({.type = "t." + std::to_string(i),
                .payload = std::string(i, 'x'),
                .priority = Priority::high},
               100 + i);
  }
  const auto batch = make_batch_id({9}, 11);
  ChunkBuilder builder;
  for (std::uint32_t i = 0; i < 5; ++i) {
    builder.add(events.record(i), events.entry(i), 10 + i, i == 0 ? BatchId{} : batch);
  }
  const auto chunk = builder.finish(kPlace, {9}, 555);
  EXPECT_EQ(builder.count(), 0U) << "a builder is ready for the next chunk";

  const auto decoded = Chunk::decode(chunk->bytes(), kPlace);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  for (const auto& each : {chunk, *decoded}) {
    EXPECT_EQ(each->lane(), Priority::high);
    EXPECT_EQ(each->first(), 41U);
    EXPECT_EQ(each->last(), 45U);
    EXPECT_EQ(each->count(), 5U);
    EXPECT_EQ(each->commit(), CommitNumber{9});
    EXPECT_EQ(each->published_at(), 555);
    EXPECT_FALSE(each->contains(40));
    EXPECT_TRUE(each->contains(41));
    EXPECT_TRUE(each->contains(45));
    EXPECT_FALSE(each->contains(46));
    for (std::uint32_t i = 0; i < 5; ++i) {
      const auto event = each->event(41 + i);
      EXPECT_EQ(event.id, (EventId{Priority::high, 41 + i}));
      EXPECT_EQ(event.commit, CommitNumber{9});
      EXPECT_EQ(event.index, 10 + i);
      EXPECT_EQ(event.batch_id, i == 0 ? BatchId{} : batch);
      EXPECT_EQ(event.published_at, 555);
      EXPECT_EQ(event.timestamp, 100 + i);
      EXPECT_EQ(event.type, "t." + std::to_string(i));
      EXPECT_EQ(each->type(41 + i), event.type);
      EXPECT_EQ(event.payload_text(), std::string(i, 'x'));
      EXPECT_EQ(each->record_bytes(41 + i), events.entry(i).length);
    }
  }
  EXPECT_EQ(bytes_of(*decoded), bytes_of(chunk));
}

TEST(Chunk, BatchIdsDifferBetweenBatchesAndAreNeverZero) {
  EXPECT_NE(make_batch_id({1}, 0), BatchId{});
  EXPECT_NE(make_batch_id({1}, 0), make_batch_id({1}, 1));
  EXPECT_NE(make_batch_id({1}, 0), make_batch_id({2}, 0));
}

TEST(Chunk, EventsBeginAtAMultipleOfEight) {
  const auto chunk = make_chunk(kPlace, {"a", "abc", "abcdefgh.i", "x.y"});
  for (auto sequence = chunk->first(); sequence <= chunk->last(); ++sequence) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(chunk->event(sequence).payload.data()) % 8, 0U);
  }
}

TEST(Chunk, AFlippedBitAnywhereIsFound) {
  const auto whole = bytes_of(make_chunk(kPlace, {"a.b", "c.d", "e"}));
  std::size_t padding = 0;
  for (std::size_t byte = 0; byte < whole.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = whole;
      damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit));
      const auto decoded = Chunk::decode(damaged, kPlace);
      if (!decoded.ok()) {
        ASSERT_TRUE(decoded.status() == StatusCode::data_loss);
        continue;
      }
      // Only what pads records to a multiple of 8 is read by nobody.
      ++padding;
      ASSERT_EQ((*decoded)->event(41).type, "a.b");
      ASSERT_EQ((*decoded)->event(42).payload_text(), "c.d");
      ASSERT_EQ((*decoded)->event(43).type, "e");
    }
  }
  EXPECT_LE(padding, 3U * 7U * 8U);
}

TEST(Chunk, EveryCutIsFound) {
  const auto whole = bytes_of(make_chunk(kPlace, {"a.b", "c.d", "e"}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto decoded = Chunk::decode(std::string_view(whole).substr(0, size), kPlace);
    ASSERT_TRUE(decoded.status() == StatusCode::data_loss) << size;
  }
}

TEST(Chunk, BytesBehindTheLastRecordAreFound) {
  const auto decoded =
      Chunk::decode(bytes_of(make_chunk(kPlace, 2)) + std::string(8, '\0'), kPlace);
  EXPECT_TRUE(decoded.status() == StatusCode::data_loss);
}

TEST(Chunk, FoundUnderAnotherKeyIsRefused) {
  const auto whole = bytes_of(make_chunk(kPlace, 2));
  EXPECT_TRUE(Chunk::decode(whole, {Priority::high, 42}).status() == StatusCode::data_loss);
  EXPECT_TRUE(Chunk::decode(whole, {Priority::low, 41}).status() == StatusCode::data_loss);
}

TEST(Chunk, AForgedCountIsRefusedBeforeItIsBelieved) {
  const auto whole = bytes_of(make_chunk(kPlace, 2));
  for (const std::uint32_t count : {0U, 3U, 1'000'000U, 0xffffffffU}) {
    auto forged = whole;
    std::memcpy(forged.data() + 4, &count, sizeof(count));
    EXPECT_TRUE(Chunk::decode(forged, kPlace).status() == StatusCode::data_loss) << count;
  }
}

// Checksums that fit do not make a record well-formed: a forger can compute them.
TEST(Chunk, AMalformedRecordWithGoodChecksumsIsRefused) {
  const std::string junk(64, '\x7f');
  ChunkBuilder builder;
  builder.add(junk, {.checksum = base::checksum32(junk)}, 0, {});
  const auto chunk = builder.finish(kPlace, {1}, 1);
  const auto decoded = Chunk::decode(chunk->bytes(), kPlace);
  ASSERT_TRUE(decoded.status() == StatusCode::data_loss);
  EXPECT_NE(decoded.status().message().find("high:41"), std::string::npos);
}

TEST(Chunk, SequencesThatNoEventHasAreRefused) {
  constexpr auto kLast = std::numeric_limits<Sequence>::max();
  for (const EventId place : {EventId{Priority::high, 0}, EventId{Priority::high, kLast}}) {
    const auto forged = make_chunk(place, 2);
    EXPECT_TRUE(Chunk::decode(forged->bytes(), place).status() == StatusCode::data_loss);
  }
  EXPECT_TRUE(
      Chunk::decode(make_chunk({Priority::high, kLast}, 1)->bytes(), {Priority::high, kLast}).ok());
}

TEST(Chunk, MoreEventsThanALookupGoesBackForAreRefused) {
  EXPECT_TRUE(Chunk::decode(make_chunk(kPlace, kChunkEventsMax)->bytes(), kPlace).ok());
  const auto forged = make_chunk(kPlace, kChunkEventsMax + 1);
  EXPECT_TRUE(Chunk::decode(forged->bytes(), kPlace).status() == StatusCode::data_loss);
}

TEST(Chunk, ABatchThatReachesIntoAnotherCommitIsRefused) {
  auto forged = bytes_of(make_chunk(kPlace, 1));
  constexpr std::size_t kHeader = 48;
  constexpr std::size_t kBatchAt = kHeader + 12;
  constexpr std::size_t kChecksumAt = 40;
  const std::uint32_t batch = 1U << 20U;
  std::memcpy(forged.data() + kBatchAt, &batch, sizeof(batch));
  const std::string_view whole(forged);
  const auto sum =
      base::checksum(whole.substr(kHeader, 16), base::checksum(whole.substr(0, kChecksumAt)));
  std::memcpy(forged.data() + kChecksumAt, &sum, sizeof(sum));
  const auto decoded = Chunk::decode(forged, kPlace);
  ASSERT_TRUE(decoded.status() == StatusCode::data_loss);
  EXPECT_NE(decoded.status().message().find("batch"), std::string::npos)
      << decoded.status().to_string();
}

TEST(Chunk, DamageNamesTheEventItIsIn) {
  const auto chunk = make_chunk(kPlace, {"a.b", "c.d", "e"});
  auto bytes = bytes_of(chunk);
  const auto at = bytes.find("c.d");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'X';
  const auto decoded = Chunk::decode(bytes, kPlace);
  EXPECT_NE(decoded.status().message().find("high:42"), std::string::npos)
      << decoded.status().to_string();
}

TEST(Chunk, AnExtractIsTheEventAloneWithEverythingThatIsKnownOfIt) {
  EncodedEvents events;
  for (int i = 0; i < 3; ++i) events.add({.type = "t", .payload = std::to_string(i)}, 5);
  const auto batch = make_batch_id({1}, 20);
  ChunkBuilder builder;
  for (std::uint32_t i = 0; i < 3; ++i)
    builder.add(events.record(i), events.entry(i), 20 + i, batch);
  const auto chunk = builder.finish(kPlace, {1}, 55);
  for (auto sequence = chunk->first(); sequence <= chunk->last(); ++sequence) {
    const auto alone = chunk->extract(sequence);
    ASSERT_EQ(alone->count(), 1U);
    const auto decoded = Chunk::decode(alone->bytes(), {Priority::high, sequence});
    ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
    const auto before = chunk->event(sequence);
    const auto after = (*decoded)->event(sequence);
    EXPECT_EQ(after.id, before.id);
    EXPECT_EQ(after.commit, before.commit);
    EXPECT_EQ(after.index, before.index);
    EXPECT_EQ(after.batch_id, before.batch_id);
    EXPECT_EQ(after.published_at, before.published_at);
    EXPECT_EQ(after.timestamp, before.timestamp);
    EXPECT_EQ(after.payload_text(), before.payload_text());
  }
}

TEST(Chunk, AnExtractOfOneIsTheChunkItselfAndOutlivesItsOwner) {
  auto chunk = make_chunk(kPlace, 1);
  const auto alone = chunk->extract(41);
  EXPECT_EQ(alone.get(), chunk.get());
  chunk.reset();
  EXPECT_EQ(alone->event(41).type, "a.b");
}

/// Of five events the second and the last have a key.
ChunkPtr make_keyed_chunk() {
  EncodedEvents events;
  for (int i = 0; i < 5; ++i) {
    events.add({.type = "t",
                .payload = std::to_string(i),
                .priority = Priority::high,
                .ordering_key = i == 1 || i == 4 ? "order 7" : ""},
               5);
  }
  ChunkBuilder builder;
  for (std::uint32_t i = 0; i < 5; ++i) {
    const auto* admission = events.admission(i);
    OrderKey key{admission == nullptr ? 0 : admission->order_key, {}};
    if (i == 4) key.after = {{0, 0, 17, 99}};
    builder.add(events.record(i), events.entry(i), i, {}, key);
  }
  return builder.finish(kPlace, {1}, 55);
}

TEST(Chunk, KnowsWhatItsEventsWithAKeyComeAfter) {
  const auto chunk = make_keyed_chunk();
  const auto decoded = Chunk::decode(chunk->bytes(), kPlace);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  const auto hash = hash_key("order 7");
  for (const auto& each : {chunk, *decoded}) {
    EXPECT_TRUE(each->keyed());
    EXPECT_EQ(each->order_key(41), OrderKey{});
    EXPECT_EQ(each->order_key(42), (OrderKey{hash, {}}));
    EXPECT_EQ(each->event(42).ordering_key, "order 7");
    EXPECT_EQ(each->order_key(44), OrderKey{});
    EXPECT_EQ(each->order_key(45), (OrderKey{hash, {{0, 0, 17, 99}}}));
    EXPECT_EQ(each->extract(45)->order_key(45), each->order_key(45));
    EXPECT_FALSE(each->extract(44)->keyed());
  }
  EXPECT_FALSE(make_chunk(kPlace, 2)->keyed());
}

TEST(Chunk, AFlippedBitOrACutInItsKeysIsFound) {
  const auto whole = bytes_of(make_keyed_chunk());
  const auto keys = whole.size() - (8 + 2 * 16 + 2 * 8);
  for (auto byte = keys; byte < whole.size(); ++byte) {
    EXPECT_TRUE(Chunk::decode(whole.substr(0, byte), kPlace).status() == StatusCode::data_loss);
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = whole;
      damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << bit));
      EXPECT_TRUE(Chunk::decode(damaged, kPlace).status() == StatusCode::data_loss) << byte;
    }
  }
  EXPECT_TRUE(Chunk::decode(whole + std::string(8, '\0'), kPlace).status() ==
              StatusCode::data_loss);
}

TEST(ChunkBuilder, IsFullAtItsCountOfEvents) {
  // No event is this small; a builder takes what it is given.
  constexpr std::string_view kRecord = "8 bytes!";
  ChunkBuilder builder;
  for (std::uint32_t i = 0; i < kChunkEventsMax; ++i) {
    ASSERT_FALSE(builder.full_for(kRecord.size()));
    builder.add(kRecord, {}, i, {});
  }
  EXPECT_TRUE(builder.full_for(8));
  EXPECT_EQ(builder.finish(kPlace, {1}, 1)->count(), kChunkEventsMax);
  EXPECT_FALSE(builder.full_for(8));
}

TEST(ChunkBuilder, IsFullAtItsBytesAndAlwaysHasRoomForOne) {
  ChunkBuilder builder;
  EXPECT_FALSE(builder.full_for(kChunkBytesMax * 10)) << "a huge event must fit somewhere";
  const std::string half(kChunkBytesMax / 2, 'x');
  builder.add(half, {}, 0, {});
  EXPECT_FALSE(builder.full_for(kChunkBytesMax / 2));
  EXPECT_TRUE(builder.full_for(kChunkBytesMax / 2 + 1));
}

TEST(EncodedEvents, KeepsEachRecordApartAndCanBeUsedAgain) {
  EncodedEvents events;
  EXPECT_TRUE(events.empty());
  events.add({.type = "a", .payload = "1", .priority = Priority::critical}, 1);
  events.add({.type = "b.c", .payload = std::string(1000, 'p'), .priority = Priority::low}, 1);
  ASSERT_EQ(events.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(events.entry(i).offset % 8, 0U);
    EXPECT_EQ(base::checksum32(events.record(i)), events.entry(i).checksum);
  }
  EXPECT_EQ(events.entry(0).lane, Priority::critical);
  EXPECT_EQ(events.entry(1).lane, Priority::low);
  EXPECT_GT(events.bytes(), 1000U);
  events.clear();
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(events.bytes(), 0U);
}

}  // namespace
}  // namespace holdfast::model
