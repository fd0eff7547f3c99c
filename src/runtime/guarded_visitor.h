// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "holdfast/status.h"

namespace holdfast::runtime {

/// A visitor of the embedder's, whose exceptions end the visit instead of passing through the bus.
template <typename... Arguments>
class GuardedVisitor {
 public:
  using Visitor = std::function<bool(Arguments...)>;

  /// `visitor` must outlive this.
  explicit GuardedVisitor(const Visitor& visitor) : visitor_(visitor) {
    if (!visitor_) status_ = {StatusCode::invalid_argument, "the visitor is empty"};
  }
  /// Whether to go on.
  bool operator()(Arguments... arguments) {
    if (!status_.ok()) return false;
    try {
      return visitor_(std::forward<Arguments>(arguments)...);
    } catch (const std::exception& error) {
      status_ = {StatusCode::invalid_argument, std::string("the visitor threw: ") + error.what()};
    } catch (...) {
      status_ = {StatusCode::invalid_argument,
                 "the visitor threw something that is no std::exception"};
    }
    return false;
  }
  /// Ok, or why the visit ended early.
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  const Visitor& visitor_;
  Status status_;
};

template <typename... Arguments>
GuardedVisitor(const std::function<bool(Arguments...)>&) -> GuardedVisitor<Arguments...>;

}  // namespace holdfast::runtime
