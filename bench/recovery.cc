// SPDX-License-Identifier: MIT
// How long does it take to be back, and how much memory does a backlog need?
//
// settled: closing and opening a journal with a million settled events, against one with 1,000.
//
// killed: opening what a killed process left, with everything in it pending, up to the first
// handler.
//
// memory: what a process of its own grows by from just before it opens the bus.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <semaphore>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "baselines/rocks_store.h"
#include "baselines/sqlite_queue.h"
#include "holdfast/bus.h"
#include "support/child.h"
#include "support/load.h"
#include "support/measure.h"
#include "support/report.h"

namespace holdfast::bench {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kGroup = Load::kBatchEvents;
constexpr double kMiB = 1 << 20;
const SubscribeOptions kSubscription{.name = "bench"};

void publish(Bus& bus, const Load& load, std::uint64_t events) {
  Gate gate(4);
  std::atomic<bool> failed{false};
  for (std::uint64_t i = 0; i < events; i += kGroup) {
    gate.enter();
    check(bus.publish_batch_async(load.batch(i), [&](const Result<BatchReceipt>& receipt) {
      if (!receipt.ok()) failed = true;
      gate.leave();
    }));
  }
  gate.wait_empty();
  require(!failed, "a batch was not published");
}

// --- Settled events -----------------------------------------------------------------------------

void settle(Bus& bus, const Load& load, std::uint64_t events) {
  std::atomic<std::uint64_t> handled{0};
  std::binary_semaphore all{0};
  const auto subscription = check(bus.subscribe(kSubscription, [&](Delivery&) {
    if (++handled == events) all.release();
  }));
  publish(bus, load, events);
  all.acquire();
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
  report.compare({"recovery/settled:" + std::to_string(many),
                  {{"open ms", 2}, {"close ms", 2}, {"close and open ms", 2}},
                  {{"holdfast", [&] { return measure_cycle(large.folder, load); }},
                   {fewer, [&] { return measure_cycle(small.folder, load); }}},
                  {{.baseline = fewer, .figure = 2, .at_most = 1.5}}});
}

// --- Killed -------------------------------------------------------------------------------------

/// In a child: leaves `events` pending in `folder`, and says so.
void leave_pending(const std::string& who, const fs::path& folder, std::uint64_t events) {
  const Load load(128);
  const auto wait_for_the_end = [] {
    std::puts("ready");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::hours(1));
  };
  if (who == "holdfast") {
    const auto bus = check(Bus::open(folder));
    check(bus->subscribe(kSubscription, [](Delivery&) {})).end();
    publish(*bus, load, events);
    wait_for_the_end();
  } else if (who == "sqlite") {
    fs::create_directory(folder);
    SqliteQueue queue(folder / "jobs");
    for (std::uint64_t i = 0; i < events; i += kGroup) queue.publish(load, i, kGroup);
    wait_for_the_end();
  } else {
    RocksStore store(folder);
    for (std::uint64_t i = 0; i < events; i += kGroup) store.write(load, i, kGroup, true);
    wait_for_the_end();
  }
}

std::vector<double> measure_back(const std::string& who, const fs::path& folder,
                                 std::uint64_t events) {
  const double start = wall_seconds();
  double opened = 0;
  double first = 0;
  if (who == "holdfast") {
    const auto bus = check(Bus::open(folder));
    opened = wall_seconds();
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
    first = wall_seconds();
    subscription.end();
  } else if (who == "sqlite") {
    SqliteQueue queue(folder / "jobs");
    opened = wall_seconds();
    queue.first();
    first = wall_seconds();
  } else {
    RocksStore store(folder);
    opened = wall_seconds();
    store.first();
    first = wall_seconds();
  }
  return {(opened - start) * 1e3, (first - start) * 1e3};
}

