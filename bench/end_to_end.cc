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
  bool is_told = false;     // every event through `on_settled`
  std::uint32_t concurrency = 1;
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
  const auto bus = check(Bus::open(folder.folder));
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

void compare(Report& report, const Load& load, const std::string& name, const Shape& shape,
             std::uint64_t events) {
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
  Case what{
      name,
      kRateFigures,
      {{"holdfast", [&] { return measure_bus(report, load, shape, events); }},
       {"rocksdb WriteBatch(1000), sync", [&] { return rocks(RocksStore::Memory::as_it_comes); }},
       {"the same, buffers as the bus has", [&] { return rocks(RocksStore::Memory::as_the_bus); }},
       {group == 1 ? "rocksdb Put, synced beside" : "rocksdb batch, synced beside", decoupled},
       {"sqlite insert, claim, ack of 1000",
        [&] { return measure_sqlite(report, load, std::min<std::uint64_t>(events, 50'000)); }}}};
  if (group == kGroup && !shape.is_told) {
    what.targets = {{.baseline = what.contenders[1].name, .figure = 0, .at_least = 1.0}};
  }
  report.compare(what);
}

void run(Report& report) {
  const Load small(128);
  const std::uint64_t scale = report.quick() ? 1 : 3;
  const std::string prefix = "end_to_end/payload:128/durability:durable/";
  for (const std::uint64_t in_flight : {1, 4, 16}) {
    if (report.quick() && in_flight == 16) continue;
    compare(report, small, prefix + "batch:1000/in_flight:" + std::to_string(in_flight),
            {Publishing::batches, in_flight}, 100'000 * scale);
  }
  compare(report, small, prefix + "async/in_flight:8192", {Publishing::singles, 8'192},
          50'000 * scale);
  if (report.quick()) return;
  compare(report, small, prefix + "batch:1000/in_flight:4/told",
          {.publishing = Publishing::batches, .in_flight = 4, .is_told = true}, 300'000);
  compare(report, small, prefix + "batch:1000/in_flight:4/concurrency:64",
          {.publishing = Publishing::batches, .in_flight = 4, .concurrency = 64}, 300'000);
  const Load large(1024);
  compare(report, large, "end_to_end/payload:1024/durability:durable/batch:1000/in_flight:4",
          {Publishing::batches, 4}, 100'000);
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  return holdfast::bench::run_program("end_to_end", argc, argv, holdfast::bench::run);
}
