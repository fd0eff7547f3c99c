// SPDX-License-Identifier: MIT
// Goal: whatever happens in whatever order, each subscription is given exactly what it is owed.
// Method: seeded random steps in a CoreWorld, each held against the oracle; at the end of each run
// everything is drained. HOLDFAST_MODEL_SEED runs one seed, HOLDFAST_MODEL_STEPS sets the steps of
// all runs together, HOLDFAST_MODEL_THREADS how many of them go on at the same time.

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/core_world.h"
#include "support/environment.h"

namespace holdfast::testing {
namespace {

Profile profile_of(std::uint64_t seed) {
  Profile profile;
  profile.refills_at_once = seed % 3 == 0;
  profile.clock_jumps = seed % 5 == 0;
  profile.steady = seed % 6 == 2;
  profile.crowded = seed % 8 == 7;
  profile.keys = seed % 2 == 0 || seed % 16 == 7;
  profile.operations = seed % 3 != 1;
  if (seed % 4 != 2) {
    profile.ageing = {.high = std::chrono::seconds(1 + seed % 3),
                      .normal = std::chrono::seconds(3),
                      .low = std::chrono::seconds(2 + seed % 7)};
  }
  if (seed % 5 == 3) profile.parked_per_lane_max = 3;
  if (seed % 4 == 1) profile.resident_bytes_max = 3'000;
  if (seed % 2 == 1) profile.dead_letters_max = 6;
  return profile;
}

struct SeedRun {
  std::uint64_t seed;
  std::uint64_t steps;
};

/// A short run of so many has met each cell of the matrix at least once; a long one often, for
/// which it goes on for up to so many times the steps that were asked for.
constexpr std::uint64_t kStepsThatMeetAll = 200'000;
constexpr std::uint64_t kLongRun = 1'000'000;
constexpr std::uint64_t kLongRunMost = 10;

std::vector<SeedRun> runs_of(std::uint64_t& seed, std::uint64_t steps) {
  std::vector<SeedRun> runs;
  for (; steps > 0; ++seed) {
    runs.push_back({seed, std::min<std::uint64_t>(1'000 + 500 * (seed % 5), steps)});
    steps -= runs.back().steps;
  }
  return runs;
}

/// What all runs have met together.
class Met {
 public:
  /// All of them, `at_once` at the same time, until one fails.
  void run(const std::vector<SeedRun>& runs, std::uint64_t at_once) {
    std::atomic<std::size_t> next = 0;
    std::vector<std::thread> threads;
    for (; at_once > 0; --at_once) {
      threads.emplace_back([&] {
        while (!failed) {
          const auto index = next++;
          if (index >= runs.size()) return;
          run(runs[index]);
        }
      });
    }
    for (auto& each : threads) each.join();
  }

  std::map<std::string, std::uint64_t> counts;
  StateMatrix matrix;
  std::atomic<bool> failed = false;

 private:
  void run(const SeedRun& run) {
    std::uint64_t step = 0;
    CoreWorld world(run.seed, profile_of(run.seed));
    try {
      for (; step < run.steps; ++step) world.step();
      world.drain();
    } catch (const Violation& violation) {
      const std::lock_guard lock(mutex_);
      ADD_FAILURE() << violation.what() << "\nHOLDFAST_MODEL_SEED=" << run.seed << " at step "
                    << step;
      failed = true;
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [name, count] : world.counts) counts[name] += count;
    matrix.add(world.matrix);
  }

  std::mutex mutex_;
};

TEST(CoreModel, EachSubscriptionIsGivenExactlyWhatItIsOwed) {
  const auto only = from_environment("HOLDFAST_MODEL_SEED", 0);
  const auto steps =
      from_environment("HOLDFAST_MODEL_STEPS", only == 0 ? kStepsThatMeetAll : 3'000);
  auto seed = from_environment("HOLDFAST_MODEL_FIRST_SEED", 1);
  const auto at_once = from_environment("HOLDFAST_MODEL_THREADS", 1);
  const std::uint64_t often = steps < kLongRun ? 1 : 100;
  Met met;
  met.run(only == 0 ? runs_of(seed, steps) : std::vector<SeedRun>{{only, steps}}, at_once);
  auto done = steps;
  while (only == 0 && steps >= kLongRun && done < kLongRunMost * steps && !met.failed &&
         !met.matrix.faults(often).empty()) {
    const auto more = steps / 4;
    met.run(runs_of(seed, more), at_once);
    done += more;
  }
  std::cout << done << " steps\n";
  for (const auto& [name, count] : met.counts) std::cout << name << ": " << count << '\n';
  met.matrix.print(std::cout);
  if (met.failed) return;
  if (only != 0 || steps < kStepsThatMeetAll) return;
  for (const auto& fault : met.matrix.faults(often)) ADD_FAILURE() << fault;
  for (const auto* name : {"publish",
                           "batch",
                           "crowd",
                           "subscribe",
                           "ephemeral",
                           "change filter",
                           "attach again",
                           "detach",
                           "remove",
                           "ack",
                           "ack with tx",
                           "conflict",
                           "failed tx",
                           "retry",
                           "abandon",
                           "superseded",
                           "snooze",
                           "reject",
                           "reject with tx",
                           "release",
                           "skip",
                           "stale",
                           "twice",
                           "dead",
                           "redrive",
                           "rewind",
                           "rewind keeps a retry",
                           "rewind erases a dead letter",
                           "dropped dead letter",
                           "housekeeping",
                           "trim",
                           "expired unclaimed",
                           "crash",
                           "power loss",
                           "lost commits",
                           "lost range",
                           "clean end",
                           "suspect",
                           "suspect dead",
                           "suspect taken",
                           "suspect snoozed",
                           "overdue",
                           "pause",
                           "resume",
                           "pause types",
                           "pause types again",
                           "resume types",
                           "held",
                           "free meanwhile",
                           "put back",
                           "put back of an ephemeral one",
                           "all put back",
                           "moved up",
                           "turn",
                           "aged before due",
                           "flood",
                           "late refill",
                           "stale refill",
                           "critical slot",
                           "late due times",
                           "more due times",
                           "tx event",
                           "run again",
                           "taken together",
                           "given back",
                           "batch answered",
                           "batch with tx",
                           "batch in conflict",
                           "batch without one",
                           "batch with a failed tx",
                           "stale in a batch",
                           "cancelled in a batch",
                           "idle check",
                           "token",
                           "cancel prevented",
                           "cancel signalled",
                           "cancel too late",
                           "cancel again",
                           "cancel token",
                           "cancel token in part",
                           "token timed out",
                           "kept for clean-up",
                           "refused as cancelled",
                           "ended as cancelled",
                           "refused by token",
                           "tx under a cancelled token",
                           "clean-up",
                           "cleaned up",
                           "suspect cancelled",
                           "no clean-up",
                           "expired",
                           "postponed",
                           "clock set",
                           "token reclaimed",
                           "tombstone reclaimed",
                           "keyed",
                           "keyed taken",
                           "last of a key",
                           "no last of a key",
                           "key reclaimed",
                           "duplicate",
                           "duplicate in its commit",
                           "duplicate in a tx",
                           "duplicate under a cancelled token",
                           "key used again",
                           "key forgotten",
                           "operation",
                           "batch as operation",
                           "begun",
                           "begun and sealed",
                           "member added",
                           "member refused",
                           "no room for an operation",
                           "operation committed",
                           "operation goes back",
                           "operation rolled back",
                           "operation rollback failed",
                           "operation forgotten",
                           "operation forgotten for another",
                           "rolled back by hand",
                           "deadline",
                           "member dead",
                           "member expired",
                           "member cancelled",
                           "members cancelled by token",
                           "member signalled",
                           "held",
                           "its turn has come",
                           "done without an answer",
                           "begun again and undone",
                           "undone by another of its batch",
                           "kept for compensation",
                           "compensation owed",
                           "compensation",
                           "compensation retried",
                           "compensated",
                           "undone in vain",
                           "undone by nobody any more",
                           "redriven compensation",
                           "dead letter of what is undone stays",
                           "compensates from now on",
                           "compensates no more",
                           "rewind refused for an operation"}) {
    EXPECT_GT(met.counts[name], 0U) << name << " never happened";
  }
}

}  // namespace
}  // namespace holdfast::testing
