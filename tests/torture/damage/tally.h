// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "damage/judge.h"
#include "damage/plan.h"

namespace holdfast::testing {

/// What came of all of it. Threads: one.
class Tally {
 public:
  struct Violation {
    Damage damage;
    std::string stage;
    std::string why;
  };

  void note(const Damage& damage, const std::string& stage, DamageOutcome outcome,
            const std::string& why);
  [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
  /// A table for people, and one line of JSON.
  void print(std::uint64_t damages, double seconds) const;

 private:
  using Row = std::tuple<std::string, std::string, DamageKind>;  // stage, class of file
  std::map<Row, std::array<std::uint64_t, 6>> counts_;
  std::vector<Violation> violations_;
};

}  // namespace holdfast::testing
