// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <mutex>
#include <stop_token>

#include "holdfast/delivery.h"

namespace holdfast::internal {

/// Whether and why one handler run is asked to stop. The request and the telling are two steps: the
/// first may happen under the bus's lock, the second runs the embedder's stop callbacks. Threads:
/// any, but for `reset`.
class StopRequest {
 public:
  /// For the handler. The first call makes what a token needs: who never asks pays nothing.
  [[nodiscard]] std::stop_token token();
  [[nodiscard]] StopReason reason() const noexcept { return reason_; }

  /// The first reason holds. Whether this is it; then whoever asked owes a `tell`.
  bool note(StopReason reason) noexcept {
    auto none = StopReason::none;
    return reason_.compare_exchange_strong(none, reason);
  }
  /// Runs the callbacks of tokens that were given out; later ones find themselves asked already.
  /// Never under the bus's lock, nor on a thread that others wait for.
  void tell();

  /// For the next run. Nobody else may know of this one any more.
  void reset();

 private:
  std::atomic<StopReason> reason_{StopReason::none};
  std::atomic<bool> has_source_{false};
  std::mutex mutex_;
  std::stop_source source_{std::nostopstate};
};

}  // namespace holdfast::internal
