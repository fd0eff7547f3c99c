// SPDX-License-Identifier: MIT
// Goal: whatever is piped into publish, each line is either published or reported with its number
// and why, and nothing else happens.
#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

using BadInputTest = ToolTest;

TEST_F(BadInputTest, SaysWhatIsWrongWithALine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"17", "an event is a JSON object, not a number"},
      {"[]", "an event is a JSON object, not an array"},
      {"null", "an event is a JSON object, not null"},
      {"\"text\"", "an event is a JSON object, not a text"},
      {"{}", "type is missing"},
      {R"({"payload":"x"})", "type is missing"},
      {R"({"type":17})", "type is a text, not a number"},
      {R"({"type":null})", "type is a text, not null"},
      {R"({"type":"a","type":"b"})", "type is given twice"},
      {R"({"type":"a","paylod":"x"})", "there is no field \"paylod\"; did you mean payload?"},
      {R"({"type":"a","xyzzy":"x"})", "there is no field \"xyzzy\""},
      {R"({"type":"a","payload":{"b":1}})", "payload is a text, not an object"},
      {R"({"type":"a","payload":[1]})", "payload is a text, not an array"},
      {R"({"type":"a","payload":true})", "payload is a text, not a boolean"},
      {R"({"type":"a","payload":"x","payload_base64":""})",
       "payload and payload_base64 are both given"},
      {R"({"type":"a","metadata":{},"metadata_base64":[]})",
       "metadata and metadata_base64 are both given"},
      {R"({"type":"a","payload_base64":"/w"})", "payload_base64 is not base64"},
      {R"({"type":"a","payload_base64":"/x=="})", "payload_base64 is not base64"},
      {R"({"type":"a","payload_base64":"a b="})", "payload_base64 is not base64"},
      {R"({"type":"a","priority":"hgih"})", "did you mean high?"},
      {R"({"type":"a","priority":1})", "priority is a text, not a number"},
      {R"({"type":"a","source":"root"})", "source is system, user, external or plugin(NAME)"},
      {R"j({"type":"a","source":"plugin()"})j", "source is system, user, external or plugin(NAME)"},
      {R"({"type":"a","metadata":"x"})", "metadata is an object of strings or an array"},
      {R"({"type":"a","metadata":{"k":1}})",
       "metadata: the value of \"k\" is a text, not a number"},
      {R"({"type":"a","metadata":{"k":"1","k":"2"}})", "metadata has \"k\" twice"},
      {R"({"type":"a","metadata":["k"]})", "array of pairs"},
      {R"({"type":"a","metadata":[["k"]]})", "a pair is two texts"},
      {R"({"type":"a","metadata":[["k","v","w"]]})", "a pair is two texts"},
      {R"({"type":"a","metadata":[["k",["v"]]]})", "a pair is two texts"},
      {R"({"type":"a","metadata":{"":"v"}})", "metadata key is empty"},
      {R"({"type":"a","metadata_base64":[["k","v"]]})", "metadata_base64 is not base64"},
      {R"({"type":"a","timestamp":"yesterday"})", "RFC 3339"},
      {R"({"type":"a","timestamp":"2026-02-30T00:00:00Z"})", "RFC 3339"},
      {R"({"type":"a","timestamp":1.5})", "not a fraction"},
      {R"({"type":"a","timestamp":-1})", "before 1970"},
      {R"({"type":"a","timestamp":18446744073709551615})", "so large a number"},
      {R"({"type":"a b"})", "type"},
      {R"({"type":")" + std::string(300, 'x') + "\"}", "300"},
      {R"({"type":"a"}})", "not JSON at byte 13"},
      {R"({"type":"a")", "not JSON"},
      {"{\"type\":\"a\xff\"}", "not JSON"},
      {"{\"type\":\"a\"}" + std::string(1, '\0') + "hidden", "a NUL byte"},
      {"\x1b[31m{\"type\":\"a\"}", "not JSON at byte 1"},
      {std::string(100'000, '['), "an event is a JSON object"},
  };
  // Each between good lines, which are published.
  std::string input = "{\"type\":\"a.b\"}\n";
  for (const auto& [line, reason] : cases) input += line + "\n{\"type\":\"a.b\"}\n";
  const auto result = publish(input);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(list().size(), cases.size() + 1);
  EXPECT_THAT(result.err, Not(HasSubstr("\x1b")));
  const auto said = lines_of(result.err);
  ASSERT_EQ(said.size(), cases.size() + 1) << result.err;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto start = "holdfast: line " + std::to_string(2 * i + 2) + ": ";
    EXPECT_THAT(said[i], ::testing::StartsWith(start)) << cases[i].first;
    EXPECT_THAT(said[i], HasSubstr(cases[i].second)) << cases[i].first;
    EXPECT_LT(said[i].size(), 500);
  }
}

TEST_F(BadInputTest, HalfALineAtTheEnd) {
  const auto result = publish("{\"type\":\"a.b\"}\n{\"type\":\"a.c\",\"payl");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("line 2: (the last, cut off?) not JSON"));
  EXPECT_EQ(list().size(), 1);
}

TEST_F(BadInputTest, BinaryOnStandardInput) {
  const auto result = shell("head -c 200000 \"$TOOL\" | $TOOL publish $J");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("lines refused"));
  for (const char c : result.err) {
    ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << static_cast<int>(c);
  }
  EXPECT_EQ(list().size(), 0);
}

TEST_F(BadInputTest, ALineThatNeverEnds) {
  // Longer than any line may be, and more than anyone would want in memory: it is counted and left.
  const auto result = shell(
      "{ head -c 300000000 /dev/zero | tr '\\0' a; echo; echo '{\"type\":\"a.b\"}'; } | "
      "$TOOL publish $J");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("line 1: has 300,000,000 bytes, the limit is 94,371,840"));
  EXPECT_EQ(list().size(), 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(result.resident_bytes_max, 290'000'000);
#endif
}

TEST_F(BadInputTest, PayloadsMayBeLargerThanABusTakesUnasked) {
  const auto line = [](std::size_t bytes) {
    return "{\"type\":\"a.b\",\"payload\":\"" + std::string(bytes, 'x') + "\"}\n";
  };
  const auto result = publish(line(std::size_t{2} << 20U) + line(kPayloadBytesHardMax + 1));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("line 2: payload has 67108865 bytes, the limit is 67108864"));
  EXPECT_THAT(result.out, HasSubstr("published 1 event "));
}

TEST_F(BadInputTest, AnInputThatCannotBeRead) {
  EXPECT_EQ(tool({"publish", path(), path("nothing")}).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(path())) << "created for nothing";
  const auto folder = tool({"publish", path(), "/"});
  EXPECT_EQ(folder.exit_code, 5);
  EXPECT_THAT(folder.err, HasSubstr("reading the input failed"));
  EXPECT_EQ(shell("$TOOL publish $J <&-").exit_code, 5);
  EXPECT_EQ(tool({"stat", path()}).exit_code, 0) << "the journal was used as standard input";
}

}  // namespace
}  // namespace holdfast::testing
