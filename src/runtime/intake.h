// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "holdfast/options.h"
#include "holdfast/status.h"
#include "runtime/request.h"

namespace holdfast::runtime {

/// Where publishers leave what they want committed, bounded by count and bytes, and where the
/// committer waits for something to do. Threads: any.
class Intake {
 public:
  using Clock = std::chrono::steady_clock;

  struct Settings {
    std::size_t events_max;
    std::size_t bytes_max;
    std::chrono::milliseconds ack_linger;
  };
  explicit Intake(const Settings& settings) : settings_(settings) {}

  /// Adds `request`; waits for room if `may_block`. The last sixteenth is kept for critical events,
  /// so that they get in while everything else waits. A request larger than the whole intake is let
  /// in alone, and one that others have been let in before several times goes before them. One
  /// without events is let in, but for `limited` ones, of which there are `events_max` at most.
  /// Fails with `resource_exhausted` (full), or the status of `close`; `request` is then untouched,
  /// and its `done` is not called. `tell`: the committer is woken if this makes a group.
  Status push(Request& request, bool may_block, bool tell);

  /// What one commit should be made of: requests in their order, at least one if any, with up to
  /// `events_max` events (one without counts as one) and `bytes_max` bytes. Those that overtake
  /// come first, and by themselves, so that theirs is a short commit.
  std::vector<Request> take(std::size_t events_max, std::size_t bytes_max);

  /// Answers were given: a commit should follow within the linger, or now if `urgent`.
  void answers_given(bool urgent);
  void answers_taken();

  /// A sync is under way: the next group is left to fill meanwhile, unless it is large already.
  void set_sync_in_flight(bool in_flight);

  /// So much is written and not synced that nothing more is to be committed for now.
  void set_backlogged(bool backlogged);

  /// Wakes the committer for what was pushed without telling it.
  void notify() { work_.notify_one(); }

  /// Blocks until there is something to commit; false once closed and empty.
  bool wait_for_work();

  /// Refuses what comes from now on with `status`; whoever waits for room is refused as well.
  void close(const Status& status);

  /// What `request` takes in memory while it waits.
  [[nodiscard]] static std::size_t bytes_of(const Request& request);
  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
  [[nodiscard]] std::size_t events() const;
  [[nodiscard]] bool idle() const;

 private:
  /// The status of `close` if that comes first.
  Status wait_for_room(const Request& request, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool has_room(const Request& request) const;
  [[nodiscard]] bool empty() const { return queue_.empty() && overtaking_.empty(); }
  [[nodiscard]] bool should_commit(Clock::time_point now) const;

  // A group of this many events is worth a commit of its own while a sync is under way: larger ones
  // would make a critical event wait longer than they save.
  static constexpr std::size_t kGroupEvents = 512;
  static constexpr std::size_t kCriticalShare = 16;
  // What a request takes in memory beside its encoded events: itself, its callback, what the
  // allocator adds. Measured with single events of 10 bytes.
  static constexpr std::size_t kRequestBytes = 700;
  static constexpr int kPassedOverMax = 4;

  const Settings settings_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable room_;
  std::deque<Request> queue_;
  std::deque<Request> overtaking_;
  std::size_t limited_ = 0;
  std::size_t events_ = 0;
  std::size_t bytes_ = 0;
  const Request* reserved_ = nullptr;  // goes before all that is not critical
  bool backlogged_ = false;
  bool sync_in_flight_ = false;
  bool urgent_ = false;
  bool answers_ = false;
  Clock::time_point answers_by_;
  Status closed_;
};

}  // namespace holdfast::runtime
