// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/status.h"

namespace holdfast::runtime {

/// A visitor of the embedder's, whose exceptions end the visit instead of passing through the bus.
template <typename... Arguments>
class GuardedVisitor {
 public:
  using Visitor = std::function<bool(Arguments...)>;

  /// `visitor` must outlive this. `what` it is called is static.
  explicit GuardedVisitor(const Visitor& visitor, std::string_view what = "visitor")
      : visitor_(visitor), what_(what) {
    if (!visitor_) status_ = failed("is empty");
  }
  /// Whether to go on.
  bool operator()(Arguments... arguments) {
    if (!status_.ok()) return false;
    try {
      return visitor_(std::forward<Arguments>(arguments)...);
    } catch (const std::exception& error) {
      status_ = failed(std::string("threw: ") + error.what());
    } catch (...) {
      status_ = failed("threw something that is no std::exception");
    }
    return false;
  }
  /// Ok, or why the visit ended early.
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  [[nodiscard]] Status failed(const std::string& how) const {
    return {StatusCode::invalid_argument, "the " + std::string(what_) + " " + how};
  }

  const Visitor& visitor_;
  std::string_view what_;
  Status status_;
};

template <typename... Arguments>
GuardedVisitor(const std::function<bool(Arguments...)>&, std::string_view = {})
    -> GuardedVisitor<Arguments...>;

}  // namespace holdfast::runtime
