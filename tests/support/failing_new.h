// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace holdfast::testing {

/// While it lives, the allocation of this thread with number `at` (from 0) throws `std::bad_alloc`;
/// those of other threads and all others of this one go as ever. In programs with failing_new.cc
/// alone, which replaces `operator new`.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::uint64_t at);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  /// Whether there were so many.
  [[nodiscard]] bool has_failed() const;
};

}  // namespace holdfast::testing
