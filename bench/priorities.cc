// SPDX-License-Identifier: MIT
// What do priorities cost, and what are they good for?
//
// lanes: the same events on their whole way, spread over four lanes and all in one; and all in one,
// with ageing and without.
//
// urgent: how long a critical event takes from its publisher to its handler while low ones are
// worked on, beside a bus that has nothing else to do. One comes each millisecond, whatever became
// of those before; its time runs from when it was due to be published.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/bus.h"
#include "sections.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

using namespace std::chrono_literals;

void publish_batches(Bus& bus, const std::vector<OwnedEvent>& batch, std::uint64_t events) {
  InFlight flight(bus);
  for (std::uint64_t i = 0; i < events; i += batch.size()) flight.publish(batch);
  flight.wait();
}

/// A batch whose events are in `lanes` by turns.
std::vector<OwnedEvent> batch_of(const Load& load, const std::vector<Priority>& lanes) {
  const auto events = load.batch(0);
  std::vector<OwnedEvent> batch(events.begin(), events.end());
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].priority = lanes[i % lanes.size()];
  return batch;
}

std::vector<double> measure_way(Report& report, const std::vector<OwnedEvent>& batch,
                                const Ageing& ageing, std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  Options options;
  options.ageing = ageing;
  options.retention = {0s, 0};
  const auto bus = check(Bus::open(folder.folder, options));
  std::latch unhandled(static_cast<std::ptrdiff_t>(events));
  const auto subscription =
      check(bus->subscribe({.name = "bench"}, [&](Delivery&) { unhandled.count_down(); }));
  const Stopwatch watch;
  publish_batches(*bus, batch, events);
  unhandled.wait();
  check(bus->drain());
  return watch.rates(events);
}

void compare_lanes(Report& report, const Load& load) {
  const std::uint64_t events = report.quick() ? 100'000 : 500'000;
  const auto one = batch_of(load, {Priority::normal});
  const auto four = batch_of(load, {kAllPriorities.begin(), kAllPriorities.end()});
  const auto measure = [&](const std::vector<OwnedEvent>& batch, const Ageing& ageing) {
    return [&, ageing] { return measure_way(report, batch, ageing, events); };
  };
  const std::string in_one = "holdfast, one lane";
  report.compare(
      {"priorities/lanes:4",
       kRateFigures,
       {{"holdfast, four lanes", measure(four, Ageing{})}, {in_one, measure(one, Ageing{})}},
       {{"P5.four-lanes", in_one, kRate, Wanted::at_least, 1 / 1.03},
        {"P0.priorities", in_one, kRate, Wanted::at_least, 1 / 1.05},
        {"P5.four-lanes-cpu", in_one, kCpu, Wanted::at_most, 1.03}}});
  const std::string strict = "holdfast, one lane, no ageing";
  report.compare({"priorities/lanes:1",
                  kRateFigures,
                  {{in_one, measure(one, Ageing{})}, {strict, measure(one, Ageing::strict())}},
                  {{"P5.ageing-cpu", strict, kCpu, Wanted::at_most, 1.03}}});
}

// --- Urgent events ------------------------------------------------------------------------------

/// One critical event each millisecond; its payload is its number.
std::vector<double> measure_urgent(Bus& bus, int count) {
  std::vector<double> due(static_cast<std::size_t>(count));
  std::vector<double> latencies(due.size());
  std::latch unhandled(count);
  const auto subscription =
      check(bus.subscribe({.name = "urgent", .types = {"urgent"}}, [&](Delivery& delivery) {
        const auto now = wall_seconds();
        const auto number = std::stoul(std::string(delivery.event().payload_text()));
        latencies.at(number) = (now - due.at(number)) * 1e6;
        unhandled.count_down();
      }));
  const auto begin = std::chrono::steady_clock::now() + 5ms;
  for (int i = 0; i < count; ++i) {
    const auto at = begin + i * 1ms;
    due[static_cast<std::size_t>(i)] = std::chrono::duration<double>(at.time_since_epoch()).count();
    std::this_thread::sleep_until(at);
    const auto number = std::to_string(i);
    check(bus.publish_async({.type = "urgent", .payload = number, .priority = Priority::critical},
                            [](const Result<Receipt>& receipt) { check(receipt.status()); }));
  }
  unhandled.wait();
  const auto half = percentile(latencies, 0.5);
  const auto most = percentile(latencies, 0.99);
  return {half, most, latencies.back()};
}

/// `pending` low events are owed to a handler that takes `work` for each.
std::vector<double> measure_busy(Report& report, const std::vector<OwnedEvent>& low,
                                 std::uint64_t pending, std::chrono::milliseconds work, int count) {
  const Removed folder{report.temp().fresh()};
  const auto bus = check(Bus::open(folder.folder));
  const SubscribeOptions options{.name = "work", .types = {"order.>"}, .concurrency = 4};
  check(bus->subscribe(options, [](Delivery&) {})).end();
  publish_batches(*bus, low, pending);
  report.temp().sync();
  const auto subscription = check(bus->subscribe(options, [work](Delivery&) {
    if (work > 0ms) std::this_thread::sleep_for(work);
  }));
  auto latencies = measure_urgent(*bus, count);
  const auto stats = bus->stats();
  const auto& lane = stats.lanes[static_cast<std::size_t>(Priority::low)].owed;
  require(lane.ready > 0, "the low events were at an end before the urgent ones");
  return latencies;
}

void compare_urgent(Report& report, const Load& load) {
  const auto low = batch_of(load, {Priority::low});
  const int count = report.quick() ? 300 : 1'500;
  const std::vector<Figure> figures = {{"p50 us", 0}, {"p99 us", 0}, {"longest us", 0}};
  const std::string idle_name = "holdfast, idle";
  const auto idle = [&] {
    const Removed folder{report.temp().fresh()};
    const auto bus = check(Bus::open(folder.folder));
    return measure_urgent(*bus, count);
  };
  for (const int milliseconds : {0, 1}) {
    const std::chrono::milliseconds work(milliseconds);
    // Without work they go at several hundred thousand a second, and must not come to an end.
    const std::uint64_t pending = report.quick() || work > 0ms ? 1'000'000 : 4'000'000;
    const auto took = std::to_string(work.count()) + "ms";
    report.compare({"urgent/low_pending:" + std::to_string(pending) + "/work:" + took,
                    figures,
                    {{"holdfast", [&] { return measure_busy(report, low, pending, work, count); }},
                     {idle_name, idle}},
                    {{"P6.work-" + took, idle_name, 1, Wanted::at_most, 1.5}}});
  }
}

}  // namespace

void priorities(Report& report) {
  const Load load(128);
  compare_lanes(report, load);
  compare_urgent(report, load);
}

}  // namespace holdfast::bench
