// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "journal/rocks/reclaim.h"

namespace rocksdb {
class DB;
}

namespace holdfast::journal {

/// Gives the disk space of trimmed events back. The filter already drops them whenever the engine
/// rewrites a table; this sees to it that it does so, when there is enough to gain. Threads: any.
class Reclaimer {
 public:
  struct Config {
    std::uint64_t bytes_min = 0;
    std::chrono::milliseconds pause{};
    base::Log log;
  };

  Reclaimer(rocksdb::DB& db, std::shared_ptr<const DurableTrims> trims, Config config);
  ~Reclaimer();
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;

  /// The durable trims have been raised.
  void wake();
  /// Ends its work, in the middle of a compaction if need be.
  void stop();

 private:
  void run(const std::stop_token& stop);
  void reclaim(Priority lane);

  rocksdb::DB& db_;
  const std::shared_ptr<const DurableTrims> trims_;
  const Config config_;
  std::atomic<bool> is_cancelled_ = false;
  model::PerLane<std::uint64_t> kept_{};  // bytes that the last compaction left
  std::mutex mutex_;
  std::condition_variable_any woken_cv_;
  bool is_woken_ = false;  // guarded by mutex_
  std::jthread thread_;    // last: it uses all the others
};

}  // namespace holdfast::journal
