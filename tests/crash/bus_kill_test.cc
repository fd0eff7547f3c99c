// SPDX-License-Identifier: MIT
// Goal: whatever moment a process dies at, what it was promised holds.
// Method: a child works on a journal and is killed with SIGKILL at a random moment, again and again
// on the same journal; each time the parent compares the journal with what the child was told
// (support/kill_load.h).
//
// HOLDFAST_KILL_ROUNDS=200 is the long form; HOLDFAST_KILL_SEED repeats the child's choices, though
// not the machine's.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_process.h"
#include "support/kill_load.h"

namespace holdfast::testing {
namespace {

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class KillTest : public ::testing::Test {
 protected:
  /// Reads the child's records until `count` have come, or it has ended.
  void read(ChildProcess& child, std::size_t count) {
    for (; count > 0; --count) {
      const auto record = child.read_one<LoadRecord>();
      if (!record.has_value()) return;
      book.note(*record);
    }
  }
  void read_rest(ChildProcess& child) { read(child, std::numeric_limits<std::size_t>::max()); }

  ChildProcess start(std::uint64_t seed, std::uint64_t round,
                     const std::vector<std::string>& environment = {}) {
    book.begin_round();
    return ChildProcess::start(
        kKillLoadRole, {journal(), std::to_string(seed), std::to_string(round)}, environment);
  }
  [[nodiscard]] std::string journal() const { return folder_.inside("journal"); }

  KillBook book;

 private:
  TempFolder folder_;
};

TEST_F(KillTest, WhatWasPromisedHoldsWheneverTheProcessIsKilled) {
  const auto rounds = number_from_environment("HOLDFAST_KILL_ROUNDS", 25);
  const auto seed = number_from_environment("HOLDFAST_KILL_SEED", std::random_device{}());
  std::cout << "HOLDFAST_KILL_SEED=" << seed << " HOLDFAST_KILL_ROUNDS=" << rounds << std::endl;
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  for (std::uint64_t round = 1; round <= rounds && !HasFailure(); ++round) {
    auto child = start(seed, round);
    if (random() % 10 != 0) {
      read(child, 1 + random() % 3'000);
    }
    // A little later than the last record, or, without one, at some moment of the open.
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 20'000);
    while (std::chrono::steady_clock::now() < until) read(child, random() % 2);
    child.kill();
    read_rest(child);
    ASSERT_TRUE(child.was_killed());
    if (!std::filesystem::exists(journal())) continue;
    // Every second time the next child is the one that finds the crash.
    if (round % 2 == 0) {
      const auto bus = must(Bus::open(journal(), kill_load_options()));
      book.note_suspects(bus->recovery());
      EXPECT_TRUE(bus->recovery().lost.empty());
      book.check_new(*bus);
    } else if (const auto view = JournalView::open(journal()); view.ok()) {
      book.check_new(**view);
    } else {
      // Killed before there was a journal.
      EXPECT_EQ(book.receipts(), 0U) << view.status().to_string();
    }
  }
  const auto bus = must(Bus::open(journal(), kill_load_options()));
  book.finish(*bus);
  std::cout << book.events() << " events, " << book.receipts() << " receipts, " << book.settled()
            << " settled durably before a kill, " << book.suspects() << " suspects" << std::endl;
}

// --- Fail points --------------------------------------------------------------------------------

struct FailPoint {
  const char* name;
  int count;
};

class FailPointTest : public KillTest, public ::testing::WithParamInterface<FailPoint> {};

TEST_P(FailPointTest, NothingThatWasPromisedIsLostThere) {
  const auto armed = "HOLDFAST_FAIL_POINT=" + std::string(GetParam().name) + ":" +
                     std::to_string(GetParam().count);
  for (std::uint64_t round = 1; round <= 3 && !HasFailure(); ++round) {
    auto child = start(1, round, {armed});
    read_rest(child);
    ASSERT_TRUE(child.was_killed());
    if (round == 1) {
      const auto bus = must(Bus::open(journal(), kill_load_options()));
      EXPECT_FALSE(bus->recovery().clean && GetParam().count > 1);
      book.note_suspects(bus->recovery());
      book.check_new(*bus);
    } else {
      const auto view = must(JournalView::open(journal()));
      book.check_new(*view);
    }
  }
  const auto bus = must(Bus::open(journal(), kill_load_options()));
  book.finish(*bus);
}

INSTANTIATE_TEST_SUITE_P(
    At, FailPointTest,
    ::testing::Values(FailPoint{"open.committed", 1}, FailPoint{"commit.planned", 1},
                      FailPoint{"commit.planned", 40}, FailPoint{"commit.written", 1},
                      FailPoint{"commit.written", 3}, FailPoint{"commit.written", 40},
                      FailPoint{"commit.synced", 1}, FailPoint{"commit.synced", 30}),
    [](const ::testing::TestParamInfo<FailPoint>& each) {
      auto name = std::string(each.param.name) + "_" + std::to_string(each.param.count);
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

}  // namespace
}  // namespace holdfast::testing
