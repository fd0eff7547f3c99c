// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "holdfast/types.h"

namespace holdfast::testing {

/// A commit in the logs of an undamaged journal, and where it is.
struct LoggedCommit {
  std::string file;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  ///< Of its record, exclusive.
  CommitNumber number;
  CommitNumber durable_known;
};

/// In their order.
std::vector<LoggedCommit> commits_in_logs(const std::string& image);

}  // namespace holdfast::testing
