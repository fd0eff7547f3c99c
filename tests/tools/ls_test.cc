// SPDX-License-Identifier: MIT
#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

class LsTest : public ToolTest {
 protected:
  /// Ids that `options` list, in their order.
  [[nodiscard]] std::vector<std::string> ids(const std::vector<std::string>& options) const {
    std::vector<std::string> all;
    for (const auto& event : list(options)) all.push_back(event["id"]);
    return all;
  }
};

using Ids = std::vector<std::string>;

TEST_F(LsTest, ListsByLaneAndSequence) {
  make_journal_with_a_past();
  EXPECT_EQ(ids({}), (Ids{"critical:1", "high:1", "normal:1", "normal:2", "low:1"}));
  const auto events = list();
  ASSERT_EQ(events.size(), 5);
  EXPECT_EQ(events[0]["state"], "dead");
  EXPECT_EQ(events[1]["state"], "scheduled");
  EXPECT_EQ(events[2]["state"], "settled");
  EXPECT_EQ(events[3]["state"], "ready");
  EXPECT_EQ(events[4]["state"], "unclaimed");
}

TEST_F(LsTest, GivesEveryFieldExactly) {
  const std::string bytes("\xff\x00z", 3);
  const std::vector<MetadataPair> twice = {{"b", "1"}, {"a", "2"}, {"b", "3"}};
  const std::vector<MetadataPair> once = {{"traceparent", "00-1"}, {"a", "\n\""}};
  const std::vector<MetadataPair> binary = {{"k", "\xfe"}};
  {
    auto bus = must(Bus::open(path()));
    must(bus->publish({.type = "a.b",
                       .payload = "text \x1b ü",
                       .content_type = "text/plain",
                       .source = Source::plugin("indexer"),
                       .metadata = once,
                       .timestamp = 1'777'600'811'123'456'789}));
    must(bus->publish({.type = "a.c", .payload = bytes, .metadata = twice}));
    must(bus->publish({.type = "a.d", .metadata = binary}));
    const std::vector<OwnedEvent> batch = {{.type = "b.a", .payload = {}},
                                           {.type = "b.b", .payload = {}}};
    must(bus->publish_batch(batch));
  }
  const auto events = list();
  ASSERT_EQ(events.size(), 5);
  const auto& first = events[0];
  EXPECT_EQ(first["id"], "normal:1");
  EXPECT_EQ(first["type"], "a.b");
  EXPECT_EQ(first["priority"], "normal");
  EXPECT_EQ(first["state"], "unclaimed");
  EXPECT_GE(first["commit"], 1);
  EXPECT_EQ(first["batch"], 0);
  EXPECT_THAT(first["published_at"].get<std::string>(), ::testing::EndsWith("Z"));
  EXPECT_EQ(first["timestamp"], "2026-05-01T02:00:11.123456789Z");
  EXPECT_EQ(first["source"], "plugin(indexer)");
  EXPECT_EQ(first["content_type"], "text/plain");
  EXPECT_EQ(first["payload"], "text \x1b ü");
  EXPECT_EQ(first["metadata"].dump(), R"({"traceparent":"00-1","a":"\n\""})");

  EXPECT_FALSE(events[1].contains("payload"));
  EXPECT_EQ(events[1]["payload_base64"], "/wB6");
  EXPECT_EQ(events[1]["metadata"].dump(), R"([["b","1"],["a","2"],["b","3"]])");
  EXPECT_EQ(events[2]["payload"], "");
  EXPECT_FALSE(events[2].contains("metadata"));
  EXPECT_EQ(events[2]["metadata_base64"].dump(), R"([["aw==","/g=="]])");
  EXPECT_GT(events[3]["batch"], 0);
  EXPECT_EQ(events[3]["batch"], events[4]["batch"]);
  EXPECT_EQ(events[3]["commit"], events[4]["commit"]);
}

TEST_F(LsTest, Filters) {
  make_journal_with_a_past();
  EXPECT_EQ(ids({"--type", "order.*"}), (Ids{"critical:1", "high:1", "normal:1", "normal:2"}));
  EXPECT_EQ(ids({"--type", "tree.>", "--type", "order.changed"}), (Ids{"normal:2", "low:1"}));
  EXPECT_EQ(ids({"--priority", "low", "--priority", "high"}), (Ids{"high:1", "low:1"}));
  EXPECT_EQ(ids({"--state", "ready", "--state", "dead"}), (Ids{"critical:1", "normal:2"}));
  EXPECT_EQ(ids({"--from", "2"}), (Ids{"normal:2"}));
  EXPECT_EQ(ids({"--to", "1", "--limit", "2"}), (Ids{"critical:1", "high:1"}));
  EXPECT_EQ(ids({"--limit", "0"}), Ids{});
}

