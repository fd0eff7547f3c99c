// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace indexer {

struct DemoOptions {
  std::string root = "/usr/include";  ///< The tree to index.
  std::uint64_t seed = 0;             ///< Decides when the worker is killed.
  bool keep = false;                  ///< Leaves the journal behind, to be looked at.
};

/// Indexes a tree in a process of its own, kills that again and again, and compares the outcome
/// with what the system's tools say. Returns the exit status: 0 only if all agree and at least
/// three kills hit a running handler.
int demo(const DemoOptions& options);

}  // namespace indexer
