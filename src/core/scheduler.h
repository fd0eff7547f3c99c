// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "core/ledger.h"

namespace holdfast::core {

/// Decides which event goes to which worker next, and what has to be read from disk for that.
///
/// The rule: the most urgent lane first; inside a lane, subscriptions in turn; inside a
/// subscription, by sequence, retries that are due before. A worker of class p takes only lanes at
/// least as urgent as p. Of a subscription with two slots or more, one is kept for critical events.
/// Events that may have killed the last process run one at a time.
///
/// Pure, and under the same lock as the ledger it works on.
class Scheduler {
 public:
  explicit Scheduler(Ledger& ledger) : ledger_(ledger) {}

  /// So many events of a lane may wait for their retry or snooze with an ephemeral subscription;
  /// one that has more gets no new ones until some are due. It gets none either, while it has any,
  /// when the memory for events is used up.
  static constexpr std::size_t kEphemeralParkedMax = 65'536;

  /// Everything of commits up to `commit` may be delivered now.
  void offer(CommitNumber commit);

  /// The next event for a worker of this class, if there is one that may run now.
  std::optional<Lease> take(Priority worker_class);

  /// The handler has returned, its `Deferred` was answered, or the lease was abandoned: its slot is
  /// free. Once for each lease: what comes after an abandonment must not free it again.
  void finish(const Lease& lease);

  /// A run that starts over, uncounted: its answer was refused because what it had read changed.
  void run_again(const Lease& lease);

  /// Parked events whose time has come.
  void advance(base::BusTime now);
  /// When `advance` has something to do next.
  [[nodiscard]] std::optional<base::BusTime> next_due() const;

  /// Answers were planned: lanes that had too much taken may go on.
  void answered();

  /// Something of this subscription may have become ready.
  void refresh(SubscriptionState& subscription);

  /// Hands out nothing more (drain), or goes on.
  void stop(bool stopped);
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

  /// The most urgent lane in which a worker would probably find something to do.
  [[nodiscard]] std::optional<Priority> most_urgent_work() const noexcept;

  // --- Reading the backlog ----------------------------------------------------------------------

  struct Refill {
    SubscriptionId subscription;
    std::uint32_t generation = 0;
    Priority lane = Priority::normal;
    Sequence from = 1;
    Sequence to = 1;
    InterestPtr interest;
    std::size_t events_max = 0;
    std::size_t bytes_max = 0;  ///< Of chunks; one is always allowed.
  };
  /// A part of a backlog that should be read from the journal now, for lanes that a worker of this
  /// class may take.
  std::optional<Refill> next_refill(Priority worker_class);

  /// What was read for `refill`: the runs that are wanted, and where reading ended.
  void refilled(const Refill& refill, std::vector<Span> spans, Sequence reached);
  /// It could not be read: delivery of that lane stands still, and says why.
  void refill_failed(const Refill& refill, const Status& status);

  struct ParkedRefill {
    SubscriptionId subscription;
    std::uint32_t generation = 0;
    Priority lane = Priority::normal;
    ParkedWindow::Key from;
    std::size_t events_max = 0;
  };
  /// Due times that should be read from the journal now. What is planned already must be written
  /// before they are read.
  std::optional<ParkedRefill> next_parked_refill(Priority worker_class);
  /// `reached` is the first that was not read; none = these are all.
  void refilled(const ParkedRefill& refill, const std::vector<model::DueRecord>& records,
                const std::optional<ParkedWindow::Key>& reached);
  void refill_failed(const ParkedRefill& refill, const Status& status);

 private:
  void note_full(SubscriptionState& subscription, Priority lane);
  void list(SubscriptionState& subscription, Priority lane);
  void want_refill(SubscriptionState& subscription, Priority lane);
  void want_parked_refill(SubscriptionState& subscription, Priority lane);
  [[nodiscard]] bool is_behind(const SubscriptionState& subscription, Priority lane) const;
  [[nodiscard]] static bool has_slot(const SubscriptionState& subscription, Priority lane);
  /// Something that goes before may not be taken yet, or is still to be read.
  [[nodiscard]] bool waits_for_others(const SubscriptionState& subscription, Priority lane) const;
  /// Nothing more of the window is taken until answers were committed.
  [[nodiscard]] bool is_full(const SubscriptionState& subscription, Priority lane) const;
  [[nodiscard]] bool due_may_run(const DeliveryLane& lane) const;
  [[nodiscard]] bool can_take(const SubscriptionState& subscription, Priority lane) const;
  Lease take_from(SubscriptionState& subscription, Priority lane);

  Ledger& ledger_;
  PerLane<std::deque<SubscriptionId>> ready_;
  struct WantedRefill {
    SubscriptionId subscription;
    std::uint32_t generation;
  };
  PerLane<std::deque<WantedRefill>> refills_;
  PerLane<std::deque<WantedRefill>> parked_refills_;
  // Not listed until answers are planned.
  std::vector<std::pair<SubscriptionId, Priority>> full_rows_;
  base::BusTime now_ = 0;
  LeaseNumber last_lease_ = 0;
  bool suspect_running_ = false;
  bool stopped_ = false;
};

}  // namespace holdfast::core
