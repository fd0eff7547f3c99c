// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string_view>

#include "holdfast/delivery.h"
#include "holdfast/event.h"
#include "holdfast/export.h"

namespace holdfast {

namespace internal {
struct BatchRun;
}

/// One event of a batch. A value that stands for it; lives as long as the handler runs.
/// Threads: the one that runs the handler.
class HOLDFAST_EXPORT BatchMember {
 public:
  [[nodiscard]] const EventView& event() const;
  /// As `Delivery::attempt`.
  [[nodiscard]] std::uint32_t attempt() const;
  /// What the handler answers for this event, in place of what it returns; the last one holds.
  void answer(Outcome outcome);

 private:
  friend class BatchDelivery;
  explicit BatchMember(internal::DeliveryState* state) noexcept : state_(state) {}
  internal::DeliveryState* state_;
};

/// Events handed to one handler together (`Bus::subscribe_batch`). Lives as long as it runs.
///
/// All answers are one commit: after a crash all of them count or none. What the handler returns
/// holds for each event without an answer of its own; when it throws, each event has failed, also
/// those with an answer. When one of the events is cancelled meanwhile, or is for another reason
/// not this handler's any more, its answers and its tx count for nothing, and it is given the
/// others again, uncounted: what it did for all was done for that one, too.
///
/// Threads: the one that runs the handler; `stop_token()`, `stop_reason()` and `progress()` may be
/// used from any while it runs.
class HOLDFAST_EXPORT BatchDelivery {
 public:
  /// At least 1.
  [[nodiscard]] std::size_t size() const noexcept;
  /// One that is not there ends the program.
  [[nodiscard]] BatchMember operator[](std::size_t index) const;
  /// The name of the subscription; empty for an ephemeral one.
  [[nodiscard]] std::string_view subscription() const;
  /// Asks to stop as `Delivery::stop_token`: when one of the events is cancelled, too.
  [[nodiscard]] std::stop_token stop_token() const;
  [[nodiscard]] StopReason stop_reason() const noexcept;
  /// As `Delivery::progress`, of the batch.
  void progress(double fraction, std::string_view note = {});
  /// Commits together with the acks of those that are acked; dropped when none is. Over a limit, or
  /// with a token that is cancelled, each of these has failed instead. When something that was read
  /// has changed, the whole batch runs again, uncounted. See `Tx`.
  [[nodiscard]] Tx tx();

  /// For `for (auto member : batch)`.
  class Iterator {
   public:
    [[nodiscard]] BatchMember operator*() const { return (*batch_)[index_]; }
    Iterator& operator++() noexcept {
      ++index_;
      return *this;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    friend class BatchDelivery;
    Iterator(const BatchDelivery* batch, std::size_t index) noexcept
        : batch_(batch), index_(index) {}
    const BatchDelivery* batch_;
    std::size_t index_;
  };
  [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
  [[nodiscard]] Iterator end() const noexcept { return {this, size()}; }

 private:
  friend struct internal::BatchRun;
  explicit BatchDelivery(internal::BatchRun* run) noexcept : run_(run) {}
  internal::BatchRun* run_;
};

}  // namespace holdfast
