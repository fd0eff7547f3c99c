// SPDX-License-Identifier: MIT
// Goal: docs/tool.md is complete: it has each command, option, JSON field and exit code of the
// code.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

std::string read(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class DocTest : public ToolTest {
 protected:
  const std::filesystem::path root_ = std::filesystem::path(HOLDFAST_TESTS_DIR).parent_path();
  const std::string doc_ = read(root_ / "docs/tool.md");

  /// The first group of each match of `pattern` in the tool's sources.
  [[nodiscard]] std::set<std::string> in_code(const std::string& pattern) const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(root_ / "tools")) {
      const auto code = read(entry.path());
      const std::regex expression(pattern);
      for (std::sregex_iterator at(code.begin(), code.end(), expression), end; at != end; ++at) {
        found.insert((*at)[1]);
      }
    }
    return found;
  }
};

TEST_F(DocTest, HasEachJsonField) {
  auto fields = in_code(R"re((?:json|one)\["(\w+)"\])re");
  EXPECT_GT(fields.size(), 30);
  for (const auto& field : fields) {
    EXPECT_THAT(doc_, HasSubstr("`" + field + "`"));
  }
  make_journal_with_a_past();
  auto printed = list();
  printed.push_back(stat());
  for (const auto& object : printed) {
    for (const auto& [key, value] : object.items()) EXPECT_TRUE(fields.contains(key)) << key;
  }
}

TEST_F(DocTest, HasEachExitCode) {
  const auto codes = in_code(R"re(\n  \w+ = (\d+),)re");
  EXPECT_EQ(codes.size(), 9);
  for (const auto& code : codes) EXPECT_THAT(doc_, HasSubstr("\n| " + code + " |"));
}

TEST_F(DocTest, HasEachStatusCode) {
  for (int code = 1; code <= static_cast<int>(StatusCode::internal); ++code) {
    EXPECT_THAT(doc_, HasSubstr(std::string(to_string(static_cast<StatusCode>(code)))));
  }
}

TEST_F(DocTest, HasEachCommandAndOption) {
  for (const auto& option : in_code(R"re("(--\w[\w-]*)")re")) {
    EXPECT_THAT(doc_, HasSubstr(option));
  }
  for (const std::string command : {"stat", "ls", "show", "publish"}) {
    EXPECT_THAT(doc_, HasSubstr("## `holdfast " + command + " JOURNAL"));
  }
}

}  // namespace
}  // namespace holdfast::testing
