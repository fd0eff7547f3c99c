// SPDX-License-Identifier: MIT
// Writes the seeds of every target into FOLDER/TARGET/: `make_fuzz_corpus tests/fuzz/corpus`, after
// seeds.cc or the format has changed.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fuzz/targets.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "make_fuzz_corpus FOLDER\n");
    return 2;
  }
  for (const auto& target : holdfast::fuzz::targets()) {
    const auto folder = std::filesystem::path(argv[1]) / target.name;
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const auto& seed : holdfast::fuzz::seeds(target.name)) {
      std::ofstream(folder / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
    }
  }
  return 0;
}
