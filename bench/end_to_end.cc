// SPDX-License-Identifier: MIT
// An event's whole way: published durably, handed to a handler, acked durably. The clock runs from
// the first publish until the last ack is on disk. A raw log and RocksDB beside it only write: they
// hand nothing to anybody and keep no acks. SQLite does the whole way (insert; claim; delete) as a
// table of jobs.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <latch>
#include <string>
#include <vector>

#include "baselines/raw_log.h"
#include "baselines/rocks_store.h"
#include "baselines/sqlite_queue.h"
#include "holdfast/bus.h"
#include "sections.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

const std::string kSynced = "rocksdb WriteBatch, sync";
const std::string kDecoupled = "rocksdb WriteBatch, synced beside";
const std::string kDefaults = "rocksdb as it comes, sync";
const std::string kLog = "raw log";
const std::string kLogAhead = "raw log, preallocated";
const std::string kSqlite = "sqlite insert, claim, ack";

struct Shape {
  std::uint64_t events;
  std::uint64_t group;      // events in a batch; 1: published one by one
  std::uint64_t in_flight;  // batches
  std::uint32_t concurrency = 1;
  bool is_told = false;  // of every event, through `on_settled`
  bool is_kept = false;  // settled events stay for a while, as they do by default
};

void publish_all(Bus& bus, const Load& load, const Shape& shape) {
  if (shape.group > 1) return InFlight(bus, shape.in_flight).publish_all(load, shape.events);
  Gate gate(shape.in_flight);
  std::atomic<bool> failed{false};
  for (std::uint64_t i = 0; i < shape.events; ++i) {
    gate.enter();
    check(bus.publish_async(load.event(i), [&](const Result<Receipt>& receipt) {
      if (!receipt.ok()) failed = true;
      gate.leave();
    }));
  }
  gate.wait_empty();
  require(!failed, "something was not published");
}

enum class Until { acked, closed };

std::vector<double> measure_bus(Report& report, const Load& load, const Shape& shape,
                                Until until = Until::acked) {
  const Removed folder{report.temp().fresh()};
  Options bus_options;
  if (!shape.is_kept) bus_options.retention = {std::chrono::seconds(0), 0};
  const auto bus = check(Bus::open(folder.folder, bus_options));
  std::latch unhandled(static_cast<std::ptrdiff_t>(shape.events));
  std::latch untold(static_cast<std::ptrdiff_t>(shape.is_told ? shape.events : 0));
  SubscribeOptions options{.name = "bench", .concurrency = shape.concurrency};
  if (shape.is_told) {
    options.on_settled = [&](EventId, Settled) { untold.count_down(); };
  }
  std::atomic<std::uint64_t> braces{0};
  const auto subscription = check(bus->subscribe(options, [&](Delivery& delivery) {
    if (delivery.event().payload_text().front() == '{')
      braces.fetch_add(1, std::memory_order_relaxed);
    unhandled.count_down();
  }));
  const Stopwatch watch;
  publish_all(*bus, load, shape);
  unhandled.wait();
  untold.wait();
  check(bus->drain());  // Every ack is durable after this.
  if (until == Until::closed) check(bus->close());
  const auto rates = watch.rates(shape.events);
  require(braces == shape.events, "a handler saw something else than was published");
  return rates;
}

std::vector<double> measure_sqlite(Report& report, const Load& load, const Shape& shape) {
  const Removed folder{report.temp().fresh()};
  std::filesystem::create_directory(folder.folder);
  SqliteQueue queue(folder.folder / "jobs");
  const Stopwatch watch;
  std::uint64_t claimed = 0;
  for (std::uint64_t i = 0; i < shape.events; i += shape.group) {
    queue.publish(load, i, shape.group);
    claimed += queue.claim(shape.group, true);
  }
  queue.ack();
  require(claimed == shape.events, "not every job was claimed");
  return watch.rates(shape.events);
}

std::vector<double> measure_log(Report& report, const Load& load, const Shape& shape,
                                RawLog::Space space) {
  const auto folder = report.temp().fresh();
  const Removed file{folder};
  RawLog log(folder, space);
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < shape.events; i += shape.group) log.write(load, i, shape.group);
  return watch.rates(shape.events);
}

std::vector<double> measure_rocks(Report& report, const Load& load, const Shape& shape,
                                  RocksStore::Setup setup) {
  const Removed folder{report.temp().fresh()};
  RocksStore store(folder.folder, setup);
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < shape.events; i += shape.group) {
    store.write(load, i, shape.group, true);
  }
  return watch.rates(shape.events);
}

