// SPDX-License-Identifier: MIT
// All benches in one program: `./dev bench` builds it optimised and runs it.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sections.h"

namespace holdfast::bench {
namespace {

struct Section {
  std::string_view name;
  std::string_view targets;
  void (*run)(Report&);
};
constexpr std::array kSections = {
    Section{"end_to_end", "P1 P2 P10 P11", end_to_end},
    Section{"publish", "P3 P4", publish},
    Section{"priorities", "P5 P6", priorities},
    Section{"cancel", "P7", cancel},
    Section{"recovery", "P8", recovery},
    Section{"memory", "P9", memory},
    Section{"routing", "P12", routing},
    Section{"batches", "P13", batches},
    Section{"growth", "P14", growth},
    Section{"settle", "P15", settle},
    Section{"latency", "a picture alone", latency},
};

struct ChildSection {
  std::string_view name;
  void (*run)(const std::vector<std::string>&);
};
constexpr std::array kChildren = {
    ChildSection{"recovery", recovery_child},
    ChildSection{"memory", memory_child},
    ChildSection{"batches", batches_child},
};

[[noreturn]] void tell_usage(std::FILE* to, int status) {
  std::fprintf(
      to,
      "holdfast_bench [--quick] [--json] [--rounds=N] [--only=TEXT] [--plots=FOLDER] [SECTION...]\n"
      "  --quick      smaller, and 3 rounds: for a first look\n"
      "  --json       one object for each target: id, target, ratio, met, ...\n"
      "  --rounds=N   of each contender, in turn; 5\n"
      "  --only=TEXT  the cases alone whose name holds it\n"
      "  --plots=FOLDER  pictures of how the figures grow, as SVG\n"
      "Works below $HOLDFAST_BENCH_DIR, or the folder for temporary files. Sections:\n");
  for (const auto& section : kSections) {
    std::fprintf(to, "  %-12s %s\n", section.name.data(), section.targets.data());
  }
  std::exit(status);
}

int run(const std::vector<std::string>& arguments) {
  Report::Settings settings;
  int rounds = 0;
  std::vector<Section> wanted;
  for (const auto& argument : arguments) {
    if (argument == "--quick") {
      settings.quick = true;
    } else if (argument == "--json") {
      settings.json = true;
    } else if (argument.starts_with("--rounds=")) {
      rounds = std::atoi(argument.c_str() + 9);
      if (rounds < 1) tell_usage(stderr, 2);
    } else if (argument.starts_with("--only=")) {
      settings.only = argument.substr(7);
    } else if (argument.starts_with("--plots=")) {
      settings.plots = argument.substr(8);
    } else if (argument == "-h" || argument == "--help") {
      tell_usage(stdout, 0);
    } else {
      const auto before = wanted.size();
      for (const auto& section : kSections) {
        if (section.name == argument) wanted.push_back(section);
      }
      if (wanted.size() == before) tell_usage(stderr, 2);
    }
  }
  if (!settings.plots.empty()) std::filesystem::create_directories(settings.plots);
  settings.rounds = rounds > 0 ? rounds : settings.quick ? 3 : 5;
  if (wanted.empty()) wanted.assign(kSections.begin(), kSections.end());
  Report report(settings);
  for (const auto& section : wanted) section.run(report);
  report.print_targets();
  return 0;
}

int run_child(const std::vector<std::string>& arguments) {
  for (const auto& child : kChildren) {
    if (child.name != arguments.at(0)) continue;
    child.run({arguments.begin() + 1, arguments.end()});
    return 0;
  }
  throw std::logic_error("no such child: " + arguments[0]);
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    return !arguments.empty() && arguments[0] == "--child"
               ? holdfast::bench::run_child({arguments.begin() + 1, arguments.end()})
               : holdfast::bench::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
