// SPDX-License-Identifier: MIT
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace holdfast::base {

void assert_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "holdfast: assertion failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace holdfast::base
