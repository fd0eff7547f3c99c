// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/delivery_lane.h"
#include "core/state_versions.h"
#include "core/subscription_state.h"
#include "holdfast/delivery.h"
#include "holdfast/subscription.h"
#include "model/chunk.h"

namespace holdfast::core {

/// An event that is with a handler. Whoever holds it owes an answer.
struct Lease {
  SubscriptionId subscription;
  std::uint32_t generation = 0;
  EventId event;
  std::uint32_t attempt = 1;
  ChunkPtr chunk;                   ///< Null for a parked event: its copy must be read first.
  DeliveryLane::Ticket ticket = 0;  ///< When not parked.
  bool parked = false;
  model::DueTime due = 0;  ///< When parked: what its record says.
  bool unstored = false;   ///< When parked: there is no record, and no copy, of it yet.
  bool suspect = false;
  base::BusTime since = 0;  ///< When it became ready.
  bool asks = false;        ///< The gate is to be asked before its handler is called.
  bool started = false;     ///< A handler has seen it before.
  bool cleanup = false;     ///< Its event is cancelled: it is for `on_cancel`, or `compensate`.
  TokenId token;            ///< Of its event; 0 until `gate` has looked.
  /// Tells it from every other one of this run of the bus, also of the same event: an answer of one
  /// that was superseded changes nothing.
  LeaseNumber number = 0;
  /// Of a batch whose slot (`SubscribeOptions::concurrency`) another one of it has.
  bool beside = false;

  /// It was acknowledged before its operation went back.
  [[nodiscard]] bool is_compensation() const noexcept { return cleanup && !started; }
  /// What is to be known of `started` once a handler has had it.
  [[nodiscard]] bool started_then() const noexcept { return !cleanup || started; }
};

/// What a handler run wants to commit together with its ack.
struct TxWrites {
  struct StateWrite {
    std::string name;
    std::string key;
    std::optional<std::string> value;  ///< None = erase.
  };
  model::EncodedEvents events;
  std::vector<StateWrite> state;
  StateReads reads;
  Status status;  ///< The first error; not ok = the ack fails.

  [[nodiscard]] bool empty() const noexcept { return events.empty() && state.empty(); }
};

/// A handler's outcome on its way to the committer.
struct Answer {
  /// The last three are no handler's: it was not to be run, as `gate` says.
  enum class Kind : std::uint8_t {
    ack,
    retry,
    snooze,
    reject,
    release,
    skip,
    abandon,
    drop,
    postpone,
    hold
  };
  Lease lease;
  Kind kind = Kind::ack;
  std::optional<std::int64_t> delay;  ///< ns; of a retry or snooze.
  model::DueTime until = 0;           ///< Of a `postpone`.
  Settled how = Settled::cancelled;   ///< Of a `drop`.
  bool ran = true;                    ///< A handler has seen the event.
  std::string reason;
  std::unique_ptr<TxWrites> tx;        ///< Null when the handler used none.
  StopReason stop = StopReason::none;  ///< Why it had been asked to stop when it answered.
};

/// A batch's outcomes on their way to the committer, of one subscription. All count or none.
struct BatchAnswer {
  std::vector<Answer> members;  ///< At least one, without a tx of their own.
  std::unique_ptr<TxWrites> tx;
};

}  // namespace holdfast::core
