// SPDX-License-Identifier: MIT
// What `holdfast::torture::run` does with children that work, end, crash and hang.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "holdfast/torture.h"

namespace holdfast::torture {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Torturing : public ::testing::Test {
 protected:
  Torturing() {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    options.folder = folder_;
    options.rounds = 3;
    options.seed = 1;
    options.before_ready_percent = 0;
  }
  ~Torturing() override { std::filesystem::remove_all(folder_); }

  Report run(std::function<void(Child&)> life) {
    workload.run = std::move(life);
    auto report = torture::run(options, workload);
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    return report.ok() ? *std::move(report) : Report{};
  }

  KillOptions options;
  Workload workload;

 private:
  std::string folder_ = (std::filesystem::temp_directory_path() / "holdfast-XXXXXX").string();
};

[[noreturn]] void tell_for_ever(const Child& child) {
  for (unsigned number = 0;; ++number) child.note(std::to_string(number));
}

TEST_F(Torturing, EveryRoundButTheLastEndsByAKillAndEveryNoteOfItIsHeardInOrder) {
  std::vector<std::string> heard;
  std::vector<Ending> endings;
  workload.on_note = [&](Judge& judge, std::string_view note) {
    const auto next = heard.size() < judge.round() ? 0 : std::stoull(heard.back()) + 1;
    heard.resize(judge.round());
    heard.back() = note;
    EXPECT_EQ(note, std::to_string(next));
  };
  workload.on_end = [&](Judge&, Ending ending) { endings.push_back(ending); };
  const auto report = run([](Child& child) {
    child.ready();
    if (child.is_quiet()) return;
    tell_for_ever(child);
  });
  EXPECT_THAT(endings, ElementsAre(Ending::killed, Ending::killed, Ending::returned));
  EXPECT_EQ(report.kills, 2U);
  EXPECT_EQ(report.returned, 1U);
  EXPECT_EQ(report.violations, 0U);
  EXPECT_GE(report.notes, 2U);
}

TEST_F(Torturing, AChildKnowsWhatEarlierOnesHaveTold) {
  std::string known;
  workload.on_note = [&](Judge&, std::string_view note) { known = note; };
  options.quiet_every = 1;
  const auto report = run([&](Child& child) {
    const std::string expected(child.round() - 1, 'x');
    if (known != expected) child.violation("knows '" + known + "'");
    child.note(known + "x");
  });
  EXPECT_EQ(report.violations, 0U);
  EXPECT_EQ(known, "xxx");
}

TEST_F(Torturing, TheSeedRepeatsWhatChildrenAreGiven) {
  std::vector<std::string> seeds;
  workload.on_note = [&](Judge&, std::string_view note) { seeds.emplace_back(note); };
  options.quiet_every = 1;
  const auto tell_seed = [](Child& child) { child.note(std::to_string(child.seed())); };
  run(tell_seed);
  run(tell_seed);
  ASSERT_EQ(seeds.size(), 6U);
  EXPECT_NE(seeds[0], seeds[1]);
  EXPECT_EQ(std::vector(seeds.begin(), seeds.begin() + 3),
            std::vector(seeds.begin() + 3, seeds.end()));
}

TEST_F(Torturing, SomeAreKilledBeforeTheyAreReady) {
  options.before_ready_percent = 100;
  const auto report = run([](Child& child) {
    if (!child.is_quiet()) tell_for_ever(child);
  });
  EXPECT_EQ(report.kills_before_ready, 2U);
  EXPECT_EQ(report.violations, 0U);
}

TEST_F(Torturing, AKillOfItsOwnIsNoViolationAndCounted) {
  std::vector<Ending> endings;
  workload.on_end = [&](Judge&, Ending ending) { endings.push_back(ending); };
  const auto report = run([](Child&) { raise(SIGKILL); });
  EXPECT_EQ(report.killed_itself, 3U);
  EXPECT_EQ(report.violations, 0U);
  EXPECT_THAT(endings, ::testing::Each(Ending::killed_itself));
}

TEST_F(Torturing, ARunEndsWithTheFirstRoundThatHasAViolation) {
  options.quiet_every = 1;
  options.rounds = 10;
  const auto report = run([](Child& child) {
    if (child.round() == 4) child.violation("as bad as it gets");
  });
  EXPECT_EQ(report.rounds, 4U);
  EXPECT_EQ(report.violations, 1U);
  EXPECT_THAT(report.first_violations, ElementsAre("as bad as it gets"));
}

TEST_F(Torturing, WhatTheParentFindsIsAViolationToo) {
  options.quiet_every = 1;
  workload.on_note = [](Judge& judge, std::string_view note) {
    judge.violation(std::string(note));
  };
  const auto report = run([](Child& child) {
    for (std::size_t i = 0; i < kViolationsKept + 5; ++i) child.note("wrong");
  });
  EXPECT_EQ(report.violations, kViolationsKept + 5);
  EXPECT_EQ(report.first_violations.size(), kViolationsKept);
}

TEST_F(Torturing, ACrashAnExitCodeAThrowAndAHangAreViolations) {
  const auto violation = [&](std::function<void(Child&)> life) {
    const auto report = run(std::move(life));
    EXPECT_EQ(report.rounds, 1U);
    return report.first_violations.empty() ? "" : report.first_violations.front();
  };
  EXPECT_THAT(violation([](Child&) { raise(SIGTERM); }), HasSubstr("signal 15"));
  EXPECT_THAT(violation([](Child&) { _exit(3); }), HasSubstr("code 3"));
  EXPECT_THAT(violation([](Child&) { throw std::runtime_error("what it says"); }),
              HasSubstr("what it says"));
  options.round_time_max = std::chrono::seconds(1);
  EXPECT_THAT(violation([](Child&) { pause(); }), HasSubstr("not ready in time"));
  options.rounds = 1;
  EXPECT_THAT(violation([](Child& child) {
                child.ready();
                pause();
              }),
              HasSubstr("did not come to an end"));
}

TEST_F(Torturing, ALongNoteIsCut) {
  options.rounds = 1;
  std::size_t size = 0;
  workload.on_note = [&](Judge&, std::string_view note) { size = note.size(); };
  run([](Child& child) { child.note(std::string(kNoteBytesMax + 1, 'x')); });
  EXPECT_EQ(size, kNoteBytesMax);
}

TEST_F(Torturing, OptionsThatMakeNoSenseAreRefusedByTheirName) {
  workload.run = [](Child&) {};
  const auto refused = [&](auto change) {
    auto bad = options;
    change(bad);
    const auto report = torture::run(bad, workload);
    EXPECT_EQ(report.status().code(), StatusCode::invalid_argument);
    return report.status().message();
  };
  EXPECT_THAT(refused([](auto& bad) { bad.folder.clear(); }), HasSubstr("folder"));
  EXPECT_THAT(refused([](auto& bad) { bad.folder = "/dev/null/x"; }), HasSubstr("/dev/null/x"));
  EXPECT_THAT(refused([](auto& bad) { bad.folder = "/proc/self"; }), HasSubstr("is not empty"));
  EXPECT_THAT(refused([](auto& bad) { bad.rounds = 0; }), HasSubstr("rounds"));
  EXPECT_THAT(refused([](auto& bad) { bad.notes_max = 0; }), HasSubstr("notes_max"));
  EXPECT_THAT(refused([](auto& bad) { bad.before_ready_percent = 101; }), HasSubstr("percent"));
  EXPECT_THAT(refused([](auto& bad) { bad.kill_after_max = {}; }), HasSubstr("kill_after_max"));
  EXPECT_THAT(refused([](auto& bad) { bad.round_time_max = {}; }), HasSubstr("round_time_max"));
  EXPECT_THAT(refused([](auto& bad) { bad.time = std::chrono::seconds(-1); }), HasSubstr("time"));
  EXPECT_EQ(torture::run(options, {}).status().code(), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace holdfast::torture
