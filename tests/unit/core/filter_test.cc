// SPDX-License-Identifier: MIT
#include "core/filter.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/interest.h"
#include "holdfast/options.h"
#include "support/chunks.h"

namespace holdfast::core {
namespace {

TEST(Type, IsDottedTokens) {
  for (const auto* type : {"a", "a.b", "order.placed.v2", "A-Z_0.9", "-"}) {
    EXPECT_TRUE(check_type(type).ok()) << type;
  }
  for (const auto* type : {"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "*", ">", "a/b",
                           "\xc3\xa9", "a\n", "a.b$"}) {
    EXPECT_TRUE(check_type(type) == StatusCode::invalid_argument) << type;
  }
}

TEST(Type, HasAtMost255BytesAndTheErrorSaysHowManyThereWere) {
  EXPECT_TRUE(check_type(std::string(255, 'a')).ok());
  const auto status = check_type(std::string(256, 'a'));
  ASSERT_TRUE(status == StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("256"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("255"), std::string::npos) << status.message();
}

TEST(Type, BytesPastTheEndOfTheViewDoNotCount) {
  EXPECT_TRUE(check_type(std::string_view("abc def").substr(0, 3)).ok());
  EXPECT_FALSE(check_type(std::string_view("a\0b", 3)).ok());
}

TEST(Pattern, MayUseWildcardsAsWholeTokens) {
  for (const auto* pattern : {"*", ">", "a.*", "*.b", "a.*.c", "a.>", "*.>", "*.*"}) {
    EXPECT_TRUE(check_pattern(pattern).ok()) << pattern;
  }
  for (const auto* pattern :
       {"", "a.>.b", ">.a", ">.>", "a*", "*a", "a>", "a.b*", "**", ">>", "a..>", "a."}) {
    EXPECT_TRUE(check_pattern(pattern) == StatusCode::invalid_argument) << pattern;
  }
}

TEST(Pattern, MatchesAsInNats) {
  struct Case {
    const char* pattern;
    const char* type;
    bool matches;
  };
  for (const auto& [pattern, type, matches] :
       std::vector<Case>{{"a.b", "a.b", true},    {"a.b", "a.c", false},    {"a.b", "a", false},
                         {"a.b", "a.b.c", false}, {"a", "ab", false},       {"ab", "a", false},
                         {"*", "a", true},        {"*", "a.b", false},      {"a.*", "a.b", true},
                         {"a.*", "a", false},     {"a.*", "a.b.c", false},  {"*.b", "a.b", true},
                         {"*.b", "b", false},     {"a.*.c", "a.b.c", true}, {"a.*.c", "a.c", false},
                         {">", "a", true},        {">", "a.b.c", true},     {"a.>", "a.b", true},
                         {"a.>", "a.b.c", true},  {"a.>", "a", false},      {"a.>", "b.c", false},
                         {"*.>", "a.b", true},    {"*.>", "a", false},      {"a.b.>", "a.b", false},
                         {"A.b", "a.b", false}}) {
    EXPECT_EQ(pattern_matches(pattern, type), matches) << pattern << " on " << type;
  }
}

TEST(Pattern, NoneAtAllMatchesEverythingAndOneOfSeveralIsEnough) {
  EXPECT_TRUE(any_pattern_matches({}, "a.b"));
  EXPECT_TRUE(any_pattern_matches({"x", "a.*"}, "a.b"));
  EXPECT_FALSE(any_pattern_matches({"x", "y"}, "a.b"));
}

EventView view(std::string_view type, Priority priority, Source source) {
  EventView event;
  event.type = type;
  event.id = {priority, 1};
  event.source = source;
  return event;
}

TEST(Filter, WantsOnlyWhatEveryPartOfItWants) {
  const Filter filter({"a.*"}, {.priorities = {Priority::high, Priority::low},
                                .source_kinds = {SourceKind::plugin},
                                .source_names = {"p", "q"}});
  EXPECT_TRUE(filter.looks_inside());
  EXPECT_TRUE(filter.matches(view("a.b", Priority::high, Source::plugin("q"))));
  EXPECT_FALSE(filter.matches(view("b.b", Priority::high, Source::plugin("q"))));
  EXPECT_FALSE(filter.matches(view("a.b", Priority::normal, Source::plugin("q"))));
  EXPECT_FALSE(filter.matches(view("a.b", Priority::high, Source::user())));
  EXPECT_FALSE(filter.matches(view("a.b", Priority::high, Source::plugin("r"))));
}

TEST(Filter, WantsAllOfItsMetadataAndLooksAtTheFirstOfAKey) {
  model::EncodedEvents events;
  const std::vector<MetadataPair> metadata = {{"k", "1"}, {"k", "2"}, {"j", ""}};
  events.add({.type = "a", .payload = "", .metadata = metadata}, 1);
  model::ChunkBuilder builder;
  builder.add(events.record(0), events.entry(0), 0, {});
  const auto chunk = builder.finish({Priority::normal, 1}, {1}, 1);
  const auto wants = [&](std::vector<std::pair<std::string, std::string>> pairs) {
    return Filter({}, {.metadata_equals = std::move(pairs)}).matches(chunk->event(1));
  };
  EXPECT_TRUE(wants({{"k", "1"}}));
  EXPECT_TRUE(wants({{"k", "1"}, {"j", ""}}));
  EXPECT_FALSE(wants({{"k", "2"}}));
  EXPECT_FALSE(wants({{"k", "1"}, {"absent", ""}}));
}

TEST(Filter, OfNothingWantsEverything) {
  const Filter filter;
  EXPECT_FALSE(filter.looks_inside());
  EXPECT_TRUE(filter.matches(view("x", Priority::low, Source::external())));
}

TEST(Filter, StatesValueAndLimitOfWhatItRefuses) {
  const auto patterns = Filter::check(std::vector<std::string>(65, "a"), {});
  EXPECT_NE(patterns.message().find("65"), std::string::npos);
  EXPECT_NE(patterns.message().find("64"), std::string::npos);
  EXPECT_TRUE(Filter::check(std::vector<std::string>(64, "a"), {}).ok());
  EXPECT_TRUE(Filter::check({"a", "b.>.c"}, {}) == StatusCode::invalid_argument);
  Match match;
  match.metadata_equals.resize(65, {"k", "v"});
  EXPECT_NE(Filter::check({}, match).message().find("65"), std::string::npos);
  EXPECT_TRUE(Filter::check({}, {.metadata_equals = {{"", "v"}}}) == StatusCode::invalid_argument);
  EXPECT_TRUE(Filter::check({}, {.source_names = {std::string(256, 'n')}}) ==
              StatusCode::invalid_argument);
}

TEST(Filter, RefusesNumbersThatNoPriorityOrSourceKindHas) {
  const auto priority = Filter::check({}, {.priorities = {static_cast<Priority>(9)}});
  EXPECT_TRUE(priority == StatusCode::invalid_argument);
  EXPECT_EQ(priority.message(), "priority is 9, it must be 0 to 3");
  const auto kind = Filter::check({}, {.source_kinds = {static_cast<SourceKind>(4)}});
  EXPECT_TRUE(kind == StatusCode::invalid_argument);
  EXPECT_EQ(kind.message(), "source kind is 4, it must be 0 to 3");
}

TEST(Filter, BoundsEveryPartOfItsMatch) {
  const auto says = [](const Match& match, std::string_view value, std::string_view limit) {
    const auto status = Filter::check({}, match);
    return status == StatusCode::invalid_argument &&
           status.message().find(value) != std::string::npos &&
           status.message().find(limit) != std::string::npos;
  };
  Match most{.priorities = {kAllPriorities.begin(), kAllPriorities.end()},
             .source_kinds = std::vector(4, SourceKind::external),
             .source_names = std::vector<std::string>(64, std::string(255, 'n')),
             .metadata_equals = {64, {std::string(255, 'k'), "v"}}};
  EXPECT_TRUE(Filter::check({}, most).ok());
  EXPECT_TRUE(says({.priorities = std::vector(5, Priority::low)}, "5 priorities", "4"));
  EXPECT_TRUE(says({.source_kinds = std::vector(5, SourceKind::user)}, "5 source kinds", "4"));
  EXPECT_TRUE(says({.source_names = std::vector<std::string>(65, "n")}, "65 source names", "64"));
  EXPECT_TRUE(says({.source_names = {""}}, "0", "1 to 255"));
  EXPECT_TRUE(says({.metadata_equals = {{std::string(256, 'k'), ""}}}, "256", "255"));
  EXPECT_TRUE(says({.metadata_equals = {{"k", std::string(16'384, 'v')}}}, "16385", "16384"));
  most.metadata_equals[0].second = "vv";
  EXPECT_TRUE(says(most, "16385", "16384"));
}

TEST(Filter, EqualsAnotherThatSaysTheSame) {
  const Match match{.priorities = {Priority::low}, .metadata_equals = {{"k", "v"}}};
  EXPECT_EQ(Filter({"a"}, match), Filter({"a"}, match));
  EXPECT_FALSE(Filter({"a"}, match) == Filter({"b"}, match));
  EXPECT_FALSE(Filter({"a"}, match) == Filter({"a"}, {}));
  for (const auto& other :
       {Match{.source_kinds = {SourceKind::plugin}}, Match{.source_names = {"shop"}},
        Match{.priorities = {Priority::low}}, Match{.metadata_equals = {{"k", "v"}}}}) {
    EXPECT_FALSE(Filter({"a"}, other) == Filter({"a"}, {}));
    EXPECT_EQ(Filter({"a"}, other), Filter({"a"}, other));
  }
}

TEST(Interest, BeginsAtItsStartAndHoldsOldEventsToEarlierFiltersAsWell) {
  model::SubscriptionRecord record;
  record.filter.types = {"a.*"};
  record.start[Priority::normal] = 5;
  record.earlier.push_back({{{"*.x"}, {}}, {{1, 1, 10, 1}}});
  const Interest interest(record);
  const auto wants = [&](std::string_view type, std::uint64_t sequence) {
    auto event = view(type, Priority::normal, {});
    event.id.sequence = sequence;
    return interest.wants(event);
  };
  EXPECT_FALSE(wants("a.x", 4));
  EXPECT_TRUE(wants("a.x", 5));
  EXPECT_FALSE(wants("a.y", 9)) << "was not wanted when it was published";
  EXPECT_TRUE(wants("a.y", 10));
  EXPECT_FALSE(wants("b.x", 9)) << "is not wanted any more";
}

}  // namespace
}  // namespace holdfast::core
