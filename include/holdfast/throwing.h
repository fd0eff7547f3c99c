// SPDX-License-Identifier: MIT
#pragma once

// Opt-in: for programs that prefer exceptions. Nothing else in holdfast throws.

#include <stdexcept>
#include <utility>

#include "holdfast/result.h"

namespace holdfast {

/// What `unwrap` throws. `what()` is the status as text.
class StatusError : public std::runtime_error {
 public:
  explicit StatusError(Status status)
      : std::runtime_error(status.to_string()), status_(std::move(status)) {}
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  Status status_;
};

/// The value of `result`, or a `StatusError` thrown.
template <typename T>
T unwrap(Result<T> result) {
  if (!result) throw StatusError(result.status());
  return *std::move(result);
}

inline void unwrap(const Status& status) {
  if (!status.ok()) throw StatusError(status);
}

}  // namespace holdfast
