// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "holdfast/options.h"
#include "holdfast/types.h"
#include "model/records.h"

namespace holdfast::core {

/// Decides how far a lane may be trimmed (with what is kept in the others), at marks set about
/// every `step` bytes:
///
///     trim   mark      mark          mark       next
///       |     |          |             |          |
///       +-----+----------+-------------+----------+
///         interval: bytes, age, how many nobody has claimed
///
/// An interval goes when every subscription's floor is past it and the rule for it (settled, or
/// some of it unclaimed) says so.
class LaneRetention {
 public:
  using Sequence = model::Sequence;

  struct Rules {
    Retention settled;
    Retention unclaimed;
  };
  struct Trimmed {
    Sequence trim = 1;
    std::uint64_t unclaimed = 0;  ///< How many of the trimmed events nobody had claimed.
  };

  LaneRetention(Priority lane, const Rules& rules) : lane_(lane), rules_(rules) {}

  /// Marks as they were stored, ascending. Events from the last one on must be noted again.
  void restore(const model::RetentionMark& mark);

  /// After the last `restore`: the events from the returned sequence on must be noted again, since
  /// what is stored of the last interval is not up to date until it ends.
  [[nodiscard]] Sequence recount_from(Sequence trim) const;

  struct Published {
    WallTime wall = 0;
    base::BusTime bus = 0;
  };
  /// An event of `bytes`, published at `now`, follows at `sequence`. Returns the marks to store: a
  /// new one when it is due, and the one before it with its final count.
  std::vector<model::RetentionMark> note(Sequence sequence, std::uint64_t bytes, Published now,
                                         bool claimed);
  /// The same of an event that is read again, which knows only what the wall clock said.
  void note_again(Sequence sequence, std::uint64_t bytes, WallTime published_at, bool claimed);

  /// Some subscription wants the event at `sequence`, or `count` events from there to the next
  /// mark, and no other that is known does. Returns the mark to store again. An event that may have
  /// been claimed by somebody who is forgotten stays counted as unclaimed: it is kept for longer
  /// than it need be, and never for less.
  std::optional<model::RetentionMark> claim(Sequence sequence, std::uint64_t count = 1);
  /// Who claims what is about to change: a recount would go by who does by then. Returns the mark
  /// to store again, when there is anything that only a recount would count.
  std::optional<model::RetentionMark> keep_count();
  /// From now on nobody knows who had claimed what is in the lane. Returns the marks to store
  /// again.
  std::vector<model::RetentionMark> forget_claims();

  /// When the first interval ended, if nobody is owed anything of it: all is settled below `floor`.
  [[nodiscard]] std::optional<base::BusTime> first_end(Sequence floor) const;
  /// Of events from the first interval on.
  [[nodiscard]] std::uint64_t kept_bytes() const noexcept;
  /// Lets the first interval go if the rule for it says so, with `elsewhere` bytes kept in other
  /// lanes. Forgets its mark. False when it stays.
  bool trim_first(Trimmed& trimmed, Sequence floor, base::BusTime now, std::uint64_t elsewhere);

  /// The first sequence at or after `time`, as far as marks tell: not later than the right one.
  [[nodiscard]] Sequence at_or_before(WallTime time) const;

  [[nodiscard]] std::uint64_t unclaimed() const noexcept;
  /// Where the marks are, ascending.
  [[nodiscard]] std::vector<Sequence> marks() const;

  /// Apart enough that a lane never keeps more than about this many, but for one more each 64 MiB
  /// when it may keep more than 16 GiB.
  static constexpr std::uint64_t kMarksMax = 512;

 private:
  [[nodiscard]] std::uint64_t step() const;

  Priority lane_;
  Rules rules_;
  std::deque<model::RetentionMark> marks_;
  std::uint64_t bytes_ = 0;  // of events noted, since the journal began
  Sequence next_ = 1;        // of the event to be noted
};

/// How far each lane may be trimmed, with the bytes of all counted together: whatever lane it is
/// in, what is oldest goes first, and what somebody is owed holds up only its own.
model::PerLane<LaneRetention::Trimmed> trim_lanes(
    const model::PerLane<LaneRetention*>& lanes,
    const model::PerLane<LaneRetention::Sequence>& floor, base::BusTime now);

}  // namespace holdfast::core
