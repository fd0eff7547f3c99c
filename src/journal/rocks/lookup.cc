// SPDX-License-Identifier: MIT
#include "journal/rocks/lookup.h"

#include <algorithm>
#include <utility>

#include <rocksdb/db.h>

#include "base/status_or.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/record_codec.h"
#include "journal/rocks/status_map.h"
#include "model/chunk.h"

namespace holdfast::journal {

namespace {

using model::Sequence;

std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

std::string key_of(const RecordRef& ref) {
  struct Key {
    std::string operator()(const EventRef& event) const { return keys::event(event.event); }
    std::string operator()(const SettlementRef& settlement) const {
      return keys::settlement(settlement.subscription, settlement.event);
    }
    std::string operator()(const ParkedRef& parked) const {
      return keys::parked(parked.subscription, parked.event);
    }
    std::string operator()(const DeadLetterRef& dead) const {
      return keys::dead_letter(dead.subscription, dead.event);
    }
    std::string operator()(const StateRef& state) const {
      return keys::state(state.name, state.key);
    }
    std::string operator()(const TombstoneRef& tombstone) const {
      return keys::tombstone(tombstone.event);
    }
    std::string operator()(const OrderingKeyRef& ordering) const {
      return keys::ordering_key(ordering.key);
    }
    std::string operator()(const IdempotencyRef& ref) const { return keys::idempotency(ref.key); }
    std::string operator()(const OperationRef& ref) const { return keys::operation(ref.operation); }
  };
  return std::visit(Key{}, ref);
}

// The engine is not made for exceptions: one of `std::bad_alloc` in the middle of a read leaves it
// such that the next read of the same thread is undefined. So the process ends at the first, by
// `noexcept`; what it was promised is in the journal.

rocksdb::Status get_from(rocksdb::DB& db, const rocksdb::ReadOptions& options, std::string_view key,
                         std::string& value) noexcept {
  return db.Get(options, {key.data(), key.size()}, &value);
}

/// A walk over [from, end). The bounds keep the engine from wading through what was deleted
/// outside.
class Walk {
 public:
  Walk(rocksdb::DB& db, std::string from, std::string end, bool fill_cache = false)
      : from_(std::move(from)), end_(std::move(end)), lower_(from_), upper_(end_) {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = fill_cache;
    options.iterate_lower_bound = &lower_;
    options.iterate_upper_bound = &upper_;
    open(db, options);
  }
  void seek_to_first() noexcept { iterator_->SeekToFirst(); }
  void seek(const std::string& key) noexcept { iterator_->Seek(key); }
  void seek_for_prev(const std::string& key) noexcept { iterator_->SeekForPrev(key); }
  void next() noexcept { iterator_->Next(); }
  [[nodiscard]] bool valid() const { return iterator_->Valid(); }
  [[nodiscard]] std::string_view key() const { return view(iterator_->key()); }
  [[nodiscard]] std::string_view value() const { return view(iterator_->value()); }
  [[nodiscard]] Status status() const { return from_rocks(iterator_->status(), "reading"); }

 private:
  void open(rocksdb::DB& db, const rocksdb::ReadOptions& options) noexcept {
    iterator_.reset(db.NewIterator(options));
  }

  std::string from_;
  std::string end_;
  rocksdb::Slice lower_;
  rocksdb::Slice upper_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

/// Where a chunk that holds `sequence` may begin at the earliest. Searching from here on, and not
/// from the start of the lane, is what keeps a lane with much that is trimmed as fast as an empty
/// one.
Sequence earliest_first(Sequence sequence) {
  return sequence > model::kChunkEventsMax ? sequence - model::kChunkEventsMax + 1 : 1;
}

/// The first sequence from `sequence` on that was not lost.
Sequence past_lost(const End& end, Priority lane, Sequence sequence) {
  // Ranges may touch, and they are few.
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& range : *end.lost) {
      if (range.lane == lane && range.from <= sequence && sequence <= range.to) {
        sequence = range.to + 1;
        moved = true;
      }
    }
  }
  return sequence;
}

Status missing(Priority lane, Sequence from, Sequence end) {
  return {StatusCode::data_loss, "events " + to_string(EventId{lane, from}) + " to " +
                                     to_string(EventId{lane, end - 1}) +
                                     " are missing from the journal"};
}

}  // namespace

