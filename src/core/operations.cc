// SPDX-License-Identifier: MIT
#include "core/operations.h"

#include <algorithm>

#include "base/assert.h"

namespace holdfast::core {

Status unknown_operation(OperationId id) {
  return {StatusCode::not_found, to_string(id) + " was never begun, or is forgotten by now"};
}

Operations::Operation* Operations::find(OperationId id) {
  const auto found = operations_.find(id);
  return found == operations_.end() ? nullptr : &found->second;
}

const Operations::Operation* Operations::find(OperationId id) const {
  const auto found = operations_.find(id);
  return found == operations_.end() ? nullptr : &found->second;
}

Operations::Place Operations::find(EventId event) {
  // Hardly any event is a member of one.
  if (places_.empty()) return {};
  const auto found = places_.find(event);
  if (found == places_.end()) return {};
  auto& operation = operations_.at(found->second.first);
  return {&operation, &operation.members[found->second.second]};
}

Operations::Operation& Operations::add(model::OperationRecord record) {
  const auto id = record.id;
  const auto [at, inserted] = operations_.emplace(id, Operation{std::move(record), {}, 0, false});
  HOLDFAST_ASSERT(inserted);
  auto& operation = at->second;
  if (operation.is_open()) deadlines_.add(id, operation.record.deadline);
  if (operation.has_ended()) ended_.emplace(operation.record.ended_bus, id);
  ++counts_[static_cast<std::size_t>(operation.record.state)];
  return operation;
}

Operations::Member& Operations::add(Operation& operation, model::MemberRecord record) {
  places_.emplace(record.event, std::pair(operation.record.id,
                                          static_cast<std::uint32_t>(operation.members.size())));
  auto& member = operation.members.emplace_back();
  member.record = record;
  return member;
}

void Operations::erase(OperationId id) {
  const auto found = operations_.find(id);
  if (found == operations_.end()) return;
  auto& operation = found->second;
  deadlines_.drop(id, operation.record.deadline);
  ended_.erase({operation.record.ended_bus, id});
  --counts_[static_cast<std::size_t>(operation.record.state)];
  for (const auto& member : operation.members) places_.erase(member.record.event);
  operations_.erase(found);
}

void Operations::set_state(Operation& operation, OperationState state) {
  --counts_[static_cast<std::size_t>(operation.record.state)];
  operation.record.state = state;
  ++counts_[static_cast<std::size_t>(state)];
  ++entered_[static_cast<std::size_t>(state)];
  // None becomes open again.
  deadlines_.drop(operation.record.id, operation.record.deadline);
  if (operation.has_ended()) ended_.emplace(operation.record.ended_bus, operation.record.id);
}

std::optional<OperationId> Operations::oldest_ended() const {
  if (ended_.empty()) return std::nullopt;
  return ended_.begin()->second;
}

void Operations::restore_turns() {
  for (auto& [id, operation] : operations_) {
    const auto& members = operation.members;
    if (operation.is_open()) {
      const auto first = std::find_if(members.begin(), members.end(), [](const Member& member) {
        return member.record.state != MemberState::done;
      });
      operation.turn = static_cast<std::size_t>(first - members.begin());
    } else if (operation.goes_back()) {
      const auto last = std::find_if(members.rbegin(), members.rend(), [](const Member& member) {
        return member.record.state != MemberState::undone;
      });
      operation.turn = static_cast<std::size_t>(members.rend() - last);
    }
  }
}

bool Operations::is_turn_of(EventId event, bool cleanup) {
  const auto [operation, member] = find(event);
  if (member == nullptr) return true;
  const auto index = member->record.index;
  // Who is not waited for may come to it when those before it are being undone already.
  if (operation->goes_back()) return !cleanup || index + 1 >= operation->turn;
  return !operation->is_open() || !operation->record.sequential || index <= operation->turn;
}

void Operations::forget(SubscriptionId subscription) {
  for (auto& [id, operation] : operations_) {
    for (auto& member : operation.members) {
      member.held.erase(subscription);
      member.kept.erase(subscription);
      member.begun.erase(subscription);
      member.failed.erase(subscription);
    }
  }
}

std::optional<OperationId> Operations::of(SubscriptionId subscription) const {
  for (const auto& [id, operation] : operations_) {
    if (operation.has_ended()) continue;
    for (const auto& member : operation.members) {
      if (member.held.contains(subscription) || member.kept.contains(subscription) ||
          member.begun.contains(subscription) || member.failed.contains(subscription)) {
        return id;
      }
    }
  }
  return std::nullopt;
}

model::PerLane<model::Sequence> Operations::oldest_pending(
    model::PerLane<model::Sequence> below) const {
  for (const auto& [id, operation] : operations_) {
    if (!operation.is_open()) continue;
    for (const auto& [record, held, kept, begun, failed] : operation.members) {
      auto& oldest = below[record.event.priority];
      if (record.state == MemberState::pending) oldest = std::min(oldest, record.event.sequence);
    }
  }
  return below;
}

}  // namespace holdfast::core