TEST_F(LsTest, EndsWithOneWhenThereIsNothing) {
  make_journal_with_a_past();
  const auto result = tool({"ls", path(), "--type", "no.such"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_EQ(tool({"ls", path()}).exit_code, 0);
}

TEST_F(LsTest, ListsDeadLetters) {
  make_journal_with_a_past();
  const auto letters = list({"--dead"});
  ASSERT_EQ(letters.size(), 1);
  const auto& letter = letters[0];
  EXPECT_EQ(letter["id"], "critical:1");
  EXPECT_EQ(letter["subscription"], "mailer");
  EXPECT_EQ(letter["attempts"], 1);
  EXPECT_EQ(letter["reason"], "smtp 451 \x1b[31m");
  EXPECT_EQ(letter["state"], "dead");
  EXPECT_EQ(letter["payload"], "bad");
  EXPECT_TRUE(letter["died_at"].is_string());

  const auto result = tool({"ls", path(), "--dead"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("smtp 451 \\x1b[31m"));
  EXPECT_EQ(list({"--dead", "--subscription", "mailer", "--type", "order.>"}).size(), 1);
  EXPECT_EQ(tool({"ls", path(), "--dead", "--type", "tree.>"}).exit_code, 1);
  EXPECT_EQ(tool({"ls", path(), "--dead", "--subscription", "nobody"}).exit_code, 1);
}

TEST_F(LsTest, NeverLetsAnEventTalkToTheTerminal) {
  {
    auto bus = must(Bus::open(path()));
    // A colour, a C1 control, a mark that turns the writing round, half a character, a backslash.
    must(bus->publish("a.b", "1\x1b[31m\r\n2\xc2\x9b 3\xe2\x80\xae 4\xc3 5\\"));
    must(bus->publish("a.b", std::string(1'000, 'x')));
  }
  const auto result = tool({"ls", path()});
  EXPECT_EQ(result.exit_code, 0);
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 3);
  EXPECT_THAT(lines[0], ::testing::StartsWith("id "));
  EXPECT_THAT(lines[1],
              ::testing::EndsWith(R"(1\x1b[31m\x0d\x0a2\xc2\x9b 3\xe2\x80\xae 4\xc3 5\\)"));
  EXPECT_THAT(lines[2], ::testing::EndsWith("x…"));
  EXPECT_LT(lines[2].size(), 250);
}

TEST_F(LsTest, EndsQuietlyWhenItsReaderHasEnough) {
  ASSERT_EQ(shell("seq 50000 | sed 's/.*/{\"type\":\"a.b\",\"payload\":\"&\"}/' | "
                  "$TOOL publish $J --durability os")
                .exit_code,
            0);
  for (const std::string options : {"", " --json"}) {
    // The status of ls is what is printed last.
    const auto result = shell("{ $TOOL ls $J" + options + "; echo ended with $? >&2; } | head -1");
    EXPECT_EQ(lines_of(result.out).size(), 1);
    EXPECT_EQ(result.err, "ended with 0\n");
  }
}

TEST_F(LsTest, TellsOutputThatCannotBeWritten) {
  make_journal_with_a_past();
  const auto full = shell("$TOOL ls $J --json > /dev/full");
  EXPECT_EQ(full.exit_code, 5);
  EXPECT_THAT(full.err, HasSubstr("writing the output failed"));
  EXPECT_EQ(shell("$TOOL ls $J >&-").exit_code, 5);
}

TEST_F(LsTest, ReadsWhatALiveBusHasWritten) {
  const auto bus = must(Bus::open(path()));
  const auto receipt = must(bus->publish("a.b", "now"));
  const auto events = list();
  ASSERT_EQ(events.size(), 1);
  EXPECT_EQ(events[0]["id"], to_string(receipt.id));
  must(bus->publish("a.b", "later"));
  EXPECT_EQ(list().size(), 2);
}

}  // namespace
}  // namespace holdfast::testing
