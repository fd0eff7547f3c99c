// SPDX-License-Identifier: MIT
// A journal that may only be read, or less, from the beginning or from some moment on.
//
// Method: a child becomes somebody whom permissions bind and owns the journal; or it makes a file
// system of its own read-only.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include "support/bus_test.h"
#include "support/child_check.h"
#include "support/command.h"
#include "support/journal_image.h"
#include "support/limits.h"
#include "support/own_file_system.h"

namespace holdfast::testing {
namespace {

namespace fs = std::filesystem;

constexpr auto kMinute = std::chrono::minutes(1);
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr const char* kDenied = "Permission denied";
const std::string kNotNobody = kNotHere + "cannot become somebody whom permissions bind";

Options small_options() {
  Options options;
  options.memory_budget = 16 * kMiB;
  return options;
}

void set_mode(const fs::path& path, unsigned mode) { fs::permissions(path, fs::perms(mode)); }

/// Of the files alone.
void set_modes_in(const fs::path& folder, unsigned mode) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  for (const auto& file : files) set_mode(file, mode);
}

/// A journal with settled, pending and unclaimed events, in tables and in the log of a run that was
/// killed.
void make_journal(const std::string& path) {
  const auto other = path + "-live";
  const auto bus = must(Bus::open(other, small_options()));
  const auto s = must(bus->subscribe({.name = "s", .types = {"work"}}, [](Delivery&) {}));
  must(bus->wait_settled(must(bus->publish("work", "settled")).id, kMinute));
  for (int i = 0; i < 30; ++i) {
    must(bus->publish({.type = "other", .payload = std::string(100'000, 'x')}));
  }
  copy_image(other, path);
}

/// Whether looking at the journal works in every way, and finds the `events` that are in it.
std::string check_reading(const std::string& path, std::size_t events) {
  const auto view = JournalView::open(path);
  CHILD_EXPECT(is_ok(view));
  std::size_t found = 0;
  CHILD_EXPECT((*view)
                   ->scan({},
                          [&](const EventView&, EventState) {
                            ++found;
                            return true;
                          })
                   .ok());
  CHILD_EXPECT_EQ(found, events);
  CHILD_EXPECT((*view)->get({Priority::normal, 1}).ok());
  const std::vector<std::vector<std::string>> commands = {
      {"stat", path}, {"ls", path, "--json"}, {"show", path, "normal:1"}};
  for (auto command : commands) {
    command.insert(command.begin(), HOLDFAST_TOOL);
    const auto ran = run_command(command);
    if (ran.exit_code != 0) return command[1] + ": " + ran.err;
    CHILD_EXPECT(!ran.out.empty());
  }
  return kFine;
}

/// And that the command which writes says that it cannot.
std::string check_reading_alone(const std::string& path, std::size_t events) {
  if (auto said = check_reading(path, events); said != kFine) return said;
  const auto publish = run_command({HOLDFAST_TOOL, "publish", path, "-"},
                                   {.input = "{\"type\":\"a.b\",\"payload\":\"x\"}\n"});
  CHILD_EXPECT_EQ(publish.exit_code, 5);
  return kFine;
}

// --- From the beginning -------------------------------------------------------------------------

std::string read_without_write_permission(const std::string& folder) {
  if (!become_nobody()) return kNotNobody;
  const auto path = folder + "/journal";
  make_journal(path);
  set_modes_in(path, 0444);
  set_mode(path, 0555);
  const auto before = contents_of(path);
  CHILD_EXPECT(fails(Bus::open(path, small_options()), StatusCode::unavailable, {path, kDenied}));
  if (const auto said = check_reading_alone(path, 31); said != kFine) return said;
  CHILD_EXPECT_EQ(difference(before, contents_of(path)), std::string());
  set_mode(path, 0700);
  // The files alone.
  CHILD_EXPECT(fails(Bus::open(path, small_options()), StatusCode::unavailable, {path, kDenied}));
  set_modes_in(path, 0600);
  const auto bus = must(Bus::open(path, small_options()));
  CHILD_EXPECT(bus->recovery().lost.empty());
  CHILD_EXPECT(bus->publish("a.b", "x").ok());
  return kFine;
}
const ChildRole kReadOnlyFiles("permissions-read-only", say<read_without_write_permission>);

std::string read_on_a_read_only_file_system(const std::string& folder) {
  if (!mount_own_file_system(folder, 128 * kMiB)) return kNotHere + "may not mount a file system";
  const auto path = folder + "/journal";
  make_journal(path);
  CHILD_EXPECT(make_own_file_system_read_only(folder));
  CHILD_EXPECT(fails(Bus::open(path, small_options()), StatusCode::unavailable,
                     {path, "Read-only file system"}));
  CHILD_EXPECT(fails(Bus::open(folder + "/new", small_options()), StatusCode::unavailable,
                     {"Read-only file system"}));
  return check_reading_alone(path, 31);
}
const ChildRole kReadOnlyMount("permissions-mount", say<read_on_a_read_only_file_system>);

/// Whatever a folder or a file lacks: that is no damage, and the journal stays as it is.
std::string refuse_whatever_is_forbidden(const std::string& folder) {
  if (!become_nobody()) return kNotNobody;
  const auto path = folder + "/journal";
  make_journal(path);
  const auto before = contents_of(path);
  const auto check = [&](const std::string& what) {
    const auto opened = Bus::open(path, small_options());
    if (fails(opened, StatusCode::unavailable, {path, kDenied})) return kFine;
    return what + ": " + opened.status().to_string();
  };
  for (const unsigned mode : {0000U, 0111U, 0222U, 0333U, 0444U, 0555U, 0666U}) {
    set_mode(path, mode);
    const auto said = check("folder of mode " + std::to_string(mode));
    set_mode(path, 0700);
    if (said != kFine) return said;
  }
  CHILD_EXPECT_EQ(difference(before, contents_of(path)), std::string());
  for (const auto& file : files_in(path, "", "")) {
    const auto name = file.filename().string();
    // Nothing is read of these: an open replaces or removes them.
    if (name.starts_with("OPTIONS-") || name == "IDENTITY") continue;
    // One that has come that far may have put what was in the log into a table.
    if (!fs::exists(file)) continue;
    set_mode(file, 0000);
    const auto said = check(name);
    if (fs::exists(file)) set_mode(file, 0600);
    if (said != kFine) return said;
  }
  if (const auto said = check_reading(path, 31); said != kFine) return said;
  const auto bus = must(Bus::open(path, small_options()));
  CHILD_EXPECT(bus->recovery().lost.empty());
  CHILD_EXPECT(must(bus->get({Priority::normal, 1}))->state == EventState::settled);
  return kFine;
}
const ChildRole kForbidden("permissions-forbidden", say<refuse_whatever_is_forbidden>);

/// A folder that belongs to who the child becomes, if this is root.
void expect_fine_of_nobody(const char* role) {
  const TempFolder folder;
  give_to_nobody(folder.path());
  expect_fine(role, folder.path().string());
}

TEST(ReadOnly, FilesCanBeReadInEveryWayAndAnOpenSaysWhyItCannot) {
  expect_fine_of_nobody("permissions-read-only");
}

TEST(ReadOnly, FileSystemCanBeReadInEveryWayAndAnOpenSaysWhyItCannot) {
  expect_fine("permissions-mount");
}

TEST(Permissions, WhateverIsForbiddenTheOpenSaysSoAndTakesItForNoDamage) {
  expect_fine_of_nobody("permissions-forbidden");
}

// --- Underway -----------------------------------------------------------------------------------

/// Nothing of it may be opened any more, as after a `chmod -R 000`.
void forbid(const std::string& path) {
  set_modes_in(path, 0000);
  set_mode(path, 0000);
}
void allow(const std::string& path) {
  set_mode(path, 0700);
  set_modes_in(path, 0600);
}

std::string forbid_for_a_while(const std::string& folder) {
  if (!become_nobody()) return kNotNobody;
  const auto path = folder + "/journal";
  const auto log = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(16);
  auto options = small_options();
  options.logger = std::make_shared<spdlog::logger>("test", log);
  auto bus = must(Bus::open(path, options));
  std::vector<EventId> receipts;
  Runs runs;
  auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
  receipts.push_back(must(bus->publish("a.b", "before")).id);
  forbid(path);
  receipts.push_back(must(bus->publish("a.b", "meanwhile")).id);
  // What has to be written anew, the watermark, is tried and told.
  CHILD_EXPECT(eventually([&] {
    const auto lines = log->last_formatted();
    return std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find(kDenied) != std::string::npos;
    });
  }));
  receipts.push_back(must(bus->publish("a.b", "and still")).id);
  for (const auto id : receipts) CHILD_EXPECT(bus->wait_settled(id, kMinute).ok());
  allow(path);
  receipts.push_back(must(bus->publish("a.b", "after")).id);
  CHILD_EXPECT(bus->wait_settled(receipts.back(), kMinute).ok());
  CHILD_EXPECT(bus->stats().health.ok());
  s.end();
  CHILD_EXPECT(bus->close().ok());
  bus = must(Bus::open(path, options));
  CHILD_EXPECT(bus->recovery().clean);
  for (const auto id : receipts) CHILD_EXPECT(must(bus->get(id))->state == EventState::settled);
  CHILD_EXPECT_EQ(runs.size(), receipts.size());
  return kFine;
}
const ChildRole kForAWhile("permissions-a-while", say<forbid_for_a_while>);

/// Until a new log is needed, and it is closed like that.
std::string forbid_for_good(const std::string& folder) {
  if (!become_nobody()) return kNotNobody;
  const auto path = folder + "/journal";
  auto bus = must(Bus::open(path, small_options()));
  std::vector<EventId> receipts = {must(bus->publish("a.b", "before")).id};
  forbid(path);
  Status status;
  while (status.ok() && receipts.size() < 2'000) {
    const auto receipt = bus->publish({.type = "a.b", .payload = std::string(100'000, 'x')});
    status = receipt.status();
    if (status.ok()) receipts.push_back(receipt->id);
  }
  CHILD_EXPECT(receipts.size() > 10);
  CHILD_EXPECT(fails(status, StatusCode::indeterminate, {kDenied}));
  CHILD_EXPECT(fails(bus->publish("a.b", "x"), StatusCode::poisoned, {kDenied}));
  CHILD_EXPECT(fails(bus->close(), StatusCode::poisoned, {kDenied}));
  bus.reset();
  CHILD_EXPECT(fails(Bus::open(path, small_options()), StatusCode::unavailable, {kDenied}));
  allow(path);
  bus = must(Bus::open(path, small_options()));
  for (const auto id : receipts) CHILD_EXPECT(must(bus->get(id)).has_value());
  CHILD_EXPECT(must(bus->publish("a.b", "x")).id > receipts.back());
  return kFine;
}
const ChildRole kForGood("permissions-for-good", say<forbid_for_good>);

/// Closed while nothing may be made in the folder.
std::string close_while_forbidden(const std::string& folder) {
  if (!become_nobody()) return kNotNobody;
  const auto path = folder + "/journal";
  auto bus = must(Bus::open(path, small_options()));
  const auto before = must(bus->publish("a.b", "before")).id;
  forbid(path);
  const auto meanwhile = must(bus->publish("a.b", "meanwhile")).id;
  CHILD_EXPECT(bus->close().ok());
  bus.reset();
  allow(path);
  bus = must(Bus::open(path, small_options()));
  CHILD_EXPECT(bus->recovery().lost.empty());
  CHILD_EXPECT(must(bus->get(before)).has_value() && must(bus->get(meanwhile)).has_value());
  return kFine;
}
const ChildRole kClose("permissions-close", say<close_while_forbidden>);

TEST(PermissionsTakenAway, ForAWhileStopNobodyWhoNeedsNoNewFile) {
  expect_fine_of_nobody("permissions-a-while");
}

TEST(PermissionsTakenAway, UntilANewFileIsNeededPoisonsSaysWhyAndLosesNothing) {
  expect_fine_of_nobody("permissions-for-good");
}

TEST(PermissionsTakenAway, WhileItClosesLoseNothing) { expect_fine_of_nobody("permissions-close"); }

}  // namespace
}  // namespace holdfast::testing
