// SPDX-License-Identifier: MIT
// What does it cost to publish durably? Callers that wait for their own event, one and many;
// callers that do not wait; whole batches. Nobody is subscribed: what handling costs is in
// end_to_end.
//
// "waiters" is how many threads publish and wait, so each latency begins when its event was handed
// over: that is what such a caller sees, not what a fixed rate of arrivals would see.

#include <atomic>
#include <functional>
#include <memory>
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

constexpr std::uint64_t kGroup = Load::kBatchEvents;

std::string name_of(std::size_t payload_bytes, const std::string& rest) {
  return "publish/payload:" + std::to_string(payload_bytes) + "/" + rest;
}

/// `publish_one` for each of [0, events), by so many threads, each with its share. The first few
/// are not timed: they pay for what everybody does once.
std::vector<double> measure_waiters(std::uint64_t events, unsigned threads,
                                    const std::function<void(std::uint64_t)>& publish_one) {
  for (std::uint64_t i = 0; i < 20; ++i) publish_one(events + i);
  std::vector<std::vector<double>> latencies(threads);
  std::vector<std::thread> running;
  const double start = wall_seconds();
  for (unsigned thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      for (std::uint64_t i = thread; i < events; i += threads) {
        const double handed_over = wall_seconds();
        publish_one(i);
        latencies[thread].push_back((wall_seconds() - handed_over) * 1e6);
      }
    });
  }
  for (auto& each : running) each.join();
  const double seconds = wall_seconds() - start;
  std::vector<double> all;
  for (const auto& each : latencies) all.insert(all.end(), each.begin(), each.end());
  return {percentile(all, 0.5), percentile(all, 0.99),
          static_cast<double>(events) / seconds / 1000};
}

const std::vector<Figure> kWaiterFigures = {{"p50 us", 0}, {"p99 us", 0}, {"k events/s", 2}};
constexpr std::size_t kRateOfWaiters = 2;

void compare_waiters(Report& report, const Load& load, std::size_t payload_bytes, unsigned waiters,
                     Durability durability) {
  const bool is_durable = durability == Durability::durable;
  const std::uint64_t events =
      (is_durable ? 200 + 50 * waiters : 10'000) * (report.quick() ? 1U : 4U);
  const auto bus = [&, events, waiters, durability] {
    const Removed folder{report.temp().fresh()};
    const auto opened = check(Bus::open(folder.folder));
    return measure_waiters(events, waiters, [&](std::uint64_t i) {
      check(opened->publish(load.event(i), {.durability = durability}).status());
    });
  };
  const auto rocks = [&, events, waiters, is_durable] {
    const Removed folder{report.temp().fresh()};
    RocksStore store(folder.folder);
    return measure_waiters(events, waiters,
                           [&](std::uint64_t i) { store.put(load, i, is_durable); });
  };
  const auto sqlite = [&, events] {
    const Removed folder{report.temp().fresh()};
    std::filesystem::create_directory(folder.folder);
    SqliteQueue queue(folder.folder / "jobs");
    return measure_waiters(events, 1, [&](std::uint64_t i) { queue.publish(load, i, 1); });
  };
  const std::string rocks_name = is_durable ? "rocksdb Put, sync" : "rocksdb Put, no sync";
  Case what{name_of(payload_bytes, "durability:" + std::string(to_string(durability)) +
                                       "/waiters:" + std::to_string(waiters)),
            kWaiterFigures,
            {{"holdfast publish", bus}, {rocks_name, rocks}}};
  if (waiters == 1 && is_durable) {
    const auto log = [&](RawLog::Space space) {
      const auto file = report.temp().fresh();
      const Removed removed{file};
      RawLog raw(file, space);
      return measure_waiters(events, 1, [&](std::uint64_t i) { raw.write(load, i, 1); });
    };
    const auto grows = [log] { return log(RawLog::Space::as_it_grows); };
    const auto ahead = [log] { return log(RawLog::Space::preallocated); };
    what.contenders.insert(what.contenders.end(), {{"raw log", grows},
                                                   {"raw log, preallocated", ahead},
                                                   {"sqlite insert, full sync", sqlite}});
  }
  if (is_durable && waiters == 1) {
    what.targets = {
        {"P3.rocksdb-p50-" + std::to_string(payload_bytes), rocks_name, 0, Wanted::at_most, 1.2}};
  }
  if (payload_bytes == 128 && is_durable && waiters == 1) {
    what.targets.push_back({"P3.raw-log", "raw log", kRateOfWaiters, Wanted::at_least, 1.15});
    what.targets.push_back(
        {"P3.preallocated", "raw log, preallocated", kRateOfWaiters, Wanted::at_least, 0.95});
  }
  if (waiters == 64) {
    what.targets = {{"P4.64-waiters", rocks_name, kRateOfWaiters, Wanted::at_least, 2}};
  }
  report.compare(what);
}

/// Publishes [0, events) one by one without waiting, `in_flight` at a time.
std::vector<double> publish_async(Bus& bus, const Load& load, std::uint64_t events,
                                  std::uint64_t in_flight) {
  Gate gate(in_flight);
  std::atomic<bool> failed{false};
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < events; ++i) {
    gate.enter();
    check(bus.publish_async(load.event(i), [&](const Result<Receipt>& receipt) {
      if (!receipt.ok()) failed = true;
      gate.leave();
    }));
  }
  gate.wait_empty();
  const auto rates = watch.rates(events);
  require(!failed, "an event was not published");
  return rates;
}

