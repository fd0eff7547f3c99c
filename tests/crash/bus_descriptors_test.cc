// SPDX-License-Identifier: MIT
// A process that runs out of file descriptors: at the open, or later.
//
// Method: a child lowers its own limit. Below what it has open already nothing more can be opened,
// as when the rest of the program had taken all there are.
#include <algorithm>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include "support/bus_test.h"
#include "support/child_check.h"
#include "support/limits.h"
#include "support/sanitizer.h"

namespace holdfast::testing {
namespace {

constexpr auto kMinute = std::chrono::minutes(1);
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr const char* kReason = "Too many open files";
/// The sanitizer asks the system whether memory can be read, by a pipe.
constexpr const char* kNeedsDescriptors = "a sanitizer needs descriptors for itself";
/// Lower than what any process has open.
constexpr std::uint64_t kNothingMore = 1;

Options small_options() {
  Options options;
  options.memory_budget = 16 * kMiB;  // and so small tables, of which there are soon several
  return options;
}

// --- At the open --------------------------------------------------------------------------------

/// Looks, opens, publishes, handles and closes with so many descriptors, and tells how each went.
const ChildRole kFew("descriptors-few", [](const ChildArguments& given) {
  const auto said = [&](const Status& status) {
    tell(given, status.ok() ? "ok" : "error " + status.to_string());
    return status.ok();
  };
  limit_descriptors(std::stoull(given.values.at(1)));
  said(JournalView::open(given.values.at(0)).status());
  auto bus = Bus::open(given.values.at(0), small_options());
  if (!said(bus.status())) return 0;
  const auto receipt = (*bus)->publish("a.b", "x");
  if (receipt.ok()) tell(given, "receipt " + to_string(receipt->id));
  if (said(receipt.status())) {
    const auto s = (*bus)->subscribe({.name = "s"}, [](Delivery&) {});
    if (said(s.status())) said((*bus)->wait_settled(receipt->id, kMinute));
  }
  said((*bus)->close());
  return 0;
});

class Descriptors : public DiskBusTest {};

TEST_F(Descriptors, WithTooFewTheOpenSaysSoAndWithEnoughEverythingWorks) {
  if (kSanitized) GTEST_SKIP() << kNeedsDescriptors;
  options.durability = Durability::durable;
  open();
  std::set<EventId> receipts = {publish("a.b", "before").id};
  must(bus->close());
  bus.reset();
  std::size_t refused = 0;
  bool all_worked = false;
  bool unsure = false;  // some write failed: its numbers are not given out again
  for (std::uint64_t limit = 4; limit <= 40; ++limit) {
    auto child = ChildProcess::start("descriptors-few", {path(), std::to_string(limit)});
    bool failed = false;
    for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
      if (line.starts_with("receipt ")) receipts.insert(parse_event_id(line.substr(8)).value());
      if (!line.starts_with("error ")) continue;
      failed = true;
      unsure = unsure || !line.starts_with("error unavailable: ");
      EXPECT_NE(line.find(kReason), std::string::npos) << "with " << limit << ": " << line;
      EXPECT_TRUE(line.starts_with("error unavailable: ") ||
                  line.starts_with("error indeterminate: ") || line.starts_with("error poisoned: "))
          << "with " << limit << ": " << line;
    }
    EXPECT_TRUE(child.succeeded()) << "with " << limit;
    refused += failed ? 1 : 0;
    all_worked = !failed;
  }
  std::cout << refused << " of 37 limits were too low" << std::endl;
  EXPECT_GT(refused, 0U);
  EXPECT_TRUE(all_worked) << "with 40 descriptors there are enough";
  open();
  EXPECT_TRUE(bus->recovery().lost.empty() || unsure);
  for (const auto id : receipts) {
    EXPECT_TRUE(must(bus->get(id)).has_value()) << to_string(id);
  }
}

// --- Later --------------------------------------------------------------------------------------

/// The engine needs a new log and a new table, and gets neither.
std::string run_out_while_publishing(const std::string& folder) {
  auto bus = must(Bus::open(folder + "/journal", small_options()));
  Runs runs;
  auto s = must(bus->subscribe({.name = "s", .types = {"handled"}},
                               [&](Delivery& delivery) { runs.note(delivery); }));
  std::vector<EventId> receipts;
  receipts.push_back(must(bus->publish("handled", "before")).id);
  CHILD_EXPECT(bus->wait_settled(receipts[0], kMinute).ok());
  limit_descriptors(kNothingMore);
  Status status;
  const std::string payload(100'000, 'x');
  while (status.ok() && receipts.size() < 2'000) {
    const auto receipt = bus->publish({.type = "a.b", .payload = payload});
    status = receipt.status();
    if (status.ok()) receipts.push_back(receipt->id);
  }
  CHILD_EXPECT(receipts.size() > 10);
  CHILD_EXPECT(fails(status, StatusCode::indeterminate, {kReason}));
  CHILD_EXPECT(fails(bus->publish("a.b", "x"), StatusCode::poisoned, {kReason}));
  CHILD_EXPECT(bus->stats().health == StatusCode::poisoned);
  s.end();
  CHILD_EXPECT(fails(bus->close(), StatusCode::poisoned, {kReason}));
  bus.reset();
  CHILD_EXPECT(
      fails(Bus::open(folder + "/journal", small_options()), StatusCode::unavailable, {kReason}));
  unlimit_descriptors();
  bus = must(Bus::open(folder + "/journal", small_options()));
  CHILD_EXPECT(bus->recovery().lost.empty());
  for (const auto& id : receipts) CHILD_EXPECT(must(bus->get(id)).has_value());
  CHILD_EXPECT(must(bus->get(receipts[0]))->state == EventState::settled);
  CHILD_EXPECT(must(bus->publish("a.b", "x")).id > receipts.back());
  CHILD_EXPECT_EQ(runs.size(), std::size_t{1});
  return kFine;
}
const ChildRole kWhilePublishing("descriptors-publishing", say<run_out_while_publishing>);

TEST(RunningOutOfDescriptors, WhilePublishingPoisonsSaysWhyAndLosesNothing) {
  if (kSanitized) GTEST_SKIP() << kNeedsDescriptors;
  expect_fine("descriptors-publishing");
}

/// Only the watermark is to be written anew, which can wait.
std::string run_out_for_a_while(const std::string& folder) {
  const auto log = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(16);
  auto options = small_options();
  options.logger = std::make_shared<spdlog::logger>("test", log);
  auto bus = must(Bus::open(folder + "/journal", options));
  limit_descriptors(kNothingMore);
  std::vector<EventId> receipts;
  receipts.push_back(must(bus->publish("a.b", "while there are none")).id);
  CHILD_EXPECT(eventually([&] {
    const auto lines = log->last_formatted();
    return std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find(kReason) != std::string::npos;
    });
  }));
  receipts.push_back(must(bus->publish("a.b", "and still")).id);
  unlimit_descriptors();
  receipts.push_back(must(bus->publish("a.b", "again")).id);
  CHILD_EXPECT(bus->stats().health.ok());
  CHILD_EXPECT(bus->close().ok());
  bus = must(Bus::open(folder + "/journal", options));
  CHILD_EXPECT(bus->recovery().clean);
  for (const auto& id : receipts) CHILD_EXPECT(must(bus->get(id)).has_value());
  return kFine;
}
const ChildRole kForAWhile("descriptors-a-while", say<run_out_for_a_while>);

