// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>  // lint: allow pure-room, because chunks are let go on other threads
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/ageing.h"
#include "core/cancellations.h"
#include "core/idempotency.h"
#include "core/lease.h"
#include "core/operations.h"
#include "core/paused_types.h"
#include "core/retention.h"
#include "core/router.h"
#include "core/state_versions.h"
#include "core/subscription_state.h"
#include "holdfast/options.h"
#include "holdfast/query.h"
#include "holdfast/stats.h"
#include "model/commit.h"

namespace holdfast::core {

struct LedgerSettings {
  LaneRetention::Rules retention;
  std::size_t dead_letters_max = 100'000;
  std::size_t tokens_max = 10'000;
  std::size_t operations_max = 10'000;
  std::size_t operation_members_max = 100'000;
  /// Event bytes that may be in memory for delivery. A lane with nothing in memory may always have
  /// one chunk, or nothing would move.
  std::size_t resident_bytes_max = std::size_t{8} << 20U;
  /// Parked events that wait in memory, of one subscription and lane, and of all together; a few of
  /// each are always allowed.
  std::size_t parked_per_lane_max = 4'096;
  std::size_t parked_max = 65'536;
  /// Events with an ordering key that were taken and are not settled, of all subscriptions
  /// together.
  std::size_t keyed_max = kKeyedWaitingMax;
  Ageing ageing{};
  IdempotencyRule idempotency{};
};

/// What is known of one lane.
struct LaneState {
  Sequence next = 1;       ///< Sequence of the next event to be published.
  Sequence trim = 1;       ///< Below this everything is gone.
  Sequence offered = 1;    ///< Below this every event has its durability and may be delivered.
  std::uint64_t lost = 0;  ///< So many sequences below `next` are lost and were never published.
  std::optional<LaneRetention> retention;
  OfferTimes offer_times;
  std::multiset<Sequence> pins;  ///< Somebody is reading from here on.
};

/// Which dead letters there are, and in what order they died, so that the oldest can go.
class DeadLetterIndex {
 public:
  using Name = std::pair<SubscriptionId, EventId>;
  void add(const Name& name);
  void erase(const Name& name);
  void erase(SubscriptionId subscription);
  [[nodiscard]] bool contains(const Name& name) const { return names_.contains(name); }
  /// Whether `subscription` has any of `lane` from `from` to `to`.
  [[nodiscard]] bool has_any(SubscriptionId subscription, Priority lane, Sequence from,
                             Sequence to) const {
    const auto found = names_.lower_bound({subscription, {lane, from}});
    return found != names_.end() && found->first <= Name{subscription, {lane, to}};
  }
  /// Takes out the oldest; there must be one.
  Name take_oldest();
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

 private:
  std::map<Name, std::uint64_t> names_;  // with their place in the order
  std::map<std::uint64_t, Name> order_;
  std::uint64_t died_ = 0;
};

/// All that the bus knows beside the events themselves: what is owed to whom, in memory, rebuilt
/// from the journal at open. Plain data and look-ups; what changes it: `CommitPlan` (publishing,
/// answers, subscriptions) and `Scheduler` (handing out). Pure: time, threads, random numbers and
/// I/O come from outside. Not thread-safe: the runtime holds one mutex around it.
class Ledger {
 public:
  explicit Ledger(const LedgerSettings& settings);

  [[nodiscard]] SubscriptionState* find(SubscriptionId id);
  [[nodiscard]] const SubscriptionState* find(SubscriptionId id) const;
  [[nodiscard]] SubscriptionState* find(std::string_view name);
  /// Adds one that is durable, with its record, or an ephemeral one.
  SubscriptionState& add(model::SubscriptionRecord record, bool durable);
  void erase(SubscriptionId id);
  void set_interest(SubscriptionState& subscription);
  [[nodiscard]] std::size_t durable_count() const;
  [[nodiscard]] SubscriptionId next_id() const noexcept { return {last_id_ + 1}; }

  /// The lowest sequence that somebody is owed, or reads from, or may have to be told of.
  [[nodiscard]] Sequence floor(Priority lane) const;

