// SPDX-License-Identifier: MIT
// holdfast_power_loss --rounds N --seed S --seconds T: the long form of the power loss torture.
// Prints a table and, as its last line, JSON. Exits with 1 when a promise was broken.
#include <iostream>

#include "torture/command_line.h"
#include "torture/power_loss/run.h"

int main(int argc, char** argv) {
  namespace torture = holdfast::torture;
  holdfast::testing::PowerLossOptions options;
  options.seed = 0;
  CLI::App app("Takes power away under a bus, over and over, and checks what is left.");
  app.footer("Exit code 1: a promise was broken; 2: it was not run.");
  app.add_option("--rounds", options.rounds, "each ended by a cut or a kill")
      ->capture_default_str()
      ->check(torture::at_least(1));
  app.add_option("--seed", options.seed, "repeats the choices, not how threads interleave; 0 = any")
      ->check(torture::at_least(0));
  app.add_option("--seconds", options.seconds, "end after so long; 0 = no limit")
      ->check(torture::at_least(0));
  if (const auto code = torture::parse(app, argc, argv)) return *code;
  options.seed = torture::seed_or_any(options.seed);
  std::cout << "power loss: seed " << options.seed << ", " << options.rounds << " rounds"
            << std::endl;
  const auto result = holdfast::testing::lose_power_again_and_again(
      options, [](const std::string& what) { std::cout << "VIOLATION " << what << std::endl; });
  print_table(std::cout, result);
  print_json(std::cout, result);
  return result.figures.violations == 0 ? 0 : 1;
}
