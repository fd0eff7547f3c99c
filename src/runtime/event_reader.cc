// SPDX-License-Identifier: MIT
#include "runtime/event_reader.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "base/status_or.h"
#include "core/attachment.h"
#include "core/event_limits.h"
#include "core/filter.h"
#include "runtime/guarded_visitor.h"

namespace holdfast::runtime {

using model::Sequence;
using model::SubscriptionId;

/// What is not as cursors alone say: parked and dead deliveries, by event.
struct EventReader::Exceptions {
  struct One {
    SubscriptionId subscription;
    bool dead = false;
    WallTime due = 0;
  };
  std::map<EventId, std::vector<One>> by_event;
};

struct EventReader::LaneScan {
  const ScanFilter& filter;
  const ScanVisitor& visitor;
  const Exceptions& exceptions;
  /// Below this everything had left the cursors when the exceptions were read.
  const model::PerLane<Sequence>& floors;
  std::uint64_t left;
  bool stopped = false;
};

namespace {

template <typename T>
bool wanted(const std::vector<T>& values, const T& value) {
  return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

Status check(const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns) HOLDFAST_TRY(core::check_pattern(pattern));
  return {};
}

Status check(const ScanFilter& filter) {
  for (const auto priority : filter.priorities) {
    HOLDFAST_TRY(core::check_enum(priority, Priority::low, "priority"));
  }
  for (const auto state : filter.states) {
    HOLDFAST_TRY(core::check_enum(state, EventState::paused, "state"));
  }
  return check(filter.types);
}

Status check(const DeadLetterFilter& filter) {
  if (filter.id.has_value()) HOLDFAST_TRY(core::check_event_id(*filter.id));
  return check(filter.types);
}

}  // namespace

WallTime EventReader::wall_of(model::DueTime due) const {
  const auto time = model::time_of(due);
  // What a pause holds would be ready without it.
  if (model::is_paused_due(due)) return 0;
  if (model::clock_of(due) == model::DueClock::none) return std::numeric_limits<WallTime>::max();
  if (model::clock_of(due) == model::DueClock::wall) return time;
  const auto now = clock_.now();
  return now.wall + (time - now.bus);
}

Status EventReader::load_exceptions(Exceptions& exceptions) const {
  bool any_parked = false;
  bool any_dead = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, subscription] : ledger_.subscriptions) {
      for (const auto& lane : subscription->lanes) {
        any_parked = any_parked || lane.parked > 0;
        any_dead = any_dead || lane.dead > 0;
      }
    }
  }
  if (any_parked) {
    HOLDFAST_TRY(journal_.scan(journal::Settlements{}, [&](model::Record&& record) {
      const auto& settlement = std::get<model::SettlementRecord>(record);
      if (!settlement.is_owed()) return true;
      exceptions.by_event[settlement.event].push_back(
          {settlement.subscription, false, wall_of(settlement.due)});
      return true;
    }));
  }
  if (!any_dead) return {};
  return journal_.scan(journal::DeadLetters{}, [&](model::Record&& record) {
    const auto& letter = std::get<model::DeadLetterRecord>(record);
    exceptions.by_event[letter.event].push_back({letter.subscription, true, 0});
    return true;
  });
}

