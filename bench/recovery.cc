// SPDX-License-Identifier: MIT
// How long does it take to be back?
//
// settled: closing and opening a journal with a million settled events, against one with 1,000.
//
// killed: opening what a killed process left, with everything in it pending, up to the first
// handler. RocksDB opens the very same folder, with the same options and nothing around it.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <latch>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "baselines/rocks_store.h"
#include "baselines/sqlite_queue.h"
#include "holdfast/bus.h"
#include "sections.h"
#include "support/child.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kGroup = Load::kBatchEvents;
const SubscribeOptions kSubscription{.name = "bench"};

// --- Settled events -----------------------------------------------------------------------------

void settle(Bus& bus, const Load& load, std::uint64_t events) {
  std::latch unhandled(static_cast<std::ptrdiff_t>(events));
  const auto subscription =
      check(bus.subscribe(kSubscription, [&](Delivery&) { unhandled.count_down(); }));
  InFlight(bus).publish_all(load, events);
  unhandled.wait();
  check(bus.drain());
}

/// Opens `folder`, settles a thousand more, closes.
std::vector<double> measure_cycle(const fs::path& folder, const Load& load) {
  const double start = wall_seconds();
  const auto bus = check(Bus::open(folder));
  const double opened = wall_seconds();
  settle(*bus, load, kGroup);
  const double settled = wall_seconds();
  check(bus->close());
  const double closed = wall_seconds();
  return {(opened - start) * 1e3, (closed - settled) * 1e3,
          (opened - start + closed - settled) * 1e3};
}

