// SPDX-License-Identifier: MIT
#pragma once

// What each subscription is owed, told in the most naive way there is: one entry an event and
// subscription. It knows nothing of floors, windows, rows or cursors; whatever the core says is
// held against it.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "holdfast/types.h"
#include "model/ids.h"

namespace holdfast::testing {

struct Wish {
  std::vector<std::string> types;
  std::vector<Priority> priorities;
  std::optional<std::string> color;  // metadata
};

struct OracleEvent {
  std::string type;
  std::string color;
  std::uint64_t commit = 0;
  base::BusTime published_at = 0;
  bool ever_claimed = false;
};

/// Written down by a commit; `holder` and `again` are of this life of the process alone.
struct Owed {
  bool parked = false;
  std::uint32_t attempts = 0;
  base::BusTime due = 0;
  bool suspect = false;

  std::uint64_t holder = 0;  // the lease that may answer
  bool taken = false;        // not to be given to anybody now
  bool again = false;        // starts over
};

struct OracleSubscription {
  Wish wish;
  bool durable = true;
  std::uint32_t attempts_max = 5;
  std::map<EventId, Owed> owed;
  std::map<EventId, std::uint32_t> dead;  // with attempts

  bool attached = false;
  std::uint32_t generation = 0;
  std::uint32_t concurrency = 1;
  std::uint32_t in_flight = 0;
  std::uint32_t in_flight_less_urgent = 0;
};

class Oracle {
 public:
  using Id = std::uint32_t;
  using StateKey = std::pair<std::string, std::string>;

  // --- What commits do --------------------------------------------------------------------------

  void publish(EventId id, OracleEvent event) {
    next[id.priority] = id.sequence + 1;
    for (auto& [sub, subscription] : subscriptions) {
      if (!wants(subscription.wish, id, event)) continue;
      subscription.owed[id];
      event.ever_claimed = event.ever_claimed || subscription.durable;
    }
    events[id] = std::move(event);
  }
  void create(Id id, Wish wish, bool durable, std::uint32_t attempts_max,
              const model::PerLane<model::Sequence>& start) {
    auto& subscription = subscriptions[id];
    subscription = {};
    subscription.wish = std::move(wish);
    subscription.durable = durable;
    subscription.attempts_max = attempts_max;
    if (!durable) return;
    for (auto& [event_id, event] : events) {
      if (event_id.sequence < start[event_id.priority] ||
          !wants(subscription.wish, event_id, event))
        continue;
      subscription.owed[event_id];
      event.ever_claimed = true;
    }
  }
  /// What is parked stays owed, what merely waits must be wanted still.
  void change(Id id, Wish wish, std::uint32_t attempts_max) {
    auto& subscription = subscriptions.at(id);
    subscription.wish = std::move(wish);
    subscription.attempts_max = attempts_max;
    std::erase_if(subscription.owed, [&](const auto& each) {
      return !each.second.parked && !wants(subscription.wish, each.first, events.at(each.first));
    });
  }
  /// It is owed what it wants from there on, and nothing else but, where `keeps` says so, what is
  /// parked and older.
  void rewind(Id id, const model::PerLane<model::Sequence>& from,
              const model::PerLane<bool>& keeps) {
    auto& subscription = subscriptions.at(id);
    std::erase_if(subscription.owed, [&](const auto& each) {
      const auto lane = each.first.priority;
      return !each.second.parked || !keeps[lane] || each.first.sequence >= from[lane];
    });
    for (auto& [event, owed] : subscription.owed) {
      owed.holder = 0;
      owed.taken = owed.again = false;
    }
    for (auto& [event_id, event] : events) {
      if (event_id.sequence < from[event_id.priority] ||
          !wants(subscription.wish, event_id, event)) {
        continue;
      }
      subscription.owed[event_id] = {};
      subscription.dead.erase(event_id);
      event.ever_claimed = true;
    }
  }
  void remove(Id id) { subscriptions.erase(id); }
  void settle(Id id, EventId event) {
    if (auto* subscription = find(id)) subscription->owed.erase(event);
  }
  void die(Id id, EventId event, std::uint32_t attempts) {
    auto* subscription = find(id);
    if (subscription == nullptr) return;
    subscription->owed.erase(event);
    if (subscription->durable) subscription->dead[event] = attempts;
  }
  void park(Id id, EventId event, std::uint32_t attempts, std::int64_t delay, base::Now now,
            bool suspect) {
    auto* subscription = find(id);
    if (subscription == nullptr) return;
    auto& owed = subscription->owed[event];
    owed.parked = true;
    owed.attempts = attempts;
    owed.due = now.bus + delay;
    owed.suspect = suspect;
  }
  void redrive(Id id, EventId event, base::Now now) {
    auto* subscription = find(id);
    subscription->dead.erase(event);
    subscription->owed[event] = {};
    park(id, event, 0, 0, now, false);
  }
  void write_state(const StateKey& key, std::optional<std::string> value, std::uint64_t commit) {
    if (value.has_value()) {
      state[key] = *std::move(value);
    } else {
      state.erase(key);
    }
    written[key] = commit;
  }
  void trim(Priority lane, model::Sequence to) {
    std::erase_if(events, [&](const auto& each) {
      return each.first.priority == lane && each.first.sequence < to;
    });
  }

