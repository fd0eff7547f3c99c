// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/measure.h"
#include "support/plot.h"

namespace holdfast::bench {

/// One number that is measured of everyone.
struct Figure {
  std::string name;  ///< With its unit.
  int digits = 0;    ///< Behind the point.
};
extern const std::vector<Figure> kRateFigures;  // what `Stopwatch::rates` returns
enum RateFigure : std::size_t { kRate, kCpu, kByCalls, kToDisk };

/// Who is measured. The first of a case is ours, the others are what it is compared with.
struct Contender {
  std::string name;
  std::function<std::vector<double>()> measure;  ///< One value for each figure of the case.
};

enum class Wanted { at_least, at_most };

/// What a ratio should be: one row of the table at the end.
struct Target {
  std::string id;        ///< The line of docs/performance.md, and which part of it: "P1.sqlite".
  std::string baseline;  ///< A contender; empty: our figure itself is meant, and no ratio.
  std::size_t figure = 0;
  Wanted wanted = Wanted::at_least;
  double value = 0;
  bool is_stretch = false;  ///< Nobody counts on it.
};

struct Case {
  std::string name;  ///< e.g. "publish/payload:128/durability:durable/waiters:1"
  std::vector<Figure> figures;
  std::vector<Contender> contenders;
  std::vector<Target> targets{};
  int rounds_max = 1'000;  ///< For what takes minutes.
};

/// All rounds of one contender: by figure, then round.
using Samples = std::vector<double>;
using SamplesOf = std::vector<Samples>;

/// Measures cases and prints them. Contenders run in turn (A B A B ...) because the speed of a
/// shared machine drifts; a figure is the median of its rounds with the lowest and highest, a ratio
/// the median of the ratios of neighbouring runs.
class Report {
 public:
  struct Settings {
    bool quick = false;
    bool json = false;
    int rounds = 5;
    std::string only;   ///< Of cases alone whose name holds this.
    std::string plots;  ///< A folder for pictures; empty: none are made.
  };
  /// Prints what the figures are taken on.
  explicit Report(Settings settings);

  [[nodiscard]] bool quick() const { return settings_.quick; }
  /// For files and folders of this run.
  [[nodiscard]] TempFolder& temp() { return temp_; }

  /// Whether `compare` would measure a case of this name: for what is dear to prepare.
  [[nodiscard]] bool wants(const std::string& name) const;
  /// What was measured, by contender; nothing of a case that is not wanted.
  std::vector<SamplesOf> compare(const Case& what);
  /// Writes NAME.svg into the folder for pictures.
  void plot(const std::string& name, const Plot& plot) const;
  [[nodiscard]] bool plots() const { return !settings_.plots.empty(); }
  /// A line of explanation; not in --json.
  void note(const std::string& text) const;
  /// All targets with what came of them: a table, or with --json an object each.
  void print_targets() const;

 private:
  struct Row {
    std::string work;  // the name of the case
    std::string figure;
    Target target;
    Samples samples;
    [[nodiscard]] bool is_met() const;
  };

  void print_environment() const;
  void print_case(const Case& what, const std::vector<SamplesOf>& samples) const;
  void keep_rows(const Case& what, const std::vector<SamplesOf>& samples);

  Settings settings_;
  TempFolder temp_;
  std::vector<Row> rows_;
};

}  // namespace holdfast::bench
