// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>

#include "base/clock.h"
#include "core/lease.h"
#include "holdfast/status.h"
#include "holdfast/subscription.h"
#include "model/ids.h"

namespace holdfast::runtime {

class Engine;

/// The way back to the bus for what may outlive it (`Subscription`, `Deferred`): empty once it is
/// closed.
struct EngineLink {
  std::shared_mutex mutex;
  Engine* engine = nullptr;
};

}  // namespace holdfast::runtime

namespace holdfast::internal {

/// A handler that is subscribed, and how many of its calls are under way.
class SubscriptionHandle {
 public:
  SubscriptionHandle(std::shared_ptr<runtime::EngineLink> link, model::SubscriptionId id,
                     SubscribeOptions options, Handler handler, BatchHandler batch_handler = {})
      : link_(std::move(link)),
        id_(id),
        options_(std::move(options)),
        abandon_after_(base::BootTime{options_.abandon_after.count()} * 1'000'000),
        stop_after_(options_.timeout.count() == 0
                        ? abandon_after_
                        : base::BootTime{options_.timeout.count()} * 1'000'000),
        is_batch_(static_cast<bool>(batch_handler)),
        handler_(std::move(handler)),
        batch_handler_(std::move(batch_handler)) {}
  ~SubscriptionHandle() = default;
  SubscriptionHandle(const SubscriptionHandle&) = delete;
  SubscriptionHandle& operator=(const SubscriptionHandle&) = delete;

  [[nodiscard]] model::SubscriptionId id() const noexcept { return id_; }
  [[nodiscard]] const SubscribeOptions& options() const noexcept { return options_; }
  /// After how many ns a run is asked to stop, and its event taken from it; 0 = never.
  [[nodiscard]] base::BootTime stop_after() const noexcept { return stop_after_; }
  [[nodiscard]] base::BootTime abandon_after() const noexcept { return abandon_after_; }
  /// Between `enter` and `leave`.
  [[nodiscard]] Handler& handler() noexcept { return *handler_; }
  /// The one of the two that there is.
  [[nodiscard]] bool is_batch() const noexcept { return is_batch_; }
  [[nodiscard]] BatchHandler& batch_handler() noexcept { return *batch_handler_; }
  /// The handler of what is to be cleaned up; an empty one when there is none for it.
  [[nodiscard]] Handler& cleanup_handler(const core::Lease& lease,
                                         const EventView& event) noexcept {
    if (options_.compensate && event.operation_id.value != 0) return options_.compensate;
    return lease.is_compensation() ? options_.compensate : options_.on_cancel;
  }
  [[nodiscard]] const std::shared_ptr<runtime::EngineLink>& link() const noexcept { return link_; }

  /// Marks a call into the embedder's code; false once the handle has ended: do not call.
  bool enter();
  void leave();

  /// No call starts any more; detaches from the bus, asks running handlers to stop, and waits for
  /// them, unless this thread is inside one of them. The embedder's callables, with all that they
  /// hold, are destroyed before it returns, or when this thread leaves the last of them.
  void end();

 private:
  void drop_callables();

  std::shared_ptr<runtime::EngineLink> link_;
  const model::SubscriptionId id_;
  SubscribeOptions options_;  // but for its callables it does not change
  const base::BootTime abandon_after_;
  const base::BootTime stop_after_;
  const bool is_batch_;
  std::optional<Handler> handler_;
  std::optional<BatchHandler> batch_handler_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::uint32_t inside_ = 0;
  bool ended_ = false;
  bool ended_from_inside_ = false;
};

/// Whether this thread is inside the embedder's code, called by a bus.
bool inside_any_handler();

/// Marks a call into the embedder's code on a thread that others wait for: what would wait for a
/// commit there could wait for itself.
class CallbackScope {
 public:
  CallbackScope();
  ~CallbackScope();
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};
bool inside_callback();
/// Ok, or `conflict` inside a callback.
Status check_may_wait();

}  // namespace holdfast::internal
