// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/ageing.h"
#include "core/ledger.h"

namespace holdfast::core {

/// Decides which event goes to which worker next, and what has to be read from disk for that.
///
/// The rule: the most urgent lane first; inside a lane, subscriptions in turn; inside a
/// subscription, by sequence, retries that are due before. A worker of class p takes only lanes at
/// least as urgent as p. Of a subscription with two slots or more, one is kept for critical events.
/// Events that may have killed the last process run one at a time. What waits for an earlier event
/// of its ordering key is put aside when it comes to the front (scheduler_keys.cc).
///
/// With ageing a lane goes before others by what has waited longest in it: see `AgeingRule`. Then
/// those rows of it (subscriptions) take turns which are urgent enough to go before the others; and
/// a lane that is passed over 31 times though something in it has aged has the next turn, whatever
/// there is. While nothing has aged, and with strict order, the first rule is all there is.
///
/// Of a subscription that takes batches, what is behind the event that is its turn goes with it,
/// from the same lane: scheduler_batch.cc. Of one that takes one event after the other, so does
/// what may go in one stretch: the same worker will have it anyway, and need not ask for each.
///
/// Pure, and under the same lock as the ledger it works on.
class Scheduler {
 public:
  explicit Scheduler(Ledger& ledger) : ledger_(ledger), ageing_(ledger.settings.ageing) {}

  /// So many events of a lane may wait for their retry or snooze with an ephemeral subscription;
  /// one that has more gets no new ones until some are due. It gets none either, while it has any,
  /// when the memory for events is used up.
  static constexpr std::size_t kEphemeralParkedMax = 65'536;
  /// A lane that could not be read is tried again after so long.
  static constexpr base::BusTime kReadAgainAfter = 1'000'000'000;
  /// Of so many takes at least one is of the least urgent lane that has something aged.
  static constexpr std::uint32_t kTakesPerTurn = 32;

  /// Everything of commits up to `commit` may be delivered now. As for `take` and `run_again`, now
  /// is what `advance` was told last.
  void offer(CommitNumber commit);

  /// The next event for a worker of this class, if there is one that may run now. If its
  /// subscription takes batches, `others` gets the rest of its batch, in order, or if it has
  /// `stretch_max`, the rest of a stretch; null = it goes alone.
  std::optional<Lease> take(Priority worker_class, std::vector<Lease>* others = nullptr,
                            bool in_stretches = true);

  /// The handler has returned, its `Deferred` was answered, or the lease was abandoned: its slot is
  /// free. Once for each lease: what comes after an abandonment must not free it again.
  void finish(const Lease& lease);
  /// So many of the stretch that began with `first` have been answered.
  void finish_some(const Lease& first, std::size_t count);
  /// Of the stretch that began with `first` these were not begun: they are ready as they were.
  void recall_stretch(const Lease& first, std::span<const Lease> left);
  /// Nothing is left of it: its slot is free.
  void finish_stretch(const Lease& first);
  /// Subscriptions of which something has become ready, since the last call, that goes before what
  /// is left of a stretch.
  [[nodiscard]] std::vector<SubscriptionId> take_overtaken() {
    return std::exchange(overtaken_, {});
  }

  /// A run that starts over, uncounted: its answer was refused because what it had read changed.
  void run_again(const Lease& lease) { put_back(lease, lease.started_then(), now_.bus); }
  /// It was taken and given to nobody: it is ready as it was. After `finish`, and before its event
  /// has passed the gate. Of several the last first.
  void give_back(const Lease& lease);

  /// It is `now`: parked events whose time has come are ready. The wall clock may have been set
  /// since the last call.
  void advance(const base::Now& now);
  /// When `advance` has something to do next, if nobody sets the wall clock.
  [[nodiscard]] std::optional<base::BusTime> next_due() const;
  /// The same, of batches that wait to become full alone.
  [[nodiscard]] std::optional<base::BusTime> next_linger() const;

