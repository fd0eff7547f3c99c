// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <vector>

#include "core/ledger.h"

namespace holdfast::core {

/// Few events that wait for a subscription which nobody serves, far behind the end of a lane: their
/// cursor holds everything published since, whoever it is for. Kept apart (`CommitPlan::set_apart`)
/// they hold nothing but their own copies.
struct HeldBack {
  /// Fewer sequences behind the end are not worth a reading.
  static constexpr Sequence kSequencesMin = 65'536;
  /// Of more waiting events the lane itself is the cheaper place.
  static constexpr std::uint64_t kEventsMax = 256;

  SubscriptionId subscription;
  Priority lane = Priority::normal;
  Sequence from = 1;     ///< To be read from here.
  Sequence to = 1;       ///< Up to here, as far as possible; none when nothing waits.
  InterestPtr interest;  ///< By which they are found.
};

/// All that hold more than `sequences_min`.
[[nodiscard]] std::vector<HeldBack> held_back(const Ledger& ledger,
                                              Sequence sequences_min = HeldBack::kSequencesMin);

/// Notes what `chunk` has of them. False: no further, since there are too many, or one has an
/// ordering key and has to be come to in its lane; `held.to` is moved back to that.
bool find_held_back(HeldBack& held, const ChunkPtr& chunk, std::vector<Span>& owed);

}  // namespace holdfast::core