  // --- What happens in memory -------------------------------------------------------------------

  void attach(Id id, std::uint32_t concurrency) {
    auto& subscription = subscriptions.at(id);
    subscription.attached = true;
    ++subscription.generation;
    subscription.concurrency = concurrency;
    subscription.in_flight = subscription.in_flight_less_urgent = 0;
    for (auto& [event, owed] : subscription.owed) {
      owed.holder = 0;
      owed.taken = owed.again = false;
    }
  }
  /// The slot kept for critical included.
  [[nodiscard]] static bool has_slot(const OracleSubscription& subscription, Priority lane) {
    if (subscription.in_flight >= subscription.concurrency) return false;
    return lane == Priority::critical || subscription.concurrency == 1 ||
           subscription.in_flight_less_urgent < subscription.concurrency - 1;
  }
  struct Ready {
    std::optional<EventId> out_of_turn;  // a retry that is due, or a run that starts over
    std::optional<EventId> in_turn;      // never tried
  };
  [[nodiscard]] Ready ready(const OracleSubscription& subscription, Priority lane,
                            base::BusTime now, std::uint64_t offered) const {
    Ready found;
    for (auto it = subscription.owed.lower_bound({lane, 0});
         it != subscription.owed.end() && it->first.priority == lane; ++it) {
      const auto& [event, owed] = *it;
      if (owed.taken) continue;
      if (owed.again || (owed.parked && owed.due <= now)) {
        if (!found.out_of_turn.has_value()) found.out_of_turn = event;
      } else if (!owed.parked && !found.in_turn.has_value() && events.at(event).commit <= offered) {
        found.in_turn = event;
      }
      if (found.in_turn.has_value() && found.out_of_turn.has_value()) break;
    }
    return found;
  }

  // --- Looking ----------------------------------------------------------------------------------

  [[nodiscard]] OracleSubscription* find(Id id) {
    const auto found = subscriptions.find(id);
    return found == subscriptions.end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool conflicts(const StateKey& key, bool prefix, std::uint64_t visible) const {
    return std::any_of(written.begin(), written.end(), [&](const auto& each) {
      const bool same =
          prefix ? each.first.first == key.first && each.first.second.starts_with(key.second)
                 : each.first == key;
      return same && each.second > visible;
    });
  }
  [[nodiscard]] static bool wants(const Wish& wish, EventId id, const OracleEvent& event) {
    const bool type =
        wish.types.empty() ||
        std::any_of(wish.types.begin(), wish.types.end(), [&](const std::string& pattern) {
          return matches(split(pattern), split(event.type));
        });
    const bool priority = wish.priorities.empty() ||
                          std::find(wish.priorities.begin(), wish.priorities.end(), id.priority) !=
                              wish.priorities.end();
    return type && priority && (!wish.color.has_value() || *wish.color == event.color);
  }

  std::map<EventId, OracleEvent> events;  // kept
  std::map<Id, OracleSubscription> subscriptions;
  std::map<StateKey, std::string> state;
  std::map<StateKey, std::uint64_t> written;
  model::PerLane<model::Sequence> next{{1, 1, 1, 1}};

 private:
  static std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> tokens(1);
    for (const char c : text) {
      if (c == '.') {
        tokens.emplace_back();
      } else {
        tokens.back() += c;
      }
    }
    return tokens;
  }
  static bool matches(const std::vector<std::string>& pattern,
                      const std::vector<std::string>& type) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] == ">") return type.size() > i;
      if (i >= type.size() || (pattern[i] != "*" && pattern[i] != type[i])) return false;
    }
    return pattern.size() == type.size();
  }
};

}  // namespace holdfast::testing