  /// Answers were planned: lanes that had too much taken may go on.
  void answered();

  /// Since the last call something has been put aside for an earlier event of its key, which may
  /// have been answered already: what was answered should be committed now.
  [[nodiscard]] bool take_waits_for_answers() noexcept {
    return std::exchange(waits_for_answers_, false);
  }

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
    std::uint32_t reading = 0;
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
  /// It could not be read: delivery of that lane stands still, and says why. What is `unavailable`,
  /// as with too many open files, is tried again after `kReadAgainAfter`. Returns whether that is
  /// news.
  bool refill_failed(const Refill& refill, const Status& status);

  struct ParkedRefill {
    SubscriptionId subscription;
    std::uint32_t generation = 0;
    Priority lane = Priority::normal;
    model::DueClock clock = model::DueClock::bus;
    ParkedWindow::Key from;
    std::size_t events_max = 0;
  };
  /// Due times that should be read from the journal now. What is planned already must be written
  /// before they are read.
  std::optional<ParkedRefill> next_parked_refill(Priority worker_class);
  /// `reached` is the first that was not read; none = these are all.
  void refilled(const ParkedRefill& refill, const std::vector<model::DueRecord>& records,
                const std::optional<ParkedWindow::Key>& reached);
  bool refill_failed(const ParkedRefill& refill, const Status& status);

 private:
  /// A row with something in it that may run, in the list of its lane and level.
  struct Row {
    SubscriptionId subscription;
    std::uint64_t turn = 0;
    base::BusTime since = 0;  ///< How long it has been ready, as of when it was listed.
  };
  struct Place {
    Priority lane = Priority::normal;
    std::size_t level = 0;
    [[nodiscard]] Priority effective() const { return AgeingRule::effective(lane, level); }
  };

  void put_back(const Lease& lease, bool started, base::BusTime since);
  void note_full(SubscriptionState& subscription, Priority lane);
  void list(SubscriptionState& subscription, Priority lane) { list(subscription, lane, turns_++); }
  void list(SubscriptionState& subscription, Priority lane, std::uint64_t turn);
  void note_older(SubscriptionState& subscription, Priority lane);
  void want_refill(SubscriptionState& subscription, Priority lane);
  void want_parked_refill(SubscriptionState& subscription, Priority lane);
  bool stand_still(SubscriptionState& subscription, Priority lane, const Status& status);
  static void note_readable(SubscriptionState& subscription);
  void read_again();
  [[nodiscard]] bool is_behind(const SubscriptionState& subscription, Priority lane) const;
  [[nodiscard]] static bool has_slot(const SubscriptionState& subscription, Priority lane);
  /// Something that goes before `effective` may not be taken yet, or is still to be read.
  [[nodiscard]] bool waits_for_others(const SubscriptionState& subscription, Priority lane,
                                      Priority effective) const;
  /// Nothing more of the window is taken until answers were committed.
  [[nodiscard]] bool is_full(const SubscriptionState& subscription, Priority lane) const;
  [[nodiscard]] bool due_may_run(const DeliveryLane& lane) const;
  [[nodiscard]] bool window_may_run(const SubscriptionState& subscription, Priority lane) const;
  [[nodiscard]] bool can_take(const SubscriptionState& subscription, Priority lane,
                              Priority effective) const;
  /// Since when the row has had something ready that it may give next.
  [[nodiscard]] base::BusTime ready_since(const SubscriptionState& subscription,
                                          Priority lane) const;
  [[nodiscard]] bool goes_before_due(const SubscriptionState& subscription,
                                     const Place& place) const;
  /// Of a lease that is not of an earlier attachment.
  SubscriptionState* find_current(const Lease& lease);
  static void free_slot(SubscriptionState& subscription, Priority lane);
  /// Whose row is in front, once it is one that may be taken from; null = there is none. Those that
  /// cannot leave the list.
  SubscriptionState* find_front(const Place& place, Priority effective);
  SubscriptionState* find_front(const Place& place) { return find_front(place, place.effective()); }
  const Row& front(const Place& place) { return ready_[place.lane][place.level].front(); }
  /// The most urgent place there is, as long as nothing has aged.
  std::optional<Place> first_place(Priority worker_class);
  void unlist_front(const Place& place, SubscriptionState* subscription);
  Lease take_front(const Place& place, SubscriptionState& subscription);
  Lease take_from(SubscriptionState& subscription, const Place& place);

