// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

// Named places where a test can end the process, to see what a crash there leaves behind:
// HOLDFAST_FAIL_POINT="commit.written:3" kills it (SIGKILL) when the place is passed the third
// time. Compiled in with -DHOLDFAST_FAIL_POINTS=1 only.

namespace holdfast::base {

void pass_fail_point(std::string_view name) noexcept;

}  // namespace holdfast::base

#if defined(HOLDFAST_FAIL_POINTS) && HOLDFAST_FAIL_POINTS
#define HOLDFAST_FAIL_POINT(name) ::holdfast::base::pass_fail_point(name)
#else
#define HOLDFAST_FAIL_POINT(name) static_cast<void>(0)
#endif
