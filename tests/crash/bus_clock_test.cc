// SPDX-License-Identifier: MIT
// Clocks that jump, seen from outside: the wall clock is set by a day, the machine sleeps for a
// day, a journal comes to a machine that was booted at another time.
//
// Method: a child with libfaketime in front of it sets its own wall clock; one with
// support/boot_clock.c in front of it moves its own boot time. The rules themselves meet the same
// in the model (tests/model), with jumps at random.
#include <algorithm>
#include <chrono>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "support/bus_test.h"
#include "support/child_check.h"
#include "support/sanitizer.h"

namespace holdfast::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr hours kDay{24};

WallTime wall_from_now(nanoseconds wait) { return base::system_clock().now().wall + wait.count(); }

/// Sets the wall clock of this process to so much from the machine's.
class WallClock {
 public:
  explicit WallClock(std::string file) : file_(std::move(file)) { set(hours(0)); }
  void set(hours offset) const {
    const auto temporary = file_ + ".new";
    std::ofstream(temporary) << (offset.count() < 0 ? "" : "+") << offset.count() << "h\n";
    fs::rename(temporary, file_);
  }
  static std::vector<std::string> environment(const std::string& file, const std::string& library) {
    return {"LD_PRELOAD=" + library, "FAKETIME_TIMESTAMP_FILE=" + file, "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1"};
  }

 private:
  std::string file_;
};

/// Where Debian has it, for whatever machine.
std::string libfaketime() {
  for (const auto& entry : fs::directory_iterator("/usr/lib")) {
    const auto library = entry.path() / "faketime" / "libfaketimeMT.so.1";
    std::error_code ignored;
    if (fs::exists(library, ignored)) return library.string();
  }
  return {};
}

Options clock_options() {
  Options options;
  options.retention.age = hours(12);
  options.unclaimed_retention.age = hours(12);
  return options;
}

EventState state_in(const Bus& bus, EventId id) {
  const auto stored = must(bus.get(id));
  return stored.has_value() ? stored->state : EventState::settled;
}

