// SPDX-License-Identifier: MIT
#include "model/event_codec.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "holdfast/options.h"

namespace holdfast::model {
namespace {

/// The record at a multiple of 8, as the codec asks for.
class Record {
 public:
  Record(const Event& event, WallTime timestamp) : Record(encode_event(event, timestamp)) {}
  explicit Record(std::string_view bytes) : words_((bytes.size() + 7) / 8), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::string_view bytes() const {
    return {reinterpret_cast<const char*>(words_.data()), size_};
  }
  void flip(std::size_t byte, unsigned bit) {
    reinterpret_cast<unsigned char*>(words_.data())[byte] ^= static_cast<unsigned char>(1U << bit);
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

TEST(EventCodec, GivesBackWhatThePublisherSaid) {
  const std::vector<MetadataPair> metadata = {{"k", "1"}, {"traceparent", "00-ab"}, {"k", "2"}};
  const std::string payload("\0\x01 binary \xff", 11);
  const Record record({.type = "order.placed",
                       .payload = payload,
                       .content_type = "application/json",
                       .priority = Priority::high,
                       .source = Source::plugin("shop"),
                       .metadata = metadata,
                       .timestamp = 77},
                      123);
  ASSERT_TRUE(verify_event(record.bytes()));
  const auto event = read_event(record.bytes());
  EXPECT_EQ(event.type, "order.placed");
  EXPECT_EQ(read_event_type(record.bytes()), "order.placed");
  EXPECT_EQ(event.payload_text(), payload);
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.source, Source::plugin("shop"));
  EXPECT_EQ(event.timestamp, 77);
  ASSERT_EQ(event.metadata.size(), 3U);
  EXPECT_EQ(event.metadata[2], (MetadataPair{"k", "2"}));
  EXPECT_EQ(event.metadata.find("k"), "1");
  EXPECT_EQ(event.metadata.find("absent"), std::nullopt);
}

TEST(EventCodec, GivesBackAnEventOfNothingButAType) {
  const Record record({.type = "t", .payload = ""}, 123);
  ASSERT_TRUE(verify_event(record.bytes()));
  const auto event = read_event(record.bytes());
  EXPECT_TRUE(event.payload.empty());
  EXPECT_TRUE(event.metadata.empty());
  EXPECT_EQ(event.metadata.find("k"), std::nullopt);
  EXPECT_EQ(event.content_type, "");
  EXPECT_EQ(event.source, Source::system());
  EXPECT_EQ(event.timestamp, 123) << "0 means now";
}

TEST(EventCodec, PayloadBeginsAtAMultipleOfEightSoThatItCanBeReadInPlace) {
  for (std::size_t size = 1; size < 40; ++size) {
    const Record record({.type = std::string(size, 't'), .payload = std::string(size, 'p')}, 1);
    const auto event = read_event(record.bytes());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(event.payload.data()) % 8, 0U) << size;
  }
}

TEST(EventCodec, OwnedCopyHoldsEverything) {
  const std::vector<MetadataPair> metadata = {{"k", "v"}};
  const Record record({.type = "a.b",
                       .payload = "p",
                       .content_type = "text/plain",
                       .source = Source::user(),
                       .metadata = metadata},
                      9);
  auto view = read_event(record.bytes());
  view.id = {Priority::low, 4};
  const auto owned = view.to_owned();
  EXPECT_EQ(owned.type, "a.b");
  EXPECT_EQ(owned.payload, "p");
  EXPECT_EQ(owned.content_type, "text/plain");
  EXPECT_EQ(owned.priority, Priority::low);
  EXPECT_EQ(owned.source_kind, SourceKind::user);
  EXPECT_EQ(owned.timestamp, 9);
  ASSERT_EQ(owned.metadata.size(), 1U);
  EXPECT_EQ(owned.metadata[0].second, "v");
}

TEST(EventCodec, RefusesARecordWithoutAType) {
  EXPECT_FALSE(verify_event(Record({.type = "", .payload = "x"}, 1).bytes()));
}

TEST(EventCodec, RefusesEveryCutRecordAndReadsNothingBehindIt) {
  const std::vector<MetadataPair> metadata = {{"k", "v"}};
  const Record whole({.type = "a.b", .payload = "payload", .metadata = metadata}, 1);
  for (std::size_t size = 0; size < whole.bytes().size(); ++size) {
    // Some cuts only take padding; a record that verifies must still be readable.
    const Record cut(whole.bytes().substr(0, size));
    if (verify_event(cut.bytes())) {
      EXPECT_EQ(read_event(cut.bytes()).type, "a.b");
    }
  }
  EXPECT_FALSE(verify_event({}));
}

TEST(EventCodec, WhateverVerifiesCanBeReadSafely) {
  const std::vector<MetadataPair> metadata = {{"key", "value"}, {"k2", "v2"}};
  Record record({.type = "a.b", .payload = "payload", .content_type = "c", .metadata = metadata},
                1);
  std::size_t refused = 0;
  for (std::size_t byte = 0; byte < record.bytes().size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      record.flip(byte, bit);
      if (verify_event(record.bytes())) {
        (void)read_event(record.bytes()).to_owned();  // the sanitizers watch
      } else {
        ++refused;
      }
      record.flip(byte, bit);
    }
  }
  EXPECT_GT(refused, 0U);
  EXPECT_TRUE(verify_event(record.bytes()));
}

}  // namespace
}  // namespace holdfast::model
