// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/delivery_lane.h"
#include "core/interest.h"
#include "core/parked_window.h"
#include "core/retry.h"
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
  std::uint32_t concurrency = 1;
  RetryPolicy retry;
  std::uint32_t in_flight = 0;
  std::uint32_t in_flight_less_urgent = 0;  // than critical

  struct Lane : DeliveryLane {
    std::uint64_t dead = 0;
    ParkedWindow delayed;                // parked ones that wait for their time
    std::optional<base::BusTime> timer;  // in the ledger's timers
    bool listed = false;                 // in the scheduler's ready list
    bool refilling = false;
    bool waits_for_answers = false;  // in the scheduler's list of full rows
    bool dirty = false;              // its cursor goes into the commit being made
    Sequence stored_as_of = 1;       // of the cursor as it is on disk
    bool damaged = false;
  };
  PerLane<Lane> lanes;

  /// Parked events that are with a handler, or answered in a commit not made yet, or were given
  /// back: these wait for the next attachment.
  struct ParkedInFlight {
    base::BusTime due = 0;
    bool released = false;
    LeaseNumber lease = 0;  // that holds it
  };
  std::map<EventId, ParkedInFlight> parked_in_flight;
  [[nodiscard]] bool is_parked_with_handler(EventId event) const {
    const auto found = parked_in_flight.find(event);
    return found != parked_in_flight.end() && !found->second.released;
  }

  std::uint64_t acked = 0;
  std::uint64_t skipped = 0;
  std::uint64_t retried = 0;
  std::uint64_t rejected = 0;
  std::uint64_t refused_tx = 0;
  std::string last_error;
  std::string blocked;

  // --- Scratch of the router: the route this subscription has in the chunk at hand ---
  std::uint64_t route_serial = 0;
  std::size_t route_index = 0;
};

}  // namespace holdfast::core
