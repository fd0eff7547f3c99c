// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "support/measure.h"

namespace holdfast::bench {

/// One number that is measured of everyone.
struct Figure {
  std::string name;  ///< With its unit.
  int digits = 0;    ///< Behind the point.
};
extern const std::vector<Figure> kRateFigures;  // what `Stopwatch::rates` returns

/// Who is measured. The first of a case is ours, the others are what it is compared with.
struct Contender {
  std::string name;
  std::function<std::vector<double>()> measure;  ///< One value for each figure of the case.
};

/// What a ratio should be.
struct Target {
  std::string baseline;  ///< Empty: what our figure itself should be.
  std::size_t figure = 0;
  double at_least = 0;
  double at_most = 0;  ///< 0 = `at_least` counts.
};

struct Case {
  std::string name;  ///< e.g. "publish/payload:128/durability:durable/waiters:1"
  std::vector<Figure> figures;
  std::vector<Contender> contenders;
  std::vector<Target> targets{};
};

/// Measures cases and prints them. Contenders run in turn (A B A B ...) because the speed of a
/// shared machine drifts; a figure is the median of its rounds with the lowest and highest, a ratio
/// the median of the ratios of neighbouring runs.
class Report {
 public:
  /// Reads --quick, --json, --rounds=N and --only=TEXT (cases whose name holds it); prints what the
  /// figures were taken on. Ends the program when asked for help or something unknown.
  Report(std::string program, int argc, char** argv);

  [[nodiscard]] bool quick() const { return quick_; }
  /// For files and folders of this run.
  [[nodiscard]] TempFolder& temp() { return temp_; }

  void compare(const Case& what);
  /// A line of explanation; not in --json.
  void note(const std::string& text) const;

 private:
  void print_environment() const;
  void print_table(const Case& what, const std::vector<std::vector<std::vector<double>>>& samples);
  void print_rows(const Case& what, const std::vector<std::vector<std::vector<double>>>& samples);

  std::string program_;
  bool quick_ = false;
  bool json_ = false;
  int rounds_ = 5;
  std::string only_;
  TempFolder temp_;
};

/// Runs `body` with a report and turns what it throws into a message and exit status 1.
int run_program(const std::string& name, int argc, char** argv,
                const std::function<void(Report&)>& body);

}  // namespace holdfast::bench
