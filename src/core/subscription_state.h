// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/delivery_lane.h"
#include "core/interest.h"
#include "core/key_order.h"
#include "core/parked_window.h"
#include "core/retry.h"
#include "core/sequence_set.h"
#include "model/records.h"

namespace holdfast::core {

using model::PerLane;
using model::SubscriptionId;

/// Everything the bus knows of one subscription.
struct SubscriptionState {
  model::SubscriptionRecord record;  // of an ephemeral one: the id and filter, never stored
  InterestPtr interest;
  bool durable = true;

  // --- While a handler is subscribed ---
  bool attached = false;
  /// Counts attachments: an answer from an earlier one is stale.
  std::uint32_t generation = 0;
  /// Counts attachments and pauses: what is read of the backlog for an earlier one is not wanted
  /// any more.
  std::uint32_t reading = 0;
  /// Nothing of it was ready before: when it was attached or resumed.
  base::BusTime ready_from = 0;
  std::uint32_t concurrency = 1;
  RetryPolicy retry;
  bool has_on_cancel = false;
  /// So many events go together, and wait for each other so long. While they do none of its rows is
  /// in the scheduler's lists.
  std::uint32_t batch_size = 1;
  /// So many events are given out in one stretch, to one worker, if they may be; 1 = none are.
  std::uint32_t stretch_max = 1;
  static constexpr std::uint32_t kStretchMin = 2;
  static constexpr std::uint32_t kStretchMax = 64;
  /// The lane of the one that is under way.
  std::optional<Priority> stretch_lane;
  base::BusTime batch_linger = 0;
  std::optional<base::BusTime> lingers_until;  // as the scheduler's timers have it
  std::uint32_t in_flight = 0;                 // batches count as one
  std::uint32_t in_flight_less_urgent = 0;     // than critical

  /// There is somebody who may be given something.
  [[nodiscard]] bool is_served() const noexcept { return attached && !record.paused; }

  struct Lane : DeliveryLane {
    std::uint64_t dead = 0;
    std::uint64_t paused = 0;  // of the parked ones: held because their type is
    // Parked ones that wait for their time, and the first due time of each clock as the ledger's
    // timers have it.
    model::PerClock<ParkedWindow> delayed;
    model::PerClock<std::optional<model::DueTime>> timers;
    SequenceSet parked_events;       // all of them
    bool listed = false;             // in the scheduler's ready list
    base::BusTime listed_since = 0;  // since when it was ready as far as that list knows
    bool refilling = false;
    bool waits_for_answers = false;  // in the scheduler's list of full rows
    bool dirty = false;              // its cursor goes into the commit being made
    Sequence stored_as_of = 1;       // of the cursor as it is on disk
    bool damaged = false;
    bool stalled = false;  // the next of its window waits for its key, and is not taken for that
  };
  PerLane<Lane> lanes;
  KeyOrder keys;
  /// What was taken is not any more: of a key only what is parked is known.
  void forget_taken_keys() {
    keys.reset([this](EventId event) {
      return lanes[event.priority].parked_events.contains(event.sequence);
    });
  }
  /// Something that waits for the turn of its key may have it now.
  [[nodiscard]] bool awaits_turns() const {
    return keys.has_changed() ||
           std::any_of(lanes.begin(), lanes.end(), [](const Lane& lane) { return lane.stalled; });
  }

  /// Parked events that are with a handler, or answered in a commit not made yet, or were given
  /// back: these wait for the next attachment.
  struct ParkedInFlight {
    model::DueTime due = 0;
    bool released = false;
    bool cleanup = false;   // it was cancelled meanwhile: as its record says
    LeaseNumber lease = 0;  // that holds it
    bool idle = false;      // no handler has it: see DeliveryLane::set_idle
  };
  std::map<EventId, ParkedInFlight> parked_in_flight;
  [[nodiscard]] bool is_parked_with_handler(EventId event) const {
    const auto found = parked_in_flight.find(event);
    return found != parked_in_flight.end() && !found->second.released && !found->second.idle;
  }
  /// A handler has it, or had and its answer is on its way.
  [[nodiscard]] bool is_leased(EventId event) const {
    const auto& lane = lanes[event.priority];
    if (lane.is_due(event.sequence)) return false;
    return lane.is_with_handler(event.sequence) || is_parked_with_handler(event);
  }
  /// It is this lease that has `event`.
  [[nodiscard]] bool is_held(EventId event, LeaseNumber lease) const {
    const auto parked = parked_in_flight.find(event);
    if (parked != parked_in_flight.end()) return parked->second.lease == lease;
    const auto& lane = lanes[event.priority];
    return lane.is_with_handler(event.sequence) && lane.taken(event.sequence).lease == lease;
  }
  /// Parked to be undone, and acknowledged before: not owed as events any more.
  std::set<EventId> compensations;
  /// It is parked as an event, or to be cleaned up.
  [[nodiscard]] bool has_parked(EventId event) const {
    return lanes[event.priority].parked_events.contains(event.sequence) &&
           !compensations.contains(event);
  }
  /// It is owed `event`, which it may or may not want.
  [[nodiscard]] bool owes(const EventView& event, Sequence offered) const {
    const auto& lane = lanes[event.id.priority];
    if (lane.parked_events.contains(event.id.sequence)) return has_parked(event.id);
    return !lane.is_settled(event.id.sequence, offered) && interest->wants(event);
  }

  std::uint64_t acked = 0;
  std::uint64_t skipped = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t expired = 0;
  std::uint64_t retried = 0;
  std::uint64_t rejected = 0;
  std::uint64_t refused_tx = 0;
  std::string last_error;
  std::string blocked;
  bool blocked_for_now = false;  // by what is tried again

  // --- Scratch of the router: the route this subscription has in the chunk at hand ---
  std::uint64_t route_serial = 0;
  std::size_t route_index = 0;
};

}  // namespace holdfast::core
