// SPDX-License-Identifier: MIT
// Is it as fast after minutes as at the beginning, and does the disk stay bounded? Events go their
// whole way for five minutes, with the default retention; once as they are, once while a single
// event is pending since the start.

#include <algorithm>
#include <atomic>
#include <filesystem>
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

namespace fs = std::filesystem;

double bytes_in(const fs::path& folder) {
  double sum = 0;
  std::error_code gone;  // what the engine removes meanwhile
  for (const auto& entry : fs::recursive_directory_iterator(folder, gone)) {
    const auto size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (!gone) sum += static_cast<double>(size);
  }
  return sum;
}

struct Span {
  double seconds;  // of the whole
  double part;     // the "minute" at its beginning and at its end
  std::uint64_t retention_bytes;
};

std::vector<double> measure(Report& report, const Load& load, const Span& span, bool is_one_held) {
  const Removed folder{report.temp().fresh()};
  Options options;
  options.retention.bytes = span.retention_bytes;
  const auto bus = check(Bus::open(folder.folder, options));
  if (is_one_held) {
    check(bus->subscribe({.name = "holder", .types = {"held"}}, [](Delivery&) {})).end();
    check(bus->publish("held", "since the start").status());
  }
  std::atomic<std::uint64_t> handled{0};
  const auto subscription =
      check(bus->subscribe({.name = "bench", .types = {"order.>"}}, [&](Delivery&) { ++handled; }));
  double disk = 0;
  double first = 0;
  double last = 0;
  {
    const Publisher publisher(*bus, load);
    const auto begin = wall_seconds();
    auto last_begin = begin;
    std::uint64_t last_from = 0;
    for (auto now = begin; now - begin < span.seconds; now = wall_seconds()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      disk = std::max(disk, bytes_in(folder.folder));
      const auto count = handled.load();
      const auto passed = wall_seconds() - begin;
      if (passed <= span.part) first = static_cast<double>(count) / passed;
      if (passed <= span.seconds - span.part) {
        last_begin = wall_seconds();
        last_from = count;
      }
    }
    last = static_cast<double>(handled - last_from) / (wall_seconds() - last_begin);
  }
  return {first / 1'000, last / 1'000, last / first,
          disk / static_cast<double>(span.retention_bytes)};
}

}  // namespace

void growth(Report& report) {
  const Load load(128);
  const Span span =
      report.quick() ? Span{10, 3, std::uint64_t{64} << 20U} : Span{300, 60, Retention().bytes};
  const auto name = "growth/seconds:" + std::to_string(static_cast<int>(span.seconds));
  for (const bool is_one_held : {false, true}) {
    const std::string suffix = is_one_held ? "-one-pending" : "";
    report.compare(
        {.name = name + (is_one_held ? "/one_pending" : ""),
         .figures = {{"k events/s, first", 1},
                     {"k events/s, last", 1},
                     {"last / first", 2},
                     {"disk at most / retention", 2}},
         .contenders = {{"holdfast", [&] { return measure(report, load, span, is_one_held); }}},
         .targets = {{"P14.rate" + suffix, "", 2, Wanted::at_least, 0.9},
                     {"P14.disk" + suffix, "", 3, Wanted::at_most, 1.5}},
         .rounds_max = 1});
  }
}

}  // namespace holdfast::bench
