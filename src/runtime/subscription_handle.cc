// SPDX-License-Identifier: MIT
#include "runtime/subscription_handle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/engine.h"

namespace holdfast::internal {

namespace {

// The handles whose code this thread is inside of, innermost last: a handler that ends its own
// subscription must not wait for itself.
thread_local std::vector<const SubscriptionHandle*> entered;
thread_local int callbacks = 0;

}  // namespace

bool inside_any_handler() { return !entered.empty() || callbacks > 0; }
bool inside_callback() { return callbacks > 0; }

CallbackScope::CallbackScope() { ++callbacks; }
CallbackScope::~CallbackScope() { --callbacks; }

Status check_may_wait() {
  if (!inside_callback()) return {};
  return {StatusCode::conflict,
          "a call that waits for a commit, inside a callback, would wait for "
          "itself"};
}

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
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    last = --inside_ == 0 && ended_from_inside_;
    left_.notify_all();
  }
  if (last) drop_callables();
}

void SubscriptionHandle::drop_callables() {
  // With no lock held: what they hold may call the bus when it goes.
  const auto handler = std::exchange(handler_, std::nullopt);
  const auto batch_handler = std::exchange(batch_handler_, std::nullopt);
  const auto condition = std::exchange(options_.condition, nullptr);
  const auto on_cancel = std::exchange(options_.on_cancel, {});
  const auto compensate = std::exchange(options_.compensate, {});
  const auto on_settled = std::exchange(options_.on_settled, nullptr);
}

void SubscriptionHandle::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  runtime::Signaller::Runs asked;
  {
    const std::shared_lock lock(link_->mutex);
    if (link_->engine != nullptr) asked = link_->engine->detach(*this);
  }
  for (const auto& run : asked) run->stop.tell();
  {
    std::unique_lock lock(mutex_);
    if (std::find(entered.begin(), entered.end(), this) != entered.end()) {
      ended_from_inside_ = true;
      return;
    }
    left_.wait(lock, [this] { return inside_ == 0; });
  }
  drop_callables();
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
