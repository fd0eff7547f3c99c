// SPDX-License-Identifier: MIT
#include "support/report.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <sys/utsname.h>
#include <thread>

#include <nlohmann/json.hpp>
#include <rocksdb/version.h>
#include <sqlite3.h>

namespace holdfast::bench {

const std::vector<Figure> kRateFigures = {
    {"k events/s", 1}, {"CPU us/event", 2}, {"B written/event", 0}, {"B to disk/event", 0}};

namespace {

using Json = nlohmann::ordered_json;
using Samples = std::vector<double>;

/// The rest of the first line of `file` that begins with `key`.
std::string line_of(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto at = line.find_first_not_of(" \t:=\"", key.size());
    auto value = at == std::string::npos ? "" : line.substr(at);
    if (!value.empty() && value.back() == '"') value.pop_back();
    return value;
  }
  return "unknown";
}

/// The type of the file system that `folder` is on, by the longest mount point that leads there.
std::string file_system_of(const std::filesystem::path& folder) {
  std::ifstream mounts("/proc/self/mounts");
  std::string best = "unknown";
  std::size_t longest = 0;
  const auto wanted = std::filesystem::canonical(folder).string();
  std::string device, point, type, rest;
  while (mounts >> device >> point >> type && std::getline(mounts, rest)) {
    const bool leads = point == "/" || wanted == point || wanted.starts_with(point + "/");
    if (leads && point.size() >= longest) {
      longest = point.size();
      best = type;
    }
  }
  return best;
}

std::vector<std::pair<std::string, std::string>> environment(const std::filesystem::path& folder) {
  utsname system{};
  uname(&system);
  const auto memory = std::strtoull(line_of("/proc/meminfo", "MemTotal").c_str(), nullptr, 10);
  const auto type = file_system_of(folder);
  const auto distribution = line_of("/etc/os-release", "ID");
  std::string rocksdb = std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
                        std::to_string(ROCKSDB_PATCH);
  if (distribution == "debian") rocksdb += " as Debian builds it, with its assertions on";
#ifdef NDEBUG
  const char* own = "";
#else
  const char* own = ", NDEBUG not set";
#endif
#ifdef __OPTIMIZE__
  const char* optimised = "optimised";
#else
  const char* optimised = "NOT OPTIMISED";
#endif
  return {{"machine", line_of("/proc/cpuinfo", "model name") + ", " +
                          std::to_string(std::thread::hardware_concurrency()) + " cores, " +
                          std::to_string(memory >> 20U) + " GiB"},
          {"system", line_of("/etc/os-release", "PRETTY_NAME") + ", Linux " + system.release},
          {"file system", type + (type == "tmpfs" ? " (a sync costs nothing here!)" : "")},
          {"compiler", std::string("g++ ") + __VERSION__ + ", " + optimised + own},
          {"engines", "RocksDB " + rocksdb + "; SQLite " + sqlite3_libversion()}};
}

std::string number(double value, int digits) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(digits);
  out << value;
  return out.str();
}

std::string with_spread(const Samples& samples, int digits) {
  const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
  return number(median(samples), digits) + " (" + number(*low, digits) + ".." +
         number(*high, digits) + ")";
}

Samples ratios(const Samples& ours, const Samples& theirs) {
  Samples out;
  for (std::size_t i = 0; i < ours.size(); ++i) out.push_back(ours[i] / theirs[i]);
  return out;
}

std::string verdict(const Target& target, double ratio) {
  const bool is_met = target.at_most > 0 ? ratio <= target.at_most : ratio >= target.at_least;
  return (target.at_most > 0 ? "at most " + number(target.at_most, 2)
                             : "at least " + number(target.at_least, 2)) +
         (is_met ? ": met" : ": MISSED");
}

/// `baseline` empty: the target for the figure itself.
const Target* target_of(const Case& what, const std::string& baseline, std::size_t figure) {
  for (const auto& target : what.targets) {
    if (target.baseline == baseline && target.figure == figure) return &target;
  }
  return nullptr;
}

}  // namespace

Report::Report(std::string program, int argc, char** argv) : program_(std::move(program)) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      quick_ = true;
    } else if (argument == "--json") {
      json_ = true;
    } else if (argument.starts_with("--rounds=")) {
      rounds_ = std::max(1, std::atoi(argument.c_str() + 9));
    } else if (argument.starts_with("--only=")) {
      only_ = argument.substr(7);
    } else {
      const bool is_help = argument == "--help" || argument == "-h";
      std::fprintf(is_help ? stdout : stderr,
                   "bench_%s [--quick] [--json] [--rounds=N] [--only=TEXT]\n"
                   "Works below $HOLDFAST_BENCH_DIR, or the folder for temporary files.\n",
                   program_.c_str());
      std::exit(is_help ? 0 : 2);
    }
  }
  print_environment();
}

