// SPDX-License-Identifier: MIT
// A disk that fills up: publishing is refused early, the rest goes on, and nothing is lost.
//
// Method: a child puts a small file system over the journal's folder, which only it can see, and
// fills it. Where the machine does not allow that the tests are skipped.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_check.h"
#include "support/own_file_system.h"

namespace holdfast::testing {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint64_t kDisk = 160 * kMiB;
constexpr std::uint64_t kReserve = 64 * kMiB;
constexpr auto kMinute = std::chrono::minutes(1);
const std::string kMayNotMount = kNotHere + "may not mount a file system";

Options small_disk_options() {
  Options options;
  options.limits.disk_reserve_bytes = kReserve;
  return options;
}

std::string refuse_below_the_reserve(const std::string& folder) {
  if (!mount_own_file_system(folder, kDisk)) return kMayNotMount;
  auto bus = must(Bus::open(folder + "/journal", small_disk_options()));
  Signal go_on;
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { go_on.wait(); }));
  const auto before = must(bus->publish("a.b", "before"));
  const auto waiting = must(bus->publish("a.b", "waits behind it"));
  fill_file_system(folder + "/filler", kReserve - kMiB);
  const auto refused = [&] {
    return fails(bus->publish("a.b", "more"), StatusCode::resource_exhausted,
                 {"limits.disk_reserve_bytes", std::to_string(kReserve)});
  };
  CHILD_EXPECT(eventually([&] { return bool(refused()); }));
  CHILD_EXPECT(refused());
  CHILD_EXPECT(fails(bus->publish_batch(std::vector<OwnedEvent>(1, {.type = "a.b", .payload = {}})),
                     StatusCode::resource_exhausted));
  CHILD_EXPECT(bus->stats().publishes_refused > 0);
  // What was accepted can be cancelled, and is settled all the same.
  const auto cancelled = bus->cancel(waiting.id, "no room");
  CHILD_EXPECT(cancelled.ok() && cancelled->outcome == CancelOutcome::prevented);
  go_on.set();
  CHILD_EXPECT(bus->wait_settled(before.id, kMinute).ok());
  bus.reset();
  // An open begins with a look.
  bus = must(Bus::open(folder + "/journal", small_disk_options()));
  CHILD_EXPECT(refused());
  // When there is room again it goes on by itself.
  fs::remove(folder + "/filler");
  CHILD_EXPECT(eventually([&] { return bus->publish("a.b", "after").ok(); }));
  return kFine;
}
const ChildRole kRefuse("disk-refuse", say<refuse_below_the_reserve>);

TEST(FullDisk, PublishingIsRefusedEarlySettlingGoesOnAndSoDoesPublishingWhenThereIsRoom) {
  expect_fine("disk-refuse");
}

/// As fast as it can, until it is refused.
std::string run_into_the_reserve(const std::string& folder) {
  if (!mount_own_file_system(folder, kDisk)) return kMayNotMount;
  const auto bus = must(Bus::open(folder + "/journal", small_disk_options()));
  must(bus->subscribe({.name = "s"}, [](Delivery&) {})).end();
  std::vector<OwnedEvent> events(1'000, {.type = "a.b", .payload = std::string(8'000, 'x')});
  Status status;
  std::uint64_t published = 0;
  while (status.ok()) {
    status = bus->publish_batch(events, {.durability = Durability::os}).status();
    if (status.ok()) published += events.size();
  }
  CHILD_EXPECT(fails(status, StatusCode::resource_exhausted, {"limits.disk_reserve_bytes"}));
  CHILD_EXPECT(fs::space(folder).available > kReserve / 4);
  CHILD_EXPECT(bus->stats().health.ok());
  std::atomic<std::uint64_t> handled{0};
  const auto s = must(bus->subscribe({.name = "s"}, [&](Delivery&) { ++handled; }));
  CHILD_EXPECT(eventually([&] { return handled == published; }));
  CHILD_EXPECT(bus->close().ok());
  return kFine;
}
const ChildRole kRunInto("disk-run-into", say<run_into_the_reserve>);

TEST(FullDisk, APublisherFasterThanTheUpkeepMeetsTheReserveAndNotTheEndOfTheDisk) {
  expect_fine("disk-run-into");
}

/// Somebody else takes the reserve as well.
std::string lose_nothing(const std::string& folder) {
  if (!mount_own_file_system(folder, kDisk)) return kMayNotMount;
  auto options = small_disk_options();
  options.limits.disk_reserve_bytes = 0;
  auto bus = must(Bus::open(folder + "/journal", options));
  std::vector<EventId> receipts;
  for (int i = 0; i < 100; ++i) receipts.push_back(must(bus->publish("a.b", "x")).id);
  fill_file_system(folder + "/filler", 0);
  Status status;
  const std::string payload(100'000, 'x');
  while (status.ok()) {
    const auto receipt = bus->publish({.type = "a.b", .payload = payload});
    status = receipt.status();
    if (status.ok()) receipts.push_back(receipt->id);
  }
  CHILD_EXPECT(status == StatusCode::indeterminate);
  CHILD_EXPECT(bus->publish("a.b", "x").status() == StatusCode::poisoned);
  bus.reset();
  fs::remove(folder + "/filler");
  bus = must(Bus::open(folder + "/journal", options));
  for (const auto& id : receipts) CHILD_EXPECT(must(bus->get(id)).has_value());
  const auto next = must(bus->publish("a.b", "x")).id;
  CHILD_EXPECT(next > receipts.back());
  return kFine;
}
const ChildRole kLose("disk-lose", say<lose_nothing>);

TEST(FullDisk, ADiskThatIsFullToTheLastByteLosesNothingThatWasPromised) {
  expect_fine("disk-lose");
}

}  // namespace
}  // namespace holdfast::testing
