// SPDX-License-Identifier: MIT
#pragma once

// A load for a child that is going to be killed, and the parent's book of what it was told
// meanwhile.
//
// The child publishes with four threads (singles, batches, with and without fsync, in all lanes),
// and handles with acks, retries and a tx that raises a counter and publishes a follow-up. Before
// it asks the bus for anything, and when it is told anything, it writes a record into the parent's
// pipe, which survives it. The parent compares the records with the journal: what was confirmed
// must be there, what is there must have been intended, and nothing may be half.

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "holdfast/holdfast.h"

namespace holdfast::testing {

struct LoadRecord {
  enum class Kind : std::uint32_t {
    ready,      ///< The bus is open and its handlers are subscribed.
    suspect,    ///< The open named this event as running at the last end.
    intent,     ///< About to publish `key`, as one of `batch_size` in `batch`.
    receipt,    ///< `key` was confirmed as `event` in `commit`.
    delivered,  ///< A handler of `subscription` was given `event`.
    settled,    ///< `on_settled` of `subscription` told of `event`.
    surprise,   ///< Something that must not happen, number `key`.
  };
  Kind kind = Kind::ready;
  std::uint32_t subscription = 0;
  std::uint32_t attempt = 0;
  std::uint32_t lane = 0;
  std::uint64_t sequence = 0;
  std::uint64_t commit = 0;
  std::uint64_t key = 0;
  std::uint64_t batch = 0;
  std::uint32_t batch_size = 0;
  std::uint32_t durability = 0;

  [[nodiscard]] EventId event() const { return {static_cast<Priority>(lane), sequence}; }
};

/// Name of the `ChildRole` that runs the load for ever. Arguments: folder, seed, round.
extern const char* const kKillLoadRole;

/// How load and parent open the journal: it keeps everything.
Options kill_load_options();

/// What the parent knows. Any member that finds something wrong says so as a failure of the test.
class KillBook {
 public:
  /// A new child begins.
  void begin_round();
  void note(const LoadRecord& record);

  /// Compares with the journal what has come since the last time. `Source`: a `Bus` or a
  /// `JournalView`.
  template <typename Source>
  void check_new(const Source& source);
  /// Compares everything.
  template <typename Source>
  void check_all(const Source& source);
  /// Handles what is left, and sees that every effect happened exactly once.
  void finish(Bus& bus);

  [[nodiscard]] std::size_t receipts() const noexcept { return receipt_count_; }
  [[nodiscard]] std::size_t events() const;
  [[nodiscard]] std::size_t settled() const;
  [[nodiscard]] std::size_t suspects() const noexcept { return suspects_.size(); }
  void note_suspects(const RecoveryReport& report);

 private:
  struct Batch {
    std::uint32_t size = 0;
    std::uint32_t seen = 0;
    std::uint64_t commit = 0;
    std::uint64_t batch_id = 0;
    bool has_state = false;
  };
  struct Intent {
    std::uint32_t lane = 0;
    std::uint64_t batch = 0;
    bool seen = false;
  };
  struct LaneBook {
    std::vector<std::uint64_t> keys;  // by sequence - 1
    std::vector<std::uint64_t> commits;
  };

  void see(const EventView& event);

  LaneBook lanes_[kLaneCount];
  std::unordered_map<std::uint64_t, Intent> intents_;
  std::unordered_map<std::uint64_t, Batch> batches_;
  std::unordered_map<std::uint64_t, std::uint64_t> last_key_of_;  // thread and lane -> newest key
  std::vector<LoadRecord> receipts_;                              // not compared yet
  std::size_t receipt_count_ = 0;
  std::unordered_set<EventId> settled_[2];
  std::set<EventId> suspects_;
  std::uint64_t last_delivered_[kLaneCount] = {};
  std::mt19937_64 random_{1};
};

}  // namespace holdfast::testing
