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
#include "core/idempotency.h"
#include "holdfast/token.h"
#include "holdfast/types.h"
#include "model/due_time.h"
#include "model/ids.h"
#include "support/oracle_operations.h"

namespace holdfast::testing {

struct Wish {
  std::vector<std::string> types;
  std::vector<Priority> priorities;
  std::optional<std::string> color;  // metadata
};

struct OracleEvent {
  std::string type;
  std::string color;
  std::string idempotency_key{};
  std::uint64_t commit = 0;
  base::BusTime published_at = 0;
  bool ever_claimed = false;
  TokenId token;
  WallTime not_before = 0;
  WallTime expires_at = 0;
  std::string key;
  OperationId operation;  // it is a member of it
};

/// An event with an ordering key; known for ever.
struct OracleKeyed {
  std::string key;
  std::uint64_t order = 0;  // over all events, as committed
  model::PerLane<model::Sequence> after;
};

struct OracleToken {
  std::set<EventId> events;  // ever published under it
  std::set<EventId> ended_when_trimmed;
  bool cancelled = false;
  base::BusTime used_at = 0;
  base::BusTime deadline = 0;
};

/// What the gate looks at; known for ever, of those that have any of it.
struct OracleLimits {
  TokenId token;
  WallTime not_before = 0;
  WallTime expires_at = 0;
};

/// Something was published under an idempotency key.
struct OracleUse {
  std::string key;
  EventId event;
  std::uint64_t commit = 0;
  TokenId token;
  base::BusTime used_at = 0;
};

/// Written down by a commit; `holder` and `again` are of this life of the process alone.
struct Owed {
  bool parked = false;
  std::uint32_t attempts = 0;
  model::DueTime due = 0;
  bool suspect = false;
  bool started = false;
  bool cleanup = false;
  std::string type;       // of what is held because that is paused
  bool had_turn = false;  // of its key, before what comes earlier was owed again
  // Of a key, and out of its turn: a suspect that waits until its lane has come to it.
  bool is_behind_lane = false;

  std::uint64_t holder = 0;          // the lease that may answer
  bool asks = false;                 // whoever has it has not asked the gate yet
  bool together = false;             // its handler has others with it
  bool cleaning = false;             // on_cancel has it
  bool taken = false;                // not to be given to anybody now
  bool idle = false;                 // taken, but no handler has it
  bool again = false;                // starts over
  std::uint32_t again_attempts = 0;  // then: a clean-up has its own
  bool again_cleanup = false;
  bool again_started = false;
  base::BusTime again_since = 0;

  /// Taken, and not given back until the next attachment: somebody has it.
  [[nodiscard]] bool is_held() const { return taken && holder != 0; }
  [[nodiscard]] bool is_held_by_pause() const { return parked && model::is_paused_due(due); }
};

struct OracleSubscription {
  Wish wish;
  bool durable = true;
  std::uint32_t attempts_max = 5;
  std::map<EventId, Owed> owed;
  std::map<EventId, std::uint32_t> dead;  // with attempts
  EventId last_dead;
  std::map<EventId, std::uint64_t> settled;  // of what is kept, in which commit; 0 = in none
  EventId last_settled;
  /// Of the dead ones, those of which the clean-up was given up, with whether a handler had begun
  /// them, or had acknowledged them.
  std::map<EventId, bool> dead_cleanups;
  bool compensates = false;
  /// From here on what it wants it has claimed; what came before a change of its filter it may not.
  model::PerLane<model::Sequence> sure_from{};
  bool was_rewound = false;
  bool paused = false;