/// Under the lock.
EventState EventReader::state_of(const EventView& event, const Exceptions& exceptions) const {
  auto state = EventState::settled;
  const auto wall = clock_.now().wall;
  bool claimed = false;
  const auto lane = event.id.priority;
  for (const auto& [id, subscription] : ledger_.subscriptions) {
    if (!subscription->durable) continue;
    const auto standing = ledger_.standing(*subscription, event);
    if (!standing.has_value()) continue;
    claimed = true;
    if (*standing != core::Ledger::Standing::owed) continue;
    const bool leased = subscription->lanes[lane].is_with_handler(event.id.sequence);
    const auto waits = event.not_before > wall ? EventState::scheduled : EventState::ready;
    state = std::min(state, leased ? EventState::leased : waits);
  }
  if (const auto found = exceptions.by_event.find(event.id); found != exceptions.by_event.end()) {
    for (const auto& one : found->second) {
      const auto* subscription = ledger_.find(one.subscription);
      if (subscription == nullptr) continue;
      claimed = true;
      const bool leased = subscription->is_parked_with_handler(event.id);
      const auto this_one = one.dead         ? EventState::dead
                            : leased         ? EventState::leased
                            : one.due > wall ? EventState::scheduled
                                             : EventState::ready;
      state = std::min(state, this_one);
    }
  }
  if (!claimed) state = EventState::unclaimed;
  if (is_cancelled(event, state)) return EventState::cancelled;
  const bool waits = state == EventState::ready || state == EventState::scheduled ||
                     state == EventState::unclaimed;
  if (waits && event.expires_at != 0 && event.expires_at <= wall) return EventState::expired;
  return paused_if_ready(state, event);
}

/// Under the lock.
EventState EventReader::paused_if_ready(EventState state, const EventView& event) const {
  const bool paused = state == EventState::ready && ledger_.paused_types.matches(event.type);
  return paused ? EventState::paused : state;
}

/// Under the lock. What was ended by everyone before its token was cancelled stays so.
bool EventReader::is_cancelled(const EventView& event, EventState state) const {
  if (state == EventState::leased) return false;
  const auto& cancellations = ledger_.cancellations;
  if (cancellations.is_cancelled(event.id, {})) return true;
  const bool ended = state == EventState::settled || state == EventState::dead;
  return !ended && cancellations.is_cancelled(event.id, event.token);
}

Status EventReader::scan(const ScanFilter& filter, const ScanVisitor& visitor) const {
  HOLDFAST_TRY(check(filter));
  GuardedVisitor guarded(visitor);
  HOLDFAST_TRY(guarded.status());
  model::PerLane<Sequence> floors;
  {
    const std::lock_guard lock(mutex_);
    for (const auto lane : kAllPriorities) floors[lane] = ledger_.floor(lane);
  }
  if (live_.written) live_.written();
  Exceptions exceptions;
  HOLDFAST_TRY(load_exceptions(exceptions));
  const ScanVisitor visit = std::ref(guarded);
  LaneScan scan{filter, visit, exceptions, floors, filter.limit};
  for (const auto lane : kAllPriorities) {
    if (scan.stopped || scan.left == 0) break;
    if (wanted(filter.priorities, lane)) HOLDFAST_TRY(scan_lane(lane, scan));
  }
  return guarded.status();
}

/// What was owed when the scan began and looks settled now may have been parked or buried since.
Result<EventState> EventReader::exact_state(const EventView& event, EventState seen,
                                            const LaneScan& scan) const {
  if (seen != EventState::settled || !live_.get ||
      event.id.sequence < scan.floors[event.priority()]) {
    return seen;
  }
  HOLDFAST_ASSIGN(const auto found, live_.get(event.id));
  return found.has_value() ? found->state : seen;
}