std::vector<double> measure_decoupled(Report& report, const Load& load, const Shape& shape) {
  const Removed folder{report.temp().fresh()};
  RocksStore store(folder.folder);
  const Stopwatch watch;
  store.write_decoupled(load, shape.events, shape.group, shape.in_flight);
  return watch.rates(shape.events);
}

/// The bus, and everybody it is compared with; `targets` name them.
void compare(Report& report, const Load& load, const std::string& name, const Shape& shape,
             std::vector<Target> targets) {
  auto fewer = shape;
  fewer.events = std::max(shape.group, shape.events / 4 / shape.group * shape.group);
  report.compare(
      {name,
       kRateFigures,
       {{"holdfast", [&] { return measure_bus(report, load, shape); }},
        {kSynced,
         [&] { return measure_rocks(report, load, shape, RocksStore::Setup::as_the_bus); }},
        {kDecoupled, [&] { return measure_decoupled(report, load, shape); }},
        {kDefaults,
         [&] { return measure_rocks(report, load, shape, RocksStore::Setup::as_it_comes); }},
        {kLog, [&] { return measure_log(report, load, shape, RawLog::Space::as_it_grows); }},
        {kLogAhead, [&] { return measure_log(report, load, shape, RawLog::Space::preallocated); }},
        {kSqlite, [&] { return measure_sqlite(report, load, fewer); }}},
       std::move(targets)});
}

/// Ours against ours: what a setting costs.
void compare_shapes(Report& report, const Load& load, const std::string& name, const Shape& shape,
                    const std::string& other_name, const Shape& other,
                    std::vector<Target> targets = {}) {
  report.compare({name,
                  kRateFigures,
                  {{"holdfast", [&] { return measure_bus(report, load, shape); }},
                   {other_name, [&] { return measure_bus(report, load, other); }}},
                  std::move(targets)});
}

