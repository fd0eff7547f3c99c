// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/result.h"
#include "model/ids.h"

namespace holdfast::model {

/// Events encoded on a publisher's thread: whole records one after the other, each at a multiple
/// of 8.
class EncodedEvents {
 public:
  struct Entry {
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t checksum = 0;
    Priority lane = Priority::normal;
    bool conditional = false;     ///< `is_conditional_event`.
    std::uint32_t admission = 0;  ///< 1 + its place among `Admission`s; 0 = always let in.
  };
  /// What must hold for an event to be let into the journal, and what it comes after there; looked
  /// at in the order of commits.
  struct Admission {
    TokenId token;
    std::uint64_t order_key = 0;  ///< `hash_key` of its ordering key; 0 = it has none.
    /// The newest event of that key in each lane, as far as it was stored when this was encoded.
    PerLane<Sequence> stored_last{};
    std::uint64_t idempotency_key = 0;  ///< Likewise.
    OperationId operation;
  };

  /// Adds `event`, which must be within its limits; `timestamp` stands in for one that is 0.
  /// With `operation` it is a member of that one.
  void add(const Event& event, WallTime timestamp, OperationId operation = {});

  /// Takes out the last one, which must be there.
  void remove_last();

  /// Takes out those whose place `which` is told and says so. What they hold in memory stays.
  template <typename Which>
  void erase_if(Which&& which) {
    std::size_t place = 0;
    std::erase_if(entries_, [&](const Entry&) { return which(place++); });
  }

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return arena_.size(); }
  [[nodiscard]] const Entry& entry(std::size_t index) const noexcept { return entries_[index]; }
  /// Null for an event that is always let in.
  [[nodiscard]] const Admission* admission(std::size_t index) const noexcept {
    const auto at = entries_[index].admission;
    return at == 0 ? nullptr : &admissions_[at - 1];
  }
  [[nodiscard]] bool has_admissions() const noexcept { return !admissions_.empty(); }
  /// Of the last event, which must have one.
  [[nodiscard]] Admission& last_admission() noexcept { return admissions_.back(); }
  [[nodiscard]] std::string_view record(std::size_t index) const noexcept {
    return {reinterpret_cast<const char*>(arena_.data()) + entries_[index].offset,
            entries_[index].length};
  }
  void clear() noexcept {
    arena_.clear();
    entries_.clear();
    admissions_.clear();
  }

 private:
  std::vector<std::byte> arena_;
  std::vector<Entry> entries_;
  std::vector<Admission> admissions_;
};

/// Stands for an ordering or idempotency key in memory; never 0. Two keys with the same hash are
/// taken for one where that does no harm. On disk since format 3.
[[nodiscard]] std::uint64_t hash_key(std::string_view key) noexcept;

/// Where an event stands in the order of its key.
struct OrderKey {
  std::uint64_t hash = 0;  ///< 0 = it has none.
  /// It comes after the events of its key up to these, in the other lanes; 0 = after none there.
  PerLane<Sequence> after{};
  friend bool operator==(const OrderKey&, const OrderKey&) = default;
};

class Chunk;
using ChunkPtr = std::shared_ptr<const Chunk>;

/// A run of consecutive events of one lane, written by one commit: the unit that is stored, read,
/// verified and kept in memory. Immutable; what it returns lives as long as it does.
///
///     header | one table entry an event | records, each at a multiple of 8 | ordering keys
///
/// docs/journal-format.md has the bytes. Threads: any.
class Chunk : public std::enable_shared_from_this<Chunk> {
 public:
  /// Verifies everything (header, checksums, each FlatBuffer) and copies `bytes`. `place` is where
  /// it was found: (lane, first sequence). Fails with `data_loss`.
  static Result<ChunkPtr> decode(std::string_view bytes, EventId place);

  [[nodiscard]] Priority lane() const noexcept { return lane_; }
  [[nodiscard]] Sequence first() const noexcept { return first_; }
  /// Of the last event.
  [[nodiscard]] Sequence last() const noexcept { return first_ + count_ - 1; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] CommitNumber commit() const noexcept { return commit_; }
  [[nodiscard]] WallTime published_at() const noexcept { return published_at_; }
  /// As it is stored.
  [[nodiscard]] std::string_view bytes() const noexcept {
    return {reinterpret_cast<const char*>(data_.get()), size_};
  }
  /// Something can keep one of its events from being handed out, so each must be looked at.
  [[nodiscard]] bool conditional() const noexcept { return conditional_; }
  /// Some of its events have an ordering key.
  [[nodiscard]] bool keyed() const noexcept { return !keys_.empty(); }
  [[nodiscard]] OrderKey order_key(Sequence sequence) const noexcept;
  [[nodiscard]] bool contains(Sequence sequence) const noexcept {
    return sequence >= first_ && sequence - first_ < count_;
  }
  /// `sequence` must be in it.
  [[nodiscard]] EventView event(Sequence sequence) const noexcept;
  /// Its type alone.
  [[nodiscard]] std::string_view type(Sequence sequence) const noexcept;
  [[nodiscard]] std::size_t record_bytes(Sequence sequence) const noexcept;
  /// A chunk of one, with everything that is known of the event.
  [[nodiscard]] ChunkPtr extract(Sequence sequence) const;

 private:
  friend class ChunkBuilder;
  Chunk() = default;
  [[nodiscard]] std::string_view record(std::uint32_t position) const noexcept;
  void read_header() noexcept;

  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0;
  Priority lane_ = Priority::normal;
  Sequence first_ = 0;
  std::uint32_t count_ = 0;
  CommitNumber commit_;
  WallTime published_at_ = 0;
  std::vector<std::uint32_t> offsets_;  // of each record, and the end
  bool conditional_ = false;
  std::vector<std::pair<std::uint32_t, OrderKey>> keys_;  // with their positions, ascending
};

/// Names an atomic batch by its commit and the place of its first event there.
[[nodiscard]] BatchId make_batch_id(CommitNumber commit, std::uint32_t first_index);

/// Chunks are cut at about this: larger ones gain nothing when written, and reading one event of
/// them costs more (docs/decisions/0004-key-layout.md).
inline constexpr std::uint32_t kChunkEventsMax = 1'000;
inline constexpr std::size_t kChunkBytesMax = std::size_t{32} << 10U;

/// Collects the events that one commit appends to one lane.
class ChunkBuilder {
 public:
  /// `index` is the event's place in its commit, `batch` its atomic batch or 0. What `record`
  /// points to must live until `finish`.
  void add(std::string_view record, const EncodedEvents::Entry& entry, std::uint32_t index,
           BatchId batch, const OrderKey& key = {});
  [[nodiscard]] std::uint32_t count() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }
  /// No room for a record of `record_bytes` more: finish first.
  [[nodiscard]] bool full_for(std::size_t record_bytes) const noexcept {
    return !entries_.empty() &&
           (entries_.size() >= kChunkEventsMax || record_bytes_ + record_bytes > kChunkBytesMax);
  }
  /// Makes the chunk and empties the builder. Must not be empty.
  [[nodiscard]] ChunkPtr finish(EventId first, CommitNumber commit, WallTime published_at);

 private:
  struct Pending {
    std::string_view record;
    std::uint32_t checksum;
    std::uint32_t index;
    BatchId batch;
  };
  std::vector<Pending> entries_;
  std::size_t record_bytes_ = 0;
  bool conditional_ = false;
  std::vector<std::pair<std::uint32_t, OrderKey>> keys_;
};

}  // namespace holdfast::model
