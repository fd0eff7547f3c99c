// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/chunk.h"
#include "model/records.h"

namespace holdfast::core {

using model::ChunkPtr;
using model::Sequence;

/// Consecutive events of one chunk, [next, end).
struct Span {
  ChunkPtr chunk;
  Sequence next = 0;
  Sequence end = 0;
  base::BusTime since = 0;  ///< When they were offered.
};

/// Counts the leases of one run of the bus, from 1.
using LeaseNumber = std::uint64_t;

/// A subscription's progress in one lane, and the part of its backlog that is in memory.
///
/// Handlers finish out of order, so "how far are we" is a floor and the few settled ahead of it.
/// What has been taken lies in a row in the order of taking, what waits in memory is a window
/// behind it, the rest stays on disk:
///
///       settled   settled   taken    settled   taken  |  window    |  on disk
///          44        45       46        47       48   |  49 .. 52  |  53 ...
///                             ^ floor                             ^ covered
///
/// Settling 46 moves the floor to 48 at once. A parked event (one that failed, or held up the floor
/// for too long) has its own record and counts as settled here; it comes back through `due`.
///
/// Invariants: the floor never goes back but by `reset`; whatever is owed is taken, in the window,
/// at or behind `covered`, or parked; `taken_` begins with an event that is not settled.
class DeliveryLane {
 public:
  /// Where an event stands in the row of the taken: valid until it is settled or parked.
  using Ticket = std::uint64_t;

  struct Taken {
    Sequence sequence = 0;
    ChunkPtr chunk;
    Ticket ticket = 0;
    LeaseNumber lease = 0;  // that holds it; 0 = none
    bool begun = false;     // some handler has it, or has had it
  };
  /// Waiting to be taken out of turn: a retry that is due, a suspect, or a run that starts over.
  struct Due {
    bool parked = false;
    bool suspect = false;
    bool started = false;
    bool cleanup = false;
    std::uint32_t attempts = 0;
    model::DueTime due = 0;   // when parked
    ChunkPtr chunk;           // null: to be read from its parked copy
    Ticket ticket = 0;        // when not parked
    base::BusTime since = 0;  // when it became ready

    void mark_parked(model::DueTime at, bool as_cleanup) {
      parked = true;
      due = at;
      if (!as_cleanup) return;
      cleanup = true;
      attempts = 0;
    }
  };

  static constexpr std::size_t kWindowEventsMax = 4'096;
  static constexpr std::size_t kWindowEventsLow = kWindowEventsMax / 2;
  /// From here on the oldest event that is still taken is parked, so that the settled ones behind
  /// it need not be remembered one by one.
  static constexpr std::size_t kTakenSoftMax = 4'096;
  /// From here on nothing more is taken until answers were committed.
  static constexpr std::size_t kTakenMax = 65'536;

  /// Starts at `floor` with those `ahead` of it settled; nothing is in memory yet. `live`: nothing
  /// that is offered already lies behind the floor.
  void reset(Sequence floor, std::vector<Sequence> ahead, bool live = false);

  // --- The window -------------------------------------------------------------------------------

  /// Nothing that is offered lies between the window and the newest event of the lane.
  [[nodiscard]] bool live() const noexcept { return live_; }
  [[nodiscard]] std::size_t window_count() const noexcept { return window_count_; }
  [[nodiscard]] bool has_due() const noexcept { return !due_.empty(); }
  /// So much is taken that nothing more is until answers were committed.
  [[nodiscard]] bool is_full() const noexcept { return taken_.size() >= kTakenMax; }
  /// With a handler, or answered in a commit not made yet, or about to start over.
  [[nodiscard]] bool is_in_row(Sequence sequence) const noexcept;
  /// The same, if some handler has it, or has had it.
  [[nodiscard]] bool is_with_handler(Sequence sequence) const noexcept;
  /// There may be more urgent events on disk than any in memory: whoever wants strict order waits.
  [[nodiscard]] bool unknown() const noexcept { return !live_ && window_count_ == 0 && !has_due(); }
  [[nodiscard]] bool wants_refill() const noexcept {
    return !live_ && window_count_ < kWindowEventsLow && !is_full();
  }
  /// Where a refill begins to read.
  [[nodiscard]] Sequence covered() const noexcept { return covered_; }