  bool attached = false;
  base::BusTime ready_from = 0;
  [[nodiscard]] bool is_served() const { return attached && !paused; }
  [[nodiscard]] bool holds_any() const {
    return std::any_of(owed.begin(), owed.end(),
                       [](const auto& each) { return each.second.is_held_by_pause(); });
  }
  std::uint32_t generation = 0;
  std::uint32_t concurrency = 1;
  bool on_cancel = false;
  std::uint32_t batch_size = 1;
  base::BusTime batch_linger = 0;
  std::uint32_t in_flight = 0;
  std::uint32_t in_flight_less_urgent = 0;
  model::PerLane<std::size_t> parked_at_most;  // no more than so many are
  model::PerLane<bool> overflowed;  // more than memory has room for, since it was attached
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
    if (const auto token = tokens.find(event.token); token != tokens.end()) {
      token->second.events.insert(id);
      token->second.used_at = event.published_at;
    }
    ++published;
    if (!event.key.empty()) {
      auto& last = last_of_key[event.key];
      keyed[id] = {event.key, published, last};
      keyed[id].after[id.priority] = 0;
      by_key[event.key].push_back(id);
      last[id.priority] = id.sequence;
    }
    if (!event.idempotency_key.empty()) {
      uses.push_back({event.idempotency_key, id, event.commit, event.token, event.published_at});
    }
    if (event.token.value != 0 || event.not_before != 0 || event.expires_at != 0) {
      limits[id] = {event.token, event.not_before, event.expires_at};
    }
    if (event.operation.value != 0) operations.join(event.operation, id, event.token);
    events[id] = std::move(event);
  }
  /// Another of its key is with a handler, or comes before it and is not settled.
  [[nodiscard]] bool waits_for_key(const OracleSubscription& subscription, EventId event) const {
    const auto known = keyed.find(event);
    if (known == keyed.end()) return false;
    const auto& others = by_key.at(known->second.key);
    return std::any_of(others.begin(), others.end(), [&](EventId other) {
      const auto owed = subscription.owed.find(other);
      return other != event && owed != subscription.owed.end() &&
             (owed->second.is_held() || keyed.at(other).order < known->second.order);
    });
  }
  /// The same, but for one that had its turn before: what came before it then and is owed again by
  /// a rewind comes after it now, as long as nobody has taken it.
  [[nodiscard]] bool must_wait_for_key(const OracleSubscription& subscription,
                                       EventId event) const {
    if (!waits_for_key(subscription, event)) return false;
    if (!subscription.owed.at(event).had_turn) return true;
    const auto& known = keyed.at(event);
    const auto& others = by_key.at(known.key);
    return std::any_of(others.begin(), others.end(), [&](EventId other) {
      const auto owed = subscription.owed.find(other);
      if (other == event || owed == subscription.owed.end()) return false;
      const bool taken = owed->second.parked || owed->second.again;
      return owed->second.is_held() || (taken && keyed.at(other).order < known.order);
    });
  }
  /// It does, or may be taken for one that does: where lanes have to be read first, and where what
  /// came before in another lane of its key is somewhere behind what was not taken there.
  [[nodiscard]] bool may_wait_for_key(const OracleSubscription& subscription, EventId event,
                                      bool all_is_read) const {
    const auto known = keyed.find(event);
    if (known == keyed.end()) return false;
    if (waits_for_key(subscription, event)) return true;
    const bool is_behind_lane = subscription.owed.at(event).is_behind_lane;
    for (const auto lane : kAllPriorities) {
      const bool is_behind_own = is_behind_lane && lane == event.priority;
      const auto after = is_behind_own ? event.sequence - 1 : known->second.after[lane];
      if (after == 0) continue;
      if (!all_is_read) return true;
      for (auto it = subscription.owed.lower_bound({lane, 0});
           it != subscription.owed.end() && it->first.priority == lane &&
           it->first.sequence <= after;
           ++it) {
        if (!it->second.taken && !it->second.parked) return true;
      }
    }
    return false;
  }
  void create(Id id, Wish wish, bool durable, std::uint32_t attempts_max,
              const model::PerLane<model::Sequence>& start) {
    auto& subscription = subscriptions[id];
    subscription = {};
    subscription.wish = std::move(wish);
    subscription.durable = durable;
    subscription.attempts_max = attempts_max;
    subscription.sure_from = start;
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
    subscription.sure_from = next;
    std::erase_if(subscription.owed, [&](const auto& each) {
      return !each.second.parked && !wants(subscription.wish, each.first, events.at(each.first));
    });
  }
  /// It is owed what it wants from there on, and nothing else but, where `keeps` says so, what is
  /// parked and older.
  void rewind(Id id, const model::PerLane<model::Sequence>& from,
              const model::PerLane<bool>& keeps) {
    auto& subscription = subscriptions.at(id);
    for (const auto lane : kAllPriorities) {
      subscription.sure_from[lane] = std::min(subscription.sure_from[lane], from[lane]);
    }
    subscription.was_rewound = true;
    std::erase_if(subscription.owed, [&](const auto& each) {
      const auto lane = each.first.priority;
      return !each.second.parked || !keeps[lane] || each.first.sequence >= from[lane];
    });
    for (auto& [event, owed] : subscription.owed) {
      owed.holder = 0;
      owed.taken = owed.again = false;
      owed.had_turn = true;
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
  void remove(Id id) {
    subscriptions.erase(id);
    operations.forget_subscription(id);
  }
  void settle(Id id, EventId event, std::uint64_t commit) {
    auto* subscription = find(id);
    if (subscription == nullptr) return;
    subscription->owed.erase(event);
    subscription->settled[event] = commit;
    subscription->last_settled = event;
  }
  /// `cleanup`: what was given up is its clean-up; of what a handler had begun, if it says so.
  void die(Id id, EventId event, std::uint32_t attempts, std::optional<bool> cleanup = {}) {
    auto* subscription = find(id);
    if (subscription == nullptr) return;
    subscription->owed.erase(event);
    if (!subscription->durable) return;
    subscription->dead[event] = attempts;
    subscription->dead_cleanups.erase(event);
    if (cleanup.has_value()) subscription->dead_cleanups[event] = *cleanup;
    subscription->last_dead = event;
  }
  struct Parking {
    std::uint32_t attempts = 0;
    model::DueTime due = 0;
    bool suspect = false;
    bool started = true;
    bool cleanup = false;
    std::string type{};
  };
  void park(Id id, EventId event, const Parking& parking) {
    auto* subscription = find(id);
    if (subscription == nullptr) return;
    auto& owed = subscription->owed[event];
    if (!owed.parked) ++subscription->parked_at_most[event.priority];
    owed.parked = true;
    owed.attempts = parking.attempts;
    owed.due = parking.due;
    owed.suspect = parking.suspect;
    owed.started = parking.started;
    owed.cleanup = parking.cleanup;
    owed.type = parking.type;
  }
  void redrive(Id id, EventId event, base::Now now) {
    auto* subscription = find(id);
    const bool cleanup =
        subscription->dead_cleanups.contains(event) && operations.was_member(event);
    const bool started = !cleanup || subscription->dead_cleanups.at(event);
    subscription->dead.erase(event);
    subscription->owed[event] = {.had_turn = true};
    park(id, event, {.due = now.bus, .started = started, .cleanup = cleanup});
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
    for (auto& [id, token] : tokens) {
      for (const auto& [event, known] : events) {
        if (event.priority != lane || event.sequence >= to || known.token != id) continue;
        if (known.ever_claimed) token.ended_when_trimmed.insert(event);
      }
    }
    std::erase_if(events, [&](const auto& each) {
      return each.first.priority == lane && each.first.sequence < to;
    });
    for (auto& [id, subscription] : subscriptions) {
      auto& settled = subscription.settled;
      settled.erase(settled.lower_bound({lane, 0}), settled.lower_bound({lane, to}));
    }
  }

  // --- What happens in memory -------------------------------------------------------------------

  void attach(Id id, std::uint32_t concurrency, bool on_cancel, base::BusTime now) {
    auto& subscription = subscriptions.at(id);
    subscription.on_cancel = on_cancel;
    subscription.attached = true;
    subscription.ready_from = now;
    ++subscription.generation;
    subscription.concurrency = concurrency;
    subscription.in_flight = subscription.in_flight_less_urgent = 0;
    subscription.overflowed = {};
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
  [[nodiscard]] static bool waits_for_wall_clock(const OracleSubscription& subscription,
                                                 EventId event) {
    const auto& owed = subscription.owed.at(event);
    return owed.parked && !owed.again && model::clock_of(owed.due) == model::DueClock::wall;
  }
  /// Since when it could have been given to somebody, if it can be now.
  [[nodiscard]] base::BusTime ready_since(const OracleSubscription& subscription,
                                          EventId event) const {
    const auto& owed = subscription.owed.at(event);
    if (owed.again) return std::max(owed.again_since, subscription.ready_from);
    if (owed.parked) return std::max(owed.due, subscription.ready_from);
    const auto offered = offered_at.find(events.at(event).commit);
    return std::max(offered == offered_at.end() ? 0 : offered->second, subscription.ready_from);
  }
  struct Ready {
    std::optional<EventId> out_of_turn;  // a retry that is due, or a run that starts over
    std::optional<EventId> in_turn;      // never tried
    bool maybe_hidden = false;   // behind one that was due until the wall clock was set back
    bool waits_for_key = false;  // something before it does, or may
  };
  /// `without_cleanups`: what is to be cleaned up waits while others go together.
  [[nodiscard]] Ready ready(const OracleSubscription& subscription, Priority lane,
                            const base::Now& now, std::uint64_t offered, bool all_is_read,
                            bool without_cleanups = false) const {
    Ready found;
    for (auto it = subscription.owed.lower_bound({lane, 0});
         it != subscription.owed.end() && it->first.priority == lane; ++it) {
      const auto& [event, owed] = *it;
      if (owed.taken) continue;
      if (may_wait_for_key(subscription, event, all_is_read)) {
        found.waits_for_key = true;
        continue;
      }
      if (owed.parked && !owed.again && owed.due > model::due_at_wall(now.wall)) {
        found.maybe_hidden = true;
      }
      if (owed.again || (owed.parked && is_due(owed, now))) {
        const bool cleanup = owed.again ? owed.again_cleanup : owed.cleanup;
        const bool passed_over = without_cleanups && cleanup && !owed.suspect;
        if (!found.out_of_turn.has_value() && !passed_over) found.out_of_turn = event;
      } else if (!owed.parked && events.at(event).commit <= offered) {
        if (!found.in_turn.has_value()) found.in_turn = event;
      }
      if (found.in_turn.has_value() && found.out_of_turn.has_value()) break;
    }
    return found;
  }

  // --- Looking ----------------------------------------------------------------------------------

  [[nodiscard]] static bool is_due(const Owed& owed, const base::Now& now) {
    return owed.due >= model::kWallDueBegin ? owed.due - model::kWallDueBegin <= now.wall
                                            : owed.due <= now.bus;
  }
  [[nodiscard]] bool is_cancelled(EventId event, TokenId token) const {
    const auto found = tokens.find(token);
    return tombstones.contains(event) || (found != tokens.end() && found->second.cancelled);
  }
  [[nodiscard]] OracleLimits limits_of(EventId event) const {
    const auto found = limits.find(event);
    return found == limits.end() ? OracleLimits{} : found->second;
  }
  [[nodiscard]] bool is_type_paused(const std::string& type) const;
  /// It has a handler that looks after an event which is cancelled when it has begun it.
  [[nodiscard]] bool cleans_up(const OracleSubscription& subscription, EventId event) const {
    return subscription.on_cancel ||
           (subscription.compensates && operations.find(event).has_value());
  }
  /// As an event: what is to be undone after it was acknowledged is not.
  [[nodiscard]] bool is_owed(EventId event) const {
    return std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& each) {
      const auto found = each.second.owed.find(event);
      return each.second.durable && found != each.second.owed.end() &&
             !(found->second.parked && found->second.cleanup && !found->second.started);
    });
  }
  [[nodiscard]] bool is_dead(EventId event) const {
    return std::any_of(subscriptions.begin(), subscriptions.end(),
                       [&](const auto& each) { return each.second.dead.contains(event); });
  }
  /// With a handler, or answered and not committed: of any subscription.
  [[nodiscard]] bool is_leased(EventId event) const {
    return std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& each) {
      const auto owed = each.second.owed.find(event);
      return owed != each.second.owed.end() && owed->second.holder != 0 && !owed->second.idle;
    });
  }
  /// As long as nobody who claimed it has gone or wants others.
  [[nodiscard]] bool is_ended(EventId event) const {
    const auto found = events.find(event);
    return (found == events.end() || found->second.ever_claimed) && !is_owed(event);
  }

  /// What was published under this key, if that still counts: not too long ago, and not too many
  /// others since. Of those published with it, as which the last `together` were, none counts.
  [[nodiscard]] std::optional<OracleUse> first_of(const std::string& key,
                                                  const core::IdempotencyRule& rule,
                                                  base::BusTime now, std::size_t together) const {
    if (rule.keys_max == 0) return std::nullopt;
    const auto most = rule.keys_max + together;
    for (std::size_t back = 1; back <= uses.size() && back <= most; ++back) {
      const auto& use = uses[uses.size() - back];
      if (use.key != key) continue;
      if (now - use.used_at < rule.window) return use;
      break;
    }
    return std::nullopt;
  }
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

  /// What expired before anybody claimed it has not ended, it is gone.
  [[nodiscard]] std::uint64_t ended_of(const OracleToken& token) const {
    return static_cast<std::uint64_t>(
        std::count_if(token.events.begin(), token.events.end(), [&](EventId event) {
          return is_ended(event) &&
                 (events.contains(event) || token.ended_when_trimmed.contains(event));
        }));
  }

  std::map<EventId, OracleEvent> events;  // kept
  std::map<Id, OracleSubscription> subscriptions;
  std::map<StateKey, std::string> state;
  std::map<StateKey, std::uint64_t> written;
  std::map<TokenId, OracleToken> tokens;
  std::set<EventId> tombstones;
  std::set<std::string> paused_types;
  bool releasing = false;  // what was held is being put back
  std::map<EventId, OracleLimits> limits;
  OracleOperations operations;
  std::map<EventId, OracleKeyed> keyed;
  std::map<std::string, std::vector<EventId>> by_key;
  std::map<std::string, model::PerLane<model::Sequence>> last_of_key;
  std::uint64_t published = 0;
  std::vector<OracleUse> uses;                        // of idempotency keys, ever
  std::map<std::uint64_t, base::BusTime> offered_at;  // commits, in this life of the process
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