void compare_settled(Report& report, const Load& load) {
  const std::uint64_t many = report.quick() ? 200'000 : 1'000'000;
  const auto name = "recovery/settled:" + std::to_string(many);
  if (!report.wants(name)) return;
  const auto prepare = [&](std::uint64_t events) {
    auto folder = report.temp().fresh();
    const auto bus = check(Bus::open(folder));
    settle(*bus, load, events);
    check(bus->close());
    return folder;
  };
  const Removed large{prepare(many)};
  const Removed small{prepare(1'000)};
  const std::string fewer = "holdfast, 1000 settled";
  report.compare({name,
                  {{"open ms", 2}, {"close ms", 2}, {"close and open ms", 2}},
                  {{"holdfast", [&] { return measure_cycle(large.folder, load); }},
                   {fewer, [&] { return measure_cycle(small.folder, load); }}},
                  {{"P8.settled", fewer, 2, Wanted::at_most, 1.1},
                   {"P8.settled-open", fewer, 0, Wanted::at_most, 1.1}}});
}

// --- Killed -------------------------------------------------------------------------------------

enum class Who { holdfast, rocksdb, sqlite };

std::vector<double> open_bus(const fs::path& folder, std::uint64_t events) {
  const double start = wall_seconds();
  const auto bus = check(Bus::open(folder));
  const double opened = wall_seconds();
  require(!bus->recovery().clean, "the journal was closed, nobody was killed");
  std::uint64_t pending = 0;
  for (const auto count : bus->recovery().pending) pending += count;
  require(pending == events, "not everything is pending");
  std::binary_semaphore handled{0};
  std::atomic<bool> is_first{true};
  auto subscription = check(bus->subscribe(kSubscription, [&](Delivery& delivery) {
    if (is_first.exchange(false)) handled.release();
    return Outcome::snooze(std::chrono::hours(delivery.attempt()));
  }));
  handled.acquire();
  const double first = wall_seconds();
  subscription.end();
  return {(opened - start) * 1e3, (first - start) * 1e3};
}

/// `Store` has `first`.
template <typename Store>
std::vector<double> open_store(const fs::path& folder) {
  const double start = wall_seconds();
  Store store(folder);
  const double opened = wall_seconds();
  store.first();
  return {(opened - start) * 1e3, (wall_seconds() - start) * 1e3};
}

/// What a killed process left.
class Left {
 public:
  Left(Report& report, Who who, std::uint64_t events)
      : report_(report), events_(events), folder_{report.temp().fresh()} {
    Child child({"--child", "recovery", who == Who::sqlite ? "sqlite" : "holdfast",
                 folder_.folder.string(), std::to_string(events)});
    child.line();
    child.kill();
  }

  /// Each time as it was left, byte for byte.
  std::vector<double> open(Who who) const {
    const Removed copy{report_.temp().fresh()};
    fs::copy(folder_.folder, copy.folder, fs::copy_options::recursive);
    report_.temp().sync();
    switch (who) {
      case Who::holdfast: return open_bus(copy.folder, events_);
      case Who::rocksdb: return open_store<RocksStore>(copy.folder);
      case Who::sqlite: return open_store<SqliteQueue>(copy.folder / "jobs");
    }
    throw std::logic_error("nobody");
  }

 private:
  Report& report_;
  std::uint64_t events_;
  const Removed folder_;
};

std::string name_of(std::uint64_t events) {
  return "recovery/killed/pending:" + std::to_string(events);
}

/// Of the first event, in milliseconds.
struct Growth {
  Series ours{"holdfast", {}};
  Series bare{"rocksdb DB::Open of the same", {}};
  Series sqlite{"sqlite", {}};
};

/// `row`: where it has a target, empty for a point of the picture alone. `tenth`: what was left
/// with a tenth as many pending, for how the time grows; may be null.
void compare_killed(Report& report, const Left& left, std::uint64_t events, const std::string& row,
                    const Left* tenth, Growth& growth) {
  const Left sqlite_left(report, Who::sqlite, events);
  const auto& bare = growth.bare.name;
  const auto& sqlite = growth.sqlite.name;
  const std::string fewer = "holdfast, a tenth pending";
  constexpr std::size_t kFirst = 1;
  Case what{.name = name_of(events),
            .figures = {{"open ms", 1}, {"to the first event ms", 1}},
            .contenders = {{growth.ours.name, [&] { return left.open(Who::holdfast); }},
                           {bare, [&] { return left.open(Who::rocksdb); }},
                           {sqlite, [&] { return sqlite_left.open(Who::sqlite); }}},
            .rounds_max = 3};
  if (!row.empty()) {
    what.targets = {{row + "-rocksdb", bare, kFirst, Wanted::at_most, 1.3},
                    {row + "-sqlite", sqlite, kFirst, Wanted::at_most, 4}};
  }
  if (tenth != nullptr) {
    what.contenders.push_back({fewer, [tenth] { return tenth->open(Who::holdfast); }});
    what.targets.push_back({"P8.grows", fewer, kFirst, Wanted::at_most, 2});
  }
  const auto samples = report.compare(what);
  if (samples.empty()) return;
  const auto x = static_cast<double>(events);
  growth.ours.points.emplace_back(x, median(samples[0][kFirst]));
  growth.bare.points.emplace_back(x, median(samples[1][kFirst]));
  growth.sqlite.points.emplace_back(x, median(samples[2][kFirst]));
}

}  // namespace

void recovery_child(const std::vector<std::string>& arguments) {
  const auto& folder = arguments.at(1);
  const auto events = std::stoull(arguments.at(2));
  const Load load(128);
  const auto wait_for_the_end = [] {
    std::puts("ready");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::hours(1));
  };
  if (arguments.at(0) == "sqlite") {
    fs::create_directory(folder);
    SqliteQueue queue(fs::path(folder) / "jobs");
    for (std::uint64_t i = 0; i < events; i += kGroup) queue.publish(load, i, kGroup);
    wait_for_the_end();
  } else {
    const auto bus = check(Bus::open(folder));
    check(bus->subscribe(kSubscription, [](Delivery&) {})).end();
    InFlight(*bus).publish_all(load, events);
    wait_for_the_end();
  }
}

void recovery(Report& report) {
  {
    const Load load(128);
    compare_settled(report, load);
  }
  Growth growth;
  const auto measure = [&](std::uint64_t events, const std::string& row, const Left* tenth) {
    auto left = std::make_unique<Left>(report, Who::holdfast, events);
    compare_killed(report, *left, events, row, tenth, growth);
    return left;
  };
  if (report.plots()) {
    measure(10'000, "", nullptr);
    measure(100'000, "", nullptr);
  }
  if (!report.wants(name_of(1'000'000)) && !report.wants(name_of(10'000'000))) return;
  const auto million = measure(1'000'000, "P8.1M", nullptr);
  if (!report.quick()) measure(10'000'000, "P8.10M", million.get());
  report.plot("recovery-by-backlog", {"From Bus::open to the first handler, after a kill",
                                      "events pending",
                                      "milliseconds",
                                      {growth.ours, growth.bare, growth.sqlite}});
}

}  // namespace holdfast::bench
