// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/delivery_state.h"

namespace holdfast::runtime {

/// A thread that tells handlers to stop, for those who must not run the embedder's stop callbacks:
/// the committer, the clock, and whoever holds a lock. What waits is bounded by the runs under way,
/// since each is asked once.
class Signaller {
 public:
  using Runs = std::vector<std::shared_ptr<internal::DeliveryState>>;

  Signaller() = default;
  ~Signaller() { stop(); }
  Signaller(const Signaller&) = delete;
  Signaller& operator=(const Signaller&) = delete;

  void start();
  /// Tells those that wait, and ends the thread.
  void stop();

  /// Has the thread tell `runs`, whose stop has been noted. Does not wait. Threads: any.
  void signal(Runs runs);
  /// Tells them here and now, or has the thread do it when this one is inside a callback, for which
  /// others wait. Never under the bus's lock.
  void tell(Runs runs);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<internal::DeliveryState>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace holdfast::runtime