void compare_small(Report& report, const Load& load) {
  const std::string name = "end_to_end/payload:128/batch:1000/in_flight:4";
  const Shape off{report.quick() ? 100'000U : 500'000U, 1'000, 4};
  compare(report, load, name + "/retention:0", off,
          {{"P0.rate", "", kRate, Wanted::at_least, 10},
           {"P1.rocksdb-sync", kSynced, kRate, Wanted::at_least, 1.5},
           {"P1.rocksdb-beside", kDecoupled, kRate, Wanted::at_least, 1.0},
           {"P1.sqlite", kSqlite, kRate, Wanted::at_least, 5},
           {"P1.rocksdb-defaults", kDefaults, kRate, Wanted::at_least, 1.0},
           {"P1.rocksdb-sync+", kSynced, kRate, Wanted::at_least, 2, true},
           {"P1.rocksdb-beside+", kDecoupled, kRate, Wanted::at_least, 1.2, true},
           {"P1.raw-log+", kLog, kRate, Wanted::at_least, 1, true},
           {"P11.cpu", kDecoupled, kCpu, Wanted::at_most, 1.1}});
  auto kept = off;
  kept.is_kept = true;
  compare_shapes(report, load, name + "/retention:default", kept, "holdfast, retention off", off,
                 {{"P1.retention", "holdfast, retention off", kRate, Wanted::at_least, 0.75}});
  if (report.quick()) return;
  auto told = off;
  told.is_told = true;
  compare_shapes(report, load, name + "/told", told, "holdfast, not told", off);
  auto wide = off;
  wide.concurrency = 64;
  compare_shapes(report, load, name + "/concurrency:64", wide, "holdfast, concurrency 1", off);
  const Shape alone{off.events, 1'000, 1};
  compare(report, load, "end_to_end/payload:128/batch:1000/in_flight:1", alone,
          {{"P1.one-on-its-way", kDefaults, kRate, Wanted::at_least, 1.0}});
  const Shape singles{off.events / 2, 1, 8'192};
  compare_shapes(report, load, "end_to_end/payload:128/async/in_flight:8192", singles,
                 "holdfast, batches of 1000", off);
}

void compare_large(Report& report) {
  {
    const Load load(1'024);
    compare(report, load, "end_to_end/payload:1024/batch:1000/in_flight:4",
            {report.quick() ? 20'000U : 100'000U, 1'000, 4},
            {{"P2.1KiB-rocksdb-defaults", kDefaults, kRate, Wanted::at_least, 1.0},
             {"P2.1KiB-rocksdb-beside", kDecoupled, kRate, Wanted::at_least, 0.9},
             {"P2.1KiB-sqlite", kSqlite, kRate, Wanted::at_least, 4},
             {"P2.1KiB-raw-log+", kLog, kRate, Wanted::at_least, 0.5, true}});
  }
  const Load load(65'536, 16);
  compare(report, load, "end_to_end/payload:65536/batch:16/in_flight:4",
          {report.quick() ? 640U : 3'200U, 16, 4},
          {{"P2.64KiB-rocksdb-sync", kSynced, kRate, Wanted::at_least, 0.8},
           {"P2.64KiB-rocksdb-beside", kDecoupled, kRate, Wanted::at_least, 0.8},
           {"P2.64KiB-sqlite", kSqlite, kRate, Wanted::at_least, 4}});
}

/// How the rate grows with the group, as a picture.
void plot_groups(Report& report) {
  constexpr int kRounds = 3;
  Series ours{"holdfast, whole way", {}};
  Series rocks{"rocksdb writes, sync", {}};
  Series log{"raw log", {}};
  Series sqlite{"sqlite, whole way", {}};
  for (const std::uint64_t group : {1, 3, 10, 30, 100, 300, 1'000, 3'000, 10'000}) {
    const Load load(128, group);
    const auto groups = std::clamp<std::uint64_t>(200'000 / group, 20, report.quick() ? 100 : 500);
    const Shape shape{.events = groups * group, .group = group, .in_flight = 4, .is_kept = true};
    auto fewer = shape;
    fewer.events = std::max<std::uint64_t>(groups / 5, 4) * group;
    const auto add = [&](Series& series, const std::function<std::vector<double>()>& measure) {
      std::vector<double> rates;
      for (int i = 0; i < kRounds; ++i) rates.push_back(measure()[kRate] * 1'000);
      series.points.emplace_back(static_cast<double>(group), median(rates));
    };
    add(ours, [&] { return measure_bus(report, load, shape); });
    add(rocks, [&] { return measure_rocks(report, load, shape, RocksStore::Setup::as_the_bus); });
    add(log, [&] { return measure_log(report, load, shape, RawLog::Space::as_it_grows); });
    add(sqlite, [&] { return measure_sqlite(report, load, fewer); });
  }
  report.plot("rate-by-group", {"Durable events a second by the size of their group",
                                "events in a group, 128 bytes each",
                                "events a second",
                                {ours, rocks, log, sqlite}});
}

/// From the kernel's own count, closing included; so many that space is given back underway.
void compare_bytes(Report& report, const Load& load) {
  const auto record = static_cast<double>(load.record(0).size());
  const auto measure = [&](bool is_kept) {
    const Shape shape{report.quick() ? 400'000U : 3'000'000U, 1'000, 4, 1, false, is_kept};
    const auto rates = measure_bus(report, load, shape, Until::closed);
    return std::vector<double>{rates[kToDisk] / record, rates[kToDisk], rates[kByCalls]};
  };
  const std::vector<Figure> figures = {
      {"B to disk / B of the record", 2}, {"B to disk/event", 0}, {"B written/event", 0}};
  const std::string name = "end_to_end/whole_life/payload:128/retention:";
  report.compare({.name = name + "0",
                  .figures = figures,
                  .contenders = {{"holdfast", [&] { return measure(false); }}},
                  .targets = {{"P10.retention-off", "", 0, Wanted::at_most, 1.3}},
                  .rounds_max = 3});
  report.compare({.name = name + "default",
                  .figures = figures,
                  .contenders = {{"holdfast", [&] { return measure(true); }}},
                  .targets = {{"P10.retention", "", 0, Wanted::at_most, 2.5}},
                  .rounds_max = 3});
  report.compare({.name = "end_to_end/record/payload:128",
                  .figures = {{"B of a record beside payload and type", 0}},
                  .contenders = {{"holdfast",
                                  [&] {
                                    return std::vector<double>{
                                        static_cast<double>(load.record_overhead())};
                                  }}},
                  .targets = {{"P10.record", "", 0, Wanted::at_most, 100}},
                  .rounds_max = 1});
}

}  // namespace

void end_to_end(Report& report) {
  const Load load(128);
  compare_small(report, load);
  compare_bytes(report, load);
  compare_large(report);
  if (report.plots()) plot_groups(report);
}

}  // namespace holdfast::bench
