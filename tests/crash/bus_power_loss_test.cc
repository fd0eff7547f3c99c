// SPDX-License-Identifier: MIT
// Goal: whenever power is lost under a bus at work, what it promised holds.
// Method: the short form of tests/torture/power_loss; HOLDFAST_POWER_LOSS_ROUNDS and
// HOLDFAST_POWER_LOSS_SEED change it, and its program is for long runs.
#include <iostream>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "support/environment.h"
#include "torture/power_loss/run.h"

namespace holdfast::testing {
namespace {

TEST(BusPowerLoss, WhatWasPromisedHoldsWheneverPowerIsLost) {
  PowerLossOptions options;
  options.rounds = from_environment("HOLDFAST_POWER_LOSS_ROUNDS", 60);
  options.seed = from_environment("HOLDFAST_POWER_LOSS_SEED", std::random_device{}());
  std::cout << "HOLDFAST_POWER_LOSS_SEED=" << options.seed
            << " HOLDFAST_POWER_LOSS_ROUNDS=" << options.rounds << std::endl;
  const auto result =
      lose_power_again_and_again(options, [](const std::string& what) { ADD_FAILURE() << what; });
  print_table(std::cout, result);
  EXPECT_EQ(result.rounds, options.rounds);
  // Otherwise nothing was tried.
  EXPECT_GT(result.figures.durable_receipts, 0U);
  EXPECT_GT(result.figures.settled, 0U);
  EXPECT_GT(result.power_cuts, 0U);
}

}  // namespace
}  // namespace holdfast::testing
