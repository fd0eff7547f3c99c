// SPDX-License-Identifier: MIT
#pragma once

#include <coroutine>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/bus.h"

namespace holdfast {

/// What `Bus::publish_awaitable` and its kin return: `co_await` it once, where it was made, and it
/// gives a `Result<T>`, what the call without waiting would have called back with.
///
///     holdfast::Result<holdfast::Receipt> receipt = co_await bus.publish_awaitable(event);
///
/// Nothing happens before it is awaited, and what was given to the call has to live until then. A
/// refusal that is known at once is its result, and the coroutine stays on its thread. Otherwise it
/// goes on inside the callback of the call without waiting, so the rules of `Bus::publish_async`
/// hold for what comes behind it: be quick, take no lock that is held around a call to the bus, and
/// call nothing that waits for a commit (such calls answer `conflict`; awaiting another is fine).
/// Whoever wants to do more goes on on a thread of its own.
///
/// Threads: made and awaited on any, one at a time; goes on on one that others wait for. Awaiting
/// blocks as the call without waiting does: an `ordering_key` is looked up on the disk first, and
/// with `IntakePolicy::block` it waits for room in the intake. The bus must outlive it; closing the
/// bus answers all that waits. The coroutine must not be destroyed while it waits: the answer comes
/// back into its frame.
template <typename T>
class [[nodiscard]] Awaitable {
 public:
  using Done = std::function<void(Result<T>)>;
  using Start = std::function<Status(Done)>;

  explicit Awaitable(Start start) : start_(std::move(start)) {}

  class Awaiter {
   public:
    explicit Awaiter(Start start) : start_(std::move(start)) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) {
      // Once it has started, the coroutine may go on elsewhere, and with it this may be gone.
      const auto start = std::move(start_);
      auto refused = start([this, waiting](Result<T> result) {
        result_.emplace(std::move(result));
        waiting.resume();
      });
      if (refused.ok()) return true;
      result_.emplace(std::move(refused));
      return false;
    }
    Result<T> await_resume() { return *std::move(result_); }

   private:
    Start start_;
    std::optional<Result<T>> result_;
  };
  /// Of a temporary alone: what it borrows is gone afterwards.
  [[nodiscard]] Awaiter operator co_await() && { return Awaiter(std::move(start_)); }

 private:
  Start start_;
};

inline Awaitable<Receipt> Bus::publish_awaitable(const Event& event,
                                                 const PublishOptions& options) {
  return Awaitable<Receipt>([this, &event, options](Awaitable<Receipt>::Done done) {
    return publish_async(event, std::move(done), options);
  });
}

inline Awaitable<BatchReceipt> Bus::publish_batch_awaitable(std::span<const OwnedEvent> events,
                                                            const BatchOptions& options) {
  return Awaitable<BatchReceipt>([this, events, options](Awaitable<BatchReceipt>::Done done) {
    return publish_batch_async(events, std::move(done), options);
  });
}

inline Awaitable<CancelReceipt> Bus::cancel_awaitable(TokenId token, std::string_view reason) {
  return Awaitable<CancelReceipt>(
      [this, token, reason = std::string(reason)](Awaitable<CancelReceipt>::Done done) {
        return cancel_async(token, reason, std::move(done));
      });
}

inline Awaitable<CancelReceipt> Bus::cancel_awaitable(EventId id, std::string_view reason) {
  return Awaitable<CancelReceipt>(
      [this, id, reason = std::string(reason)](Awaitable<CancelReceipt>::Done done) {
        return cancel_async(id, reason, std::move(done));
      });
}

}  // namespace holdfast
