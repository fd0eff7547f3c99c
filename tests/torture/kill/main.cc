// SPDX-License-Identifier: MIT
// Kills a program that uses everything the bus has, again and again, on one journal, and sees
// whether every promise holds (docs/durability.md has them by number). `./dev torture` runs it.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "torture/command_line.h"
#include "torture/kill/life.h"

namespace holdfast::torture {
namespace {

using Json = nlohmann::ordered_json;

// So many have each feature used, and kills enough to tell how many came while it was busy.
constexpr std::uint64_t kRoundsThatUseAll = 200;

// Where children kill themselves: HOLDFAST_FAIL_POINT in src/.
constexpr std::array kFailPoints = {"commit.planned", "commit.written", "commit.synced",
                                    "open.committed"};

/// NAME:COUNT; what is wrong with it, or nothing.
std::string check_fail_point(const std::string& text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  const bool is_known =
      std::find(kFailPoints.begin(), kFailPoints.end(), name) != kFailPoints.end();
  if (is_known && colon != std::string::npos && at_least(1)(text.substr(colon + 1)).empty()) {
    return {};
  }
  std::string known;
  for (const auto* each : kFailPoints) known += std::string(known.empty() ? "" : ", ") + each;
  return "'" + text + "' is not NAME:COUNT, where NAME is one of " + known;
}

struct Wanted {
  KillOptions options;
  std::uint64_t seconds = 0;
  std::string profile = "mixed";
  std::string fail_point;
  bool is_short = false;
};

/// What a run is worth nothing without.
std::vector<std::string> never_happened(const Book::Figures& figures) {
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    if (figures.features[i] == 0) missing.emplace_back(kFeatureNames[i]);
  }
  return missing;
}

/// One of the figures, in the table and in JSON.
struct Row {
  const char* label;
  const char* name;
  std::uint64_t value;
};

std::vector<Row> rows_of(const Report& report, const Book::Figures& figures) {
  return {{"rounds", "rounds", report.rounds},
          {"kills", "kills", report.kills},
          {"  while the bus was opened", "kills_before_ready", report.kills_before_ready},
          {"  publishing and handling", "kills_while_busy", figures.busy_kills},
          {"killed itself", "killed_itself", report.killed_itself},
          {"came to an end", "returned", report.returned},
          {"  everything compared", "compared_to_the_end", figures.quiet},
          {"publishes asked for", "intents", figures.intents},
          {"  confirmed", "receipts", figures.receipts},
          {"events found in the journal", "events", figures.found},
          {"deliveries", "deliveries", figures.deliveries},
          {"  told settled", "settled", figures.settled},
          {"suspects", "suspects", figures.suspects},
          {"violations", "violations", report.violations}};
}

Json to_json(const Report& report, const Book::Figures& figures) {
  Json json = {{"seed", report.seed}};
  for (const auto& row : rows_of(report, figures)) json[row.name] = row.value;
  for (std::size_t i = 1; i <= kPromises; ++i) {
    json["checks"]["4." + std::to_string(i)] = figures.checks[i];
  }
  for (std::size_t i = 0; i < kFeatures; ++i) {
    json["features"][std::string(kFeatureNames[i])] = figures.features[i];
  }
  return json;
}

void print_table(const Report& report, const Book::Figures& figures) {
  for (const auto& row : rows_of(report, figures)) {
    std::printf("%-32s %12llu\n", row.label, static_cast<unsigned long long>(row.value));
  }
  std::printf("checks by promise:");
  for (std::size_t i = 1; i <= kPromises; ++i) {
    std::printf(" 4.%zu %llu", i, static_cast<unsigned long long>(figures.checks[i]));
  }
  std::printf("\nfeatures:");
  for (std::size_t i = 0; i < kFeatures; ++i) {
    std::printf("%s %s %llu", i == 0 ? "" : ",", std::string(kFeatureNames[i]).c_str(),
                static_cast<unsigned long long>(figures.features[i]));
  }
  std::printf("\n");
}

int run(Wanted& wanted) {
  const auto* profile = find_profile(wanted.profile);
  if (!wanted.fail_point.empty()) {
    // Read by each child when it passes the first one.
    setenv("HOLDFAST_FAIL_POINT", wanted.fail_point.c_str(), 1);
    // Nobody else kills them.
    wanted.options.before_ready_percent = 0;
    wanted.options.notes_max = std::numeric_limits<std::uint32_t>::max();
    wanted.options.kill_after_max = wanted.options.round_time_max;
  }
  Book book;
  const Workload workload{
      .run =
          [&](Child& child) {
            if (child.is_quiet()) unsetenv("HOLDFAST_FAIL_POINT");
            live(child, book, *profile);
          },
      .on_note =
          [&](Judge& judge, std::string_view bytes) {
            Note note;
            if (bytes.size() != sizeof(note)) return judge.violation("a note of another size");
            std::memcpy(&note, bytes.data(), sizeof(note));
            book.hear(judge, note);
          },
      .on_end = [&](Judge& judge, Ending ending) { book.end_round(judge, ending); }};
  std::printf("torture_kill: seed %llu, profile %s\n",
              static_cast<unsigned long long>(wanted.options.seed), wanted.profile.c_str());
  std::fflush(stdout);
  const auto result = torture::run(wanted.options, workload);
  if (!result.ok()) {
    std::cerr << "torture_kill: " << result.status().to_string() << std::endl;
    return kNotRun;
  }
  const auto& figures = book.figures();
  print_table(*result, figures);
  std::cout << to_json(*result, figures).dump() << std::endl;
  for (const auto& violation : result->first_violations) {
    std::cerr << "VIOLATION " << violation << std::endl;
  }
  if (result->violations > 0) {
    std::cerr << "the journal is left in " << wanted.options.folder << "; --seed " << result->seed
              << " --profile " << wanted.profile << " repeats the choices, in a new folder"
              << std::endl;
    return kViolated;
  }
  if (!wanted.is_short && result->rounds >= kRoundsThatUseAll) {
    const auto missing = never_happened(figures);
    for (const auto& feature : missing) std::cerr << "never happened: " << feature << std::endl;
    if (!missing.empty()) return kIncomplete;
    if (figures.busy_kills * 10 < figures.kills * 9) {
      std::cerr << "only " << figures.busy_kills << " of " << figures.kills
                << " kills came while it was publishing and handling" << std::endl;
      return kIncomplete;
    }
  }
  return 0;
}

int run_main(int argc, char** argv) {
  Wanted wanted;
  wanted.options.rounds = 200;
  wanted.options.notes_max = 4'000;
  wanted.options.kill_after_max = std::chrono::milliseconds(1'000);
  CLI::App app(
      "Kills a program that uses all of holdfast, over and over, and checks its promises.");
  app.footer(
      "From 200 rounds on each feature has to have been used. Exit code 1: a promise was broken "
      "(the "
      "journal is kept); 2: it was not run; 3: no violation, but a feature was never used, or too "
      "few kills came while it was busy.");
  app.add_option("--rounds", wanted.options.rounds,
                 "rounds, each ended by a kill; 200, or, with --seconds, any")
      ->check(at_least(1));
  app.add_option("--seconds", wanted.seconds, "end after so long, whatever --rounds says")
      ->check(at_least(1));
  app.add_option("--seed", wanted.options.seed, "repeats the choices of a run; 0 = any")
      ->check(at_least(0));
  app.add_option("--profile", wanted.profile, "mixed, batches, cancels, operations or order")
      ->check([](const std::string& name) {
        return find_profile(name) != nullptr ? std::string() : "there is no profile " + name;
      });
  app.add_option("--folder", wanted.options.folder, "empty or new; by default a temporary one");
  app.add_option("--quiet-every", wanted.options.quiet_every,
                 "every that many rounds one works everything off and compares it")
      ->check(at_least(0));
  app.add_option("--fail-point", wanted.fail_point, "NAME:COUNT, where children kill themselves")
      ->check(check_fail_point);
  app.add_flag("--short", wanted.is_short, "do not ask for each feature to have been used");
  if (const auto code = parse(app, argc, argv)) return *code;
  wanted.options.seed = seed_or_any(wanted.options.seed);
  if (app.count("--seconds") > 0 && app.count("--rounds") == 0) {
    wanted.options.rounds = std::numeric_limits<std::uint64_t>::max();
  }
  wanted.options.time = std::chrono::seconds(wanted.seconds);
  std::string temporary;
  if (wanted.options.folder.empty()) {
    temporary = (std::filesystem::temp_directory_path() / "holdfast-torture-XXXXXX").string();
    if (mkdtemp(temporary.data()) == nullptr) {
      std::perror("mkdtemp");
      return kNotRun;
    }
    wanted.options.folder = temporary;
  }
  const auto code = run(wanted);
  if (!temporary.empty() && code != kViolated) std::filesystem::remove_all(temporary);
  return code;
}

}  // namespace
}  // namespace holdfast::torture

int main(int argc, char** argv) { return holdfast::torture::run_main(argc, argv); }
