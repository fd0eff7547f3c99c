// SPDX-License-Identifier: MIT
// An event's whole way: published durably, handed to a handler, acked durably. The clock runs from
// the first publish until the last ack is on disk. RocksDB beside it only writes: it hands nothing
// to anybody and keeps no acks. SQLite does the whole way (insert; claim; delete) as a table of
// jobs.

#include <atomic>
#include <semaphore>
#include <string>
#include <vector>

#include "baselines/rocks_store.h"
#include "baselines/sqlite_queue.h"
#include "holdfast/bus.h"
#include "support/load.h"
#include "support/measure.h"
#include "support/report.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kGroup = Load::kBatchEvents;

enum class Publishing { batches, singles };

struct Shape {
  Publishing publishing;
  std::uint64_t in_flight;  // batches, or single events
  std::uint32_t concurrency = 1;
  bool is_told = false;  // of every event, through `on_settled`
  bool is_kept = true;   // settled events stay for a while, as they do by default
};

void publish_all(Bus& bus, const Load& load, const Shape& shape, std::uint64_t events) {
  Gate gate(shape.in_flight);
  std::atomic<bool> failed{false};
  const auto done = [&](const auto& receipt) {
    if (!receipt.ok()) failed = true;
    gate.leave();
  };
  const bool by_batch = shape.publishing == Publishing::batches;
  for (std::uint64_t i = 0; i < events; i += by_batch ? kGroup : 1) {
    gate.enter();
    check(by_batch ? bus.publish_batch_async(load.batch(i), done)
                   : bus.publish_async(load.event(i), done));
  }
  gate.wait_empty();
  require(!failed, "something was not published");
}

std::vector<double> measure_bus(Report& report, const Load& load, const Shape& shape,
                                std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  Options bus_options;
  if (!shape.is_kept) bus_options.retention = {std::chrono::seconds(0), 0};
  const auto bus = check(Bus::open(folder.folder, bus_options));
  std::atomic<std::uint64_t> handled{0};
  std::atomic<std::uint64_t> settled{0};
  std::binary_semaphore all_handled{0};
  std::binary_semaphore all_settled{0};
  SubscribeOptions options{.name = "bench", .concurrency = shape.concurrency};
  if (shape.is_told) {
    options.on_settled = [&](EventId, Settled) {
      if (++settled == events) all_settled.release();
    };
  }
  std::atomic<std::uint64_t> braces{0};
  const auto subscription = check(bus->subscribe(options, [&](Delivery& delivery) {
    if (delivery.event().payload_text().front() == '{')
      braces.fetch_add(1, std::memory_order_relaxed);
    if (++handled == events) all_handled.release();
  }));
  const Stopwatch watch;
  publish_all(*bus, load, shape, events);
  all_handled.acquire();
  if (shape.is_told) all_settled.acquire();
  check(bus->drain());  // Every ack is durable after this.
  const auto rates = watch.rates(events);
  require(braces == events, "a handler saw something else than was published");
  return rates;
}

std::vector<double> measure_sqlite(Report& report, const Load& load, std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  std::filesystem::create_directory(folder.folder);
  SqliteQueue queue(folder.folder / "jobs");
  const Stopwatch watch;
  std::uint64_t claimed = 0;
  for (std::uint64_t i = 0; i < events; i += kGroup) {
    queue.publish(load, i, kGroup);
    claimed += queue.claim(kGroup, true);
  }
  queue.ack();
  require(claimed == events, "not every job was claimed");
  return watch.rates(events);
}

enum class Beside { rocksdb, everybody };

void compare(Report& report, const Load& load, const std::string& name, const Shape& shape,
             std::uint64_t events, Beside beside = Beside::rocksdb) {
  const auto group = shape.publishing == Publishing::batches ? kGroup : 1;
  const auto rocks = [&](RocksStore::Memory memory) {
    const Removed folder{report.temp().fresh()};
    RocksStore store(folder.folder, memory);
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < events; i += kGroup) store.write(load, i, kGroup, true);
    return watch.rates(events);
  };
  const auto decoupled = [&] {
    const Removed folder{report.temp().fresh()};
    RocksStore store(folder.folder);
    const Stopwatch watch;
    store.write_decoupled(load, events, group, shape.in_flight);
    return watch.rates(events);
  };
  const std::string batches = "rocksdb WriteBatch(1000), sync";
  Case what{
      name,
      kRateFigures,
      {{"holdfast", [&] { return measure_bus(report, load, shape, events); }},
       {batches, [&] { return rocks(RocksStore::Memory::as_it_comes); }},
       {group == 1 ? "rocksdb Put, synced beside" : "rocksdb batch, synced beside", decoupled}}};
  if (beside == Beside::everybody) {
    what.contenders.push_back({"rocksdb batch, buffers of the bus",
                               [&] { return rocks(RocksStore::Memory::as_the_bus); }});
    what.contenders.push_back(
        {"sqlite insert, claim, ack of 1000",
         [&] { return measure_sqlite(report, load, std::min<std::uint64_t>(events, 50'000)); }});
  }
  if (group == kGroup && !shape.is_told) {
    what.targets = {{.baseline = batches, .figure = 0, .at_least = 1.0}};
  }
  report.compare(what);
}

void run(Report& report) {
  const Load small(128);
  const std::string prefix = "end_to_end/payload:128/durability:durable/";
  const std::uint64_t events = report.quick() ? 50'000 : 300'000;
  compare(report, small, prefix + "batch:1000/in_flight:4", {Publishing::batches, 4}, events,
          Beside::everybody);
  compare(report, small, prefix + "batch:1000/in_flight:1", {Publishing::batches, 1}, events);
  compare(report, small, prefix + "async/in_flight:8192", {Publishing::singles, 8'192},
          events / 5 * 2);
  if (report.quick()) return;
  compare(report, small, prefix + "batch:1000/in_flight:16", {Publishing::batches, 16}, events);
  compare(report, small, prefix + "batch:1000/in_flight:4/retention:0",
          {.publishing = Publishing::batches, .in_flight = 4, .is_kept = false}, events);
  compare(report, small, prefix + "batch:1000/in_flight:4/told",
          {.publishing = Publishing::batches, .in_flight = 4, .is_told = true}, events);
  compare(report, small, prefix + "batch:1000/in_flight:4/concurrency:64",
          {.publishing = Publishing::batches, .in_flight = 4, .concurrency = 64}, events);
  const Load large(1024);
  compare(report, large, "end_to_end/payload:1024/durability:durable/batch:1000/in_flight:4",
          {Publishing::batches, 4}, 75'000);
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  return holdfast::bench::run_program("end_to_end", argc, argv, holdfast::bench::run);
}
