// SPDX-License-Identifier: MIT
// Goal: whichever operation on a file fails, and whether once or from then on, nobody crashes or
// hangs, errors say what is so, and after reopening everything that was promised holds.
// Method: a short run of a bus (open, subscribe, publish, handle, cancel, an operation, close) is
// repeated, each time with the next operation of one kind failing. Then the process is killed, or
// power is lost as well, and the journal is opened again.
//
// HOLDFAST_FAULT_STRIDE=1 is the long form: each operation; by default every fifth.
#include <algorithm>
#include <iostream>
#include <string>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/environment.h"
#include "torture/power_loss/load.h"

namespace holdfast::testing {
namespace {

std::uint64_t stride() {
  return std::max<std::uint64_t>(from_environment("HOLDFAST_FAULT_STRIDE", 5), 1);
}

Options short_run_options() {
  Options options;
  options.memory_budget = std::size_t{16} << 20U;
  options.ack_linger = std::chrono::milliseconds(1);
  return options;
}

/// A machine on which one thing fails.
class FaultRun {
 public:
  explicit FaultRun(std::string what, std::uint64_t seed = 1)
      : machine_(seed), book_([what = std::move(what)](const std::string& wrong) {
          ADD_FAILURE() << what << ": " << wrong;
        }) {}

  PowerMachine& machine() { return machine_; }
  PowerBook& book() { return book_; }

  /// A log to replay and tables to read: what an open has something to do with.
  void prepare() {
    const auto bus = must(machine_.open_bus(short_run_options()));
    must(work(*bus));
    machine_.cut("prepared");
  }
  void boot() {
    machine_.boot();
    may_have_lost_numbers_ = true;
  }

  /// Returns the status of the open, or of the first call that failed.
  Status run() {
    auto bus = machine_.open_bus(short_run_options());
    if (!bus.ok()) return bus.status();
    auto status = work(**bus);
    const auto closed = (*bus)->close();
    return status.ok() ? closed : status;
  }

  Status work(Bus& bus) {
    PowerLoad load(bus, machine_, book_,
                   {.number = ++runs_, .seed = runs_, .publishers = 2, .calls = 12});
    const auto subscribed = load.subscribe();
    if (!subscribed.ok()) return subscribed;
    load.publish();
    load.wait_handled();
    // A write that failed is told once as what nobody knows the outcome of, and then for good.
    const auto last = bus.publish("rare", encode_body({.key = runs_, .kind = EventKind::rare}, 0));
    if (last.ok()) {
      book_.receipt({.key = runs_, .kind = EventKind::rare}, *last, Durability::durable);
      return {};
    }
    const auto again = bus.publish("rare", "");
    EXPECT_EQ(again.status(), StatusCode::poisoned) << again.status().to_string();
    EXPECT_FALSE(bus.stats().health.ok());
    return last.status();
  }

  /// Whatever happened: it can be opened, and what was promised is there. `events`: how many there
  /// are.
  void expect_recovered(std::uint64_t* events = nullptr) {
    auto bus = machine_.open_bus(short_run_options());
    ASSERT_TRUE(bus.ok()) << bus.status().to_string();
    if (events != nullptr) *events = count_events(**bus).first;
    book_.check(**bus, may_have_lost_numbers_);
    EXPECT_TRUE((*bus)
                    ->publish("rare", encode_body({.key = 100 + runs_, .kind = EventKind::rare}, 0))
                    .ok());
  }
  static std::pair<std::uint64_t, Status> count_events(const Bus& bus) {
    std::uint64_t events = 0;
    auto status = bus.scan({}, [&](const EventView&, EventState) { return ++events > 0; });
    return {events, std::move(status)};
  }
  void note_failure() { may_have_lost_numbers_ = true; }

 private:
  PowerMachine machine_;
  PowerBook book_;
  std::uint64_t runs_ = 0;
  bool may_have_lost_numbers_ = false;
};

struct Fault {
  const char* name;
  const char* operation;
  bool is_full;   ///< ENOSPC, with half of what is appended; otherwise EIO.
  bool for_ever;  ///< And everything after it.
};

class BusIoError : public ::testing::TestWithParam<Fault> {
 protected:
  static rocksdb::IOStatus error() {
    return GetParam().is_full ? rocksdb::IOStatus::NoSpace("no space left")
                              : rocksdb::IOStatus::IOError("input/output error");
  }
  static void expect_clear(const Status& status) {
    const auto& wanted = GetParam().is_full ? "no space left" : "input/output error";
    EXPECT_NE(status.message().find(wanted), std::string::npos) << status.to_string();
  }

