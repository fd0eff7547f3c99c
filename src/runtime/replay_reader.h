// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <stop_token>

#include "holdfast/replay.h"
#include "holdfast/result.h"
#include "journal/journal.h"

namespace holdfast::runtime {

/// The way of a replay to a journal: a live bus's, which may be trimmed and closed between two
/// reads, or a view's.
class ReplayAccess {
 public:
  using Read = std::function<Status(const journal::JournalReader&, model::Sequence from)>;

  virtual ~ReplayAccess() = default;

  /// Where the replay ends at the latest: the newest commit now, and the lanes' ends, which may be
  /// further.
  struct End {
    CommitNumber commit;
    model::PerLane<model::Sequence> next;
  };
  [[nodiscard]] virtual End end() const = 0;
  /// Below this everything in the lane is gone now.
  [[nodiscard]] virtual model::Sequence trim(Priority lane) const = 0;
  /// Calls `read` with `from`, or the first sequence behind it that is kept; nothing from there on
  /// is trimmed until it returns.
  virtual Status read(Priority lane, model::Sequence from, const Read& read) const = 0;
};

/// Gives the events that a replay asks for in their total order: merges the lanes, each read a few
/// chunks at a time. Pays no heed to `speed` and `limit`. Threads: one.
class ReplayReader {
 public:
  /// `access` and `options`, which must be checked, must outlive it.
  ReplayReader(const ReplayAccess& access, const ReplayOptions& options)
      : access_(access), options_(options) {}

  /// Finds the ends. Once, before `next`.
  Status open();
  /// The next event, which lives until the next call; none at the end, or when a stop was
  /// requested. `data_loss` at a damaged record, after those before it.
  Result<const EventView*> next();

  [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

 private:
  /// In the total order.
  struct Place {
    CommitNumber commit;
    std::uint32_t index = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  static constexpr Place kEnd{{std::numeric_limits<std::uint64_t>::max()},
                              std::numeric_limits<std::uint32_t>::max()};
  /// A place in a lane lies in [from, to].
  struct Bounds {
    model::Sequence from;
    model::Sequence to;
  };
  struct Lane {
    std::deque<model::ChunkPtr> chunks;  // read, the first with events to give
    model::Sequence next = 1;            // to be given
    model::Sequence end = 1;
    Status failed;  // behind the chunks
    std::optional<EventView> head;
  };

  Result<Place> place_of(const ReplayPoint& point, bool is_end) const;
  Result<Bounds> find(Priority lane, const Place& place, Bounds within) const;
  Result<model::ChunkPtr> first_chunk(Priority lane, model::Sequence from,
                                      model::Sequence to) const;
  /// Makes `head` the lane's next event that is wanted, if there is one.
  Status advance(Priority lane);
  Status fill(Priority lane);
  [[nodiscard]] bool wanted(const EventView& event) const;

  const ReplayAccess& access_;
  const ReplayOptions& options_;
  Place from_;
  Place to_ = kEnd;
  model::PerLane<Lane> lanes_;
  std::optional<Priority> given_;
  std::uint64_t missed_ = 0;
};

}  // namespace holdfast::runtime
