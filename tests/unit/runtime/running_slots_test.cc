// SPDX-License-Identifier: MIT
// What was running when a process died is read from its slots, and from nothing that only looks
// like them.
#include "runtime/running_slots.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "holdfast/options.h"
#include "support/own_file_system.h"
#include "support/temp_folder.h"

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;
using Running = RunningSlots::Running;

constexpr const char* kBoot = "0a0b0c0d-boot";

class RunningSlotsTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<RunningSlots> create(std::size_t count = 3) const {
    auto slots = RunningSlots::create(file, kBoot, count);
    EXPECT_TRUE(slots.ok()) << slots.status().to_string();
    return slots.ok() ? *std::move(slots) : nullptr;
  }
  [[nodiscard]] std::vector<Running> left(const std::string& boot = kBoot) const {
    return RunningSlots::left_behind(file, boot);
  }

 private:
  testing::TempFolder folder_;

 protected:
  const fs::path file = folder_.path() / "slots";
};

TEST_F(RunningSlotsTest, WhatRanIsLeftBehindAndWhatEndedIsNot) {
  const auto slots = create();
  slots->begin(0, {{7}, {Priority::high, 11}, false});
  slots->begin(1, {{8}, {Priority::low, 12}, true});
  slots->begin(2, {{9}, {Priority::critical, 13}, false});
  slots->end(2);
  const auto running = left();
  ASSERT_EQ(running.size(), 2U);
  EXPECT_EQ(running[0].subscription.value, 7U);
  EXPECT_EQ(running[0].event, (EventId{Priority::high, 11}));
  EXPECT_FALSE(running[0].suspect);
  EXPECT_EQ(running[1].event, (EventId{Priority::low, 12}));
  EXPECT_TRUE(running[1].suspect);
}

TEST_F(RunningSlotsTest, ABatchIsLeftBehindWhole) {
  const auto slots = create();
  std::vector<Running> batch;
  for (std::uint64_t i = 1; i <= kBatchSizeMax; ++i) {
    batch.push_back({{7}, {Priority::low, i == 2 ? std::uint64_t{1} << 61U : i}});
  }
  slots->begin(1, batch);
  slots->begin(2, {{8}, {Priority::high, 5}});
  const auto running = left();
  ASSERT_EQ(running.size(), kBatchSizeMax + 1);
  for (std::size_t i = 0; i < kBatchSizeMax; ++i) {
    ASSERT_EQ(running[i].event, batch[i].event);
    ASSERT_EQ(running[i].subscription.value, 7U);
    ASSERT_TRUE(running[i].together);
  }
  EXPECT_EQ(running.back().event, (EventId{Priority::high, 5}));
  EXPECT_FALSE(running.back().together);
  // What is behind it in the slot's room is of before.
  slots->begin(1, std::span(batch).first(2));
  EXPECT_EQ(left().size(), 3U);
  slots->begin(1, batch[4]);
  EXPECT_EQ(left().size(), 2U);
  slots->end(1);
  EXPECT_EQ(left().size(), 1U);
}