Result<std::optional<std::string>> Lookup::get(std::string_view key) const {
  std::string value;
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  const auto status = get_from(db_, options, key, value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return from_rocks(status, "reading");
  return std::optional<std::string>(std::move(value));
}

Result<std::optional<model::ChunkPtr>> Lookup::first_chunk_reaching(EventId event) const {
  Walk walk(db_, keys::event({event.priority, earliest_first(event.sequence)}),
            keys::end_of(keys::event({event.priority, 0}).substr(0, 2)));
  for (walk.seek_to_first(); walk.valid(); walk.next()) {
    HOLDFAST_ASSIGN(const auto record, decode_record(walk.key(), walk.value()));
    const auto& chunk = std::get<model::ChunkPtr>(record);
    if (chunk->last() >= event.sequence) return std::optional<model::ChunkPtr>(chunk);
  }
  HOLDFAST_TRY(walk.status());
  return std::optional<model::ChunkPtr>();
}

Result<std::optional<model::Record>> Lookup::find(const RecordRef& ref) const {
  if (const auto* event = std::get_if<EventRef>(&ref)) return find_event(event->event);
  if (const auto* state = std::get_if<StateRef>(&ref);
      state != nullptr && state->name.find('\0') != std::string::npos) {
    return std::optional<model::Record>();
  }
  if (const auto* used = std::get_if<IdempotencyRef>(&ref); used != nullptr && used->key.empty()) {
    return std::optional<model::Record>();
  }
  const auto key = key_of(ref);
  HOLDFAST_ASSIGN(const auto value, get(key));
  if (!value) return std::optional<model::Record>();
  HOLDFAST_ASSIGN(auto record, decode_record(key, *value));
  return std::optional<model::Record>(std::move(record));
}

Result<std::optional<model::Record>> Lookup::find_event(EventId event) const {
  std::optional<model::Record> found;
  const auto status = scan_events({event.priority, event.sequence, event.sequence + 1},
                                  [&](model::Record&& record) {
                                    found = std::move(record);
                                    return false;
                                  });
  if (!status.ok()) return status;
  return found;
}

Status Lookup::scan(const ScanSpec& spec, const Sink& sink) const {
  struct Visitor {
    const Lookup& lookup;
    const Sink& sink;

    Status operator()(const EventRange& range) const { return lookup.scan_events(range, sink); }
    Status operator()(const Subscriptions&) const {
      return all(keys::all(keys::Table::subscription));
    }
    Status operator()(const Cursors&) const { return all(keys::all(keys::Table::cursor)); }
    Status operator()(const Settlements& spec) const {
      if (!spec.subscription) return all(keys::all(keys::Table::settlement));
      const auto prefix = keys::of_subscription(keys::Table::settlement, *spec.subscription);
      auto from = prefix;
      if (spec.after) {
        // The next key after it in the order of bytes.
        from = keys::settlement(*spec.subscription, *spec.after) + '\0';
      }
      return lookup.scan_keys(from, keys::end_of(prefix), sink);
    }
    Status operator()(const DueTimes& spec) const {
      const auto prefix = keys::all_due(spec.subscription, spec.lane);
      const EventId event{spec.lane, spec.from_sequence};
      return lookup.scan_keys(keys::due(spec.subscription, event, spec.from), keys::end_of(prefix),
                              [&](model::Record&& record) {
                                return std::get<model::DueRecord>(record).due <= spec.last &&
                                       sink(std::move(record));
                              });
    }
    Status operator()(const DeadLetters& spec) const {
      return all(spec.subscription
                     ? keys::of_subscription(keys::Table::dead_letter, *spec.subscription)
                     : keys::all(keys::Table::dead_letter));
    }
    Status operator()(const StateRange& spec) const {
      if (spec.name.find('\0') != std::string::npos) return {};
      return all(keys::state(spec.name, spec.prefix));
    }
    Status operator()(const RetentionMarks&) const { return lookup.scan_marks(sink); }
    Status operator()(const LostRanges&) const { return all(keys::all_lost_ranges()); }
    Status operator()(const Tokens&) const { return all(keys::all_tokens()); }
    Status operator()(const Tombstones&) const { return all(keys::all_tombstones()); }
    Status operator()(const OrderingKeys& spec) const {
      const auto prefix = keys::all(keys::Table::ordering_key);
      // The next key after it in the order of bytes.
      const auto from = spec.after.empty() ? prefix : keys::ordering_key(spec.after) + '\0';
      return lookup.scan_keys(from, keys::end_of(prefix), sink);
    }
    Status operator()(const IdempotencyUses& spec) const {
      if (spec.from >= spec.to) return {};
      return lookup.scan_keys(keys::idempotency_use(spec.from), keys::idempotency_use(spec.to),
                              sink);
    }
    Status operator()(const IdempotencyRanges&) const {
      return all(std::string(keys::kIdempotencyRange));
    }
    Status operator()(const PausedTypes&) const { return all(std::string(keys::kPausedTypes)); }
    Status operator()(const Operations&) const { return all(keys::all_operations()); }
    Status operator()(const Members& spec) const {
      return all(spec.operation ? keys::all_members(*spec.operation) : keys::all_members());
    }

    [[nodiscard]] Status all(const std::string& prefix) const {
      return lookup.scan_keys(prefix, keys::end_of(prefix), sink);
    }
  };
  return std::visit(Visitor{*this, sink}, spec);
}

Status Lookup::scan_keys(const std::string& from, const std::string& end, const Sink& sink) const {
  Walk walk(db_, from, end);
  for (walk.seek_to_first(); walk.valid(); walk.next()) {
    auto record = decode_record(walk.key(), walk.value());
    if (!record.ok()) return record.status();
    if (!sink(*std::move(record))) return {};
  }
  return walk.status();
}

Status Lookup::scan_marks(const Sink& sink) const {
  // Marks below the trim go at some time that the engine chooses; to be the same before and after,
  // they are never shown.
  const auto trim = tail_.read().trim;
  const auto from = keys::all_retention_marks();
  return scan_keys(from, keys::end_of(from), [&](model::Record&& record) {
    const auto& mark = std::get<model::RetentionMark>(record);
    return mark.sequence < trim[mark.lane] || sink(std::move(record));
  });
}

// What has to be there is everything between the trim and the next sequence but what was lost. The
// next sequence is taken before the walk begins and the trim after, so that both are true of what
// the walk sees while commits go on.
Status Lookup::scan_events(const EventRange& range, const Sink& sink) const {
  const auto lane = range.lane;
  const auto before = tail_.read();
  const auto first_wanted = std::max(range.from, before.trim[lane]);
  if (first_wanted >= range.to || first_wanted >= before.next[lane]) return {};
  Walk walk(db_, keys::event({lane, earliest_first(first_wanted)}), keys::event({lane, range.to}));
  const auto now = tail_.read();
  auto expected = std::max(range.from, now.trim[lane]);
  if (expected >= range.to) return {};

  walk.seek_for_prev(keys::event({lane, expected}));
  if (!walk.valid() && walk.status().ok()) walk.seek(keys::event({lane, expected}));
  for (; walk.valid(); walk.next()) {
    auto record = decode_record(walk.key(), walk.value());
    if (!record.ok()) return record.status();
    const auto& chunk = *std::get<model::ChunkPtr>(*record);
    if (chunk.last() < expected) continue;  // the one before the chunk that was looked for
    if (chunk.first() > expected) {
      expected = past_lost(now, lane, expected);
      if (chunk.first() > expected) return missing(lane, expected, chunk.first());
    }
    expected = chunk.last() + 1;
    if (!sink(*std::move(record))) return {};
  }
  HOLDFAST_TRY(walk.status());
  expected = past_lost(now, lane, expected);
  const auto end = std::min(range.to, before.next[lane]);
  return expected < end ? missing(lane, expected, end) : Status();
}

}  // namespace holdfast::journal
