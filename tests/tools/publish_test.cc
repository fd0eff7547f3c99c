// SPDX-License-Identifier: MIT
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

class PublishTest : public ToolTest {
 protected:
  [[nodiscard]] std::string write_file(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  [[nodiscard]] std::size_t count() const { return list().size(); }
};

TEST_F(PublishTest, TakesEveryFieldFromItsLine) {
  const auto result = publish(
      R"j({"type":"a.b","payload":"text","priority":"high","source":"plugin(x)",)j"
      R"("metadata":{"z":"1","a":"2"},"content_type":"text/plain","timestamp":1777600811123456789})"
      "\n"
      R"({"metadata":[["a","1"],["a","2"]],"type":"a.c","payload_base64":"/wB6",)"
      R"("timestamp":"2026-05-01T04:00:11.5+02:00"})"
      "\n"
      R"({"type":"a.d","metadata_base64":[["aw==","/g=="]]})"
      "\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("published 3 events"));
  const auto events = list();
  ASSERT_EQ(events.size(), 3);
  EXPECT_EQ(events[0]["id"], "high:1");
  EXPECT_EQ(events[0]["payload"], "text");
  EXPECT_EQ(events[0]["source"], "plugin(x)");
  EXPECT_EQ(events[0]["metadata"].dump(), R"({"z":"1","a":"2"})");
  EXPECT_EQ(events[0]["content_type"], "text/plain");
  EXPECT_EQ(events[0]["timestamp"], "2026-05-01T02:00:11.123456789Z");
  EXPECT_EQ(events[1]["priority"], "normal");
  EXPECT_EQ(events[1]["source"], "external");
  EXPECT_EQ(events[1]["payload_base64"], "/wB6");
  EXPECT_EQ(events[1]["metadata"].dump(), R"([["a","1"],["a","2"]])");
  EXPECT_EQ(events[1]["timestamp"], "2026-05-01T02:00:11.500000000Z");
  EXPECT_EQ(events[2]["metadata_base64"].dump(), R"([["aw==","/g=="]])");
}

TEST_F(PublishTest, PrintsTheReceiptsAndNothingElse) {
  const auto result =
      publish("{\"type\":\"a.b\"}\n\n{\"type\":\"a.c\",\"priority\":\"low\"}\n", {"--json"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  const auto receipts = json_lines_of(result.out);
  ASSERT_EQ(receipts.size(), 2);
  EXPECT_EQ(receipts[0]["line"], 1);
  EXPECT_EQ(receipts[0]["id"], "normal:1");
  EXPECT_GE(receipts[0]["commit"], 1);
  EXPECT_EQ(receipts[0]["batch"], 0);
  EXPECT_EQ(receipts[0]["duplicate"], false);
  EXPECT_EQ(receipts[0]["durability"], "durable");
  EXPECT_EQ(receipts[1]["line"], 3);
  EXPECT_EQ(receipts[1]["id"], "low:1");
  const auto weak = publish("{\"type\":\"a.b\"}", {"--json", "--durability", "os"});
  EXPECT_EQ(json_lines_of(weak.out).at(0)["durability"], "os");
  EXPECT_EQ(count(), 3);
}

TEST_F(PublishTest, ReadsAFileOrStandardInput) {
  const auto file = write_file("events.jsonl", "{\"type\":\"a.b\"}\r\n{\"type\":\"a.c\"}");
  EXPECT_EQ(tool({"publish", path(), file}).exit_code, 0);
  EXPECT_EQ(tool({"publish", path(), "-"}, {.input = "{\"type\":\"a.d\"}"}).exit_code, 0);
  EXPECT_EQ(tool({"publish", path()}, {.input = "{\"type\":\"a.e\"}\n"}).exit_code, 0);
  EXPECT_EQ(count(), 4);
}

TEST_F(PublishTest, CreatesTheJournalUnlessToldNotTo) {
  const auto result = publish("{\"type\":\"a.b\"}\n", {"--no-create"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(path()));
  EXPECT_EQ(publish("").exit_code, 0);
  EXPECT_EQ(publish("{\"type\":\"a.b\"}\n", {"--no-create"}).exit_code, 0);
}

TEST_F(PublishTest, PublishesTheGoodLinesAmongBadOnes) {
  const auto result =
      publish("{\"type\":\"a.b\"}\nnonsense\n{\"type\":\"a.c\"}\n{\"type\":\"a..c\"}\n");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("published 2 events"));
  EXPECT_THAT(result.err, HasSubstr("holdfast: line 2: not JSON"));
  EXPECT_THAT(result.err, HasSubstr("holdfast: line 4: type has an empty token"));
  EXPECT_THAT(result.err, HasSubstr("2 lines refused"));
  EXPECT_EQ(count(), 2);
}

TEST_F(PublishTest, StopsAtTheFirstBadLineWhenStrict) {
  const auto result = publish("{\"type\":\"a.b\"}\nnonsense\n{\"type\":\"a.c\"}\n", {"--strict"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(count(), 1);
}

TEST_F(PublishTest, MakesABatchOneCommit) {
  const auto result = publish("{\"type\":\"a.b\"}\n\n{\"type\":\"a.c\",\"priority\":\"low\"}\n",
                              {"--batch", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto receipts = json_lines_of(result.out);
  ASSERT_EQ(receipts.size(), 2);
  EXPECT_GT(receipts[0]["batch"], 0);
  EXPECT_EQ(receipts[0]["commit"], receipts[1]["commit"]);
  EXPECT_EQ(receipts[1]["line"], 3);
  EXPECT_EQ(list().at(0)["batch"], receipts[0]["batch"]);
}

TEST_F(PublishTest, WritesNothingOfABatchWithABadLine) {
  // One that is not JSON, and one that only the bus refuses: both are told.
  const auto result = publish(
      "{\"type\":\"a.b\"}\nnonsense\n{\"type\":\"a.c\"}\n{\"type\":\"a..c\"}\n{\"type\":\"a.d\"}\n",
      {"--batch", "--json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("line 2: not JSON"));
  EXPECT_THAT(result.err, HasSubstr("line 4: type has an empty token"));
  EXPECT_THAT(result.err, HasSubstr("nothing was written: 2 lines refused"));
  EXPECT_EQ(count(), 0);
}

TEST_F(PublishTest, RefusesABatchThatIsTooLarge) {
  const auto result =
      shell("seq 100001 | sed 's/.*/{\"type\":\"a.b\"}/' | $TOOL publish $J --batch");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("100001 events, the limit is 100000"));
  EXPECT_EQ(count(), 0);
}

TEST_F(PublishTest, EmptyInputIsFine) {
  for (const std::string option : {"--strict", "--batch"}) {
    const auto result = publish("\n  \r\n", {option});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, "published 0 events\n");
  }
}

// The acceptance of the tool: what went in is what is listed, and stat agrees.
TEST_F(PublishTest, HundredThousandEventsPipedIn) {
  const auto result = shell(
      "seq 100000 | awk '{split(\"critical high normal low\", p); "
      "printf "
      "\"{\\\"type\\\":\\\"load.n%d\\\",\\\"payload\\\":\\\"%d\\\",\\\"priority\\\":\\\"%s\\\"}"
      "\\n\","
      " $1 % 10, $1, p[$1 % 4 + 1]}' | $TOOL publish $J && $TOOL ls $J --json | wc -l");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("published 100,000 events"));
  EXPECT_EQ(std::stoi(lines_of(result.out).at(1)), 100'000);
  const auto found = stat();
  std::uint64_t published = 0;
  for (const auto& lane : found["lanes"]) {
    EXPECT_EQ(lane["published"], 25'000);
    EXPECT_EQ(lane["unclaimed"], 25'000);
    published += lane["published"].get<std::uint64_t>();
  }
  EXPECT_EQ(published, 100'000);
}

TEST_F(PublishTest, GivesAReceiptBeforeTheNextLineComes) {
  RunningCommand publishing({HOLDFAST_TOOL, "publish", path(), "--json"});
  for (int line = 1; line <= 3; ++line) {
    publishing.write("{\"type\":\"a.b\"}\n");
    const auto receipt = publishing.read_line();
    ASSERT_TRUE(receipt.has_value());
    EXPECT_EQ(Json::parse(*receipt)["line"], line);
  }
  EXPECT_EQ(publishing.finish().exit_code, 0);
}

TEST_F(PublishTest, StopsInGoodOrderWhenInterrupted) {
  for (const int number : {SIGINT, SIGTERM}) {
    RunningCommand publishing({HOLDFAST_TOOL, "publish", path(), "--json"});
    publishing.write("{\"type\":\"a.b\"}\n{\"type\":\"a.c\"}\n");
    ASSERT_TRUE(publishing.read_line().has_value());
    ASSERT_TRUE(publishing.read_line().has_value());
    // A line that has not ended is not published.
    publishing.write("{\"type\":\"a.d\"}");
    publishing.signal(number);
    EXPECT_FALSE(publishing.read_line().has_value());
    const auto result = publishing.finish();
    EXPECT_EQ(result.exit_code, 130);
    EXPECT_THAT(result.err, HasSubstr("interrupted: 2 events are durable, the last is of line 2"));
  }
  EXPECT_EQ(count(), 4);
  EXPECT_EQ(stat()["condition"], "clean");
}

TEST_F(PublishTest, WritesNothingOfABatchThatIsInterrupted) {
  { must(Bus::open(path())); }
  RunningCommand publishing({HOLDFAST_TOOL, "publish", path(), "--batch"});
  publishing.write("{\"type\":\"a.b\"}\n");
  // From then on a signal finds it prepared.
  ASSERT_TRUE(eventually([this] { return stat()["condition"] == "open"; }));
  publishing.signal(SIGINT);
  // It ends by the signal alone: its input is still open.
  EXPECT_FALSE(publishing.read_line().has_value());
  const auto result = publishing.finish();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(result.err, HasSubstr("nothing was written"));
  EXPECT_EQ(count(), 0);
}

TEST_F(PublishTest, StopsWhenNobodyTakesTheReceipts) {
  const auto result = shell(
      "{ yes '{\"type\":\"a.b\"}' | $TOOL publish $J --json; echo ended with $? >&2; } | head -1");
  EXPECT_EQ(lines_of(result.out).size(), 1);
  EXPECT_THAT(result.err, HasSubstr("nobody takes the receipts any more"));
  EXPECT_THAT(result.err, HasSubstr("ended with 1\n"));
}

TEST_F(PublishTest, DrawsProgressOnATerminalOnly) {
  std::string lines;
  for (int i = 0; i < 1'000; ++i) lines += "{\"type\":\"a.b\"}\n";
  const auto file = write_file("events.jsonl", lines);
  const auto result =
      tool({"publish", path(), file}, {.environment = {"TERM=xterm"}, .on_terminal = true});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr(" %  "));
  EXPECT_THAT(result.out, HasSubstr("published 1,000 events"));
  EXPECT_EQ(tool({"publish", path(), file}).err, "");
}

}  // namespace
}  // namespace holdfast::testing
