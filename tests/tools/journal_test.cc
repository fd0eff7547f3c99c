// SPDX-License-Identifier: MIT
// Goal: whatever stands where the journal should, each command says so with the right exit code,
// and changes nothing.
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65'534;

class JournalTest : public ToolTest {
 protected:
  /// Runs each command; the exit code and a part of the message that all of them should give.
  void expect_all(int exit_code, const std::string& message) const {
    for (const std::string command : {"stat", "ls", "show", "publish"}) {
      std::vector<std::string> arguments = {command, path()};
      if (command == "show") arguments.emplace_back("normal:1");
      expect(tool(arguments, {.input = "{\"type\":\"a.b\"}\n"}), exit_code, message, command);
    }
  }
  static void expect(const CommandResult& result, int exit_code, const std::string& message,
                     const std::string& command) {
    EXPECT_EQ(result.exit_code, exit_code) << command << ": " << result.err;
    EXPECT_EQ(result.out, "") << command;
    EXPECT_THAT(result.err, HasSubstr(message)) << command;
    EXPECT_THAT(result.err, ::testing::StartsWith("holdfast: ")) << command;
  }
  /// Names of a folder's files, with hashes of what is in them. Without the file that only says
  /// which process had it open last.
  [[nodiscard]] std::map<std::string, std::size_t> files() const {
    std::map<std::string, std::size_t> all;
    for (const auto& entry : fs::directory_iterator(path())) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      all[entry.path().filename()] = std::hash<std::string>{}(bytes);
    }
    all.erase("owner");
    return all;
  }
  void overwrite(const fs::path& file, std::streamoff at, char byte) const {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(at);
    stream.put(byte);
  }
};

