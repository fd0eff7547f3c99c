// SPDX-License-Identifier: MIT
#pragma once

#include <new>

#include "holdfast/status.h"
#include "runtime/committer.h"

namespace holdfast::runtime {

/// Nothing throws out of the API: a `call` that there is no memory for answers that. What it had
/// asked the committer for, if it got that far, may have happened.
template <typename Call>
auto answered(const Call& call) -> decltype(call()) {
  const auto before = Committer::handed_over();
  try {
    return call();
  } catch (const std::bad_alloc&) {
    // So short a text takes no memory.
    const bool is_undecided = Committer::handed_over() != before;
    return Status(is_undecided ? StatusCode::indeterminate : StatusCode::resource_exhausted,
                  "out of memory");
  }
}

}  // namespace holdfast::runtime
