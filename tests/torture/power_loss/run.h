// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>

#include "torture/power_loss/book.h"
#include "torture/power_loss/machine.h"

namespace holdfast::testing {

struct PowerLossOptions {
  std::uint64_t rounds = 1'000;
  std::uint64_t seed = 1;
  std::uint64_t seconds = 0;  ///< No round begins after that; 0 = however long it takes.
};

struct PowerLossResult {
  std::uint64_t seed = 0;
  std::uint64_t rounds = 0;
  std::uint64_t kills = 0;      ///< Rounds that ended with the process alone.
  std::uint64_t opens_cut = 0;  ///< Opens that did not get to their end.
  std::uint64_t power_cuts = 0;
  std::map<std::string, std::uint64_t> cuts;  ///< By what was under way.
  FaultFs::Losses losses;
  PowerBook::Figures figures;
  double seconds = 0;
};

/// Loses power again and again on one journal at which a bus is at work, and compares what is there
/// with what was promised. Stops after the first round in which that was not the same; `tell` is
/// told why. Ends the program when a round hangs.
///
/// The same seed makes the same choices: what each publisher does, when power goes (the n-th
/// operation of some kind) and what the disk keeps of the bytes at hand. How the threads run
/// meanwhile, and so which bytes those are, is the machine's.
PowerLossResult lose_power_again_and_again(const PowerLossOptions& options,
                                           const std::function<void(const std::string&)>& tell);

/// A table, and one line of JSON.
void print_table(std::ostream& out, const PowerLossResult& result);
void print_json(std::ostream& out, const PowerLossResult& result);

}  // namespace holdfast::testing
