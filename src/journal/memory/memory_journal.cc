// SPDX-License-Identifier: MIT
#include "journal/memory/memory_journal.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/status_or.h"

namespace holdfast::journal {

namespace {

using model::Record;
using model::Sequence;
using model::SubscriptionId;

/// What belongs to one subscription and one event.
template <typename T>
using PerDelivery = std::map<std::pair<SubscriptionId, EventId>, T>;

/// Everything that is stored. Maps sort as keys do in every store.
struct Tables {
  model::PerLane<std::map<Sequence, model::ChunkPtr>> events;  // by first sequence
  std::map<SubscriptionId, model::SubscriptionRecord> subscriptions;
  std::map<std::pair<SubscriptionId, Priority>, model::CursorRecord> cursors;
  PerDelivery<model::SettlementRecord> settlements;
  PerDelivery<model::ChunkPtr> parked;
  std::map<std::tuple<SubscriptionId, Priority, model::DueTime, Sequence>, model::DueRecord>
      due_times;
  PerDelivery<model::DeadLetterRecord> dead_letters;
  std::map<std::pair<std::string, std::string>, model::StateRecord> states;  // by name, key
  std::map<EventId, model::RetentionMark> marks;
  std::map<EventId, model::LostRange> lost;
  std::map<TokenId, model::TokenRecord> tokens;
  std::map<OperationId, model::OperationRecord> operations;
  std::map<std::pair<OperationId, std::uint32_t>, model::MemberRecord> members;
  std::map<EventId, model::TombstoneRecord> tombstones;
  std::map<std::string, model::OrderingKeyRecord> ordering_keys;
  std::map<std::string, model::IdempotencyRecord> idempotency;
  std::map<std::uint64_t, model::IdempotencyUse> idempotency_uses;
  std::optional<model::IdempotencyRange> idempotency_range;
  std::optional<model::PausedTypesRecord> paused_types;
};

template <typename Map>
void erase_subscription(Map& map, SubscriptionId id) {
  std::erase_if(map, [id](const auto& entry) { return entry.first.first == id; });
}

class Apply {
 public:
  Apply(Tables& tables, CommitNumber number) : tables_(tables), number_(number) {}

