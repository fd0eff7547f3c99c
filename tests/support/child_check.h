// SPDX-License-Identifier: MIT
#pragma once

// Tests whose whole story happens in a child, because it changes what its process may do: the child
// says "fine", what is wrong, or that it could not be tried here.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/child_process.h"

namespace holdfast::testing {

inline const std::string kFine = "fine";
/// What follows it is the reason.
inline const std::string kNotHere = "not here: ";

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define CHILD_EXPECT(condition) \
  if (!(condition)) return std::string(#condition) + " is false, line " + std::to_string(__LINE__)
// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define CHILD_EXPECT_EQ(got, expected)                                                    \
  if (const auto got_value = (got); got_value != (expected))                              \
  return std::string(#got) + " is " + ::testing::PrintToString(got_value) + " and not " + \
         ::testing::PrintToString(expected) + ", line " + std::to_string(__LINE__)

/// The main of a role: says what `check` says of a folder.
template <std::string (*check)(const std::string& folder)>
int say(const ChildArguments& given) {
  const auto what = check(given.values.at(0));
  report(given.report_fd, what.data(), what.size());
  return 0;
}

/// Runs `role` over `folder`, and expects that it says "fine" and ends with 0.
void expect_fine(const std::string& role, const std::string& folder,
                 const std::vector<std::string>& environment = {});
/// Likewise over a new folder.
void expect_fine(const std::string& role);

}  // namespace holdfast::testing
