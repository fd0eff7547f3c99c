// SPDX-License-Identifier: MIT
#include "support/waiting.h"

namespace holdfast::testing {

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  std::mutex nobody;
  std::condition_variable nothing;
  std::unique_lock lock(nobody);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    // Only so as not to take the processor from those who are waited for.
    nothing.wait_for(lock, std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace holdfast::testing
