// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include <rocksdb/compaction_filter.h>

#include "model/ids.h"

namespace holdfast::journal {

/// How far each lane may be reclaimed: its trim in a commit that is known to be fsynced. With the
/// trim of a younger one, power loss could bring a cursor back to events that are gone. Threads:
/// any.
class DurableTrims {
 public:
  void raise(const model::PerLane<model::Sequence>& trim) {
    for (std::size_t lane = 0; lane < kLaneCount; ++lane) {
      auto known = trims_[lane].load(std::memory_order_relaxed);
      while (known < trim.values[lane] &&
             !trims_[lane].compare_exchange_weak(known, trim.values[lane])) {
      }
    }
  }
  [[nodiscard]] model::Sequence of(Priority lane) const {
    return trims_[static_cast<std::size_t>(lane)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<model::Sequence>, kLaneCount> trims_{};
};

/// Drops chunks and retention marks below the durable trims whenever the engine writes a table,
/// also when it flushes: an event that is settled quickly never gets into a table at all.
[[nodiscard]] std::shared_ptr<rocksdb::CompactionFilterFactory> make_reclaim_filter(
    std::shared_ptr<const DurableTrims> trims);

}  // namespace holdfast::journal
