// SPDX-License-Identifier: MIT
#include "runtime/subscription_handle.h"

#include <algorithm>
#include <vector>

#include "runtime/engine.h"

namespace holdfast::internal {

namespace {

// The handles whose code this thread is inside of, innermost last: a handler that ends its own
// subscription must not wait for itself.
thread_local std::vector<const SubscriptionHandle*> entered;

}  // namespace

bool inside_any_handler() { return !entered.empty(); }

bool SubscriptionHandle::enter() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    ++inside_;
  }
  entered.push_back(this);
  return true;
}

void SubscriptionHandle::leave() {
  entered.pop_back();
  // Told under the lock: who waits may destroy this as soon as it is let go.
  const std::lock_guard lock(mutex_);
  --inside_;
  left_.notify_all();
}

void SubscriptionHandle::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  {
    const std::shared_lock lock(link_->mutex);
    if (link_->engine != nullptr) link_->engine->detach(*this);
  }
  stop_.request_stop();
  if (std::find(entered.begin(), entered.end(), this) != entered.end()) return;
  std::unique_lock lock(mutex_);
  left_.wait(lock, [this] { return inside_ == 0; });
}

}  // namespace holdfast::internal

namespace holdfast {

namespace {
const std::string kNoName;
}  // namespace

Subscription::Subscription() noexcept = default;
Subscription::Subscription(std::shared_ptr<internal::SubscriptionHandle> handle) noexcept
    : handle_(std::move(handle)) {}
Subscription::Subscription(Subscription&&) noexcept = default;

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    end();
    handle_ = std::move(other.handle_);
  }
  return *this;
}

Subscription::~Subscription() { end(); }

void Subscription::end() {
  // Moved out first, so that a handler that ends its own subscription twice finds nothing.
  if (const auto handle = std::move(handle_); handle != nullptr) handle->end();
}

const std::string& Subscription::name() const noexcept {
  return handle_ == nullptr ? kNoName : handle_->options().name;
}

}  // namespace holdfast
