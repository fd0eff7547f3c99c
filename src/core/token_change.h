// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "core/ledger.h"

namespace holdfast::core {

/// How many more, or fewer, events of each token have ended when one subscription comes, goes or
/// wants other events: told by looking at each event that it may be about, before and after.
class TokenChange {
 public:
  struct After {
    SubscriptionId subscription;  ///< 0 = one that is new.
    InterestPtr interest;         ///< Null = it is gone.
    /// From here on all is owed again, and before that nothing, but for what is parked before
    /// `parked_before`.
    std::optional<PerLane<Sequence>> owed_from{};
    PerLane<Sequence> parked_before{};
  };
  TokenChange(const Ledger& ledger, After after) : ledger_(ledger), after_(std::move(after)) {}

  /// Every event of a token that is kept, and every one that the subscription has parked.
  void add(const EventView& event);
  [[nodiscard]] const std::map<TokenId, std::int64_t>& ended() const noexcept { return ended_; }

 private:
  [[nodiscard]] bool ends(const EventView& event) const;

  const Ledger& ledger_;
  const After after_;
  std::map<TokenId, std::int64_t> ended_;
};

}  // namespace holdfast::core
