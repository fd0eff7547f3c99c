// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/ledger.h"
#include "core/scheduler.h"
#include "runtime/outstanding.h"
#include "runtime/stretch.h"
#include "runtime/subscription_handle.h"

namespace holdfast::runtime {

/// Waits for an event to be settled by everyone who is owed it. Under the bus's lock.
struct SettleWaiter {
  std::set<model::SubscriptionId> owed;     // still; none = the first who settles it ends the wait
  std::set<model::SubscriptionId> settled;  // since this waiter was registered
  bool complete = false;                    // `owed` has been found out
  /// Why the wait is over: it is settled; whether it is has to be found out anew; the bus was
  /// closed; nothing can be written any more.
  enum class End : std::uint8_t { none, settled, look_again, closed, failed };
  End end = End::none;
  std::function<void()> done;  // called once, under the lock

  /// It has settled the event, or is gone.
  void note(model::SubscriptionId subscription) {
    settled.insert(subscription);
    const bool was_owed = owed.erase(subscription) > 0 || owed.empty();
    if (complete && was_owed && owed.empty()) tell(End::settled);
  }
  void tell(End how) {
    if (end != End::none) return;
    end = how;
    done();
  }
};

/// What the committer, the workers and the callers share, under one lock that is held for
/// microseconds: never while the disk is used or somebody else's code runs.
struct BusState {
  explicit BusState(const core::LedgerSettings& settings) : ledger(settings), scheduler(ledger) {}

  std::mutex mutex;
  core::Ledger ledger;
  core::Scheduler scheduler;
  /// The runs that are under way, but for those of stretches. What asks some of them to stop notes
  /// it here, under the lock (`StopRequest::note`), and has them told without it (`Signaller`).
  Outstanding outstanding;
  /// Under way, each with a worker. Whoever looks at what handlers have, or changes it, recalls
  /// them before.
  std::vector<Stretch*> stretches;
  void recall(Stretch& stretch);
  void recall_all();
  /// Those whose next event would not be the next any more.
  void recall_overtaken();
  /// When the first of those that go on, or have answers still, will have been under way for
  /// `Stretch::kSlowAfter`.
  [[nodiscard]] std::optional<base::BootTime> next_slow() const;
  /// Puts what handlers have answered in stretches to the other answers. Returns how many, which
  /// `answer_count` does not have yet.
  std::size_t collect_answers();
  std::size_t collect_answers(Stretch& stretch);
  /// Given by handlers, waiting for the committer.
  std::vector<core::Answer> answers;
  std::vector<core::BatchAnswer> batch_answers;
  std::size_t answer_count = 0;  ///< Of both, each event counted.
  [[nodiscard]] bool has_answers() const noexcept { return answer_count > 0; }
  /// Batches given to handlers and answered for, and the events in them, since the bus was opened.
  std::uint64_t batches_delivered = 0;
  std::uint64_t batch_deliveries = 0;
  void note_batch(std::size_t events) {
    ++batches_delivered;
    batch_deliveries += events;
  }
  /// The committer has taken some that the ledger does not know of yet.
  bool answers_taken = false;
  std::unordered_map<model::SubscriptionId, std::shared_ptr<internal::SubscriptionHandle>> handles;
  /// Waiters and subscriptions with `on_settled`: with none of them nobody need be told.
  std::size_t settle_listeners = 0;
  std::multimap<EventId, SettleWaiter*> settle_waiters;  // each removed by who waits
  std::multimap<OperationId, SettleWaiter*> operation_waiters;
  /// Whoever waits for `event`, or for any, has to find out anew what for.
  void look_again(std::optional<EventId> event = {}) {
    for (auto& [waits_for, waiter] : settle_waiters) {
      if (!event.has_value() || *event == waits_for) waiter->tell(SettleWaiter::End::look_again);
    }
  }
  /// Whoever waits for anything.
  void tell_waiters(SettleWaiter::End how) {
    for (auto& [event, waiter] : settle_waiters) waiter->tell(how);
    for (auto& [operation, waiter] : operation_waiters) waiter->tell(how);
  }
};

}  // namespace holdfast::runtime
