// SPDX-License-Identifier: MIT
#include "core/router.h"

#include <algorithm>

namespace holdfast::core {

void Router::add(SubscriptionState* subscription) {
  all_.push_back(subscription);
  forget();
}

void Router::remove(const SubscriptionState* subscription) {
  std::erase(all_, subscription);
  forget();
}

const Router::Subscribers& Router::lookup(std::string_view type) {
  // Events mostly come in runs of one type.
  if (last_ != nullptr && last_->first == type) return last_->second;
  std::string key(type);
  auto found = by_type_.find(key);
  if (found == by_type_.end()) {
    if (by_type_.size() >= kTypesMax) forget();
    Subscribers wanting;
    std::copy_if(all_.begin(), all_.end(), std::back_inserter(wanting),
                 [&](const auto* each) { return each->interest->filter().matches_type(type); });
    found = by_type_.emplace(std::move(key), std::move(wanting)).first;
  }
  last_ = &*found;
  return last_->second;
}

void Router::extend(std::vector<Route>& routes, SubscriptionState& subscription,
                    const ChunkPtr& chunk, Sequence sequence) const {
  if (subscription.route_serial == serial_) {
    auto& span = routes[subscription.route_index].span;
    if (span.end == sequence) {
      ++span.end;
      return;
    }
  }
  subscription.route_serial = serial_;
  subscription.route_index = routes.size();
  routes.push_back({subscription.record.id, {chunk, sequence, sequence + 1}});
}

}  // namespace holdfast::core