TEST_F(RunningSlotsTest, OfWhicheverByteIsAnotherNothingElseIsTold) {
  {
    const auto slots = create(2);
    const std::vector<Running> batch = {{{7}, {Priority::low, 1}}, {{7}, {Priority::low, 2}}};
    slots->begin(0, batch);
    slots->begin(1, {{8}, {Priority::high, 5}, true});
  }
  const auto whole = left();
  ASSERT_EQ(whole.size(), 3U);
  std::ifstream in(file, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  std::map<std::size_t, int> told;
  // The header, the slots, and the one other of the batch.
  for (std::size_t i = 0; i < 64 + 2 * 64 + 8; ++i) {
    auto damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
    const auto running = left();
    ++told[running.size()];
    for (const auto& each : running) {
      EXPECT_TRUE(std::any_of(whole.begin(), whole.end(),
                              [&](const Running& one) {
                                return one.subscription == each.subscription &&
                                       one.event == each.event && one.suspect == each.suspect &&
                                       one.together == each.together;
                              }))
          << "byte " << i;
    }
  }
  EXPECT_GT(told[0], 40) << "the header";
  EXPECT_GE(told[1], 20 + 8) << "the batch";
  EXPECT_GE(told[2], 20) << "the other slot";
}

TEST_F(RunningSlotsTest, ABatchThatIsCutOffLeavesNothing) {
  {
    const auto slots = create(1);
    std::vector<Running> batch;
    for (std::uint64_t i = 1; i <= 10; ++i) batch.push_back({{7}, {Priority::low, i}});
    slots->begin(0, batch);
  }
  EXPECT_EQ(left().size(), 10U);
  // A header, a slot, and room for four others.
  fs::resize_file(file, 64 + 64 + 4 * 8);
  EXPECT_TRUE(left().empty());
}

TEST_F(RunningSlotsTest, ASlotIsUsedAgain) {
  const auto slots = create();
  slots->begin(1, {{7}, {Priority::high, 11}, true});
  slots->end(1);
  slots->begin(1, {{8}, {Priority::normal, 5}, false});
  const auto running = left();
  ASSERT_EQ(running.size(), 1U);
  EXPECT_EQ(running[0].event, (EventId{Priority::normal, 5}));
  EXPECT_FALSE(running[0].suspect);
}

TEST_F(RunningSlotsTest, ANewFileIsEmptyAndItsOwnersAlone) {
  create()->begin(0, {{7}, {Priority::high, 11}, false});
  const auto anew = create(1);
  EXPECT_TRUE(left().empty());
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(RunningSlotsTest, AnotherBootAndAnUnknownOneLeaveNothing) {
  create()->begin(0, {{7}, {Priority::high, 11}, false});
  EXPECT_EQ(left().size(), 1U);
  EXPECT_TRUE(left("another").empty());
  EXPECT_TRUE(left("").empty());
}

TEST_F(RunningSlotsTest, WhatIsNoSlotFileLeavesNothing) {
  EXPECT_TRUE(left().empty()) << "missing";
  for (const auto& text : {std::string(), std::string("HFSLOTS1"), std::string(4096, '\xff')}) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
    EXPECT_TRUE(left().empty()) << text.size() << " bytes";
  }
}

TEST_F(RunningSlotsTest, AFileCutShortOrWithAnImpossibleSlotTellsTheRest) {
  {
    const auto slots = create();
    for (std::size_t i = 0; i < 3; ++i) slots->begin(i, {{7}, {Priority::high, 11 + i}, false});
    slots->begin(1, {{7}, {static_cast<Priority>(200), 12}, false});
  }
  EXPECT_EQ(left().size(), 2U);
  fs::resize_file(file, 64 + 3 * 64 - 1);
  EXPECT_EQ(left().size(), 1U);
}

TEST_F(RunningSlotsTest, AFolderInItsPlaceIsAnError) {
  fs::create_directory(file);
  const auto slots = RunningSlots::create(file, kBoot, 1);
  EXPECT_EQ(slots.status().code(), StatusCode::unavailable);
  EXPECT_NE(slots.status().message().find(file.string()), std::string::npos);
}

TEST_F(RunningSlotsTest, AFullFileSystemIsAnErrorAndNoSignal) {
  constexpr int kNotAllowed = 77;
  const auto child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!testing::mount_own_file_system(file.parent_path(), 64 << 10)) _exit(kNotAllowed);
    std::ofstream(file).flush();
    testing::fill_file_system(file.parent_path() / "filler", 0);
    const auto slots = RunningSlots::create(file, kBoot, 64);
    _exit(slots.status().code() == StatusCode::unavailable ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kNotAllowed) GTEST_SKIP() << "may not mount a file system here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(RunningSlotsInMemory, NeedNoFile) {
  const auto slots = RunningSlots::create({}, kBoot, 2);
  ASSERT_TRUE(slots.ok());
  (*slots)->begin(1, {{7}, {Priority::high, 11}, false});
  (*slots)->end(1);
}

}  // namespace
}  // namespace holdfast::runtime
