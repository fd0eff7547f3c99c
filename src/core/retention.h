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

/// Decides how far a lane may be trimmed, at marks set about every `step` bytes:
///
///     trim   mark      mark          mark       next
///       |     |          |             |          |
///       +-----+----------+-------------+----------+
///         interval: bytes, age, how many nobody has claimed
///
/// An interval goes when every subscription's floor is past it and the rule for it (settled, or some of
/// it unclaimed) says so.
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

  /// After the last `restore`: the events from the returned sequence on must be noted again, since the
  /// count of the last interval is stored only when it ends.
  Sequence begin_recount(Sequence trim);

  /// An event of `bytes`, published at `now`, follows at `sequence`. Returns the marks to store: a new
  /// one when it is due, and the one before it with its final count.
  std::vector<model::RetentionMark> note(Sequence sequence, std::uint64_t bytes, WallTime now,
                                         bool claimed);

  /// Some subscription has claimed the unclaimed event at `sequence`. Returns the mark to store again.
  std::optional<model::RetentionMark> claim(Sequence sequence);

  /// How far the lane may be trimmed when nobody is owed anything below `floor`. Forgets marks below.
  Trimmed trim(Sequence trim, Sequence floor, WallTime now);

  /// The first sequence at or after `time`, as far as marks tell: not later than the right one.
  [[nodiscard]] Sequence at_or_before(WallTime time) const;

  [[nodiscard]] std::uint64_t unclaimed() const noexcept;

  /// Apart enough that a lane never keeps more than about this many.
  static constexpr std::uint64_t kMarksMax = 512;

 private:
  [[nodiscard]] std::uint64_t step() const;

  Priority lane_;
  Rules rules_;
  std::deque<model::RetentionMark> marks_;
  std::uint64_t bytes_ = 0;  // of events noted, since the journal began
};

}  // namespace holdfast::core