  /// `is_new`: the journal is made by this run. Returns whether there were so many operations.
  static bool fail_at(std::uint64_t count, bool is_new) {
    const auto& fault = GetParam();
    const auto what = std::string(fault.operation) + " " + std::to_string(count) +
                      (is_new ? " of a new journal" : "");
    SCOPED_TRACE(what);
    FaultRun run(what, count);
    auto& machine = run.machine();
    if (!is_new) {
      run.prepare();
      run.boot();
    }
    machine.files().tear_appends(fault.is_full);
    machine.fail(fault.operation, count, error(), fault.for_ever);
    const auto status = run.run();
    const bool has_failed = machine.has_failed();
    if (!status.ok()) {
      EXPECT_TRUE(status == StatusCode::indeterminate || status == StatusCode::poisoned ||
                  status == StatusCode::unavailable)
          << status.to_string();
      expect_clear(status);
    }
    if (has_failed) run.note_failure();
    if (count % 2 == 0) {
      machine.cut("afterwards");
      run.boot();
    }
    machine.disarm();
    run.expect_recovered();
    return has_failed;
  }
};

TEST_P(BusIoError, EndsInAClearErrorAndNothingThatWasPromisedIsLost) {
  for (const bool is_new : {true, false}) {
    std::uint64_t tried = 0;
    // Another place to begin with in each run of the tests would find more, and repeat nothing.
    for (std::uint64_t count = 1; fail_at(count, is_new); count += stride()) {
      ++tried;
      if (HasFailure()) return;
    }
    std::cout << GetParam().operation << (is_new ? " of a new journal" : "") << " failed at "
              << tried << " places" << std::endl;
    // Folders and links are for what a crash has left alone.
    EXPECT_TRUE(tried > 0 || is_new);
  }
}

INSTANTIATE_TEST_SUITE_P(
    At, BusIoError,
    ::testing::Values(
        Fault{"AppendOnce", "append", false, false}, Fault{"AppendForEver", "append", false, true},
        Fault{"AppendToAFullDiskOnce", "append", true, false},
        Fault{"AppendToAFullDisk", "append", true, true}, Fault{"SyncOnce", "sync", false, false},
        Fault{"SyncForEver", "sync", false, true}, Fault{"SyncOfAFullDisk", "sync", true, true},
        Fault{"RenameOnce", "rename", false, false}, Fault{"RenameForEver", "rename", false, true},
        Fault{"CreateOnce", "create", false, false}, Fault{"CreateForEver", "create", false, true},
        Fault{"CreateOnAFullDisk", "create", true, true},
        Fault{"DeleteOnce", "delete", false, false}, Fault{"DeleteForEver", "delete", false, true},
        Fault{"SyncOfAFolderOnce", "sync folder", false, false},
        Fault{"SyncOfAFolderForEver", "sync folder", false, true},
        Fault{"LinkForEver", "link", false, true}, Fault{"MakeAFolder", "make folder", true, true},
        Fault{"RemoveAFolder", "remove folder", false, true}),
    [](const ::testing::TestParamInfo<Fault>& each) { return std::string(each.param.name); });

// Told before it is written, it would be told what is in no log.
TEST(BusWriteError, OfAPublishThatWaitsForNoSyncIsToldToWhoPublishes) {
  FaultRun run("a write");
  auto& machine = run.machine();
  {
    const auto bus = must(machine.open_bus(short_run_options()));
    must(bus->publish({.type = "a.b"}, {.durability = Durability::os}));
    machine.fail("append", 1, rocksdb::IOStatus::IOError("input/output error"), true);
    const auto receipt = bus->publish({.type = "a.b"}, {.durability = Durability::os});
    EXPECT_EQ(receipt.status(), StatusCode::indeterminate) << receipt.status().to_string();
    machine.disarm();
  }
  // The second may be there or not.
  const auto bus = must(machine.open_bus(short_run_options()));
  EXPECT_GE(FaultRun::count_events(*bus).first, 1U);
}

// A read that fails is no damage, and what cannot be read is not skipped.
TEST(BusReadError, OfAnOpenAndOfScansIsToldAndForgottenOnceTheDiskIsBack) {
  std::uint64_t at_open = 0;
  std::uint64_t at_scan = 0;
  bool has_failed = true;
  for (std::uint64_t count = 1; has_failed && !::testing::Test::HasFailure(); count += stride()) {
    SCOPED_TRACE("read " + std::to_string(count));
    FaultRun run("read " + std::to_string(count));
    run.prepare();
    run.boot();
    auto& machine = run.machine();
    machine.fail_read(count);
    Status opened;
    Status scanned;
    std::uint64_t seen = 0;
    if (const auto bus = machine.open_bus(short_run_options()); bus.ok()) {
      std::tie(seen, scanned) = FaultRun::count_events(**bus);
    } else {
      opened = bus.status();
    }
    has_failed = machine.has_failed();
    machine.disarm();
    std::uint64_t events = 0;
    run.expect_recovered(&events);
    if (!opened.ok()) {
      ++at_open;
      EXPECT_EQ(opened, StatusCode::unavailable) << opened.to_string();
    } else if (!scanned.ok()) {
      ++at_scan;
      EXPECT_EQ(scanned, StatusCode::unavailable) << scanned.to_string();
    } else {
      EXPECT_EQ(seen, events);
    }
  }
  std::cout << "reads failed in " << at_open << " opens and " << at_scan << " scans" << std::endl;
  EXPECT_GT(at_open, 0U);
}

}  // namespace
}  // namespace holdfast::testing
