// SPDX-License-Identifier: MIT
// Goal: whatever moment a process dies at, what it was promised holds.
// Method: torture/kill, in short: a program that uses all of the bus is killed with SIGKILL over
// and over on the same journal, at random moments or at a named place in the bus, and judged from
// outside. `./dev torture --rounds N` is the long form.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/command.h"
#include "support/temp_folder.h"

namespace holdfast::testing {
namespace {

/// Runs the torture to its end. The last line of what it says, which is what came of it.
nlohmann::json torture(std::vector<std::string> options) {
  const TempFolder folder;
  options.insert(options.begin(), {HOLDFAST_TORTURE_KILL, "--folder", folder.inside("torture")});
  const auto result = run_command(options);
  std::cout << result.out;
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto last = result.out.rfind("\n{");
  if (last == std::string::npos) return {};
  return nlohmann::json::parse(result.out.substr(last + 1), nullptr, false);
}

TEST(KillTest, WhatWasPromisedHoldsWheneverTheProcessIsKilled) {
  const auto report = torture({"--rounds", "60", "--quiet-every", "30", "--short"});
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["violations"], 0);
  EXPECT_EQ(report["compared_to_the_end"], 2);
  EXPECT_GT(report["kills"], 0);
  for (const auto* promise : {"4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "4.9"}) {
    EXPECT_GT(report["checks"][promise], 0) << promise;
  }
}

TEST(KillTest, OptionsThatMakeNoSenseAreRefused) {
  const TempFolder folder;
  const auto refused = [&folder](std::vector<std::string> options) {
    options.insert(options.begin(), HOLDFAST_TORTURE_KILL);
    return run_command(options, {.environment = {"TMPDIR=" + folder.path().string()}});
  };
  const auto nothing = refused({"--rounds", "0"});
  EXPECT_NE(nothing.exit_code, 0);
  EXPECT_THAT(nothing.err, ::testing::HasSubstr("rounds"));
  const auto unknown = refused({"--profile", "nonesuch"});
  EXPECT_NE(unknown.exit_code, 0);
  EXPECT_THAT(unknown.out + unknown.err, ::testing::HasSubstr("nonesuch"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "a folder is left behind";
}

// --- Fail points --------------------------------------------------------------------------------

class FailPointTest : public ::testing::TestWithParam<const char*> {};

TEST_P(FailPointTest, NothingThatWasPromisedIsLostThere) {
  const auto report = torture({"--rounds", "4", "--short", "--fail-point", GetParam()});
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["violations"], 0);
  EXPECT_EQ(report["kills"], 0);
  // All but the last, which is quiet.
  EXPECT_EQ(report["killed_itself"], 3);
}

INSTANTIATE_TEST_SUITE_P(At, FailPointTest,
                         ::testing::Values("open.committed:1", "commit.planned:1",
                                           "commit.planned:40", "commit.written:1",
                                           "commit.written:3", "commit.written:40",
                                           "commit.synced:1", "commit.synced:30"),
                         [](const ::testing::TestParamInfo<const char*>& each) {
                           std::string name(each.param);
                           std::replace(name.begin(), name.end(), '.', '_');
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

}  // namespace
}  // namespace holdfast::testing