  /// How `subscription` stands to an event that is in the journal; nothing when it never was owed
  /// it. Parked and dead ones look settled here: they have records of their own.
  enum class Standing : std::uint8_t { owed, settled };
  /// Some durable subscription is owed the event, parked or not.
  [[nodiscard]] bool is_owed(const EventView& event) const;
  /// Some durable subscription wants it, or wanted it when it was parked.
  [[nodiscard]] bool is_claimed(const EventView& event) const;
  /// Somebody wanted it, and nobody is owed it any more.
  [[nodiscard]] bool is_ended(const EventView& event) const {
    const bool claimed = event.id.sequence < lanes[event.id.priority].trim || is_claimed(event);
    return claimed && !is_owed(event);
  }
  /// `subscription` has a handler that cleans up after a cancelled `event` which it has begun.
  [[nodiscard]] bool cleans_up(const SubscriptionState& subscription, EventId event) const {
    return subscription.has_on_cancel ||
           (subscription.record.compensates && operations.contains(event));
  }
  /// Somebody keeps an event of `lane` from `from` to `to` apart: parked, or as a dead letter.
  [[nodiscard]] bool is_kept_apart(Priority lane, Sequence from, Sequence to) const;

  [[nodiscard]] std::optional<Standing> standing(const SubscriptionState& subscription,
                                                 const EventView& event) const;

  /// `chunk`, counted in `resident_bytes` for as long as anyone holds it.
  [[nodiscard]] ChunkPtr metered(ChunkPtr chunk) const;
  [[nodiscard]] std::size_t resident_bytes() const noexcept {
    return static_cast<std::size_t>(std::max<std::int64_t>(resident_->load(), 0));
  }
  [[nodiscard]] bool has_room() const noexcept {
    return resident_bytes() < settings.resident_bytes_max;
  }

  /// Counts by lane and subscription; the rest is the runtime's.
  void fill(Stats& stats) const;

  LedgerSettings settings;
  PerLane<LaneState> lanes;
  /// Ordered, so that everything that walks over it does so in the same order in every run.
  std::map<SubscriptionId, std::unique_ptr<SubscriptionState>> subscriptions;
  Router router;
  StateVersions state_versions;
  DeadLetterIndex dead_letters;
  KeyMarks key_marks;
  /// Subscriptions in which the turn of an ordering key may have changed (`Scheduler::answered`).
  std::vector<SubscriptionId> key_changes;
  Cancellations cancellations;
  Operations operations;
  PausedTypes paused_types;
  IdempotencyWindow idempotency{settings.idempotency};
  std::uint64_t expired_unclaimed = 0;
  std::uint64_t dropped_dead_letters = 0;  ///< Over `dead_letters_max`.

  // --- Between a commit's being written and its having its durability ---
  struct PendingOffer {
    CommitNumber commit;
    ChunkPtr chunk;
    std::vector<Route> routes;
  };
  std::deque<PendingOffer> pending_offers;

  // --- Parked events that wait for their time ---
  /// When the first of a subscription and lane is due.
  struct Timer {
    model::DueTime due = 0;
    SubscriptionId subscription;
    Priority lane = Priority::normal;
    friend auto operator<=>(const Timer&, const Timer&) = default;
  };
  model::PerClock<std::set<Timer>> timers;
  /// Tells `timers` what `subscription` waits for in `lane` now.
  void set_timer(SubscriptionState& subscription, Priority lane);
  /// How many parked events a subscription may have in memory for a lane now.
  [[nodiscard]] std::size_t parked_in_memory_max() const noexcept;
  /// How many events with an ordering key a subscription may have taken and not settled now.
  [[nodiscard]] std::size_t keyed_waiting_max() const noexcept;
  [[nodiscard]] PerLane<Sequence> frontier(const SubscriptionState& subscription) const noexcept;
  std::size_t attached_count = 0;

 private:
  std::uint32_t last_id_ = 0;
  std::shared_ptr<std::atomic<std::int64_t>> resident_;
};

}  // namespace holdfast::core
