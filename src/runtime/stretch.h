// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/lease.h"
#include "runtime/delivery_state.h"

namespace holdfast::runtime {

/// Events of one subscription that a worker has taken together and gives to their handler one after
/// the other, without the bus's lock in between. Whoever has to know what is with a handler, or
/// changes what comes next, recalls it first: then the event that is with the handler is the last
/// of it, and one like any other.
///
///     leases    answered   answered   with the handler   not begun   not begun
///                                   ^ answered_        ^ begun_
///
/// Threads: the worker begins and answers; everything else is under the bus's lock.
class Stretch {
 public:
  /// One that is under way for longer has a handler that does not come back: it is recalled.
  static constexpr base::BootTime kSlowAfter = 10'000'000;

  /// Under the lock. `run` has the first of `leases`, which counts as begun.
  void start(internal::DeliveryState& run, std::vector<core::Lease>&& leases);
  [[nodiscard]] internal::DeliveryState& run() const noexcept { return *run_; }
  [[nodiscard]] const core::Lease& first() const noexcept { return leases_.front(); }

  // --- By the worker, without the lock ---
  /// The lease after the one that was answered last; null when there is none, or they were
  /// recalled.
  [[nodiscard]] core::Lease* next() noexcept;
  /// Begins with it: `run` must have it already. False when it was recalled meanwhile.
  [[nodiscard]] bool begin() noexcept;
  void answer(core::Answer&& answer) noexcept;

  // --- Under the lock, by anybody ---
  /// From here on nothing more is begun. Returns those that were not, the first time.
  std::span<core::Lease> recall() noexcept;
  [[nodiscard]] bool is_recalled() const noexcept { return recalled_; }
  /// After it was recalled: its last event is with the handler, or with a `Deferred`, and `run` is
  /// about that one until it is answered.
  [[nodiscard]] bool is_with_handler() const noexcept { return answered_ < begun(); }
  [[nodiscard]] std::uint32_t begun() const noexcept { return begun_ & ~kRecalled; }
  /// Its event is not of it any more: a `Deferred` has it, with the slot.
  void hand_over() noexcept { handed_over_ = true; }
  [[nodiscard]] bool is_handed_over() const noexcept { return handed_over_; }
  /// How many have been answered since the last call.
  std::size_t count_answered() noexcept;
  /// There are some since the last call of the next.
  [[nodiscard]] bool has_answers() const noexcept { return taken_ < answered_; }
  /// Answers since the last call.
  std::span<core::Answer> take_answers() noexcept;

 private:
  // Added to `begun_`, so that the worker and who recalls decide it with one operation.
  static constexpr std::uint32_t kRecalled = 1U << 31U;

  internal::DeliveryState* run_ = nullptr;
  std::vector<core::Lease> leases_;
  std::vector<core::Answer> answers_;  // of each lease; moved from once taken
  std::atomic<std::uint32_t> begun_{0};
  std::atomic<std::uint32_t> answered_{0};
  std::uint32_t counted_ = 0;
  std::uint32_t taken_ = 0;
  bool recalled_ = false;
  bool handed_over_ = false;
};

}  // namespace holdfast::runtime
