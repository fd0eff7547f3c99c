// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "core/deadlines.h"
#include "core/parked_window.h"
#include "holdfast/operation.h"
#include "holdfast/status.h"
#include "model/chunk.h"
#include "model/records.h"

namespace holdfast::core {

using model::SubscriptionId;

/// What whoever names one that is not there is told.
Status unknown_operation(OperationId id);

/// The composites there are, and how each of their members stands. What may run of them:
///
///     open, sequential     done  done  pending  pending  pending     only the first that is not
///                                      ^ turn                        done
///     rolling back         done  compensating  undone  undone        only the last that is not
///                                              ^ turn                undone
///
/// A member that comes to the front before is held (`model::kTurnDue`) until it is its turn. What
/// was acknowledged by a subscription that compensates is kept (`model::kKeptDue`): when the
/// operation is committed it goes, and when it goes back it is due as a clean-up. Plain data and
/// look-ups, rebuilt from the journal at open; the rules are in commit_plan_operations.cc.
class Operations {
 public:
  struct Held {
    model::DueTime due = 0;
    ParkedWindow::Entry entry;
  };
  struct Member {
    model::MemberRecord record;
    /// With whom it is parked until it is its turn, or its type is not paused any more.
    std::map<SubscriptionId, Held> held;
    /// Who has a copy in case it must be compensated, and where that stands in the order of its
    /// key.
    std::map<SubscriptionId, model::KeyPlace> kept;
    /// Durable subscriptions in which it is parked and has been begun, or is to be compensated.
    std::set<SubscriptionId> begun;
    /// Those whose clean-up of it is a dead letter.
    std::set<SubscriptionId> failed;
  };
  struct Operation {
    model::OperationRecord record;
    std::vector<Member> members;
    std::size_t turn = 0;  ///< Members before it are done; going back, those from it on are undone.
    bool dirty = false;    ///< Its record goes into the commit being made.

    [[nodiscard]] bool is_open() const noexcept { return record.state == OperationState::open; }
    [[nodiscard]] bool goes_back() const noexcept {
      return record.state == OperationState::rolling_back ||
             record.state == OperationState::rollback_failed;
    }
    [[nodiscard]] bool has_ended() const noexcept { return !is_open() && !goes_back(); }
  };
  struct Place {
    Operation* operation = nullptr;
    Member* member = nullptr;
    explicit operator bool() const noexcept { return member != nullptr; }
  };

  /// Null when it was never begun, or is forgotten.
  [[nodiscard]] Operation* find(OperationId id);
  [[nodiscard]] const Operation* find(OperationId id) const;
  /// Of which operation `event` is a member.
  [[nodiscard]] Place find(EventId event);
  [[nodiscard]] bool contains(EventId event) const { return places_.contains(event); }
  Operation& add(model::OperationRecord record);
  /// Behind its last.
  Member& add(Operation& operation, model::MemberRecord record);
  void erase(OperationId id);
  /// When it ends it is the newest of those that have.
  void set_state(Operation& operation, OperationState state);
  /// The one that ended first.
  [[nodiscard]] std::optional<OperationId> oldest_ended() const;
  /// After all records of them were added.
  void restore_turns();

  /// Whether it is the turn of `event`, to run or, with `cleanup`, to be cleaned up. Of what is no
  /// member it always is.
  [[nodiscard]] bool is_turn_of(EventId event, bool cleanup);
  /// `subscription` is gone, with everything of it.
  void forget(SubscriptionId subscription);
  /// A member of one that has not ended is held, kept or begun by it, or has been undone in vain:
  /// why it cannot be set back.
  [[nodiscard]] std::optional<OperationId> of(SubscriptionId subscription) const;

  /// `below`, or in each lane the first member that is pending, when that is before.
  [[nodiscard]] model::PerLane<model::Sequence> oldest_pending(
      model::PerLane<model::Sequence> below) const;

  std::vector<OperationId> take_expired(base::BusTime now) { return deadlines_.take_expired(now); }
  [[nodiscard]] std::optional<base::BusTime> next_deadline() const { return deadlines_.next(); }

  [[nodiscard]] bool empty() const noexcept { return operations_.empty(); }
  [[nodiscard]] bool all_have_ended() const noexcept { return ended_.size() == operations_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return operations_.size(); }
  [[nodiscard]] std::size_t member_count() const noexcept { return places_.size(); }
  /// How many there are in this state now, and how many have come to it in this run.
  [[nodiscard]] std::uint64_t count(OperationState state) const noexcept {
    return counts_[static_cast<std::size_t>(state)];
  }
  [[nodiscard]] std::uint64_t entered(OperationState state) const noexcept {
    return entered_[static_cast<std::size_t>(state)];
  }
  [[nodiscard]] const std::map<OperationId, Operation>& all() const noexcept { return operations_; }
  [[nodiscard]] std::map<OperationId, Operation>& all() noexcept { return operations_; }

 private:
  std::map<OperationId, Operation> operations_;
  std::map<EventId, std::pair<OperationId, std::uint32_t>> places_;
  Deadlines<OperationId> deadlines_;
  std::set<std::pair<base::BusTime, OperationId>> ended_;
  static constexpr std::size_t kStates = 5;
  std::array<std::uint64_t, kStates> counts_{};
  std::array<std::uint64_t, kStates> entered_{};
};

}  // namespace holdfast::core
