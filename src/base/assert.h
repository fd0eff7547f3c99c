// SPDX-License-Identifier: MIT
#pragma once

namespace holdfast::base {

[[noreturn]] void assert_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace holdfast::base

/// A programmer's error, checked in every build. Damage read from disk is never one: that is a
/// Status.
#define HOLDFAST_ASSERT(expression)    \
  ((expression) ? static_cast<void>(0) \
                : ::holdfast::base::assert_failed(#expression, __FILE__, __LINE__))
