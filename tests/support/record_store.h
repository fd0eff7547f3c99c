// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "model/commit.h"
#include "model/records.h"

namespace holdfast::testing {

/// What a journal holds after some commits, folded in the plainest way: one map a kind of record.
/// What lies below the trim point is really gone, so that whoever still needs it finds out.
class RecordStore {
 public:
  using Name = std::pair<model::SubscriptionId, EventId>;

  void apply(const model::Commit& commit) {
    for (const auto& operation : commit.operations) {
      std::visit([&](const auto& each) { put(each, commit); }, operation);
    }
    next = commit.next;
    trim = commit.trim;
    for (const auto lane : kAllPriorities) {
      auto& kept = chunks[lane];
      while (!kept.empty() && kept.begin()->second->last() < trim[lane]) kept.erase(kept.begin());
    }
  }

  /// Nothing when it is not in the store (any more).
  [[nodiscard]] model::ChunkPtr chunk_of(EventId event) const {
    const auto& kept = chunks[event.priority];
    const auto behind = kept.upper_bound(event.sequence);
    if (behind == kept.begin()) return nullptr;
    const auto& chunk = std::prev(behind)->second;
    return chunk->contains(event.sequence) ? chunk : nullptr;
  }

  model::PerLane<std::map<model::Sequence, model::ChunkPtr>> chunks;
  std::map<model::SubscriptionId, model::SubscriptionRecord> subscriptions;
  std::map<std::pair<model::SubscriptionId, Priority>, model::CursorRecord> cursors;
  std::map<Name, model::SettlementRecord> settlements;
  std::map<Name, model::ChunkPtr> parked;
  using DueName = std::tuple<model::SubscriptionId, Priority, base::BusTime, model::Sequence>;
  static DueName due_name(const Name& name, base::BusTime due) {
    return {name.first, name.second.priority, due, name.second.sequence};
  }
  std::map<DueName, model::DueRecord> due_times;
  std::map<Name, model::DeadLetterRecord> dead;
  std::map<std::pair<std::string, std::string>, std::string> state;
  std::map<std::pair<Priority, model::Sequence>, model::RetentionMark> marks;
  std::map<TokenId, model::TokenRecord> tokens;
  std::map<EventId, model::TombstoneRecord> tombstones;
  std::map<OperationId, model::OperationRecord> operations;
  std::map<std::pair<OperationId, std::uint32_t>, model::MemberRecord> members;
  std::map<std::string, model::OrderingKeyRecord> ordering_keys;
  std::map<std::string, model::IdempotencyRecord> keys;
  std::map<std::uint64_t, model::IdempotencyUse> key_uses;
  model::IdempotencyRange key_range;
  model::PausedTypesRecord paused_types;
  model::PerLane<model::Sequence> next{{1, 1, 1, 1}};
  model::PerLane<model::Sequence> trim{{1, 1, 1, 1}};

 private:
  template <typename Map>
  static void erase_of(Map& map, model::SubscriptionId id) {
    std::erase_if(map, [&](const auto& each) { return each.first.first == id; });
  }

