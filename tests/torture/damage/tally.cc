// SPDX-License-Identifier: MIT
#include "damage/tally.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace holdfast::testing {

namespace {

constexpr std::array<DamageOutcome, 6> kOutcomes = {
    DamageOutcome::fine,         DamageOutcome::prefix,  DamageOutcome::loss_at_open,
    DamageOutcome::loss_at_read, DamageOutcome::refused, DamageOutcome::violation};

}  // namespace

void Tally::note(const Damage& damage, const std::string& stage, DamageOutcome outcome,
                 const std::string& why) {
  const Row row(stage, std::string(class_of(damage.file)), damage.kind);
  ++counts_[row][static_cast<std::size_t>(outcome)];
  if (outcome == DamageOutcome::violation) violations_.push_back({damage, stage, why});
}

void Tally::print(std::uint64_t damages, double seconds) const {
  std::printf("%-10s %-14s %-7s", "by", "file", "damage");
  for (const auto outcome : kOutcomes) std::printf(" %12s", std::string(name_of(outcome)).c_str());
  std::printf("\n");
  auto rows = nlohmann::ordered_json::array();
  for (const auto& [row, counts] : counts_) {
    const auto& [stage, file, kind] = row;
    std::printf("%-10s %-14s %-7s", stage.c_str(), file.c_str(),
                std::string(name_of(kind)).c_str());
    nlohmann::ordered_json json{{"by", stage}, {"file", file}, {"damage", name_of(kind)}};
    for (const auto outcome : kOutcomes) {
      const auto count = counts[static_cast<std::size_t>(outcome)];
      std::printf(" %12llu", static_cast<unsigned long long>(count));
      json[std::string(name_of(outcome))] = count;
    }
    std::printf("\n");
    rows.push_back(std::move(json));
  }
  const nlohmann::ordered_json all{{"damages", damages},
                                   {"seconds", seconds},
                                   {"violations", violations_.size()},
                                   {"outcomes", std::move(rows)}};
  std::printf("%s\n", all.dump().c_str());
}

}  // namespace holdfast::testing