  void operator()(const model::Append& append) {
    tables_.events[append.chunk->lane()][append.chunk->first()] = append.chunk;
  }
  void operator()(const model::PutSubscription& put) {
    tables_.subscriptions[put.record.id] = put.record;
  }
  void operator()(const model::EraseSubscription& erase) {
    tables_.subscriptions.erase(erase.subscription);
    erase_subscription(tables_.cursors, erase.subscription);
    erase_subscription(tables_.settlements, erase.subscription);
    erase_subscription(tables_.parked, erase.subscription);
    std::erase_if(tables_.due_times, [&](const auto& entry) {
      return std::get<SubscriptionId>(entry.first) == erase.subscription;
    });
    erase_subscription(tables_.dead_letters, erase.subscription);
  }
  void operator()(const model::PutCursor& put) {
    tables_.cursors[{put.record.subscription, put.record.lane}] = put.record;
  }
  void operator()(const model::PutSettlement& put) {
    const std::pair key(put.record.subscription, put.record.event);
    const auto& record = put.record;
    const auto id = record.subscription;
    const auto event = record.event;
    tables_.settlements[key] = put.record;
    if (put.copy != nullptr) {
      tables_.parked[key] = put.copy;
    } else {
      tables_.due_times.erase({id, event.priority, put.was_due, event.sequence});
    }
    tables_.due_times[{id, event.priority, record.due, event.sequence}] = {
        id, event, record.due, record.attempts, record.suspect, record.started, record.cleanup};
  }
  void operator()(const model::EraseSettlement& erase) {
    tables_.settlements.erase({erase.subscription, erase.event});
    tables_.parked.erase({erase.subscription, erase.event});
    const auto& [id, event, due] = erase;
    tables_.due_times.erase({id, event.priority, due, event.sequence});
  }
  void operator()(const model::EraseParked& erase) {
    const auto is_gone = [&](const auto& entry) {
      const auto& [id, event] = entry.first;
      return id == erase.subscription && event.sequence >= erase.from[event.priority];
    };
    std::erase_if(tables_.settlements, is_gone);
    std::erase_if(tables_.parked, is_gone);
    std::erase_if(tables_.due_times, [&](const auto& entry) {
      return std::get<SubscriptionId>(entry.first) == erase.subscription;
    });
    for (const auto& kept : erase.kept) {
      tables_.due_times[{kept.subscription, kept.event.priority, kept.due, kept.event.sequence}] =
          kept;
    }
  }
  void operator()(const model::PutDeadLetter& put) {
    tables_.dead_letters[{put.record.subscription, put.record.event}] = put.record;
  }
  void operator()(const model::EraseDeadLetter& erase) {
    tables_.dead_letters.erase({erase.subscription, erase.event});
  }
  void operator()(const model::PutState& put) {
    tables_.states[{put.name, put.key}] = {put.name, put.key, put.value, number_};
  }
  void operator()(const model::EraseState& erase) { tables_.states.erase({erase.name, erase.key}); }
  void operator()(const model::PutRetentionMark& put) {
    tables_.marks[{put.mark.lane, put.mark.sequence}] = put.mark;
  }
  void operator()(const model::PutLostRange& put) {
    tables_.lost[{put.range.lane, put.range.from}] = put.range;
  }
  void operator()(const model::PutToken& put) { tables_.tokens[put.record.id] = put.record; }
  void operator()(const model::EraseToken& erase) { tables_.tokens.erase(erase.token); }
  void operator()(const model::PutTombstone& put) {
    tables_.tombstones[put.record.event] = put.record;
  }
  void operator()(const model::EraseTombstone& erase) { tables_.tombstones.erase(erase.event); }
  void operator()(const model::PutOrderingKey& put) {
    tables_.ordering_keys[put.record.key] = put.record;
  }
  void operator()(const model::EraseOrderingKey& erase) { tables_.ordering_keys.erase(erase.key); }
  void operator()(const model::PutIdempotency& put) {
    const auto& record = put.record;
    tables_.idempotency[record.key] = record;
    tables_.idempotency_uses.erase(put.replaces);
    tables_.idempotency_uses[record.use] = {record.use, record.used_at, record.key};
  }
  void operator()(const model::EraseIdempotency& erase) {
    tables_.idempotency.erase(erase.key);
    tables_.idempotency_uses.erase(erase.use);
  }
  void operator()(const model::PutIdempotencyRange& put) { tables_.idempotency_range = put.range; }
  void operator()(const model::PutPausedTypes& put) { tables_.paused_types = put.record; }
  void operator()(const model::PutOperation& put) {
    tables_.operations[put.record.id] = put.record;
  }
  void operator()(const model::PutMember& put) {
    tables_.members[{put.record.operation, put.record.index}] = put.record;
  }
  void operator()(const model::EraseOperation& erase) {
    tables_.operations.erase(erase.operation);
    std::erase_if(tables_.members,
                  [&](const auto& each) { return each.first.first == erase.operation; });
  }

 private:
  Tables& tables_;
  CommitNumber number_;
};

Status check_storable(const model::Commit& commit) {
  for (const auto& operation : commit.operations) {
    const auto* append = std::get_if<model::Append>(&operation);
    if (append != nullptr && append->chunk->count() > model::kChunkEventsMax) {
      return {StatusCode::invalid_argument, "a chunk has too many events"};
    }
    const auto* put = std::get_if<model::PutState>(&operation);
    const auto* erase = std::get_if<model::EraseState>(&operation);
    if ((put != nullptr && put->name.find('\0') != std::string::npos) ||
        (erase != nullptr && erase->name.find('\0') != std::string::npos)) {
      return {StatusCode::invalid_argument, "the name of a user state holds a NUL byte"};
    }
  }
  return {};
}

model::Uuid random_uuid() {
  std::random_device random;
  model::Uuid uuid{};
  for (auto& byte : uuid) byte = static_cast<std::byte>(random());
  return uuid;
}

class MemoryJournal final : public Journal {
 public:
  MemoryJournal() {
    state_.uuid = random_uuid();
    state_.format = 5;
    state_.epoch = 1;
    state_.created = true;
  }

  [[nodiscard]] const JournalState& state() const override { return state_; }
  [[nodiscard]] Result<std::optional<Record>> find(const RecordRef& ref) const override;
  Status scan(const ScanSpec& spec, const Sink& sink) const override;
  [[nodiscard]] JournalStats stats() const override;
  Status commit(const model::Commit& commit, Durability durability) override;
  Status sync() override { return {}; }
  Status checkpoint(const std::filesystem::path& /*folder*/) override {
    return {StatusCode::unimplemented, "a journal in memory has no files to copy"};
  }

 private:
  struct Events {
    std::vector<Record> chunks;
    Status status;  // behind them
  };
  void reclaim(const model::PerLane<Sequence>& trim);
  [[nodiscard]] Events events(const EventRange& range) const;
  [[nodiscard]] Sequence past_lost(Priority lane, Sequence sequence) const;
  [[nodiscard]] std::vector<Record> records(const ScanSpec& spec) const;

