// SPDX-License-Identifier: MIT
#include "runtime/stop_request.h"

#include "runtime/subscription_handle.h"

namespace holdfast::internal {

std::stop_token StopRequest::token() {
  const std::lock_guard lock(mutex_);
  if (!source_.stop_possible()) {
    source_ = std::stop_source();
    has_source_ = true;
    // Nobody has a token of it yet, so this calls nobody.
    if (reason() != StopReason::none) source_.request_stop();
  }
  return source_.get_token();
}

void StopRequest::tell() {
  std::stop_source source(std::nostopstate);
  {
    const std::lock_guard lock(mutex_);
    source = source_;
  }
  const CallbackScope scope;
  source.request_stop();
}

void StopRequest::reset() {
  reason_ = StopReason::none;
  if (!has_source_.exchange(false)) return;
  const std::lock_guard lock(mutex_);
  source_ = std::stop_source(std::nostopstate);
}

}  // namespace holdfast::internal