Status EventReader::scan_lane(Priority lane, LaneScan& scan) const {
  Status failed;
  const auto visit = [&](const model::ChunkPtr& chunk) {
    const auto from = std::max(chunk->first(), scan.filter.from_sequence);
    const auto last = std::min(chunk->last(), scan.filter.to_sequence);
    for (auto sequence = from; sequence <= last && scan.left > 0; ++sequence) {
      const auto event = chunk->event(sequence);
      if (!core::any_pattern_matches(scan.filter.types, event.type)) continue;
      EventState state{};
      {
        const std::lock_guard lock(mutex_);
        state = state_of(event, scan.exceptions);
      }
      auto exact = exact_state(event, state, scan);
      if (!exact.ok()) {
        failed = exact.status();
        return false;
      }
      state = *exact;
      if (!wanted(scan.filter.states, state)) continue;
      --scan.left;
      if (!scan.visitor(event, state)) scan.stopped = true;
      if (scan.stopped) break;
    }
    return !scan.stopped && scan.left > 0;
  };
  Sequence trim = 1;
  {
    const std::lock_guard lock(mutex_);
    trim = ledger_.lanes[lane].trim;
  }
  // Events that have left their lane and are still owed, or dead, live on as copies.
  auto at = scan.exceptions.by_event.lower_bound({lane, scan.filter.from_sequence});
  for (; at != scan.exceptions.by_event.end() && at->first < EventId{lane, trim}; ++at) {
    HOLDFAST_ASSIGN(const auto chunk, find_chunk(at->first, &scan.exceptions));
    if (chunk != nullptr && !visit(chunk)) return failed;
  }
  const auto end = scan.filter.to_sequence == std::numeric_limits<Sequence>::max()
                       ? scan.filter.to_sequence
                       : scan.filter.to_sequence + 1;
  HOLDFAST_TRY(journal_.scan(
      journal::EventRange{lane, std::max(scan.filter.from_sequence, trim), end},
      [&](model::Record&& record) { return visit(std::get<model::ChunkPtr>(record)); }));
  return failed;
}

Result<model::ChunkPtr> EventReader::find_chunk(EventId id, const Exceptions* exceptions) const {
  HOLDFAST_ASSIGN(auto found, journal_.find(journal::EventRef{id}));
  if (found.has_value()) return std::get<model::ChunkPtr>(*found);
  if (exceptions == nullptr) return model::ChunkPtr();
  const auto at = exceptions->by_event.find(id);
  if (at == exceptions->by_event.end()) return model::ChunkPtr();
  for (const auto& one : at->second) {
    if (one.dead) {
      HOLDFAST_ASSIGN(auto letter, journal_.find(journal::DeadLetterRef{one.subscription, id}));
      if (letter.has_value()) return std::get<model::DeadLetterRecord>(*letter).chunk;
    } else {
      HOLDFAST_ASSIGN(auto parked, journal_.find(journal::ParkedRef{one.subscription, id}));
      if (parked.has_value()) return std::get<model::ParkedEvent>(*parked).chunk;
    }
  }
  return model::ChunkPtr();
}

Result<model::ChunkPtr> EventReader::find_event(EventId id) const {
  HOLDFAST_ASSIGN(auto chunk, find_chunk(id, nullptr));
  if (chunk != nullptr) return chunk;
  Exceptions exceptions;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [each, subscription] : ledger_.subscriptions) {
      if (!subscription->durable) continue;
      if (subscription->lanes[id.priority].parked_events.contains(id.sequence)) {
        exceptions.by_event[id].push_back({each, false, 0});
      }
      if (ledger_.dead_letters.contains({each, id})) {
        exceptions.by_event[id].push_back({each, true, 0});
      }
    }
  }
  return find_chunk(id, &exceptions);
}

