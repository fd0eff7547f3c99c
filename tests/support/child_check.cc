// SPDX-License-Identifier: MIT
#include "support/child_check.h"

#include "support/temp_folder.h"

namespace holdfast::testing {

void expect_fine(const std::string& role, const std::string& folder,
                 const std::vector<std::string>& environment) {
  auto child = ChildProcess::start(role, {folder}, environment);
  const auto said = child.read_all();
  EXPECT_TRUE(child.succeeded()) << "it ended with wait status " << child.wait();
  if (said.starts_with(kNotHere)) GTEST_SKIP() << said;
  EXPECT_EQ(said, kFine);
}

void expect_fine(const std::string& role) {
  const TempFolder folder;
  expect_fine(role, folder.path().string());
}

}  // namespace holdfast::testing