  void put(const model::Append& each, const model::Commit&) {
    chunks[each.chunk->lane()].emplace(each.chunk->first(), each.chunk);
  }
  void put(const model::PutSubscription& each, const model::Commit&) {
    subscriptions.insert_or_assign(each.record.id, each.record);
  }
  void put(const model::EraseSubscription& each, const model::Commit&) {
    subscriptions.erase(each.subscription);
    erase_of(cursors, each.subscription);
    erase_of(settlements, each.subscription);
    erase_of(parked, each.subscription);
    erase_of(dead, each.subscription);
    std::erase_if(due_times,
                  [&](const auto& entry) { return std::get<0>(entry.first) == each.subscription; });
  }
  void put(const model::PutCursor& each, const model::Commit&) {
    cursors.insert_or_assign({each.record.subscription, each.record.lane}, each.record);
  }
  void put(const model::PutSettlement& each, const model::Commit&) {
    const Name name{each.record.subscription, each.record.event};
    const auto& record = each.record;
    settlements.insert_or_assign(name, record);
    if (each.copy != nullptr) {
      parked.insert_or_assign(name, each.copy);
    } else {
      due_times.erase(due_name(name, each.was_due));
    }
    due_times.insert_or_assign(
        due_name(name, record.due),
        model::DueRecord{name.first, name.second, record.due, record.attempts, record.suspect,
                         record.started, record.cleanup});
  }
  void put(const model::EraseSettlement& each, const model::Commit&) {
    settlements.erase({each.subscription, each.event});
    parked.erase({each.subscription, each.event});
    due_times.erase(due_name({each.subscription, each.event}, each.due));
  }
  void put(const model::EraseParked& each, const model::Commit&) {
    const auto is_gone = [&](const Name& name) {
      return name.first == each.subscription &&
             name.second.sequence >= each.from[name.second.priority];
    };
    std::erase_if(settlements, [&](const auto& entry) { return is_gone(entry.first); });
    std::erase_if(parked, [&](const auto& entry) { return is_gone(entry.first); });
    std::erase_if(due_times,
                  [&](const auto& entry) { return std::get<0>(entry.first) == each.subscription; });
    for (const auto& kept : each.kept) {
      due_times.insert_or_assign(due_name({kept.subscription, kept.event}, kept.due), kept);
    }
  }
  void put(const model::PutDeadLetter& each, const model::Commit&) {
    dead.insert_or_assign({each.record.subscription, each.record.event}, each.record);
  }
  void put(const model::EraseDeadLetter& each, const model::Commit&) {
    dead.erase({each.subscription, each.event});
  }
  void put(const model::PutState& each, const model::Commit&) {
    state.insert_or_assign({each.name, each.key}, each.value);
  }
  void put(const model::EraseState& each, const model::Commit&) {
    state.erase({each.name, each.key});
  }
  void put(const model::PutRetentionMark& each, const model::Commit&) {
    marks.insert_or_assign({each.mark.lane, each.mark.sequence}, each.mark);
  }
  void put(const model::PutLostRange&, const model::Commit&) {}
  void put(const model::PutToken& each, const model::Commit&) {
    tokens.insert_or_assign(each.record.id, each.record);
  }
  void put(const model::EraseToken& each, const model::Commit&) { tokens.erase(each.token); }
  void put(const model::PutTombstone& each, const model::Commit&) {
    tombstones.insert_or_assign(each.record.event, each.record);
  }
  void put(const model::EraseTombstone& each, const model::Commit&) {
    tombstones.erase(each.event);
  }
  void put(const model::PutOrderingKey& each, const model::Commit&) {
    ordering_keys.insert_or_assign(each.record.key, each.record);
  }
  void put(const model::EraseOrderingKey& each, const model::Commit&) {
    ordering_keys.erase(each.key);
  }
  void put(const model::PutIdempotency& each, const model::Commit&) {
    const auto& record = each.record;
    keys.insert_or_assign(record.key, record);
    key_uses.erase(each.replaces);
    key_uses.insert_or_assign(record.use,
                              model::IdempotencyUse{record.use, record.used_at, record.key});
  }
  void put(const model::EraseIdempotency& each, const model::Commit&) {
    keys.erase(each.key);
    key_uses.erase(each.use);
  }
  void put(const model::PutOperation& each, const model::Commit&) {
    operations.insert_or_assign(each.record.id, each.record);
  }
  void put(const model::PutMember& each, const model::Commit&) {
    members.insert_or_assign(std::pair(each.record.operation, each.record.index), each.record);
  }
  void put(const model::EraseOperation& each, const model::Commit&) {
    operations.erase(each.operation);
    for (std::uint32_t i = 0; i < each.members; ++i) members.erase({each.operation, i});
  }
  void put(const model::PutIdempotencyRange& each, const model::Commit&) { key_range = each.range; }
  void put(const model::PutPausedTypes& each, const model::Commit&) { paused_types = each.record; }
};

}  // namespace holdfast::testing