  /// A live event run that this subscription wants. With `room` it goes into the window; otherwise
  /// it, and all that follow, stay on disk.
  void offer(const Span& span, bool room);
  /// From disk, in order. Events that are settled already are left out. `covered` is where reading
  /// ended; `live` that this is all there is.
  void refill(std::vector<Span> spans, Sequence covered, bool live);
  /// Forgets the window: it is read again from disk, where it begins now.
  void drop_window();
  /// What is due as well: of what is owed nothing that waits is in memory any more.
  void drop_waiting();
  /// The next of the window and those behind it in its chunk; it must not be empty.
  [[nodiscard]] const Span& window_front() const noexcept { return window_.front(); }
  /// When it was offered.
  [[nodiscard]] base::BusTime window_since() const noexcept { return window_.front().since; }

  void put_due(Sequence sequence, Due due) { due_.insert_or_assign(sequence, std::move(due)); }
  [[nodiscard]] bool is_due(Sequence sequence) const { return due_.contains(sequence); }
  [[nodiscard]] std::size_t due_count() const noexcept { return due_.size(); }
  /// Must have one.
  [[nodiscard]] const Due& first_due() const { return due_.begin()->second; }
  [[nodiscard]] Sequence first_due_sequence() const { return due_.begin()->first; }
  Due take_due();

  /// The next of the window, which must not be empty.
  Taken take();
  /// As if `one` had not been taken: its place is in front of the window again. False, and nothing
  /// happens, unless it is what was taken last.
  bool untake(Ticket ticket, Span one);

  // --- Settling ---------------------------------------------------------------------------------

  void settle(Ticket ticket);
  /// Whoever had it has given it back: it is owed, but with nobody.
  void release(Ticket ticket);
  /// An event that is not in memory, at or above the floor: only before anything was taken.
  void settle_ahead(Sequence sequence);
  /// It has been parked while it waited in `due`, as a clean-up or as it was; false when it does
  /// not wait there.
  bool mark_due_parked(Sequence sequence, model::DueTime due, bool cleanup = false);
  /// The oldest that is taken and not settled, if the row is so long that it should be parked.
  [[nodiscard]] std::optional<Taken> overdue() const;
  [[nodiscard]] bool is_taken(Ticket ticket) const noexcept;
  /// Of the row: where `sequence`, which must be in it, stands.
  [[nodiscard]] Taken taken(Sequence sequence) const noexcept;
  /// Whether whoever holds it is no handler: it has still to ask the gate, or its answer is on its
  /// way.
  void set_idle(Ticket ticket, bool idle);
  /// Nobody holds it any more; it waits to be taken again. `begun`: some handler has had it.
  void give_up(Ticket ticket, bool begun);
  /// Says which lease holds it now; 0 = none. It must be taken.
  void set_lease(Ticket ticket, LeaseNumber lease);
  [[nodiscard]] bool is_held(Ticket ticket, LeaseNumber lease) const noexcept;

  /// Everything below is settled, parked or never wanted. `offered` is the end of what the lane
  /// offers.
  [[nodiscard]] Sequence floor(Sequence offered) const noexcept;
  /// Everything below was taken, is settled, or was never wanted.
  [[nodiscard]] Sequence frontier(Sequence offered) const noexcept;
  /// Settled or parked above `floor`, ascending.
  [[nodiscard]] std::vector<Sequence> ahead(Sequence floor) const;
  [[nodiscard]] bool is_settled(Sequence sequence, Sequence offered) const noexcept;

  std::uint64_t owed = 0;  ///< Parked ones included.
  std::uint64_t parked = 0;
  std::uint64_t leased = 0;  ///< With a handler now.

 private:
  struct Row {
    Sequence sequence = 0;
    bool settled = false;
    bool released = false;
    bool idle = false;
    bool begun = false;
    ChunkPtr chunk;
    LeaseNumber lease = 0;
  };

  void push_span(Span span);
  /// What is in memory ends at `reached`, or behind the settled ones that follow: a floor that
  /// stood at one of them would lose it, since what is stored as settled ahead begins behind the
  /// floor.
  void cover(Sequence reached);
  [[nodiscard]] std::deque<Row>::const_iterator find_row(Sequence sequence) const noexcept;

  std::deque<Row> taken_;
  Ticket first_ticket_ = 0;  // of taken_.front()
  std::deque<Span> window_;
  std::size_t window_count_ = 0;
  std::map<Sequence, Due> due_;
  std::vector<Sequence> skip_;  // settled before this run began and not yet passed; ascending
  Sequence covered_ = 1;
  bool live_ = false;
};

}  // namespace holdfast::core
