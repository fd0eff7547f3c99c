// SPDX-License-Identifier: MIT
#include <unistd.h>

#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

class ShowTest : public ToolTest {
 protected:
  [[nodiscard]] Json show(const std::string& id) const {
    return Json::parse(tool({"show", path(), id, "--json"}).out);
  }
};

TEST_F(ShowTest, SaysWhereAnEventStandsAndWhyItIsNotDone) {
  make_journal_with_a_past();
  const auto dead = show("critical:1");
  EXPECT_EQ(dead["id"], "critical:1");
  EXPECT_EQ(dead["state"], "dead");
  EXPECT_EQ(dead["payload"], "bad");
  ASSERT_EQ(dead["standings"].size(), 1);
  EXPECT_EQ(dead["standings"][0]["subscription"], "mailer");
  EXPECT_EQ(dead["standings"][0]["state"], "dead");
  EXPECT_EQ(dead["standings"][0]["attempts"], 1);
  EXPECT_EQ(dead["standings"][0]["last_error"], "smtp 451 \x1b[31m");
  EXPECT_TRUE(dead["standings"][0]["next_try"].is_null());
  EXPECT_THAT(dead["why"], HasSubstr("\"mailer\" gave up on it after 1 attempt"));

  const auto scheduled = show("high:1");
  EXPECT_EQ(scheduled["standings"][0]["state"], "scheduled");
  EXPECT_TRUE(scheduled["standings"][0]["next_try"].is_string());
  EXPECT_THAT(scheduled["why"], HasSubstr("tries again in "));
  EXPECT_THAT(scheduled["why"], HasSubstr("busy"));

  EXPECT_THAT(show("normal:1")["why"], HasSubstr("done: every durable subscription"));
  EXPECT_TRUE(show("normal:1")["standings"].empty());
  EXPECT_THAT(show("normal:2")["why"], HasSubstr("no process has the journal open"));
  EXPECT_THAT(show("low:1")["why"], HasSubstr("no durable subscription has matched it"));
}

TEST_F(ShowTest, TellsPeopleTheSame) {
  make_journal_with_a_past();
  const auto result = tool({"show", path(), "critical:1"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("critical:1  order.placed  dead\n"));
  EXPECT_THAT(result.out, HasSubstr("1 attempt, last error: smtp 451 \\x1b[31m"));
  EXPECT_THAT(result.out, HasSubstr("payload (3 B)\nbad\n"));
  EXPECT_THAT(tool({"show", path(), "high:1"}).out, HasSubstr("next try "));
}

TEST_F(ShowTest, NamesTheLiveBusThatAnEventWaitsFor) {
  make_journal_with_a_past();
  const auto bus = must(Bus::open(path()));
  EXPECT_THAT(show("normal:2")["why"], HasSubstr("process " + std::to_string(::getpid())));
}

TEST_F(ShowTest, EndsWithOneForAnEventThatIsNotThere) {
  make_journal_with_a_past();
  const auto result = tool({"show", path(), "low:2"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "holdfast: there is no event low:2: the newest in its lane is low:1\n");
  EXPECT_EQ(tool({"show", path(), "low:2", "--json"}).out, "");
}

TEST_F(ShowTest, RefusesWhatIsNoId) {
  make_journal_with_a_past();
  for (const auto* id : {"17", "normal:", "normal:0", "urgent:1", "normal:1x", ":1", "normal:-1"}) {
    const auto result = tool({"show", path(), id});
    EXPECT_EQ(result.exit_code, 2) << id;
    EXPECT_THAT(result.err, HasSubstr("one looks like normal:1042")) << id;
  }
}

}  // namespace
}  // namespace holdfast::testing
