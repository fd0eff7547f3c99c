// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/commit_plan.h"
#include "core/lease.h"
#include "holdfast/result.h"
#include "holdfast/types.h"
#include "model/chunk.h"

namespace holdfast::runtime {

/// What a request became.
struct Committed {
  CommitNumber commit;
  BatchId batch;
  std::vector<EventId> ids;    ///< Of its events, in their order; without those that have an error.
  std::vector<Status> errors;  ///< Of an independent one: as `BatchReceipt::errors`.
  /// Those of `ids` that were published before; `commit` and `batch` are none of theirs.
  std::vector<core::Duplicate> duplicates{};
  OperationId operation{};  ///< That was begun for them, if they were not all known.
};

/// Something that wants to be part of a commit. Either all of it is, or nothing; but of an
/// independent one, events that are not let in leave the others alone.
struct Request {
  model::EncodedEvents events;
  bool atomic_batch = false;
  bool independent = false;
  std::vector<core::TxWrites::StateWrite> state;
  Durability durability = Durability::durable;
  /// What the newest event of an ordering key must be.
  struct Expectation {
    std::string key;
    EventId last;
    EventId stored;  ///< The one in the journal; `prepare` reads it.
  };
  std::shared_ptr<Expectation> expect;
  /// Its events are the members of an operation that begins with them and is sealed at once.
  struct Beginning {
    OperationId id;
    OperationOptions options;
    bool is_new = true;  ///< Decided with the rest: not all of them were published before.
  };
  std::optional<Beginning> operation;
  bool joins_operation = false;  ///< Its events are members of one that is there.

  /// Reads what `change` needs, with no other commit under way and without the lock.
  std::function<Status()> prepare;
  /// Changes the ledger, under the lock. An error refuses the request and must leave no trace.
  std::function<Status(core::CommitPlan&)> change;

  /// Likewise, but behind the answers that the commit carries and in turn with what is published:
  /// for what is decided in the order of requests.
  std::function<Status(core::CommitPlan&)> decide;

  /// Without events: it is not to wait for what is there to be published.
  bool overtakes = false;
  /// Without events: nobody waits for it, so there is a limit to how many there are.
  bool limited = false;

  /// Called once, with no lock held.
  std::function<void(Result<Committed>)> done;

  /// It is not to wait until a group is large enough, or a sync over.
  [[nodiscard]] bool is_urgent() const noexcept {
    if (decide) return true;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (events.entry(i).lane == Priority::critical) return true;
    }
    return false;
  }
};

}  // namespace holdfast::runtime
