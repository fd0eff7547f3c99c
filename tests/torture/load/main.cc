// SPDX-License-Identifier: MIT
// Puts a mixed load on one bus for a while and sees that nothing is lost, that memory stays within
// its budget and the disk within its retention, and whether critical events wait longer and longer.
// The retention is the default, and is reached after two minutes; --small has one, and a budget,
// that are reached in seconds.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <variant>

#include <nlohmann/json.hpp>

#include "load/samples.h"
#include "support/bus_test.h"
#include "support/sanitizer.h"
#include "support/temp_folder.h"
#include "torture/command_line.h"

namespace holdfast::testing {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

struct Arguments {
  LoadOptions load;
  bool small = false;
  bool json = false;
  std::string folder;  ///< Empty: one that goes with this run.
};

/// Or the exit code.
std::variant<Arguments, int> parse(int argc, char** argv) {
  Arguments arguments;
  auto& load = arguments.load;
  CLI::App app("A mixed load on one bus: nothing is lost, and memory and disk stay bounded.");
  app.footer(
      "Exit code 1: something was lost, memory or disk was exceeded, or it did not do what it is "
      "for; 2: it was not run.");
  app.add_option("--seconds", load.seconds, "how long; 3600 is the whole")
      ->capture_default_str()
      ->check(torture::at_least(1));
  app.add_option("--seed", load.seed, "of what is published and how handlers answer")
      ->capture_default_str()
      ->check(torture::at_least(1));
  app.add_option("--rate", load.rate, "events a second, of all publishers together")
      ->capture_default_str()
      ->check(torture::at_least(1));
  app.add_flag("--small", arguments.small, "a budget and a retention that are reached in seconds");
  app.add_flag("--json", arguments.json, "the figures alone, as one object");
  app.add_option("--dir", arguments.folder,
                 "where the journal is made; by default a temporary one");
  if (const auto code = torture::parse(app, argc, argv)) return *code;
  if (!arguments.folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(arguments.folder, error);
    if (error) {
      std::fprintf(stderr, "holdfast_load: --dir %s: %s\n", arguments.folder.c_str(),
                   error.message().c_str());
      return torture::kNotRun;
    }
  }
  auto& bus = load.bus;
  bus.workers = {.critical = 1, .high = 2, .normal = 2, .low = 4};
  bus.memory_budget = (arguments.small ? 24 : 64) * kMiB;
  if (arguments.small) bus.retention.bytes = 16 * kMiB;
  bus.limits.dead_letters_max = 2'000;
  if (arguments.small) {
    load.payload_bytes = 6'144;
    load.backlog_max = 4'000;
  }
  return arguments;
}

double in_mib(std::uint64_t bytes) { return static_cast<double>(bytes) / kMiB; }
double in_ms(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

void print_table(const std::vector<Window>& windows) {
  std::printf("%8s %8s %10s %12s %10s %10s %8s %10s %12s\n", "until s", "events", "deliveries",
              "memory MiB", "disk MiB", "backlog", "dead", "critical", "p99 ms");
  for (const auto& window : windows) {
    std::printf("%8.1f %8llu %10llu %12.1f %10.1f %10llu %8llu %10llu %12.2f\n",
                window.until_seconds, static_cast<unsigned long long>(window.events),
                static_cast<unsigned long long>(window.deliveries), in_mib(window.memory_max),
                in_mib(window.disk_max), static_cast<unsigned long long>(window.backlog_max),
                static_cast<unsigned long long>(window.dead),
                static_cast<unsigned long long>(window.critical_count), in_ms(window.critical_p99));
  }
}

template <typename Value>
Value most(const std::vector<Window>& windows, Value Window::*member) {
  Value most = 0;
  for (const auto& window : windows) most = std::max(most, window.*member);
  return most;
}

int run(const Arguments& arguments) {
  const TempFolder temp;
  const auto folder = arguments.folder.empty() ? temp.inside("journal") : arguments.folder;
  const auto& options = arguments.load;
  // Space is given back once 16 MiB of a lane may go: more than half of a small retention.
  const auto slack = arguments.small ? kLaneCount * 16 * kMiB : 0;
  const Bounds bounds{options.bus.memory_budget, options.bus.retention.bytes * 3 / 2 + slack};
  if (!arguments.json) {
    std::printf("holdfast_load --seconds %llu --seed %llu --rate %llu%s\n",
                static_cast<unsigned long long>(options.seconds),
                static_cast<unsigned long long>(options.seed),
                static_cast<unsigned long long>(options.rate), arguments.small ? " --small" : "");
  }
  MixedLoad load(options, folder);
  Samples samples(load, bounds);
  const std::chrono::milliseconds time = std::chrono::seconds(options.seconds);
  load.begin_publishing();
  samples.watch(
      time, std::min<std::chrono::milliseconds>(
                std::chrono::minutes(1), std::max(std::chrono::milliseconds(1'000), time / 15)));
  load.end_publishing();
  load.finish();
  const auto open = load.books().open();
  load.check_what_is_left();

  const auto& windows = samples.windows();
  auto& books = load.books();
  const auto violations = books.violations();
  if (!arguments.json) print_table(windows);
  std::fputs(books.first_violations().c_str(), stderr);
  const nlohmann::ordered_json figures = {
      {"seconds", options.seconds},
      {"seed", options.seed},
      {"events", books.events()},
      {"deliveries", load.deliveries()},
      {"settled", books.ends()},
      {"retries", load.retries()},
      {"time_outs", load.time_outs()},
      {"given_up", books.dead()},
      {"left_open", open},
      {"violations", violations},
      {"memory_idle", samples.memory_idle()},
      {"memory_max", most(windows, &Window::memory_max)},
      {"memory_budget", bounds.memory},
      {"memory_exceeded_samples", samples.memory_exceeded()},
      {"disk_max", most(windows, &Window::disk_max)},
      {"disk_bound", bounds.disk},
      {"disk_exceeded_samples", samples.disk_exceeded()},
      {"critical_p99_ns_max", most(windows, &Window::critical_p99)},
      {"critical_p99_growth", samples.critical_growth()}};
  std::printf("%s\n", figures.dump().c_str());
  const auto check = [](bool holds, const char* what) {
    if (!holds) std::fprintf(stderr, "holdfast_load: %s\n", what);
    return holds;
  };
  bool fine = check(violations == 0, "something was lost, or settled twice");
  // A sanitizer takes memory of its own.
  fine =
      check(kSanitized || samples.memory_exceeded() == 0, "the memory budget was exceeded") && fine;
  fine = check(samples.disk_exceeded() == 0, "the disk grew beyond retention + 50 %") && fine;
  // What is rare may not have come yet in a short run.
  const bool did_everything = books.dead() > 0 && load.time_outs() > 0;
  fine = check(books.events() > 0 && load.retries() > 0 && (arguments.small || did_everything),
               "it did not do what it is for") &&
         fine;
  return fine ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::testing

int main(int argc, char** argv) {
  const auto parsed = holdfast::testing::parse(argc, argv);
  if (const auto* code = std::get_if<int>(&parsed)) return *code;
  return holdfast::testing::run(std::get<holdfast::testing::Arguments>(parsed));
}
