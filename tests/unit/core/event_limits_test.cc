// SPDX-License-Identifier: MIT
#include "core/event_limits.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "holdfast/options.h"

namespace holdfast::core {
namespace {

constexpr std::size_t kPayloadMax = 100;

void expect_refused(const Event& event, const std::string& value, const std::string& limit) {
  const auto status = check_event(event, kPayloadMax);
  ASSERT_TRUE(status == StatusCode::invalid_argument);
  EXPECT_NE(status.message().find(value), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(limit), std::string::npos) << status.message();
}

TEST(EventLimits, AnEventAtEveryLimitIsTaken) {
  const std::string payload(kPayloadMax, 'p');
  const std::string name(kNameBytesMax, 'n');
  // 64 pairs of 256 bytes are exactly 16 KiB.
  std::vector<MetadataPair> metadata(kMetadataPairsMax, {std::string_view(name).substr(0, 128),
                                                         std::string_view(name).substr(0, 128)});
  EXPECT_TRUE(check_event({.type = name,
                           .payload = payload,
                           .content_type = name,
                           .priority = Priority::low,
                           .source = Source::plugin(name),
                           .metadata = metadata},
                          kPayloadMax)
                  .ok());
}

TEST(EventLimits, ErrorsStateTheValueAndTheLimit) {
  const std::string long_name(256, 'n');
  expect_refused({.type = "t", .payload = std::string(101, 'p')}, "101", "100");
  expect_refused({.type = long_name, .payload = ""}, "256", "255");
  expect_refused({.type = "t", .payload = "", .content_type = long_name}, "256", "255");
  expect_refused({.type = "t", .payload = "", .source = Source::plugin(long_name)}, "256", "255");
  expect_refused({.type = "t", .payload = "", .priority = static_cast<Priority>(4)}, "4", "3");
  const std::vector<MetadataPair> pairs(65, {"k", "v"});
  expect_refused({.type = "t", .payload = "", .metadata = pairs}, "65", "64");
  const std::string value(16'384, 'v');
  const std::vector<MetadataPair> big = {{"k", value}};
  expect_refused({.type = "t", .payload = "", .metadata = big}, "16385", "16384");
  const std::vector<MetadataPair> long_key = {{long_name, ""}};
  expect_refused({.type = "t", .payload = "", .metadata = long_key}, "256", "255");
}

TEST(EventLimits, AnIdHasOneOfFourPrioritiesAndASequence) {
  EXPECT_TRUE(check_event_id({Priority::low, 1}).ok());
  EXPECT_NE(check_event_id({static_cast<Priority>(4), 1}).message().find("is 4, it must be 0 to 3"),
            std::string::npos);
  EXPECT_TRUE(check_event_id({Priority::low, 0}) == StatusCode::invalid_argument);
}

TEST(EventLimits, RefusesWhatMakesNoSense) {
  EXPECT_FALSE(check_event({.type = "", .payload = ""}, 1).ok());
  EXPECT_FALSE(check_event({.type = "a..b", .payload = ""}, 1).ok());
  EXPECT_FALSE(check_event({.type = "t", .payload = "", .source = Source::plugin("")}, 1).ok());
  EXPECT_FALSE(
      check_event({.type = "t", .payload = "", .source = {static_cast<SourceKind>(4), {}}}, 1)
          .ok());
  EXPECT_FALSE(check_event({.type = "t", .payload = "", .timestamp = -1}, 1).ok());
  const std::vector<MetadataPair> no_key = {{"", "v"}};
  EXPECT_FALSE(check_event({.type = "t", .payload = "", .metadata = no_key}, 1).ok());
}

TEST(EventLimits, NamesAreOneTo255BytesWithoutControlCharacters) {
  EXPECT_TRUE(check_name("mail/\xc3\xa9 ..", "subscription name").ok());
  EXPECT_TRUE(check_name(std::string(255, 'n'), "subscription name").ok());
  for (const auto& name :
       {std::string(), std::string("a\nb"), std::string("a\0b", 3), std::string("\x7f")}) {
    const auto status = check_name(name, "subscription name");
    EXPECT_TRUE(status == StatusCode::invalid_argument);
    EXPECT_TRUE(status.message().starts_with("subscription name")) << status.message();
  }
  EXPECT_NE(check_name(std::string(256, 'n'), "x").message().find("256"), std::string::npos);
}

TEST(EventLimits, StateKeysAndValuesAreBounded) {
  EXPECT_TRUE(check_state_key(std::string("\0\n", 2)).ok()) << "keys are bytes";
  EXPECT_FALSE(check_state_key("").ok());
  EXPECT_FALSE(check_state_key(std::string(256, 'k')).ok());
  EXPECT_TRUE(check_state_value(std::string(kStateValueBytesMax, 'v')).ok());
  const auto status = check_state_value(std::string(kStateValueBytesMax + 1, 'v'));
  EXPECT_NE(status.message().find("1048577"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("1048576"), std::string::npos) << status.message();
}

TEST(EventLimits, AnOwnedEventIsBorrowedWhole) {
  const OwnedEvent owned{.type = "a.b",
                         .payload = "p",
                         .content_type = "c",
                         .priority = Priority::high,
                         .source_kind = SourceKind::plugin,
                         .source_name = "s",
                         .metadata = {{"k", "v"}},
                         .timestamp = 7};
  std::vector<MetadataPair> pairs = {{"left", "over"}};
  const auto event = borrow(owned, pairs);
  EXPECT_EQ(event.type, "a.b");
  EXPECT_EQ(as_text(event.payload.bytes), "p");
  EXPECT_EQ(event.content_type, "c");
  EXPECT_EQ(event.priority, Priority::high);
  EXPECT_EQ(event.source, Source::plugin("s"));
  ASSERT_EQ(event.metadata.size(), 1U);
  EXPECT_EQ(event.metadata[0], (MetadataPair{"k", "v"}));
  EXPECT_EQ(event.timestamp, 7);
}

}  // namespace
}  // namespace holdfast::core
