// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <holdfast/query.h>

namespace indexer {

/// How an index agrees with what the system's own tools say of the same tree.
struct Findings {
  std::uint64_t files = 0;       ///< Found by `find`, before and after.
  std::uint64_t identical = 0;   ///< Digest as `sha256sum` says.
  std::uint64_t unreadable = 0;  ///< A dead letter, and `sha256sum` cannot read it either.
  std::uint64_t different = 0;
  std::uint64_t missing = 0;        ///< Readable, and not in the index.
  std::uint64_t counted_twice = 0;  ///< Or more often.
  std::uint64_t counted = 0;        ///< The sum of all counts.
  std::uint64_t stored = 0;         ///< Entries in the index.
  /// Changed, came or went since the start, so that nothing can be said of them.
  std::vector<std::string> changed;
  /// Paths that count as different or missing.
  std::vector<std::string> wrong;
  std::vector<holdfast::DeadLetter> dead_letters;

  [[nodiscard]] bool agree() const;
  void print() const;
};

/// Reads the index in `journal`, which no process may have open now, and compares it.
/// `found_before` is what `find_files` said at the start.
[[nodiscard]] Findings check(const std::string& journal, const std::string& root,
                             const std::vector<std::string>& found_before);

}  // namespace indexer
