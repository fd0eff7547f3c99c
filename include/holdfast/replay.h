// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/types.h"

namespace holdfast {

/// One end of a replay, inclusive: a place in the total order (commit, index in it) over all lanes,
/// or a moment. Default: no end.
struct ReplayPoint {
  /// This event, at its place in the total order. It must be in its lane still.
  [[nodiscard]] static ReplayPoint event(EventId id) { return ReplayPoint{id}; }
  /// A commit that exists. One whose events are gone already stands before all that are kept.
  [[nodiscard]] static ReplayPoint commit(CommitNumber number) { return ReplayPoint{number}; }
  /// A moment on the wall clock, held against `EventView::published_at`. An event belongs to it or
  /// not by that alone: where the clock was set back, several stretches of the order may.
  [[nodiscard]] static ReplayPoint time(WallTime at) { return ReplayPoint{AtTime{at}}; }

  struct None {};
  struct AtTime {
    WallTime at;
  };
  std::variant<None, EventId, CommitNumber, AtTime> value{};
};

/// Which events to replay, and how fast. The default is all that are kept, as fast as possible.
struct ReplayOptions {
  ReplayPoint from{};
  /// At most what is committed when the replay begins, so that a handler may publish.
  ReplayPoint to{};
  std::vector<std::string> types{};    ///< Patterns; empty = all.
  std::vector<Priority> priorities{};  ///< Empty = all.
  /// How many times faster than they were published: 1 = at that pace, 10 = ten times faster. 0 or
  /// infinity = as fast as possible. Measured on the steady clock from the first event on, so that
  /// a slow handler is caught up with. Where the wall clock stepped back there is no wait.
  double speed = 0;
  /// A gap between two events' `published_at` that is longer counts as this; at least 0.
  std::chrono::nanoseconds gap_max = std::chrono::minutes(1);
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
  /// Ends the replay before its next event, also in a wait for the pace.
  std::stop_token stop{};
};

/// What a replay gave.
struct ReplayReceipt {
  struct Place {
    EventId id;
    CommitNumber commit;
  };
  std::uint64_t events = 0;    ///< Given to the handler, or published into the other bus.
  std::optional<Place> first;  ///< Of those.
  std::optional<Place> last;
  /// Events that retention took away while the replay was under way, before it came to them. They
  /// are counted whatever their type. It went on with the next that was kept.
  std::uint64_t missed = 0;
  bool stopped = false;  ///< The handler returned false, or `ReplayOptions::stop` was requested.
};

/// Called once an event in the total order; returns false to stop. The view lives for the call.
using ReplayHandler = std::function<bool(const EventView& event)>;

/// What a rewound subscription is owed now.
struct RewindReceipt {
  std::array<std::uint64_t, kLaneCount> owed{};  ///< By lane.
  std::uint64_t total = 0;                       ///< Over all lanes.
  /// In each lane it goes on from this sequence.
  std::array<std::uint64_t, kLaneCount> from{};
  /// The position, or what would have followed it, may be gone already: it begins with the earliest
  /// event that is kept of some lane that has lost others before.
  bool trimmed = false;
  std::uint64_t dead_letters_erased = 0;  ///< Of events that are owed again.
  CommitNumber commit;                    ///< That did it.
};

}  // namespace holdfast