Result<std::optional<StoredEvent>> EventReader::get(EventId id) const {
  HOLDFAST_TRY(core::check_event_id(id));
  // What single subscriptions have to say of it.
  std::vector<std::pair<SubscriptionId, std::string>> subscriptions;
  {
    const std::lock_guard lock(mutex_);
    if (id.sequence >= ledger_.lanes[id.priority].next) return std::optional<StoredEvent>();
    for (const auto& [each, subscription] : ledger_.subscriptions) {
      if (subscription->durable) subscriptions.emplace_back(each, subscription->record.name);
    }
  }
  Exceptions exceptions;
  std::map<SubscriptionId, StoredEvent::Standing> standings;
  for (const auto& [each, name] : subscriptions) {
    HOLDFAST_ASSIGN(const auto parked, journal_.find(journal::SettlementRef{each, id}));
    if (parked.has_value() && std::get<model::SettlementRecord>(*parked).is_owed()) {
      const auto& record = std::get<model::SettlementRecord>(*parked);
      exceptions.by_event[id].push_back({each, false, wall_of(record.due)});
      standings[each] = {name, EventState::scheduled, record.attempts, wall_of(record.due),
                         record.last_error};
    }
    HOLDFAST_ASSIGN(const auto dead, journal_.find(journal::DeadLetterRef{each, id}));
    if (dead.has_value()) {
      const auto& record = std::get<model::DeadLetterRecord>(*dead);
      exceptions.by_event[id].push_back({each, true, 0});
      standings[each] = {name, EventState::dead, record.attempts, 0, record.reason};
    }
  }
  HOLDFAST_ASSIGN(const auto chunk, find_chunk(id, &exceptions));
  if (chunk == nullptr) return std::optional<StoredEvent>();
  HOLDFAST_ASSIGN(const auto tombstone, journal_.find(journal::TombstoneRef{id}));
  const auto view = chunk->event(id.sequence);
  StoredEvent stored;
  stored.id = id;
  stored.commit = view.commit;
  stored.batch_id = view.batch_id;
  stored.published_at = view.published_at;
  stored.event = view.to_owned();
  const auto now = clock_.now().wall;
  const std::lock_guard lock(mutex_);
  stored.state = state_of(view, exceptions);
  if (tombstone.has_value()) {
    const auto& record = std::get<model::TombstoneRecord>(*tombstone);
    stored.cancelled = StoredEvent::Cancelled{record.cancelled_at, record.reason, {}};
  } else if (const auto* token = ledger_.cancellations.find(view.token);
             token != nullptr && token->cancelled() && stored.state != EventState::settled) {
    stored.cancelled =
        StoredEvent::Cancelled{token->record.cancelled_at, token->record.reason, view.token};
  }
  for (const auto& [each, subscription] : ledger_.subscriptions) {
    if (!subscription->durable) continue;
    auto found = standings.find(each);
    if (found == standings.end()) {
      const auto standing = ledger_.standing(*subscription, view);
      if (standing != core::Ledger::Standing::owed) continue;
      const bool leased = subscription->lanes[id.priority].is_with_handler(id.sequence);
      stored.standings.push_back(
          {subscription->record.name,
           leased ? EventState::leased : paused_if_ready(EventState::ready, view),
           0,
           0,
           {}});
      continue;
    }
    auto& standing = found->second;
    if (standing.state == EventState::scheduled) {
      if (subscription->is_parked_with_handler(id)) {
        standing.state = EventState::leased;
      } else if (standing.next_try <= now) {
        standing.state = paused_if_ready(EventState::ready, view);
      } else if (standing.next_try == std::numeric_limits<WallTime>::max()) {
        standing.next_try = 0;
      }
    }
    stored.standings.push_back(std::move(standing));
  }
  return std::optional<StoredEvent>(std::move(stored));
}

/// Under the lock.
OperationInfo EventReader::info_of(const core::Operations::Operation& operation) const {
  const auto& record = operation.record;
  OperationInfo info{.id = record.id,
                     .state = record.state,
                     .sequential = record.sequential,
                     .sealed = record.sealed,
                     .reason = record.reason,
                     .begun_at = record.begun_at,
                     .deadline = record.deadline == 0 ? 0 : wall_of(record.deadline),
                     .ended_at = record.ended_at,
                     .members = {}};
  info.members.reserve(operation.members.size());
  for (const auto& member : operation.members) {
    info.members.push_back(
        {member.record.event, member.record.state, member.record.done_at, member.record.undone_at});
  }
  return info;
}

Result<OperationInfo> EventReader::operation(OperationId id) const {
  const std::lock_guard lock(mutex_);
  const auto* operation = ledger_.operations.find(id);
  if (operation != nullptr) return info_of(*operation);
  return core::unknown_operation(id);
}

std::vector<OperationInfo> EventReader::operations() const {
  std::vector<OperationInfo> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, operation] : ledger_.operations.all()) all.push_back(info_of(operation));
  return all;
}