/// The upkeep, which trims and times out, has been round since this was called.
bool upkeep_goes_round(Bus& bus) {
  // Its interval is a second, and one thread does both: a round comes before this time-out.
  const auto token = must(bus.make_token({.timeout = milliseconds(1'100)}));
  const auto id = must(bus.publish({.type = "clock.token", .token = token.id()})).id;
  return eventually([&] { return state_in(bus, id) == EventState::cancelled; });
}

// --- The wall clock -----------------------------------------------------------------------------

class SteppingBus {
 public:
  explicit SteppingBus(const std::string& folder)
      : folder_(folder), clock(folder + "/clock"), path_(folder + "/journal") {
    reopen();
  }
  void close() {
    subscription_.end();
    bus.reset();
  }
  void reopen() {
    close();
    bus = must(Bus::open(path_, clock_options()));
    subscription_ =
        must(bus->subscribe({.name = "s", .types = {"work.>"}}, [this](Delivery& delivery) {
          runs.note(delivery);
          const bool again = delivery.event().type == "work.again" && delivery.attempt() == 1;
          return again ? Outcome::retry_after(milliseconds(300)) : Outcome::ack();
        }));
  }
  EventId publish(std::string_view type, WallTime not_before = 0, WallTime expires_at = 0) const {
    return must(bus->publish({.type = type, .not_before = not_before, .expires_at = expires_at}))
        .id;
  }
  [[nodiscard]] std::size_t runs_of(EventId id) const {
    const auto ids = runs.ids();
    return static_cast<std::size_t>(std::count(ids.begin(), ids.end(), id));
  }
  [[nodiscard]] bool becomes(EventId id, EventState state) const {
    return eventually([&] { return state_in(*bus, id) == state; });
  }
  /// So much that what was before it is an interval that may be trimmed.
  void fill() const {
    for (int i = 0; i < 3; ++i) {
      must(bus->publish({.type = "nobody.large", .payload = std::string(900'000, 'x')},
                        {.durability = Durability::os}));
    }
  }
  [[nodiscard]] bool is_kept(EventId id) const { return must(bus->get(id)).has_value(); }

 private:
  std::string folder_;

 public:
  WallClock clock;
  Runs runs;
  std::unique_ptr<Bus> bus;

 private:
  std::string path_;
  Subscription subscription_;
};

std::string step_the_wall_clock(const std::string& folder) {
  SteppingBus b(folder);
  const auto real = base::system_clock().now();
  const auto settled = b.publish("work.done");
  const auto unclaimed = b.publish("nobody.wants");
  b.fill();
  const auto early = b.publish("work.early", wall_from_now(hours(12)));
  const auto far = b.publish("work.far", wall_from_now(hours(36)));
  const auto lost = b.publish("work.expires", wall_from_now(hours(11)), wall_from_now(hours(13)));
  const auto token = must(b.bus->make_token({.timeout = hours(1)}));
  const auto under_token = must(b.bus->publish({.type = "nobody.token", .token = token.id()})).id;
  CHILD_EXPECT(b.bus->wait_settled(settled, kPatience).ok());

  b.clock.set(kDay);
  const auto later = base::system_clock().now();
  CHILD_EXPECT(later.wall - real.wall > nanoseconds(hours(23)).count());
  CHILD_EXPECT(later.boot - real.boot < nanoseconds(hours(1)).count());
  const auto again = b.publish("work.again");
  CHILD_EXPECT(b.bus->wait_settled(early, kPatience).ok());  // it is after its time now
  CHILD_EXPECT(b.bus->wait_settled(again, kPatience).ok());
  CHILD_EXPECT(b.becomes(lost, EventState::settled));  // its time came and went at once
  CHILD_EXPECT(upkeep_goes_round(*b.bus));
  CHILD_EXPECT(b.is_kept(settled) && b.is_kept(unclaimed));  // no age by the wall clock
  CHILD_EXPECT(state_in(*b.bus, under_token) == EventState::unclaimed);
  CHILD_EXPECT(state_in(*b.bus, far) == EventState::scheduled);

  b.clock.set(-kDay);
  const auto soon = b.publish("work.soon", wall_from_now(milliseconds(300)));
  const auto back = b.publish("work.back", wall_from_now(hours(23)));
  const auto again_back = b.publish("work.again");
  CHILD_EXPECT(b.bus->wait_settled(soon, kPatience).ok());
  CHILD_EXPECT(b.bus->wait_settled(again_back, kPatience).ok());
  CHILD_EXPECT(upkeep_goes_round(*b.bus));
  CHILD_EXPECT(state_in(*b.bus, back) == EventState::scheduled);
  CHILD_EXPECT(b.is_kept(settled) && b.is_kept(unclaimed));
  CHILD_EXPECT(state_in(*b.bus, under_token) == EventState::unclaimed);

  b.clock.set(hours(0));
  CHILD_EXPECT(b.bus->wait_settled(back, kPatience).ok());  // its hour has passed meanwhile
  CHILD_EXPECT(state_in(*b.bus, far) == EventState::scheduled);
  // Each once, and what was tried again twice.
  CHILD_EXPECT_EQ(b.runs_of(early), 1U);
  CHILD_EXPECT_EQ(b.runs_of(soon), 1U);
  CHILD_EXPECT_EQ(b.runs_of(back), 1U);
  CHILD_EXPECT_EQ(b.runs_of(lost), 0U);
  CHILD_EXPECT_EQ(b.runs_of(again), 2U);
  CHILD_EXPECT_EQ(b.runs_of(again_back), 2U);
  CHILD_EXPECT_EQ(b.runs.size(), 8U);
  return kFine;
}
const ChildRole kStepWall("clock-step-wall", say<step_the_wall_clock>);

std::string step_it_between_runs(const std::string& folder) {
  SteppingBus b(folder);
  const auto settled = b.publish("work.done");
  const auto unclaimed = b.publish("nobody.wants");
  b.fill();
  const auto token = must(b.bus->make_token({.timeout = hours(1)}));
  const auto under_token = must(b.bus->publish({.type = "nobody.token", .token = token.id()})).id;
  const auto noon = b.publish("work.noon", wall_from_now(hours(12)));
  CHILD_EXPECT(b.bus->wait_settled(settled, kPatience).ok());
  for (const auto offset : {-kDay, kDay, -kDay, hours(0)}) {
    b.clock.set(offset);
    b.reopen();
    CHILD_EXPECT(b.bus->recovery().clean);
    CHILD_EXPECT(b.bus->wait_settled(b.publish("work.again"), kPatience).ok());
    CHILD_EXPECT(upkeep_goes_round(*b.bus));
    CHILD_EXPECT(b.is_kept(settled) && b.is_kept(unclaimed));
    CHILD_EXPECT(state_in(*b.bus, under_token) == EventState::unclaimed);
    if (offset == kDay) CHILD_EXPECT(b.bus->wait_settled(noon, kPatience).ok());
    CHILD_EXPECT(b.runs_of(noon) == 0 || state_in(*b.bus, noon) == EventState::settled);
  }
  CHILD_EXPECT_EQ(b.runs_of(noon), 1U);
  CHILD_EXPECT_EQ(b.runs.size(), 2U + 4U * 2U);
  return kFine;
}
const ChildRole kStepBetween("clock-step-between", say<step_it_between_runs>);

class WallClockSteps : public ::testing::Test {
 protected:
  static void expect_fine_with_a_clock(const std::string& role) {
    if (kSanitized) GTEST_SKIP() << "a sanitizer lets nobody else be loaded first";
    const auto library = libfaketime();
    if (library.empty()) GTEST_SKIP() << "needs Debian's libfaketime";
    const TempFolder folder;
    const WallClock clock(folder.inside("clock"));
    expect_fine(role, folder.path().string(),
                WallClock::environment(folder.inside("clock"), library));
  }
};

TEST_F(WallClockSteps, OfADaySkipNoScheduleFireNoStormAndTrimNothing) {
  expect_fine_with_a_clock("clock-step-wall");
}

TEST_F(WallClockSteps, BetweenTwoRunsAreNoTimeThatPassed) {
  expect_fine_with_a_clock("clock-step-between");
}

// --- Boot time ----------------------------------------------------------------------------------

/// The machine sleeps for so long, as far as this process can tell. False without boot_clock.c.
bool sleep_of_the_machine(nanoseconds time) {
  const auto move = reinterpret_cast<void (*)(long long)>(dlsym(RTLD_DEFAULT, "move_boot_time"));
  if (move == nullptr) return false;
  move(time.count());
  return true;
}

bool is_told_as_stuck(const Bus& bus, EventId id) {
  const auto stuck = bus.stats().stuck;
  return std::any_of(stuck.begin(), stuck.end(), [&](const auto& one) { return one.event == id; });
}

std::string sleep_for_a_day(const std::string& folder) {
  SteppingBus b(folder);
  Runs slow;
  Signal let_go;
  Collected<StopReason> reasons;
  const auto s = must(b.bus->subscribe(
      {.name = "slow", .types = {"slow"}, .retry = retry_at_once(5), .timeout = hours(1)},
      [&](Delivery& delivery) {
        slow.note(delivery);
        let_go.wait();
        reasons.add(delivery.stop_reason());
      }));
  // In a lane of its own: what it is in front of is not trimmed.
  const auto running = must(b.bus->publish({.type = "slow", .priority = Priority::high})).id;
  const auto settled = b.publish("work.done");
  const auto unclaimed = b.publish("nobody.wants");
  b.fill();
  const auto token = must(b.bus->make_token({.timeout = hours(23)}));
  const auto under_token =
      must(b.bus->publish(
               {.type = "work.token", .not_before = wall_from_now(2 * kDay), .token = token.id()}))
          .id;
  CHILD_EXPECT(b.bus->wait_settled(settled, kPatience).ok());
  CHILD_EXPECT(slow.wait_for_count(1));

  const auto before = base::system_clock().now();
  CHILD_EXPECT(sleep_of_the_machine(kDay));
  CHILD_EXPECT(base::system_clock().now().boot - before.boot >= nanoseconds(kDay).count());
  // Sleep counts: what was to be over by now is over, once.
  CHILD_EXPECT(b.becomes(under_token, EventState::cancelled));
  CHILD_EXPECT(eventually([&] { return is_told_as_stuck(*b.bus, running); }));
  CHILD_EXPECT(eventually([&] { return !b.is_kept(settled) && !b.is_kept(unclaimed); }));
  CHILD_EXPECT(b.bus->wait_settled(b.publish("work.again"), kPatience).ok());
  // Time alone gives it to nobody else, and its late ack counts.
  let_go.set();
  CHILD_EXPECT(b.bus->wait_settled(running, kPatience).ok());
  CHILD_EXPECT(reasons.all()[0] == StopReason::timed_out);
  CHILD_EXPECT_EQ(slow.size(), 1U);
  CHILD_EXPECT_EQ(b.runs.size(), 3U);

  // A journal may come to where less time has passed since the boot: that is no time at all.
  const auto later = must(b.bus->make_token({.timeout = hours(1)}));
  const auto under_later = must(b.bus->publish({.type = "nobody.token", .token = later.id()})).id;
  b.close();
  CHILD_EXPECT(sleep_of_the_machine(-kDay));
  b.reopen();
  CHILD_EXPECT(b.bus->wait_settled(b.publish("work.again"), kPatience).ok());
  CHILD_EXPECT(upkeep_goes_round(*b.bus));
  CHILD_EXPECT(state_in(*b.bus, under_later) == EventState::unclaimed);
  CHILD_EXPECT_EQ(b.runs.size(), 5U);
  return kFine;
}
const ChildRole kSleep("clock-sleep", say<sleep_for_a_day>);

TEST(BootTimeJumps, ASleepOfADayEndsWhatIsOverOnceAndRunsNothingTwice) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer lets nobody else be loaded first";
  const TempFolder folder;
  expect_fine("clock-sleep", folder.path().string(), {"LD_PRELOAD=" HOLDFAST_BOOT_CLOCK});
}

}  // namespace
}  // namespace holdfast::testing