TEST(RunningOutOfDescriptors, ForAWhileStopsNobodyWhoNeedsNone) {
  if (kSanitized) GTEST_SKIP() << kNeedsDescriptors;
  expect_fine("descriptors-a-while");
}

constexpr int kTries = 10;

/// Events in more tables than the engine opens by itself, with a low limit of descriptors.
std::size_t publish_many_tables(const std::string& path) {
  constexpr std::size_t kEvents = 200;
  std::minstd_rand random(1);
  const auto bus = must(Bus::open(path, small_options()));
  for (int i = 0; i < kTries; ++i) {
    must(bus->subscribe({.name = "s" + std::to_string(i)}, [](Delivery&) {})).end();
  }
  for (std::size_t i = 0; i < kEvents; ++i) {
    // Such that it cannot be compressed.
    auto payload = std::to_string(i) + ' ' + std::string(200'000, '\0');
    for (auto at = payload.find(' ') + 1; at < payload.size(); ++at) {
      payload[at] = static_cast<char>(random());
    }
    must(bus->publish({.type = "a.b", .payload = payload}, {.durability = Durability::os}));
  }
  return kEvents;
}

/// Some have to be opened to be read, unless the engine had to do with them just before.
std::string run_out_while_reading(const std::string& folder) {
  const auto path = folder + "/journal";
  const auto published = publish_many_tables(path);
  bool was_blocked = false;
  for (int i = 0; i < kTries && !was_blocked; ++i) {
    const auto name = "s" + std::to_string(i);
    limit_descriptors(64);
    const auto bus = must(Bus::open(path, small_options()));
    Collected<std::size_t> numbers;
    limit_descriptors(kNothingMore);
    const auto s = bus->subscribe({.name = name}, [&](Delivery& delivery) {
      numbers.add(std::stoull(std::string(delivery.event().payload_text().substr(0, 8))));
    });
    const auto blocked = [&] {
      for (const auto& each : bus->stats().subscriptions) {
        if (each.name == name) return each.blocked;
      }
      return std::string();
    };
    // The engine may have been about to put tables together, and that has failed.
    const auto is_poisoned = [&] { return !s.ok() || !bus->stats().health.ok(); };
    CHILD_EXPECT(eventually(
        [&] { return !blocked().empty() || numbers.size() == published || is_poisoned(); }));
    if (is_poisoned()) {
      CHILD_EXPECT(fails(bus->publish("a.b", "x"), StatusCode::poisoned, {kReason}));
      unlimit_descriptors();
      continue;
    }
    const auto why = blocked();
    was_blocked = !why.empty();
    CHILD_EXPECT(!was_blocked || why.find(kReason) != std::string::npos);
    unlimit_descriptors();
    // It goes on by itself.
    CHILD_EXPECT(eventually([&] { return numbers.size() == published || is_poisoned(); }));
    if (is_poisoned()) {
      was_blocked = false;
      continue;
    }
    CHILD_EXPECT(eventually([&] { return blocked().empty(); }));
    const auto all = numbers.all();
    for (std::size_t number = 0; number < published; ++number) {
      CHILD_EXPECT_EQ(all[number], number);
    }
  }
  // `SchedulerTest` has the rule without the engine.
  if (!was_blocked)
    return kNotHere + "the engine had all tables open, or put some together, each time";
  return kFine;
}
const ChildRole kWhileReading("descriptors-reading", say<run_out_while_reading>);

TEST(RunningOutOfDescriptors, WhileReadingABacklogIsToldAndGoesOnWhenThereAreSomeAgain) {
  if (kSanitized) GTEST_SKIP() << kNeedsDescriptors;
  expect_fine("descriptors-reading");
}

}  // namespace
}  // namespace holdfast::testing
