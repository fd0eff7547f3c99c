// SPDX-License-Identifier: MIT
// holdfast_power_loss --rounds N --seed S --seconds T: the long form of the power loss torture.
// Prints a table and, as its last line, JSON. Exits with 1 when a promise was broken.
#include <charconv>
#include <cstring>
#include <iostream>
#include <random>
#include <string_view>

#include "torture/power_loss/run.h"

namespace {

int refuse(std::string_view what) {
  std::cerr << "holdfast_power_loss: " << what
            << "\nusage: holdfast_power_loss [--rounds N] [--seed S] [--seconds T]\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  holdfast::testing::PowerLossOptions options;
  options.seed = std::random_device{}();
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    auto* value = name == "--rounds"    ? &options.rounds
                  : name == "--seed"    ? &options.seed
                  : name == "--seconds" ? &options.seconds
                                        : nullptr;
    if (value == nullptr) return refuse("unknown option '" + std::string(name) + "'");
    if (i + 1 == argc) return refuse(std::string(name) + " needs a number");
    const char* end = argv[i + 1] + std::strlen(argv[i + 1]);
    const auto parsed = std::from_chars(argv[i + 1], end, *value);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      return refuse("'" + std::string(argv[i + 1]) + "' is no number");
    }
  }
  std::cout << "power loss: seed " << options.seed << ", " << options.rounds << " rounds"
            << std::endl;
  const auto result = holdfast::testing::lose_power_again_and_again(
      options, [](const std::string& what) { std::cout << "VIOLATION " << what << std::endl; });
  print_table(std::cout, result);
  print_json(std::cout, result);
  return result.figures.violations == 0 ? 0 : 1;
}
