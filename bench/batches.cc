// SPDX-License-Identifier: MIT
// Atomic batches of ten events, of a thousand, of a hundred thousand: one after the other, each
// durable before the next. The memory that one takes is that of a process of its own, beyond what
// it had with its events made and the bus open.

#include <cstdio>
#include <string>
#include <vector>

#include "holdfast/bus.h"
#include "sections.h"
#include "support/child.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

std::vector<double> measure(Report& report, const Load& load, std::uint64_t size,
                            std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  const auto bus = check(Bus::open(folder.folder));
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < events; i += size) {
    check(bus->publish_batch(load.batch(i).first(size)).status());
  }
  return watch.rates(events);
}

}  // namespace

void batches_child(const std::vector<std::string>& arguments) {
  const auto size = std::stoull(arguments.at(1));
  const Load load(128, size);
  const auto bus = check(Bus::open(arguments.at(0)));
  const auto before = memory_now();
  MemoryWatch watch;
  for (int i = 0; i < 5; ++i) check(bus->publish_batch(load.batch(0)).status());
  std::printf("%f\n", (watch.stop().resident - before.resident) / kMiB);
}

void batches(Report& report) {
  constexpr std::uint64_t kLargest = 100'000;
  const Load load(128, kLargest);
  const std::uint64_t events = report.quick() ? 200'000 : 1'000'000;
  const auto of = [&](std::uint64_t size, std::uint64_t count) {
    return [&, size, count] { return measure(report, load, size, count); };
  };
  const std::string thousand = "holdfast, 1000 each";
  report.compare({"batches/payload:128",
                  kRateFigures,
                  {{"holdfast, 100000 each", of(kLargest, events)},
                   {thousand, of(1'000, events)},
                   {"holdfast, 10 each", of(10, events / 50)}},
                  {{"P13.100000", thousand, kRate, Wanted::at_least, 0.9}}});
  const auto grown = [&] {
    const Removed folder{report.temp().fresh()};
    Child child({"--child", "batches", folder.folder.string(), std::to_string(kLargest)});
    return std::vector<double>{std::stod(child.line())};
  };
  report.compare({"batches/memory:100000",
                  {{"MiB more", 1}},
                  {{"holdfast", grown}},
                  {{"P13.memory-MiB", "", 0, Wanted::at_most, 64}}});
}

}  // namespace holdfast::bench
