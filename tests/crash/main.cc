// SPDX-License-Identifier: MIT
// The crash tests run this program again, in a role, to be killed.
#include <gtest/gtest.h>

#include "support/child_process.h"

int main(int argc, char** argv) {
  if (const auto code = holdfast::testing::run_child_role(argc, argv)) return *code;
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
