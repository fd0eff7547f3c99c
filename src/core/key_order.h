// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "core/delivery_lane.h"
#include "model/records.h"

namespace holdfast::core {

using model::PerLane;

/// The events of one subscription that have an ordering key, were taken from their lane, and are
/// not settled: of each key one runs at a time, in the order of commits.
///
///     key A:  low:7 (parked)   high:3 (held)   low:9 (held)      high:3 may run when low:7 is over
///     key B:  high:4 (runs)
///
/// What comes earlier and has not been taken is in some lane behind its frontier (the first event
/// there that was not taken): `OrderKey::after` tells how far each lane has to have come.
class KeyOrder {
 public:
  using Due = DeliveryLane::Due;

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] std::size_t held_count() const noexcept { return held_; }
  [[nodiscard]] bool contains(EventId event) const { return entries_.contains(event); }
  [[nodiscard]] bool is_held(EventId event) const;

  /// It is taken, or was parked when the bus was opened. Without a key, or known already, it is
  /// left alone.
  void add(EventId event, const model::KeyPlace& place);
  /// Where it stands; nowhere when it is not in here.
  [[nodiscard]] model::KeyPlace place(EventId event) const;
  /// Whether `event` may run, now that the lanes have come to `frontier`. One that is not in here
  /// always may.
  [[nodiscard]] bool may_run(EventId event, const PerLane<Sequence>& frontier) const;
  /// The same of one that would be added.
  [[nodiscard]] bool may_run(EventId event, const model::KeyPlace& place,
                             const PerLane<Sequence>& frontier) const;

  /// A handler has it. It may run.
  void set_running(EventId event);
  /// No handler has it any more, and it is still owed.
  void set_waiting(EventId event);
  /// It is put aside until its turn comes; `due` is what is then due.
  void hold(EventId event, Due due);
  /// It was parked while it is held; false when it is not held. `stored`: with a copy on disk.
  bool mark_parked(EventId event, model::DueTime due, bool stored, bool cleanup = false);
  /// It is settled.
  void erase(EventId event);
  /// Only those are left of which `is_parked` is true, and none is held or running.
  template <typename IsParked>
  void reset(IsParked&& is_parked) {
    std::erase_if(entries_, [&](const auto& each) { return !is_parked(each.first); });
    rebuild();
  }

  /// Somebody waits for the one that `event` is.
  [[nodiscard]] bool has_successor(EventId event) const;
  /// Some may have their turn now: `take_turns` has something to look at.
  [[nodiscard]] bool has_changed() const noexcept { return !changed_.empty(); }
  /// `lane` has come to `frontier`.
  void advance(Priority lane, Sequence frontier);
  /// Those held whose turn has come, now that the lanes have come to `frontier`: they are held no
  /// longer.
  std::vector<std::pair<EventId, Due>> take_turns(const PerLane<Sequence>& frontier);

 private:
  using Position = std::tuple<CommitNumber, std::uint32_t, EventId>;
  struct Entry {
    model::KeyPlace place;
    bool running = false;
    std::optional<Due> held;
  };
  struct Queue {
    std::set<Position> events;
    std::size_t running = 0;
  };

  static Position position(EventId event, const model::KeyPlace& place) {
    return {place.commit, place.index, event};
  }
  static std::optional<Priority> lane_behind(const model::KeyPlace& place,
                                             const PerLane<Sequence>& frontier);
  void rebuild();

  std::map<EventId, Entry> entries_;
  std::map<std::uint64_t, Queue> queues_;  // by the hash of the key
  std::size_t held_ = 0;
  std::set<std::uint64_t> changed_;
  /// Keys whose first waits for a lane to come past a sequence.
  PerLane<std::multimap<Sequence, std::uint64_t>> behind_;
};

/// How far each key goes in each lane, at most: what was published under it since the bus was
/// opened. A few numbers, however many keys there are; keys that share them wait for each other's
/// lanes, and no harm is done.
class KeyMarks {
 public:
  [[nodiscard]] PerLane<Sequence> last(std::uint64_t hash) const;
  void note(std::uint64_t hash, EventId event);

 private:
  static constexpr std::size_t kMarks = 16'384;
  std::vector<PerLane<Sequence>> marks_;  // none until there is a key
};

}  // namespace holdfast::core
