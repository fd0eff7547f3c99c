// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "holdfast/holdfast.h"

namespace holdfast::testing {

inline constexpr std::size_t kSubscriptionsMax = 128;
/// A bit for each durable subscription.
using Subscribers = std::bitset<kSubscriptionsMax>;

/// Who is owed which event, and who has ended it. Events that everybody has ended leave, so that
/// the books of a long run stay small.
/// Threads: any.
class Books {
 public:
  /// Its publisher has the receipt; `wanted` are those whose filter matches, by our own reckoning.
  void published(EventId id, const Subscribers& wanted);
  /// `on_settled` of subscription `who` was told. May come before the receipt.
  void settled(EventId id, std::size_t who, Settled how);

  [[nodiscard]] std::uint64_t open() const;  ///< Events that somebody still owes an end.
  [[nodiscard]] std::size_t bytes() const;   ///< Of memory that all this takes.
  [[nodiscard]] std::uint64_t events() const;
  [[nodiscard]] std::uint64_t ends() const;
  [[nodiscard]] std::uint64_t dead() const;
  /// What must not be, and the first few of it in words.
  [[nodiscard]] std::uint64_t violations() const;
  [[nodiscard]] std::string first_violations() const;
  void violate(const std::string& what);

  /// Each event that somebody still owes an end, with those who do.
  void each_open(const std::function<void(EventId, const Subscribers&)>& visit) const;

 private:
  struct Entry {
    Subscribers wanted;
    Subscribers ended;
    bool known = false;  // the receipt has come
    [[nodiscard]] bool is_done() const { return known && wanted == ended; }
  };
  struct Lane {
    std::uint64_t first = 1;  // the sequence of the front
    std::deque<Entry> entries;
  };
  Entry* entry(EventId id);
  void leave(Lane& lane);
  void note_violation(const std::string& what);

  mutable std::mutex mutex_;  // guards everything below
  std::array<Lane, kLaneCount> lanes_;
  std::uint64_t open_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t ends_ = 0;
  std::uint64_t dead_ = 0;
  std::uint64_t violations_ = 0;
  std::string words_;
};

}  // namespace holdfast::testing
