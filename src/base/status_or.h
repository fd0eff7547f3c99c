// SPDX-License-Identifier: MIT
#pragma once

#include "holdfast/result.h"
#include "holdfast/status.h"

/// Returns the status of `expression` from the surrounding function when it is an error.
#define HOLDFAST_TRY(expression)                                                    \
  do {                                                                              \
    if (::holdfast::Status holdfast_status = (expression); !holdfast_status.ok()) { \
      return holdfast_status;                                                       \
    }                                                                               \
  } while (false)

#define HOLDFAST_CONCAT_INNER(a, b) a##b
#define HOLDFAST_CONCAT(a, b) HOLDFAST_CONCAT_INNER(a, b)

/// `HOLDFAST_ASSIGN(auto x, f());` gives `x` the value of the result, or returns its status.
#define HOLDFAST_ASSIGN(declaration, expression) \
  HOLDFAST_ASSIGN_INNER(HOLDFAST_CONCAT(holdfast_result_, __LINE__), declaration, expression)
#define HOLDFAST_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) return std::move(result).status();         \
  declaration = *std::move(result)
