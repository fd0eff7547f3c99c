// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "core/deadlines.h"
#include "core/sequence_set.h"
#include "holdfast/token.h"
#include "holdfast/types.h"
#include "model/records.h"

namespace holdfast::core {

using model::PerLane;
using model::Sequence;
using model::SubscriptionId;

/// What is cancelled: tokens, each with how it stands, and single events. A cancelled event is not
/// looked for where it waits; whoever comes across it finds it here (`gate`).
class Cancellations {
 public:
  struct Token {
    model::TokenRecord record;
    /// Deliveries of its events that a handler has seen and not answered, as far as is known:
    /// whether they still are has to be asked.
    std::set<std::pair<EventId, SubscriptionId>> running;
    bool dirty = false;  // its record goes into the commit being made

    [[nodiscard]] bool cancelled() const noexcept { return record.cancelled_in.value != 0; }
  };

  /// Null when it was never made, or is forgotten.
  [[nodiscard]] Token* find(TokenId id);
  [[nodiscard]] const Token* find(TokenId id) const;
  Token& add(model::TokenRecord record);
  void erase(TokenId id);
  [[nodiscard]] std::size_t token_count() const noexcept { return tokens_.size(); }
  [[nodiscard]] const std::map<TokenId, Token>& tokens() const noexcept { return tokens_; }

  /// The first token whose time is over by `now`.
  [[nodiscard]] std::optional<TokenId> next_expired(base::BusTime now) const {
    return deadlines_.next_expired(now);
  }
  std::vector<TokenId> take_expired(base::BusTime now) { return deadlines_.take_expired(now); }
  [[nodiscard]] std::optional<base::BusTime> next_deadline() const { return deadlines_.next(); }
  /// It needs no time-out any more.
  void drop_deadline(TokenId id);

  [[nodiscard]] bool is_cancelled(EventId event, TokenId token) const {
    if (tombstones[event.priority].contains(event.sequence)) return true;
    if (token.value == 0) return false;
    const auto* found = find(token);
    return found != nullptr && found->cancelled();
  }
  /// Nothing at all is cancelled in `lane` but through tokens.
  [[nodiscard]] bool has_tombstones(Priority lane) const noexcept {
    return !tombstones[lane].empty();
  }

  PerLane<SequenceSet> tombstones;

 private:
  std::map<TokenId, Token> tokens_;
  Deadlines<TokenId> deadlines_;
};

}  // namespace holdfast::core
