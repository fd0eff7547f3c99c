// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "core/ledger.h"
#include "holdfast/query.h"
#include "holdfast/result.h"
#include "journal/journal.h"

namespace holdfast::runtime {

/// Answers questions about single events, from the journal and the ledger together: for a live bus,
/// whose lock it takes for short moments, and for a view, which has a lock of its own.
class EventReader {
 public:
  EventReader(const journal::JournalReader& journal, const core::Ledger& ledger, std::mutex& mutex,
              const base::Clock& clock)
      : journal_(journal), ledger_(ledger), mutex_(mutex), clock_(clock) {}

  /// What only a bus that goes on meanwhile needs: `written` waits until the journal says all that
  /// memory knows, `get` is exact about a single event.
  struct Live {
    std::function<void()> written;
    std::function<Result<std::optional<StoredEvent>>(EventId)> get;
  };
  void set_live(Live live) { live_ = std::move(live); }

  Status scan(const ScanFilter& filter, const ScanVisitor& visitor) const;
  Result<std::optional<StoredEvent>> get(EventId id) const;
  /// The chunk that holds it, or the copy that some subscription keeps; null when there is none.
  Result<model::ChunkPtr> find_event(EventId id) const;
  [[nodiscard]] Result<OperationInfo> operation(OperationId id) const;
  [[nodiscard]] std::vector<OperationInfo> operations() const;
  Status scan_dead_letters(const DeadLetterFilter& filter, const DeadLetterVisitor& visitor) const;
  Result<std::vector<DeadLetter>> dead_letters(const DeadLetterFilter& filter) const;
  /// The same as they are stored.
  Result<std::vector<model::DeadLetterRecord>> dead_letter_records(
      const DeadLetterFilter& filter,
      const std::optional<core::DeadLetterIndex::Name>& behind = {}) const;
  Result<std::optional<std::string>> state(std::string_view name, std::string_view key) const;
  Status scan_state(std::string_view name, std::string_view prefix,
                    const std::function<bool(std::string_view, std::string_view)>& visitor) const;

 private:
  struct Exceptions;
  struct LaneScan;
  [[nodiscard]] WallTime wall_of(model::DueTime due) const;
  [[nodiscard]] OperationInfo info_of(const core::Operations::Operation& operation) const;
  /// Those that `filter` names, by subscription and event, until the visitor returns false; how
  /// many is for that to say.
  Status visit_dead_letters(const DeadLetterFilter& filter,
                            const std::function<bool(model::DeadLetterRecord&&)>& visitor) const;
  Status load_exceptions(Exceptions& exceptions) const;
  Status scan_lane(Priority lane, LaneScan& scan) const;
  [[nodiscard]] EventState state_of(const EventView& event, const Exceptions& exceptions) const;
  [[nodiscard]] EventState paused_if_ready(EventState state, const EventView& event) const;
  [[nodiscard]] bool is_cancelled(const EventView& event, EventState state) const;
  Result<EventState> exact_state(const EventView& event, EventState seen,
                                 const LaneScan& scan) const;
  Result<model::ChunkPtr> find_chunk(EventId id, const Exceptions* exceptions) const;

  const journal::JournalReader& journal_;
  const core::Ledger& ledger_;
  std::mutex& mutex_;
  const base::Clock& clock_;
  Live live_;
};

}  // namespace holdfast::runtime