void Report::print_environment() const {
  const auto lines = environment(temp_.path());
  if (json_) {
    Json row{{"bench", program_}, {"kind", "environment"}, {"quick", quick_}, {"rounds", rounds_}};
    for (const auto& [name, value] : lines) row[name] = value;
    std::cout << row.dump() << std::endl;
    return;
  }
  for (const auto& [name, value] : lines) std::printf("%-12s %s\n", name.c_str(), value.c_str());
  std::printf("%-12s median of %d rounds in turn (lowest..highest)%s\n", "figures", rounds_,
              quick_ ? ", quick form" : "");
  std::fflush(stdout);
}

void Report::note(const std::string& text) const {
  if (!json_) std::printf("  %s\n", text.c_str());
}

void Report::compare(const Case& what) {
  if (what.name.find(only_) == std::string::npos) return;
  // By contender, figure, round.
  std::vector<std::vector<Samples>> samples(what.contenders.size(),
                                            std::vector<Samples>(what.figures.size()));
  for (int round = 0; round < rounds_; ++round) {
    for (std::size_t i = 0; i < what.contenders.size(); ++i) {
      const auto values = what.contenders[i].measure();
      require(values.size() == what.figures.size(), "as many values as figures");
      for (std::size_t k = 0; k < values.size(); ++k) samples[i][k].push_back(values[k]);
    }
  }
  json_ ? print_rows(what, samples) : print_table(what, samples);
}

void Report::print_table(const Case& what, const std::vector<std::vector<Samples>>& samples) {
  std::printf("\n%-38s", what.name.c_str());
  if (what.name.size() > 37) std::printf("\n%-38s", "");
  for (const auto& figure : what.figures) std::printf("| %-24s", figure.name.c_str());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::printf("\n  %-36s", what.contenders[i].name.c_str());
    for (std::size_t k = 0; k < what.figures.size(); ++k) {
      std::printf("| %-24s", with_spread(samples[i][k], what.figures[k].digits).c_str());
    }
  }
  for (std::size_t k = 0; k < what.figures.size(); ++k) {
    if (const auto* target = target_of(what, "", k)) {
      std::printf("\n    target for %s, %s", what.figures[k].name.c_str(),
                  verdict(*target, median(samples[0][k])).c_str());
    }
  }
  for (std::size_t i = 1; i < samples.size(); ++i) {
    const auto& baseline = what.contenders[i].name;
    std::printf("\n  %-36s", ("ratio to " + baseline).c_str());
    std::string verdicts;
    for (std::size_t k = 0; k < what.figures.size(); ++k) {
      const auto each = ratios(samples[0][k], samples[i][k]);
      std::printf("| %-24s", with_spread(each, 2).c_str());
      if (const auto* target = target_of(what, baseline, k)) {
        verdicts +=
            "\n    target for " + what.figures[k].name + ", " + verdict(*target, median(each));
      }
    }
    std::printf("%s", verdicts.c_str());
  }
  std::puts("");
  std::fflush(stdout);
}

void Report::print_rows(const Case& what, const std::vector<std::vector<Samples>>& samples) {
  const auto fill = [](Json& row, const Samples& values) {
    row["median"] = median(values);
    row["lowest"] = *std::min_element(values.begin(), values.end());
    row["highest"] = *std::max_element(values.begin(), values.end());
    row["samples"] = values;
  };
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t k = 0; k < what.figures.size(); ++k) {
      Json row{{"bench", program_},
               {"kind", "figure"},
               {"case", what.name},
               {"contender", what.contenders[i].name},
               {"figure", what.figures[k].name}};
      fill(row, samples[i][k]);
      if (const auto* target = i == 0 ? target_of(what, "", k) : nullptr) {
        row["target"] = verdict(*target, median(samples[i][k]));
      }
      std::cout << row.dump() << "\n";
      if (i == 0) continue;
      Json ratio{{"bench", program_},
                 {"kind", "ratio"},
                 {"case", what.name},
                 {"contender", what.contenders[0].name},
                 {"to", what.contenders[i].name},
                 {"figure", what.figures[k].name}};
      const auto each = ratios(samples[0][k], samples[i][k]);
      fill(ratio, each);
      if (const auto* target = target_of(what, what.contenders[i].name, k)) {
        ratio["target"] = verdict(*target, median(each));
      }
      std::cout << ratio.dump() << "\n";
    }
  }
  std::cout << std::flush;
}

int run_program(const std::string& name, int argc, char** argv,
                const std::function<void(Report&)>& body) {
  try {
    Report report(name, argc, argv);
    body(report);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
    return 1;
  }
}

}  // namespace holdfast::bench
