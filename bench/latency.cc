// SPDX-License-Identifier: MIT
// A picture: how the time to a handler grows with the load. It has no target of its own, and is
// made with --plots alone.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/bus.h"
#include "sections.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

constexpr int kRounds = 3;

/// One event every 1 / `per_second`, whatever became of those before; the time of each runs from
/// when it was due. {p50, p99} in microseconds.
std::vector<double> latencies_at(Report& report, const Load& load, double per_second) {
  using Clock = std::chrono::steady_clock;
  const Removed folder{report.temp().fresh()};
  const auto bus = check(Bus::open(folder.folder));
  const auto count = static_cast<std::uint64_t>(std::clamp(per_second, 500.0, 150'000.0));
  std::vector<double> latencies(count);
  std::latch unhandled(static_cast<std::ptrdiff_t>(count));
  const auto begin = Clock::now() + std::chrono::milliseconds(5);
  const auto due = [&](std::uint64_t i) {
    return begin + std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(i) / per_second));
  };
  const auto subscription = check(bus->subscribe({.name = "bench"}, [&](Delivery& delivery) {
    const auto i = delivery.event().id.sequence - 1;
    latencies[i] = std::chrono::duration<double, std::micro>(Clock::now() - due(i)).count();
    unhandled.count_down();
  }));
  for (std::uint64_t i = 0; i < count; ++i) {
    // Short waits are not slept through: they would all be too long.
    if (due(i) - Clock::now() > std::chrono::microseconds(100))
      std::this_thread::sleep_until(due(i));
    while (Clock::now() < due(i)) std::this_thread::yield();
    check(bus->publish_async(load.event(i), [](const Result<Receipt>&) {}));
  }
  unhandled.wait();
  const auto half = percentile(latencies, 0.5);
  return {half, percentile(latencies, 0.99)};
}

}  // namespace

void latency(Report& report) {
  if (!report.plots()) return;
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

}  // namespace holdfast::bench