  JournalState state_;
  mutable std::mutex mutex_;  // guards everything below
  Tables tables_;
  CommitNumber last_;
  model::PerLane<Sequence> next_{{1, 1, 1, 1}};
  model::PerLane<Sequence> trim_{{1, 1, 1, 1}};
};

Status MemoryJournal::commit(const model::Commit& commit, Durability /*durability*/) {
  const std::lock_guard lock(mutex_);
  if (commit.epoch != state_.epoch || commit.number.value != last_.value + 1) {
    return {StatusCode::fenced, "commit " + std::to_string(commit.number.value) + " of epoch " +
                                    std::to_string(commit.epoch) + " is not the next"};
  }
  HOLDFAST_TRY(check_storable(commit));
  Apply apply(tables_, commit.number);
  for (const auto& operation : commit.operations) std::visit(apply, operation);
  last_ = commit.number;
  next_ = commit.next;
  reclaim(commit.trim);
  return {};
}

void MemoryJournal::reclaim(const model::PerLane<Sequence>& trim) {
  for (const auto lane : kAllPriorities) {
    if (trim[lane] <= trim_[lane]) continue;
    trim_[lane] = trim[lane];
    auto& chunks = tables_.events[lane];
    while (!chunks.empty() && chunks.begin()->second->last() < trim[lane]) {
      chunks.erase(chunks.begin());
    }
    tables_.marks.erase(tables_.marks.lower_bound({lane, 0}),
                        tables_.marks.lower_bound({lane, trim[lane]}));
  }
}

Sequence MemoryJournal::past_lost(Priority lane, Sequence sequence) const {
  for (const auto& [id, range] : tables_.lost) {
    if (range.lane == lane && range.from <= sequence && sequence <= range.to) {
      sequence = range.to + 1;
    }
  }
  return sequence;
}

MemoryJournal::Events MemoryJournal::events(const EventRange& range) const {
  Events found;
  auto expected = std::max(range.from, trim_[range.lane]);
  const auto end = std::min(range.to, next_[range.lane]);
  if (expected >= end) return found;
  const auto missing = [&](Sequence to) {
    return Status(StatusCode::data_loss, "events " + to_string(EventId{range.lane, expected}) +
                                             " to " + to_string(EventId{range.lane, to - 1}) +
                                             " are missing from the journal");
  };
  const auto& chunks = tables_.events[range.lane];
  auto at = chunks.upper_bound(expected);
  if (at != chunks.begin()) --at;
  for (; at != chunks.end() && at->first < end; ++at) {
    if (at->second->last() < expected) continue;
    if (at->first > expected) expected = past_lost(range.lane, expected);
    if (at->first > expected) {
      found.status = missing(at->first);
      return found;
    }
    found.chunks.emplace_back(at->second);
    expected = at->second->last() + 1;
  }
  expected = past_lost(range.lane, expected);
  if (expected < end) found.status = missing(end);
  return found;
}

Result<std::optional<Record>> MemoryJournal::find(const RecordRef& ref) const {
  const std::lock_guard lock(mutex_);
  const auto in = [](const auto& map, const auto& key) -> std::optional<Record> {
    const auto at = map.find(key);
    if (at == map.end()) return std::nullopt;
    return Record(at->second);
  };
  if (const auto* event = std::get_if<EventRef>(&ref)) {
    auto found = events({event->event.priority, event->event.sequence, event->event.sequence + 1});
    if (!found.status.ok()) return found.status;
    if (found.chunks.empty()) return std::optional<Record>();
    return std::optional<Record>(std::move(found.chunks.front()));
  }
  if (const auto* settlement = std::get_if<SettlementRef>(&ref)) {
    return in(tables_.settlements, std::pair(settlement->subscription, settlement->event));
  }
  if (const auto* dead = std::get_if<DeadLetterRef>(&ref)) {
    return in(tables_.dead_letters, std::pair(dead->subscription, dead->event));
  }
  if (const auto* state = std::get_if<StateRef>(&ref)) {
    return in(tables_.states, std::pair(state->name, state->key));
  }
  if (const auto* tombstone = std::get_if<TombstoneRef>(&ref)) {
    return in(tables_.tombstones, tombstone->event);
  }
  if (const auto* ordering = std::get_if<OrderingKeyRef>(&ref)) {
    return in(tables_.ordering_keys, ordering->key);
  }
  if (const auto* used = std::get_if<IdempotencyRef>(&ref)) {
    return in(tables_.idempotency, used->key);
  }
  if (const auto* operation = std::get_if<OperationRef>(&ref)) {
    return in(tables_.operations, operation->operation);
  }
  const auto& parked = std::get<ParkedRef>(ref);
  const auto at = tables_.parked.find({parked.subscription, parked.event});
  if (at == tables_.parked.end()) return std::optional<Record>();
  return std::optional<Record>(model::ParkedEvent{parked.subscription, parked.event, at->second});
}

std::vector<Record> MemoryJournal::records(const ScanSpec& spec) const {
  std::vector<Record> out;
  const auto take = [&out](const auto& map, const auto& wanted) {
    for (const auto& [key, record] : map) {
      if (wanted(key)) out.emplace_back(record);
    }
  };
  const auto any = [](const auto&) { return true; };
  if (std::holds_alternative<Subscriptions>(spec)) take(tables_.subscriptions, any);
  if (std::holds_alternative<Cursors>(spec)) take(tables_.cursors, any);
  if (std::holds_alternative<RetentionMarks>(spec)) take(tables_.marks, any);
  if (std::holds_alternative<LostRanges>(spec)) take(tables_.lost, any);
  if (std::holds_alternative<Tokens>(spec)) take(tables_.tokens, any);
  if (std::holds_alternative<Tombstones>(spec)) take(tables_.tombstones, any);
  if (const auto* wanted = std::get_if<IdempotencyUses>(&spec)) {
    for (auto at = tables_.idempotency_uses.lower_bound(wanted->from);
         at != tables_.idempotency_uses.end() && at->first < wanted->to; ++at) {
      out.emplace_back(at->second);
    }
  }
  if (std::holds_alternative<IdempotencyRanges>(spec) && tables_.idempotency_range.has_value()) {
    out.emplace_back(*tables_.idempotency_range);
  }
  if (std::holds_alternative<PausedTypes>(spec) && tables_.paused_types.has_value()) {
    out.emplace_back(*tables_.paused_types);
  }
  if (const auto* wanted = std::get_if<Settlements>(&spec)) {
    take(tables_.settlements, [wanted](const auto& key) {
      return !wanted->subscription || (key.first == *wanted->subscription &&
                                       (!wanted->after || key.second > *wanted->after));
    });
  }
  if (const auto* wanted = std::get_if<OrderingKeys>(&spec)) {
    take(tables_.ordering_keys, [wanted](const auto& key) { return key > wanted->after; });
  }
  if (std::holds_alternative<Operations>(spec)) take(tables_.operations, any);
  if (const auto* wanted = std::get_if<Members>(&spec)) {
    take(tables_.members, [wanted](const auto& key) {
      return !wanted->operation || key.first == *wanted->operation;
    });
  }
  if (const auto* wanted = std::get_if<DueTimes>(&spec)) {
    const auto from =
        std::tuple(wanted->subscription, wanted->lane, wanted->from, wanted->from_sequence);
    for (auto at = tables_.due_times.lower_bound(from); at != tables_.due_times.end(); ++at) {
      if (at->second.subscription != wanted->subscription ||
          at->second.event.priority != wanted->lane || at->second.due > wanted->last) {
        break;
      }
      out.emplace_back(at->second);
    }
  }
  if (const auto* wanted = std::get_if<DeadLetters>(&spec)) {
    take(tables_.dead_letters, [wanted](const auto& key) {
      return !wanted->subscription || key.first == *wanted->subscription;
    });
  }
  if (const auto* wanted = std::get_if<StateRange>(&spec)) {
    take(tables_.states, [wanted](const auto& key) {
      return key.first == wanted->name && key.second.starts_with(wanted->prefix);
    });
  }
  return out;
}

// The sink is called without the lock, on what was there when the scan began: it may commit or look
// things up itself.
Status MemoryJournal::scan(const ScanSpec& spec, const Sink& sink) const {
  Events found;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* range = std::get_if<EventRange>(&spec)) {
      found = events(*range);
    } else {
      found.chunks = records(spec);
    }
  }
  for (auto& record : found.chunks) {
    if (!sink(std::move(record))) return {};
  }
  return found.status;
}

JournalStats MemoryJournal::stats() const {
  const std::lock_guard lock(mutex_);
  JournalStats stats;
  for (const auto& chunks : tables_.events) {
    for (const auto& [first, chunk] : chunks) stats.memory_bytes += chunk->bytes().size();
  }
  stats.disk_free_bytes = std::numeric_limits<std::uint64_t>::max();
  return stats;
}

}  // namespace

std::unique_ptr<Journal> make_memory_journal() { return std::make_unique<MemoryJournal>(); }

}  // namespace holdfast::journal
