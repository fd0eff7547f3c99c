// SPDX-License-Identifier: MIT
#include "support/report.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
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

bool is_met(const Target& target, double value) {
  return target.wanted == Wanted::at_most ? value <= target.value : value >= target.value;
}

std::string wish(const Target& target) {
  return (target.wanted == Wanted::at_most ? "<= " : ">= ") + number(target.value, 2) +
         (target.is_stretch ? " (stretch)" : "");
}

/// Not found: no contender of that name, which is a mistake in the bench.
std::size_t find_contender(const Case& what, const std::string& name) {
  for (std::size_t i = 1; i < what.contenders.size(); ++i) {
    if (what.contenders[i].name == name) return i;
  }
  throw std::logic_error("no contender " + name + " in " + what.name);
}

}  // namespace

Report::Report(Settings settings) : settings_(std::move(settings)) {
  if (!settings_.json) print_environment();
}

bool Report::Row::is_met() const { return bench::is_met(target, median(samples)); }

void Report::print_environment() const {
  for (const auto& [name, value] : environment(temp_.path())) {
    std::printf("%-12s %s\n", name.c_str(), value.c_str());
  }
  std::printf("%-12s median of %d rounds in turn (lowest..highest)%s\n", "figures",
              settings_.rounds, quick() ? ", quick form" : "");
  std::fflush(stdout);
}

void Report::note(const std::string& text) const {
  if (settings_.json) return;
  std::printf("  %s\n", text.c_str());
  std::fflush(stdout);
}

void Report::plot(const std::string& name, const Plot& plot) const {
  if (!plots()) return;
  const auto file = std::filesystem::path(settings_.plots) / (name + ".svg");
  std::ofstream out(file);
  out << to_svg(plot);
  require(bool(out.flush()), "cannot write " + file.string());
  note(file.string());
}

bool Report::wants(const std::string& name) const {
  return name.find(settings_.only) != std::string::npos;
}

std::vector<SamplesOf> Report::compare(const Case& what) {
  if (!wants(what.name)) return {};
  std::vector<SamplesOf> samples(what.contenders.size(), SamplesOf(what.figures.size()));
  for (int round = 0; round < std::min(settings_.rounds, what.rounds_max); ++round) {
    for (std::size_t i = 0; i < what.contenders.size(); ++i) {
      const auto values = what.contenders[i].measure();
      require(values.size() == what.figures.size(), "as many values as figures");
      for (std::size_t k = 0; k < values.size(); ++k) samples[i][k].push_back(values[k]);
    }
  }
  if (!settings_.json) print_case(what, samples);
  keep_rows(what, samples);
  return samples;
}

void Report::print_case(const Case& what, const std::vector<SamplesOf>& samples) const {
  std::printf("\n%-38s", what.name.c_str());
  if (what.name.size() > 37) std::printf("\n%-38s", "");
  for (const auto& figure : what.figures) std::printf("| %-24s", figure.name.c_str());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::printf("\n  %-36s", what.contenders[i].name.c_str());
    for (std::size_t k = 0; k < what.figures.size(); ++k) {
      std::printf("| %-24s", with_spread(samples[i][k], what.figures[k].digits).c_str());
    }
  }
  for (std::size_t i = 1; i < samples.size(); ++i) {
    std::printf("\n  %-36s", ("ratio to " + what.contenders[i].name).c_str());
    for (std::size_t k = 0; k < what.figures.size(); ++k) {
      std::printf("| %-24s", with_spread(ratios(samples[0][k], samples[i][k]), 2).c_str());
    }
  }
  std::puts("");
  std::fflush(stdout);
}

void Report::keep_rows(const Case& what, const std::vector<SamplesOf>& samples) {
  for (const auto& target : what.targets) {
    const auto k = target.figure;
    auto values = target.baseline.empty()
                      ? samples[0][k]
                      : ratios(samples[0][k], samples[find_contender(what, target.baseline)][k]);
    rows_.push_back({what.name, what.figures[k].name, target, std::move(values)});
  }
}

void Report::print_targets() const {
  if (!settings_.json && !rows_.empty()) {
    std::printf("\n%-20s %-52s %-17s %-24s %s\n", "target", "what: ratio of", "wanted", "measured",
                "met");
  }
  for (const auto& row : rows_) {
    const auto& target = row.target;
    const auto against = target.baseline.empty() ? "" : " to that of " + target.baseline;
    if (settings_.json) {
      const auto [low, high] = std::minmax_element(row.samples.begin(), row.samples.end());
      std::cout
          << Json{{"id", target.id},       {"work", row.work},       {"figure", row.figure},
                  {"to", target.baseline}, {"target", wish(target)}, {"ratio", median(row.samples)},
                  {"lowest", *low},        {"highest", *high},       {"rounds", row.samples.size()},
                  {"met", row.is_met()}}
                 .dump()
          << "\n";
      continue;
    }
    std::printf("%-20s %-52s %-17s %-24s %s\n", target.id.c_str(), (row.figure + against).c_str(),
                wish(target).c_str(), with_spread(row.samples, 2).c_str(),
                row.is_met() ? "yes" : "NO");
  }
  std::cout << std::flush;
}

}  // namespace holdfast::bench
