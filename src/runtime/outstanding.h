// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "holdfast/types.h"
#include "runtime/delivery_state.h"

namespace holdfast::runtime {

/// The runs that are under way, from the lease to the answer and, of a handler, to its return: in
/// the order in which they began, by event, and by what the clock has to do with them. A run is
/// threaded in through its own `place`, so that to be listed costs no allocation; only one with a
/// time-out costs one. Under the bus's lock.
class Outstanding {
 public:
  using Run = internal::DeliveryState;

  Outstanding() : buckets_(kBucketsMin) {}
  ~Outstanding() { clear(); }
  Outstanding(const Outstanding&) = delete;
  Outstanding& operator=(const Outstanding&) = delete;

  void add(Run& run);
  /// Does nothing for one that is not listed.
  void remove(Run& run);
  /// Forgets all of them: nobody is left to answer.
  void clear();

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// The one that began first; `place.later` leads on.
  [[nodiscard]] Run* first() const noexcept { return first_; }

  /// Calls `visit` for each run that still owes its answer: those that can be asked to stop. None
  /// may be added or removed meanwhile. `Run::shared_from_this` keeps one.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (auto* run = first_; run != nullptr; run = run->place.later) {
      if (owes_answer(*run)) visit(*run);
    }
  }
  /// The same, of one event: as many as there are subscriptions that have it.
  template <typename Visit>
  void for_each(EventId event, Visit&& visit) {
    for (auto* run = buckets_[bucket_of(event)]; run != nullptr; run = run->place.next_in_bucket) {
      if (run->lease.event == event && owes_answer(*run)) visit(*run);
    }
  }

  /// Has the clock look at `run` at `at`, instead of when it would have.
  void watch(Run& run, base::BootTime at);
  void unwatch(Run& run);
  [[nodiscard]] std::optional<base::BootTime> next_watch() const;
  /// It is over its time-out. `late` has those, in the order in which they began.
  void note_timed_out(Run& run);
  using ByBegin = std::set<std::pair<base::BootTime, Run*>>;
  [[nodiscard]] const ByBegin& late() const noexcept { return late_; }
  /// One whose time has come, and which is not watched any more; null when there is none.
  Run* take_due(base::BootTime now);

 private:
  static constexpr std::size_t kBucketsMin = 64;  // a power of two, as any number of them

  [[nodiscard]] static bool owes_answer(Run& run) noexcept {
    return !run.answered && !run.whole().answered;
  }
  [[nodiscard]] std::size_t bucket_of(EventId event) const noexcept;
  void grow();

  std::vector<Run*> buckets_;
  std::size_t size_ = 0;
  Run* first_ = nullptr;
  Run* last_ = nullptr;
  std::set<std::pair<base::BootTime, Run*>> watched_;
  ByBegin late_;
};

}  // namespace holdfast::runtime
