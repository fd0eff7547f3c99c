// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <vector>

namespace indexer {

// What the system itself says of a tree: the second opinion that the demo is measured by. Nothing
// of this shares a line of code with the walker and the hasher.

/// The files below `root`, by `find`: regular ones, links to regular ones, and dangling links.
/// Nothing below `left_out`.
[[nodiscard]] std::vector<std::string> find_files(const std::string& root,
                                                  const std::string& left_out);

/// The digest of each of `files` that can be read, by `sha256sum`.
[[nodiscard]] std::map<std::string, std::string> sha256sum(const std::vector<std::string>& files);

}  // namespace indexer