void compare_killed(Report& report, std::uint64_t events) {
  std::vector<Removed> left;
  Case what{"recovery/killed/pending:" + std::to_string(events),
            {{"open ms", 1}, {"to the first event ms", 1}},
            {}};
  left.reserve(3);
  for (const std::string who : {"holdfast", "rocksdb", "sqlite"}) {
    const auto& folder = left.emplace_back(Removed{report.temp().fresh()}).folder;
    Child child({"--child", "pending", who, folder.string(), std::to_string(events)});
    child.line();
    child.kill();
    what.contenders.push_back({who, [&report, who, folder, events] {
                                 // Each round finds what the killed one left, byte for byte.
                                 const Removed copy{report.temp().fresh()};
                                 fs::copy(folder, copy.folder, fs::copy_options::recursive);
                                 report.temp().sync();
                                 return measure_back(who, copy.folder, events);
                               }});
  }
  report.compare(what);
}

// --- Memory -------------------------------------------------------------------------------------

Handler slow_handler() {
  return {[](Delivery&) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }};
}

/// In a child: what it grows by at most while `how`, and what of it is left in the end.
void tell_memory(const std::string& how, const fs::path& folder, std::uint64_t events) {
  const Load load(128);
  const auto before = memory_now();
  MemoryWatch watch;
  Memory end;
  if (how.starts_with("rocksdb")) {
    RocksStore store(folder, how == "rocksdb" ? RocksStore::Memory::as_it_comes
                                              : RocksStore::Memory::as_the_bus);
    for (std::uint64_t i = 0; i < events; i += kGroup) store.write(load, i, kGroup, true);
    end = memory_now();
  } else {
    const auto bus = check(Bus::open(folder));
    Subscription subscription;
    if (how != "unclaimed") subscription = check(bus->subscribe(kSubscription, slow_handler()));
    if (how == "detached") subscription.end();
    if (how == "reopened") {
      std::this_thread::sleep_for(std::chrono::seconds(1));
    } else {
      publish(*bus, load, events);
    }
    end = memory_now();
    subscription.end();
  }
  const auto highest = watch.stop();
  const auto grown = [](double now, double then) { return (now - then) / kMiB; };
  std::printf("%f %f %f\n", grown(highest.resident, before.resident),
              grown(highest.anonymous, before.anonymous), grown(end.resident, before.resident));
}

std::vector<double> memory_of_child(const std::string& how, const fs::path& folder,
                                    std::uint64_t events) {
  Child child({"--child", "memory", how, folder.string(), std::to_string(events)});
  std::istringstream answer(child.line());
  std::vector<double> values(3);
  for (auto& value : values) answer >> value;
  return values;
}

void compare_memory(Report& report, const std::string& how, std::uint64_t events) {
  const auto measure = [&report, events](const std::string& who) {
    const Removed folder{report.temp().fresh()};
    if (who == "reopened") memory_of_child("detached", folder.folder, events);
    return memory_of_child(who, folder.folder, events);
  };
  Case what{"recovery/memory/pending:" + std::to_string(events) + "/" + how,
            {{"peak MiB", 1}, {"peak MiB, no libraries", 1}, {"in the end MiB", 1}},
            {{"holdfast", [=] { return measure(how); }}},
            {{.baseline = "", .figure = 0, .at_most = 64}}};
  if (how == "detached") {
    what.contenders.push_back({"rocksdb", [=] { return measure("rocksdb"); }});
    what.contenders.push_back(
        {"rocksdb, buffers as the bus has", [=] { return measure("rocksdb small"); }});
  }
  report.compare(what);
}

void run(Report& report) {
  const std::uint64_t many = report.quick() ? 200'000 : 1'000'000;
  {
    const Load load(128);
    compare_settled(report, load);
  }
  compare_killed(report, many / 10);
  if (!report.quick()) compare_killed(report, many);
  for (const std::string how : {"detached", "unclaimed", "attached", "reopened"}) {
    compare_memory(report, how, many);
  }
}

int run_child(const std::vector<std::string>& arguments) {
  try {
    const auto events = std::stoull(arguments.at(3));
    arguments.at(0) == "pending" ? leave_pending(arguments.at(1), arguments.at(2), events)
                                 : tell_memory(arguments.at(1), arguments.at(2), events);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "recovery, child: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--child") == 0) {
    return holdfast::bench::run_child({argv + 2, argv + argc});
  }
  return holdfast::bench::run_program("recovery", argc, argv, holdfast::bench::run);
}