  // Batches and stretches (scheduler_batch.cc).
  void take_stretch(SubscriptionState& subscription, const Place& place, const Lease& first);
  Lease& take_beside(SubscriptionState& subscription, const Place& place);
  void take_others(SubscriptionState& subscription, const Place& place, const Lease& first);
  [[nodiscard]] bool may_join(const SubscriptionState& subscription, const Place& place) const;
  bool lingers(SubscriptionState& subscription);
  void list_beside(SubscriptionState& subscription);
  void end_lingering();

  // Ordering keys (scheduler_keys.cc).
  [[nodiscard]] bool has_keys(const SubscriptionState& subscription, Priority lane) const;
  /// What is in front in `lane` and may not run yet is put aside, or the lane stands still there.
  void hold_back(SubscriptionState& subscription, Priority lane);
  /// Those whose turn has come are ready.
  void give_turns(SubscriptionState& subscription);
  void note_running(SubscriptionState& subscription, const Lease& lease);

  // While something has aged.
  void move_up();
  std::optional<Place> place_with_aged(Priority worker_class);
  std::optional<Place> place_whose_turn_it_is(Priority worker_class);
  std::optional<Place> most_urgent_place(Priority worker_class);
  /// The level of `lane` that is most urgent and has something.
  std::optional<Place> best_of(Priority lane);
  void count_turn(Priority worker_class, const Place& taken);
  [[nodiscard]] bool has_aged(Priority lane) const noexcept;

  Ledger& ledger_;
  const AgeingRule ageing_;
  PerLane<std::array<std::deque<Row>, AgeingRule::kLevels>> ready_;
  std::uint64_t turns_ = 0;
  std::size_t aged_ = 0;                          // rows that are listed above level 0
  base::BusTime next_move_ = AgeingRule::kNever;  // nothing that is listed moves up before
  PerLane<std::uint32_t> passed_over_;
  struct WantedRefill {
    SubscriptionId subscription;
    std::uint32_t number;  // of the attachment, or reading, that wanted it
  };
  PerLane<std::deque<WantedRefill>> refills_;
  struct WantedParkedRefill {
    SubscriptionId subscription;
    std::uint32_t generation;
    model::DueClock clock;
  };
  PerLane<std::deque<WantedParkedRefill>> parked_refills_;
  // Not listed until answers are planned.
  std::vector<std::pair<SubscriptionId, Priority>> full_rows_;
  // When batches have waited long enough. A subscription whose own `lingers_until` is another, or
  // that is gone, has an entry of before.
  std::set<std::pair<base::BusTime, SubscriptionId>> lingering_;
  // Lanes that could not be read for now, in the order in which they are to be tried again.
  struct Unreadable {
    base::BusTime until = 0;
    SubscriptionId subscription;
    std::uint32_t generation = 0;
    Priority lane = Priority::normal;
  };
  std::deque<Unreadable> unreadable_;
  std::vector<SubscriptionId> overtaken_;
  std::vector<Lease>* others_ = nullptr;  // while `take` runs
  bool in_stretches_ = false;             // likewise
  base::Now now_;
  LeaseNumber last_lease_ = 0;
  bool suspect_running_ = false;
  bool stopped_ = false;
  bool waits_for_answers_ = false;  // something was put aside: see `take_waits_for_answers`
  std::uint64_t turns_given_ = 0;
};

}  // namespace holdfast::core
