// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "model/chunk.h"
#include "model/due_time.h"
#include "model/records.h"

namespace holdfast::core {

/// The parked events of one subscription, lane and clock that wait for their time, those due first
/// in memory and the rest on disk alone:
///
///       in memory: due at 3, 7, 7, 12  |  on disk: 12, 40, 99 ...
///                                      ^ horizon
///
/// A million retries or scheduled events take no more memory than a few thousand. Events that are
/// with a handler, or whose time has come, are no longer in here.
class ParkedWindow {
 public:
  struct Key {
    model::DueTime due = 0;
    model::Sequence sequence = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Entry {
    std::uint32_t attempts = 0;
    bool suspect = false;
    bool started = false;
    bool cleanup = false;
    model::ChunkPtr chunk;  ///< Of an ephemeral subscription, which has no copy on disk.
  };

  /// Nothing is in memory. `stored`: there may be some on disk, from `first` on; without, all there
  /// ever is comes through `add`.
  void open(bool stored, model::DueTime first);
  /// Until `open`, whatever is parked stays on disk alone.
  void close();

  /// It was parked. What is due last makes room when there are more than `limit`.
  void add(const Key& key, Entry entry, std::size_t limit);
  /// It is parked no longer, or not with this due time.
  void remove(const Key& key);

  /// This one; nothing when it is not in memory.
  std::optional<Entry> take(const Key& key);
  template <typename Visit>
  void each(Visit&& visit) const {
    for (const auto& [key, entry] : entries_) visit(key, entry);
  }

  /// The first whose time has come by `now`.
  std::optional<std::pair<Key, Entry>> take_due(model::DueTime now);
  [[nodiscard]] std::optional<model::DueTime> next_due() const;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  /// Some that are due by `now` may not be in memory.
  [[nodiscard]] bool is_behind(model::DueTime now) const {
    return horizon_.has_value() && horizon_->due <= now;
  }
  /// With `in_memory` of them in memory, due ones included, more should be read.
  [[nodiscard]] bool wants_refill(std::size_t in_memory, std::size_t limit) const {
    return horizon_.has_value() && !refilling_ && in_memory < limit / 2;
  }
  /// Reading begins: returns from where on. Whatever is parked and settled meanwhile is remembered.
  Key begin_refill();
  /// What was read from there on: all below `reached`, or all there is. Those that `is_known` tells
  /// are with a handler, or about to be.
  template <typename IsKnown>
  void refilled(const Key& from, const std::vector<model::DueRecord>& records,
                const std::optional<Key>& reached, IsKnown&& is_known) {
    const auto meanwhile = end_refill();
    if (!horizon_.has_value() || *horizon_ != from) return;  // others had to make room meanwhile
    for (const auto& record : records) {
      const Key key{record.due, record.event.sequence};
      if (meanwhile.contains(key) || is_known(record.event)) continue;
      entries_.insert_or_assign(
          key, Entry{record.attempts, record.suspect, record.started, record.cleanup, nullptr});
    }
    for (const auto& [key, entry] : meanwhile) {
      if (entry.has_value() && (!reached.has_value() || key < *reached)) {
        entries_.insert_or_assign(key, *entry);
      }
    }
    horizon_ = reached;
  }
  /// `for_good`: what is on disk stays there until `open`; otherwise it is read another time.
  void refill_failed(bool for_good);

 private:
  using Meanwhile = std::map<Key, std::optional<Entry>>;  // none = removed
  Meanwhile end_refill();

  std::map<Key, Entry> entries_;
  Key first_;
  std::optional<Key> horizon_;  // from here on they are on disk alone; none = all are in memory
  bool is_open_ = false;
  bool refilling_ = false;
  Meanwhile meanwhile_;  // at or behind the horizon while it is read
};

}  // namespace holdfast::core
