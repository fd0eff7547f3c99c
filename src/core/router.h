// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/delivery_lane.h"
#include "core/subscription_state.h"

namespace holdfast::core {

/// A run of a chunk's events that one subscription wants.
struct Route {
  SubscriptionId subscription;
  Span span;
};

/// Tells which subscriptions want an event. Remembers the answer per type, so that the cost of an
/// event does not grow with the number of subscriptions that do not want it.
class Router {
 public:
  void add(SubscriptionState* subscription);
  void remove(const SubscriptionState* subscription);
  /// Filters have changed.
  void forget() {
    by_type_.clear();
    last_ = nullptr;
  }

  /// The routes of `chunk`, in no particular order. `visit(sequence, claimed)` is called once an
  /// event; claimed = a durable subscription wants it.
  template <typename Visit>
  std::vector<Route> route(const ChunkPtr& chunk, Visit&& visit) {
    std::vector<Route> routes;
    ++serial_;
    for (auto sequence = chunk->first(); sequence <= chunk->last(); ++sequence) {
      bool claimed = false;
      for (auto* subscription : lookup(chunk->type(sequence))) {
        if (!wants(*subscription->interest, chunk, sequence)) continue;
        claimed = claimed || subscription->durable;
        extend(routes, *subscription, chunk, sequence);
      }
      visit(sequence, claimed);
    }
    return routes;
  }

 private:
  using Subscribers = std::vector<SubscriptionState*>;
  static constexpr std::size_t kTypesMax = 4'096;

  const Subscribers& lookup(std::string_view type);
  /// Given that it wants the type.
  static bool wants(const Interest& interest, const ChunkPtr& chunk, Sequence sequence) {
    if (sequence < interest.plain_from(chunk->lane()))
      return interest.wants(chunk->event(sequence));
    return !interest.filter().looks_inside() ||
           interest.filter().matches_inside(chunk->event(sequence));
  }
  void extend(std::vector<Route>& routes, SubscriptionState& subscription, const ChunkPtr& chunk,
              Sequence sequence) const;

  Subscribers all_;
  std::unordered_map<std::string, Subscribers> by_type_;
  const std::pair<const std::string, Subscribers>* last_ = nullptr;
  std::uint64_t serial_ = 0;
};

}  // namespace holdfast::core
