// SPDX-License-Identifier: MIT
#pragma once

#include <variant>
#include <vector>

#include "model/commit.h"

namespace holdfast::testing {

/// Those of `commit` that are an `Op`, in their order.
template <typename Op>
std::vector<Op> operations_of(const model::Commit& commit) {
  std::vector<Op> found;
  for (const auto& operation : commit.operations) {
    if (const auto* each = std::get_if<Op>(&operation)) found.push_back(*each);
  }
  return found;
}

}  // namespace holdfast::testing