std::vector<double> publish_batches(Bus& bus, const Load& load, std::uint64_t events,
                                    std::uint64_t in_flight) {
  const Stopwatch watch;
  if (in_flight == 1) {
    for (std::uint64_t i = 0; i < events; i += kGroup) {
      check(bus.publish_batch(load.batch(i)).status());
    }
  } else {
    InFlight(bus, in_flight).publish_all(load, events);
  }
  return watch.rates(events);
}

/// Cases in which nobody waits for a single event. `measure` is ours.
void compare_rates(Report& report, const Load& load, const std::string& name, std::uint64_t events,
                   std::uint64_t group, std::uint64_t in_flight,
                   const std::function<std::vector<double>(Bus&)>& measure) {
  const auto bus = [&] {
    const Removed folder{report.temp().fresh()};
    const auto opened = check(Bus::open(folder.folder));
    return measure(*opened);
  };
  const auto rocks = [&] {
    const Removed folder{report.temp().fresh()};
    RocksStore store(folder.folder);
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < events; i += kGroup) {
      store.write(load, i, kGroup, true);
    }
    return watch.rates(events);
  };
  const auto decoupled = [&] {
    const Removed folder{report.temp().fresh()};
    RocksStore store(folder.folder);
    const Stopwatch watch;
    store.write_decoupled(load, events, group, in_flight);
    return watch.rates(events);
  };
  const auto sqlite = [&] {
    const Removed folder{report.temp().fresh()};
    std::filesystem::create_directory(folder.folder);
    SqliteQueue queue(folder.folder / "jobs");
    const std::uint64_t fewer = std::min<std::uint64_t>(events, 100'000);
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < fewer; i += kGroup) {
      queue.publish(load, i, kGroup);
    }
    return watch.rates(fewer);
  };
  const std::string syncer =
      group == 1 ? "rocksdb Put, synced beside" : "rocksdb batch, synced beside";
  Case what{name,
            kRateFigures,
            {{"holdfast", bus}, {"rocksdb WriteBatch(1000), sync", rocks}, {syncer, decoupled}}};
  if (in_flight == 1) what.contenders.push_back({"sqlite insert of 1000, full sync", sqlite});
  report.compare(what);
}

}  // namespace

void publish(Report& report) {
  const Load small(128);
  const std::uint64_t events = report.quick() ? 50'000 : 300'000;
  const std::string prefix = "durability:durable/";
  compare_waiters(report, small, 128, 1, Durability::durable);
  for (const unsigned waiters : {4U, 16U, 64U}) {
    if (report.quick() && waiters != 64) continue;
    compare_waiters(report, small, 128, waiters, Durability::durable);
  }
  compare_waiters(report, small, 128, 1, Durability::os);
  compare_rates(report, small, name_of(128, prefix + "async/in_flight:8192"), events, 1, 8'192,
                [&](Bus& bus) { return publish_async(bus, small, events, 8'192); });
  for (const std::uint64_t in_flight : {1, 4}) {
    compare_rates(
        report, small, name_of(128, prefix + "batch:1000/in_flight:" + std::to_string(in_flight)),
        events, kGroup, in_flight,
        [&, in_flight](Bus& bus) { return publish_batches(bus, small, events, in_flight); });
  }
  if (report.quick()) return;
  const Load large(1024);
  compare_waiters(report, large, 1024, 1, Durability::durable);
  compare_rates(report, large, name_of(1024, prefix + "batch:1000/in_flight:4"), 75'000, kGroup, 4,
                [&](Bus& bus) { return publish_batches(bus, large, 75'000, 4); });
}

}  // namespace holdfast::bench
