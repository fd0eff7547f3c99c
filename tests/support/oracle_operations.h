// SPDX-License-Identifier: MIT
#pragma once

// Operations as docs/operations.md tells them, in the most naive way there is: no turns are counted
// and nothing is noted of who waits; whose turn it is follows from how the members stand.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "holdfast/operation.h"
#include "holdfast/token.h"
#include "holdfast/types.h"

namespace holdfast::testing {

struct OracleMember {
  EventId event;
  TokenId token;
  MemberState state = MemberState::pending;
  /// Subscriptions that would compensate: they have acknowledged it, or given up on it.
  std::set<std::uint32_t> kept;
};

struct OracleOperation {
  OperationState state = OperationState::open;
  bool sequential = true;
  bool sealed = false;
  base::BusTime deadline = 0;
  base::BusTime ended = 0;
  std::vector<OracleMember> members;

  [[nodiscard]] bool is_open() const { return state == OperationState::open; }
  [[nodiscard]] bool goes_back() const {
    return state == OperationState::rolling_back || state == OperationState::rollback_failed;
  }
  [[nodiscard]] bool has_ended() const { return !is_open() && !goes_back(); }
  /// The first that is not done, or how many there are.
  [[nodiscard]] std::size_t first_to_do() const {
    const auto first = std::find_if(members.begin(), members.end(), [](const auto& member) {
      return member.state != MemberState::done;
    });
    return static_cast<std::size_t>(first - members.begin());
  }
  /// So many, from the first, are not undone yet.
  [[nodiscard]] std::size_t left_to_undo() const {
    const auto last = std::find_if(members.rbegin(), members.rend(), [](const auto& member) {
      return member.state != MemberState::undone;
    });
    return static_cast<std::size_t>(members.rend() - last);
  }
};

class OracleOperations {
 public:
  struct Place {
    OperationId id;
    std::size_t index = 0;
  };

  // --- What commits do --------------------------------------------------------------------------

  void begin(OperationId id, bool sequential, base::BusTime deadline) {
    all[id] = {.sequential = sequential, .deadline = deadline, .members = {}};
  }
  void join(OperationId id, EventId event, TokenId token) {
    auto& members = all.at(id).members;
    places_[event] = {id, members.size()};
    ever_.insert(event);
    members.push_back({.event = event, .token = token, .kept = {}});
  }
  void forget(OperationId id) {
    for (const auto& member : all.at(id).members) places_.erase(member.event);
    all.erase(id);
  }
  /// It is gone, and with it what it would have compensated.
  void forget_subscription(std::uint32_t subscription) {
    for (auto& [id, operation] : all) {
      for (auto& member : operation.members) member.kept.erase(subscription);
    }
  }
  void set_state(OperationId id, OperationState state, base::BusTime now) {
    auto& operation = all.at(id);
    operation.state = state;
    operation.ended = state == OperationState::rolling_back ? 0 : now;
  }
  OracleMember& member(EventId event) {
    const auto place = places_.at(event);
    return all.at(place.id).members[place.index];
  }

  // --- Looking ----------------------------------------------------------------------------------

  /// Nothing when it is a member of none that is known.
  [[nodiscard]] std::optional<Place> find(EventId event) const {
    const auto found = places_.find(event);
    if (found == places_.end()) return std::nullopt;
    return found->second;
  }
  /// Of one that may be forgotten by now.
  [[nodiscard]] bool was_member(EventId event) const { return ever_.contains(event); }
  [[nodiscard]] bool may_run(EventId event) const {
    const auto place = find(event);
    if (!place.has_value()) return true;
    const auto& operation = all.at(place->id);
    return !operation.is_open() || !operation.sequential || place->index <= operation.first_to_do();
  }
  [[nodiscard]] bool may_be_undone(EventId event) const {
    const auto place = find(event);
    if (!place.has_value()) return true;
    const auto& operation = all.at(place->id);
    return operation.goes_back() ? place->index + 1 >= operation.left_to_undo() : may_run(event);
  }
  [[nodiscard]] std::size_t member_count() const { return places_.size(); }
  [[nodiscard]] std::optional<OperationId> oldest_ended() const {
    std::optional<OperationId> oldest;
    for (const auto& [id, operation] : all) {
      if (!operation.has_ended()) continue;
      if (!oldest.has_value() || operation.ended < all.at(*oldest).ended) oldest = id;
    }
    return oldest;
  }
  [[nodiscard]] bool all_have_ended() const {
    return std::all_of(all.begin(), all.end(),
                       [](const auto& each) { return each.second.has_ended(); });
  }

  std::map<OperationId, OracleOperation> all;

 private:
  std::map<EventId, Place> places_;
  std::set<EventId> ever_;
};

}  // namespace holdfast::testing
