// SPDX-License-Identifier: MIT
// Pictures: how the rate grows with the group, and how the time to a handler grows with the load.
// They have no targets of their own, and are made with --plots alone.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <semaphore>
#include <string>
#include <thread>
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

constexpr int kRounds = 3;

/// The median of a few rounds.
double median_of(const std::function<double()>& measure) {
  std::vector<double> values;
  for (int i = 0; i < kRounds; ++i) values.push_back(measure());
  return median(values);
}

double rate(std::uint64_t events, double since) {
  return static_cast<double>(events) / (wall_seconds() - since);
}

/// The whole way, in batches of `load.batch_events()`.
double rate_of_bus(Report& report, const Load& load, std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  const auto bus = check(Bus::open(folder.folder));
  std::atomic<std::uint64_t> handled{0};
  std::binary_semaphore all{0};
  const auto subscription = check(bus->subscribe({.name = "bench"}, [&](Delivery&) {
    if (++handled == events) all.release();
  }));
  const auto begin = wall_seconds();
  InFlight(*bus).publish_all(load, events);
  all.acquire();
  check(bus->drain());
  return rate(events, begin);
}

double rate_of_rocks(Report& report, const Load& load, std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  RocksStore store(folder.folder);
  const auto group = load.batch_events();
  const auto begin = wall_seconds();
  for (std::uint64_t i = 0; i < events; i += group) store.write(load, i, group, true);
  return rate(events, begin);
}

double rate_of_log(Report& report, const Load& load, std::uint64_t events) {
  const Removed file{report.temp().fresh()};
  RawLog log(file.folder, RawLog::Space::as_it_grows);
  const auto group = load.batch_events();
  const auto begin = wall_seconds();
  for (std::uint64_t i = 0; i < events; i += group) log.write(load, i, group);
  return rate(events, begin);
}

double rate_of_sqlite(Report& report, const Load& load, std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  std::filesystem::create_directory(folder.folder);
  SqliteQueue queue(folder.folder / "jobs");
  const auto group = load.batch_events();
  const auto begin = wall_seconds();
  for (std::uint64_t i = 0; i < events; i += group) {
    queue.publish(load, i, group);
    queue.claim(group, true);
  }
  queue.ack();
  return rate(events, begin);
}

void plot_groups(Report& report) {
  Series ours{"holdfast, whole way", {}};
  Series rocks{"rocksdb writes, sync", {}};
  Series log{"raw log", {}};
  Series sqlite{"sqlite, whole way", {}};
  for (const std::uint64_t group : {1, 3, 10, 30, 100, 300, 1'000, 3'000, 10'000}) {
    const Load load(128, group);
    const auto groups = std::clamp<std::uint64_t>(200'000 / group, 20, report.quick() ? 100 : 500);
    const auto events = groups * group;
    const auto few = std::max<std::uint64_t>(groups / 5, 4) * group;
    const auto x = static_cast<double>(group);
    ours.points.emplace_back(x, median_of([&] { return rate_of_bus(report, load, events); }));
    rocks.points.emplace_back(x, median_of([&] { return rate_of_rocks(report, load, events); }));
    log.points.emplace_back(x, median_of([&] { return rate_of_log(report, load, events); }));
    sqlite.points.emplace_back(x, median_of([&] { return rate_of_sqlite(report, load, few); }));
  }
  report.plot("rate-by-group", {"Durable events a second by the size of their group",
                                "events in a group, 128 bytes each",
                                "events a second",
                                {ours, rocks, log, sqlite}});
}

/// One event every 1 / `per_second`, whatever became of those before; the time of each runs from
/// when it was due. {p50, p99} in microseconds.
std::vector<double> latencies_at(Report& report, const Load& load, double per_second) {
  using Clock = std::chrono::steady_clock;
  const Removed folder{report.temp().fresh()};
  const auto bus = check(Bus::open(folder.folder));
  const auto count = static_cast<std::uint64_t>(std::clamp(per_second, 500.0, 150'000.0));
  std::vector<double> latencies(count);
  std::atomic<std::uint64_t> handled{0};
  std::binary_semaphore all{0};
  const auto begin = Clock::now() + std::chrono::milliseconds(5);
  const auto due = [&](std::uint64_t i) {
    return begin + std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(i) / per_second));
  };
  const auto subscription = check(bus->subscribe({.name = "bench"}, [&](Delivery& delivery) {
    const auto i = delivery.event().id.sequence - 1;
    latencies[i] = std::chrono::duration<double, std::micro>(Clock::now() - due(i)).count();
    if (++handled == count) all.release();
  }));
  for (std::uint64_t i = 0; i < count; ++i) {
    // Short waits are not slept through: they would all be too long.
    if (due(i) - Clock::now() > std::chrono::microseconds(100))
      std::this_thread::sleep_until(due(i));
    while (Clock::now() < due(i)) std::this_thread::yield();
    check(bus->publish_async(load.event(i), [](const Result<Receipt>&) {}));
  }
  all.acquire();
  const auto half = percentile(latencies, 0.5);
  return {half, percentile(latencies, 0.99)};
}

void plot_latencies(Report& report) {
  const Load load(128);
  Series half{"half are faster", {}};
  Series most{"99 of 100 are faster", {}};
  for (const double per_second : {100, 1'000, 10'000, 30'000, 100'000, 200'000}) {
    std::vector<double> halves;
    std::vector<double> mosts;
    for (int i = 0; i < kRounds; ++i) {
      const auto measured = latencies_at(report, load, per_second);
      halves.push_back(measured[0]);
      mosts.push_back(measured[1]);
    }
    half.points.emplace_back(per_second, median(halves));
    most.points.emplace_back(per_second, median(mosts));
  }
  report.plot("latency-by-load", {"From publishing to the handler, by the load",
                                  "events a second, one by one, each durable",
                                  "microseconds",
                                  {half, most}});
}

}  // namespace

void curves(Report& report) {
  if (!report.plots()) return;
  plot_groups(report);
  plot_latencies(report);
}

}  // namespace holdfast::bench