TEST_F(JournalTest, Missing) {
  for (const std::string command : {"stat", "ls"}) {
    expect(tool({command, path()}), 2, path(), command);
  }
  expect(tool({"show", path(), "normal:1"}), 2, path(), "show");
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(JournalTest, IsAFile) {
  std::ofstream(path()) << "text";
  expect_all(2, path());
}

TEST_F(JournalTest, IsSomeOtherFolder) {
  fs::create_directory(path());
  std::ofstream(path() + "/letter.txt") << "text";
  expect_all(2, path());
  EXPECT_EQ(files().size(), 1);
}

TEST_F(JournalTest, IsOfANewerFormat) {
  { must(Bus::open(path())); }
  overwrite(path() + "/watermark", 8, 99);
  expect_all(2, "format");
}

TEST_F(JournalTest, IsOpenInAnotherProcess) {
  const auto bus = must(Bus::open(path()));
  must(bus->publish("a.b", "x"));
  const auto pid = std::to_string(::getpid());
  expect(publish("{\"type\":\"a.c\"}\n"), 4, "process " + pid, "publish");
  expect(publish("{\"type\":\"a.c\"}\n", {"--batch", "--json"}), 4, pid, "publish --batch");
  EXPECT_EQ(list().size(), 1);
  EXPECT_EQ(tool({"show", path(), "normal:1"}).exit_code, 0);
}

TEST_F(JournalTest, HasLostItsWatermark) {
  make_journal_with_a_past();
  fs::remove(path() + "/watermark");
  const auto before = files();
  expect_all(3, "watermark");
  EXPECT_EQ(files(), before);
}

TEST_F(JournalTest, HasADamagedTable) {
  {
    const auto bus = must(Bus::open(path()));
    for (int i = 0; i < 100; ++i) must(bus->publish("a.b", std::string(1'000, 'x')));
  }
  for (const auto& entry : fs::directory_iterator(path())) {
    if (entry.path().extension() != ".sst") continue;
    for (std::streamoff at = 100; at < static_cast<std::streamoff>(entry.file_size()) / 2;
         at += 50) {
      overwrite(entry.path(), at, '!');
    }
  }
  const auto before = files();
  const auto result = tool({"ls", path(), "--json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, ::testing::StartsWith("holdfast: "));
  EXPECT_EQ(files(), before);
}

TEST_F(JournalTest, ReadingChangesNoByte) {
  make_journal_with_a_past();
  const auto before = files();
  for (const std::string command : {"stat", "ls"}) tool({command, path()});
  tool({"show", path(), "normal:1"});
  EXPECT_EQ(files(), before);
}

TEST_F(JournalTest, IsReadOnly) {
  make_journal_with_a_past();
  CommandOptions as_owner;
  if (::geteuid() == 0) {
    // Root may write anywhere: this is for somebody who may not.
    ASSERT_EQ(::chmod(fs::path(path()).parent_path().c_str(), 0755), 0);
    for (const auto& entry : fs::directory_iterator(path())) {
      ASSERT_EQ(::chown(entry.path().c_str(), kNobody, kNobody), 0);
    }
    ASSERT_EQ(::chown(path().c_str(), kNobody, kNobody), 0);
    as_owner.user = kNobody;
    if (tool({"--version"}, as_owner).exit_code != 0) GTEST_SKIP() << "nobody can run the binary";
  }
  ASSERT_EQ(::chmod(path().c_str(), 0500), 0);
  for (const std::string command : {"stat", "ls"}) {
    EXPECT_EQ(tool({command, path()}, as_owner).exit_code, 0) << command;
  }
  auto options = as_owner;
  options.input = "{\"type\":\"a.b\"}\n";
  for (const auto& entry : fs::directory_iterator(path())) ::chmod(entry.path().c_str(), 0400);
  expect(tool({"publish", path()}, options), 5, path(), "publish");
  ::chmod(path().c_str(), 0000);
  for (const std::string command : {"stat", "ls"}) {
    expect(tool({command, path()}, as_owner), 5, path(), command);
  }
  ::chmod(path().c_str(), 0700);
}

TEST_F(JournalTest, BelongsToAnotherUser) {
  std::string journal = "/usr";
  if (::geteuid() == 0) {
    { must(Bus::open(path())); }
    ASSERT_EQ(::chown(path().c_str(), kNobody, kNobody), 0);
    journal = path();
  }
  const auto result = tool({"publish", journal}, {.input = "{\"type\":\"a.b\"}\n"});
  expect(result, 5, "belongs to the user", "publish");
  if (::geteuid() == 0) {
    EXPECT_EQ(list().size(), 0);
  }
}

TEST_F(JournalTest, UsageErrors) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "a command is needed"},
      {{"stats"}, "did you mean stat?"},
      {{"frobnicate"}, "there is no command \"frobnicate\""},
      {{"ls"}, "JOURNAL is required"},
      {{"show", path()}, "ID is required"},
      {{"ls", path(), "--bogus"}, "--bogus"},
      {{"ls", path(), "--limit", "many"}, "--limit"},
      {{"ls", path(), "--limit", "-1"}, "--limit"},
      {{"ls", path(), "--state", "asleep"}, "\"asleep\" is no state"},
      {{"ls", path(), "--priority", "urgent"}, "\"urgent\" is no priority"},
      {{"ls", path(), "--dead", "--state", "ready"}, "--dead"},
      {{"ls", path(), "--subscription", "x"}, "--dead"},
      {{"publish", path(), "--durability", "weak"}, "\"weak\" is no durability"},
      {{"stat", path(), "extra"}, "extra"},
  };
  for (const auto& [arguments, message] : cases) {
    expect(tool(arguments), 2, message, arguments.empty() ? "" : arguments.back());
  }
  make_journal_with_a_past();
  expect(tool({"ls", path(), "--type", "a..b"}), 2, "pattern has an empty token", "ls --type");
}

TEST_F(JournalTest, HelpHasExamplesForEachCommand) {
  EXPECT_THAT(tool({"--help"}).out, HasSubstr("publish"));
  for (const std::string command : {"stat", "ls", "show", "publish"}) {
    for (const std::string help : {"-h", "--help"}) {
      const auto result = tool({command, help});
      EXPECT_EQ(result.exit_code, 0);
      EXPECT_EQ(result.err, "");
      EXPECT_THAT(result.out, HasSubstr("Examples:"));
      EXPECT_THAT(result.out, HasSubstr("holdfast " + command + " /"));
    }
  }
  EXPECT_EQ(tool({"--version"}).out, "holdfast " HOLDFAST_VERSION_STRING "\n");
}

}  // namespace
}  // namespace holdfast::testing