Status EventReader::visit_dead_letters(
    const DeadLetterFilter& filter,
    const std::function<bool(model::DeadLetterRecord&&)>& visitor) const {
  HOLDFAST_TRY(check(filter));
  journal::DeadLetters spec;
  if (!filter.subscription.empty()) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, subscription] : ledger_.subscriptions) {
      if (subscription->durable && subscription->record.name == filter.subscription) {
        spec.subscription = id;
      }
    }
    if (!spec.subscription.has_value()) {
      return Status(StatusCode::not_found,
                    "there is no subscription named \"" + filter.subscription + "\"");
    }
  }
  if (filter.limit == 0) return {};
  return journal_.scan(spec, [&](model::Record&& record) {
    auto& letter = std::get<model::DeadLetterRecord>(record);
    const auto view = letter.chunk->event(letter.event.sequence);
    if (filter.id.has_value() && *filter.id != letter.event) return true;
    if (!core::any_pattern_matches(filter.types, view.type)) return true;
    return visitor(std::move(letter));
  });
}

Result<std::vector<model::DeadLetterRecord>> EventReader::dead_letter_records(
    const DeadLetterFilter& filter,
    const std::optional<core::DeadLetterIndex::Name>& behind) const {
  std::vector<model::DeadLetterRecord> letters;
  HOLDFAST_TRY(visit_dead_letters(filter, [&](model::DeadLetterRecord&& letter) {
    if (behind.has_value() && std::pair(letter.subscription, letter.event) <= *behind) return true;
    letters.push_back(std::move(letter));
    return letters.size() < filter.limit;
  }));
  return letters;
}

Status EventReader::scan_dead_letters(const DeadLetterFilter& filter,
                                      const DeadLetterVisitor& visitor) const {
  auto left = filter.limit;
  GuardedVisitor guarded(visitor);
  HOLDFAST_TRY(guarded.status());
  HOLDFAST_TRY(visit_dead_letters(filter, [&](model::DeadLetterRecord&& record) {
    DeadLetter letter{.subscription = {},
                      .id = record.event,
                      .attempts = record.attempts,
                      .reason = std::move(record.reason),
                      .died_at = record.died_at,
                      .event = record.chunk->event(record.event.sequence).to_owned()};
    {
      const std::lock_guard lock(mutex_);
      const auto* subscription = ledger_.find(record.subscription);
      // It was removed since the scan began, and its letters with it.
      if (subscription == nullptr) return true;
      letter.subscription = subscription->record.name;
    }
    --left;
    return guarded(letter) && left > 0;
  }));
  return guarded.status();
}

Result<std::vector<DeadLetter>> EventReader::dead_letters(const DeadLetterFilter& filter) const {
  std::vector<DeadLetter> letters;
  HOLDFAST_TRY(scan_dead_letters(filter, [&](const DeadLetter& letter) {
    letters.push_back(letter);
    return true;
  }));
  return letters;
}

Result<std::optional<std::string>> EventReader::state(std::string_view name,
                                                      std::string_view key) const {
  HOLDFAST_TRY(core::check_name(name, "state name"));
  HOLDFAST_TRY(core::check_state_key(key));
  HOLDFAST_ASSIGN(auto found,
                  journal_.find(journal::StateRef{std::string(name), std::string(key)}));
  if (!found.has_value()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(std::get<model::StateRecord>(*found).value));
}

Status EventReader::scan_state(
    std::string_view name, std::string_view prefix,
    const std::function<bool(std::string_view, std::string_view)>& visitor) const {
  HOLDFAST_TRY(core::check_name(name, "state name"));
  GuardedVisitor guarded(visitor);
  HOLDFAST_TRY(guarded.status());
  HOLDFAST_TRY(journal_.scan(journal::StateRange{std::string(name), std::string(prefix)},
                             [&](model::Record&& record) {
                               const auto& state = std::get<model::StateRecord>(record);
                               return guarded(state.key, state.value);
                             }));
  return guarded.status();
}

}  // namespace holdfast::runtime
