// SPDX-License-Identifier: MIT
#include "holdfast/types.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "holdfast/event.h"
#include "holdfast/query.h"

namespace holdfast {
namespace {

TEST(Priority, IsFrozenAndNamed) {
  EXPECT_EQ(static_cast<int>(Priority::critical), 0);
  EXPECT_EQ(static_cast<int>(Priority::high), 1);
  EXPECT_EQ(static_cast<int>(Priority::normal), 2);
  EXPECT_EQ(static_cast<int>(Priority::low), 3);
  for (const auto priority : kAllPriorities) {
    EXPECT_EQ(parse_priority(to_string(priority)), priority);
  }
  EXPECT_EQ(parse_priority("urgent"), std::nullopt);
  EXPECT_EQ(parse_priority(""), std::nullopt);
  EXPECT_EQ(parse_priority("High"), std::nullopt);
  EXPECT_EQ(to_string(static_cast<Priority>(9)), "unknown");
}

TEST(EventId, PrintsAndParsesBack) {
  for (const auto id : {EventId{Priority::critical, 1}, EventId{Priority::high, 1042},
                        EventId{Priority::low, std::numeric_limits<std::uint64_t>::max()}}) {
    EXPECT_EQ(parse_event_id(to_string(id)), id) << to_string(id);
  }
  EXPECT_EQ(to_string(EventId{Priority::high, 1042}), "high:1042");
}

TEST(EventId, RefusesWhatItWouldNotPrint) {
  for (const auto* text :
       {"", ":", "high", "high:", "high:0", "high:-1", "high:+1", "high: 1", "high:1 ", "high:1x",
        "urgent:1", "1042", "high:18446744073709551616", "high:0x10"}) {
    EXPECT_EQ(parse_event_id(text), std::nullopt) << text;
  }
}

TEST(EventId, IsOrderedAsASingleWorkerDelivers) {
  EXPECT_LT((EventId{Priority::critical, 900}), (EventId{Priority::high, 1}));
  EXPECT_LT((EventId{Priority::high, 1}), (EventId{Priority::high, 2}));
}

TEST(Source, PrintsAndParsesBack) {
  for (const auto& source : {Source::system(), Source::user(), Source::external(),
                             Source::plugin("thumbs"), Source::plugin("a(b)c")}) {
    const auto text = to_string(source);
    EXPECT_EQ(parse_source(text), source) << text;
  }
  for (const auto* text : {"", "plugin", "plugin()", "plugin(x", "nobody", "System"}) {
    EXPECT_EQ(parse_source(text), std::nullopt) << text;
  }
}

TEST(EventState, PrintsAndParsesBack) {
  for (const auto* name : {"leased", "scheduled", "ready", "unclaimed", "dead", "settled"}) {
    const auto state = parse_event_state(name);
    ASSERT_TRUE(state.has_value()) << name;
    EXPECT_EQ(to_string(*state), name);
  }
  EXPECT_EQ(parse_event_state("gone"), std::nullopt);
}

TEST(Durability, IsNamed) {
  EXPECT_EQ(to_string(Durability::durable), "durable");
  EXPECT_EQ(to_string(Durability::os), "os");
}

}  // namespace
}  // namespace holdfast
