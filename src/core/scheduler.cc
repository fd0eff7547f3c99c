// SPDX-License-Identifier: MIT
#include "core/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/gate.h"

namespace holdfast::core {

void Scheduler::offer(CommitNumber commit) {
  auto& pending = ledger_.pending_offers;
  while (!pending.empty() && pending.front().commit <= commit) {
    auto offer = std::move(pending.front());
    pending.pop_front();
    const auto lane = offer.chunk->lane();
    const auto from = ledger_.lanes[lane].offered;
    const auto end = offer.chunk->last() + 1;
    if (ageing_.enabled() && lane != Priority::critical) {
      ledger_.lanes[lane].offer_times.note(from, end, now_.bus, ageing_.max_wait(lane) / 8);
    }
    for (auto& route : offer.routes) {
      auto* subscription = ledger_.find(route.subscription);
      if (subscription == nullptr) continue;
      auto& state = subscription->lanes[lane];
      const bool room =
          subscription->is_served() && (ledger_.has_room() || state.window_count() == 0);
      route.span.since = now_.bus;
      state.offer(route.span, room);
      list(*subscription, lane);
      want_refill(*subscription, lane);
    }
    ledger_.lanes[lane].offered = end;
  }
}

bool Scheduler::is_full(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  // Once full it stays so until answers come, or what is less urgent could be taken before it.
  if (state.waits_for_answers) return true;
  if (subscription.durable || state.parked == 0) return state.is_full();
  // What an ephemeral one has put off is nowhere but in memory.
  return state.is_full() || state.parked >= kEphemeralParkedMax || !ledger_.has_room();
}

void Scheduler::note_full(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (state.has_due() || !is_full(subscription, lane)) return;
  if (!std::exchange(state.waits_for_answers, true)) {
    full_rows_.emplace_back(subscription.record.id, lane);
  }
}

void Scheduler::list(SubscriptionState& subscription, Priority lane, std::uint64_t turn) {
  auto& state = subscription.lanes[lane];
  if (subscription.stretch_lane.has_value() && lane <= *subscription.stretch_lane &&
      (state.has_due() || (lane < *subscription.stretch_lane && state.window_count() > 0))) {
    overtaken_.push_back(subscription.record.id);
  }
  if (!subscription.is_served() || state.listed) return;
  if (!state.has_due() && (state.window_count() == 0 || is_full(subscription, lane))) {
    return note_full(subscription, lane);
  }
  if (subscription.batch_linger > 0 && lingers(subscription)) return;
  state.listed = true;
  Row row{subscription.record.id, turn, 0};
  std::size_t level = 0;
  if (ageing_.enabled() && lane != Priority::critical) {
    // Without anything due there is a window, or it would not be listed.
    row.since = state.has_due() ? ready_since(subscription, lane)
                                : std::max(state.window_since(), subscription.ready_from);
    level = ageing_.level(lane, row.since, now_.bus);
    next_move_ = std::min(next_move_, ageing_.next(lane, level, row.since));
    if (level > 0) ++aged_;
    state.listed_since = row.since;
  }
  ready_[lane][level].push_back(row);
  if (subscription.batch_linger > 0) list_beside(subscription);
}

/// What is read from disk, and what waited for a suspect to end, may have waited for longer than
/// what it is listed for.
void Scheduler::note_older(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (!state.listed || !ageing_.enabled() || lane == Priority::critical) return;
  const auto since = ready_since(subscription, lane);
  if (since >= state.listed_since) return;
  state.listed_since = since;
  for (std::size_t level = 0; level < AgeingRule::level_max(lane); ++level) {
    for (auto& row : ready_[lane][level]) {
      if (row.subscription != subscription.record.id) continue;
      row.since = since;
      next_move_ = std::min(next_move_, ageing_.next(lane, level, since));
    }
  }
}

void Scheduler::refresh(SubscriptionState& subscription) {
  for (const auto lane : kAllPriorities) {
    list(subscription, lane);
    note_older(subscription, lane);
    want_refill(subscription, lane);
    want_parked_refill(subscription, lane);
  }
}

/// Parked events that are due are on disk, and none in memory.
bool Scheduler::is_behind(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  return !state.damaged && !state.has_due() &&
         std::any_of(std::begin(model::kDueClocks), std::end(model::kDueClocks),
                     [&](model::DueClock clock) {
                       return state.delayed[clock].is_behind(model::due_now(clock, now_));
                     });
}

bool Scheduler::has_slot(const SubscriptionState& subscription, Priority lane) {
  if (subscription.in_flight >= subscription.concurrency) return false;
  if (lane == Priority::critical || subscription.concurrency < 2) return true;
  return subscription.in_flight_less_urgent + 1 < subscription.concurrency;
}

bool Scheduler::waits_for_others(const SubscriptionState& subscription, Priority lane,
                                 Priority effective) const {
  for (const auto urgent : kAllPriorities) {
    if (urgent >= effective) break;
    const auto& state = subscription.lanes[urgent];
    if ((state.unknown() && !state.damaged) || is_behind(subscription, urgent) ||
        (state.window_count() > 0 && is_full(subscription, urgent))) {
      return true;
    }
  }
  return is_behind(subscription, lane);
}

bool Scheduler::due_may_run(const DeliveryLane& lane) const {
  return lane.has_due() && !(lane.first_due().suspect && suspect_running_);
}

bool Scheduler::window_may_run(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  return state.window_count() > 0 && !state.stalled && !is_full(subscription, lane);
}

bool Scheduler::can_take(const SubscriptionState& subscription, Priority lane,
                         Priority effective) const {
  if (!subscription.is_served() || !has_slot(subscription, lane) ||
      waits_for_others(subscription, lane, effective)) {
    return false;
  }
  return due_may_run(subscription.lanes[lane]) || window_may_run(subscription, lane);
}

base::BusTime Scheduler::ready_since(const SubscriptionState& subscription, Priority lane) const {
  const auto& state = subscription.lanes[lane];
  auto since = AgeingRule::kNever;
  if (due_may_run(state)) since = state.first_due().since;
  if (window_may_run(subscription, lane)) since = std::min(since, state.window_since());
  // What waits for a suspect to end is not ready.
  return since == AgeingRule::kNever ? now_.bus : std::max(since, subscription.ready_from);
}

/// What has put the row at this level goes first, and not what has just become due.
bool Scheduler::goes_before_due(const SubscriptionState& subscription, const Place& place) const {
  if (place.level == 0 || !window_may_run(subscription, place.lane)) return false;
  const auto& state = subscription.lanes[place.lane];
  const auto level_of = [&](base::BusTime since) {
    return ageing_.level(place.lane, std::max(since, subscription.ready_from), now_.bus);
  };
  return level_of(state.first_due().since) < place.level &&
         level_of(state.window_since()) >= place.level;
}

SubscriptionState* Scheduler::find_front(const Place& place, Priority effective) {
  auto& rows = ready_[place.lane][place.level];
  // What cannot run now leaves the list; whatever makes it ready again lists it again.
  for (auto left = rows.size(); left > 0; --left) {
    auto* subscription = ledger_.find(rows.front().subscription);
    if (subscription == nullptr) {
      unlist_front(place, nullptr);
      continue;
    }
    if (has_keys(*subscription, place.lane)) hold_back(*subscription, place.lane);
    if (place.level > 0 &&
        ageing_.level(place.lane, ready_since(*subscription, place.lane), now_.bus) < place.level) {
      // It was attached anew, or what had aged was taken for another reason.
      const auto turn = rows.front().turn;
      unlist_front(place, subscription);
      list(*subscription, place.lane, turn);
      continue;
    }
    if (can_take(*subscription, place.lane, effective)) return subscription;
    unlist_front(place, subscription);
    note_full(*subscription, place.lane);
  }
  return nullptr;
}

void Scheduler::unlist_front(const Place& place, SubscriptionState* subscription) {
  ready_[place.lane][place.level].pop_front();
  if (place.level > 0) --aged_;
  if (subscription != nullptr) subscription->lanes[place.lane].listed = false;
}

Lease Scheduler::take_front(const Place& place, SubscriptionState& subscription) {
  unlist_front(place, &subscription);
  auto lease = take_from(subscription, place);
  if (others_ != nullptr && subscription.batch_size > 1) {
    take_others(subscription, place, lease);
  } else if (others_ != nullptr && in_stretches_ && subscription.stretch_max > 1) {
    take_stretch(subscription, place, lease);
  }
  list(subscription, place.lane);
  want_refill(subscription, place.lane);
  want_parked_refill(subscription, place.lane);
  give_turns(subscription);
  return lease;
}

std::optional<Scheduler::Place> Scheduler::first_place(Priority worker_class) {
  for (const auto lane : kAllPriorities) {
    if (lane > worker_class) break;
    const Place place{lane, 0};
    if (find_front(place) != nullptr) return place;
  }
  return std::nullopt;
}

std::optional<Lease> Scheduler::take(Priority worker_class, std::vector<Lease>* others,
                                     bool in_stretches) {
  if (stopped_) return std::nullopt;
  others_ = others;
  in_stretches_ = in_stretches;
  while (true) {
    if (now_.bus >= next_move_) move_up();
    const auto turns = turns_given_;
    const bool aged = aged_ > 0;
    const auto place = aged ? place_with_aged(worker_class) : first_place(worker_class);
    // Looking for it has made something ready that may go before it.
    if (turns != turns_given_) continue;
    if (!place.has_value()) return std::nullopt;
    if (aged) count_turn(worker_class, *place);
    return take_front(*place, *ledger_.find(front(*place).subscription));
  }
}

Lease Scheduler::take_from(SubscriptionState& subscription, const Place& place) {
  const auto lane = place.lane;
  auto& state = subscription.lanes[lane];
  Lease lease;
  lease.subscription = subscription.record.id;
  lease.generation = subscription.generation;
  lease.number = ++last_lease_;
  if (due_may_run(state) && !goes_before_due(subscription, place)) {
    lease.event = {lane, state.first_due_sequence()};
    auto due = state.take_due();
    lease.attempt = due.attempts + 1;
    lease.chunk = std::move(due.chunk);
    lease.ticket = due.ticket;
    lease.parked = due.parked;
    lease.due = due.due;
    lease.suspect = due.suspect;
    lease.started = due.started;
    lease.cleanup = due.cleanup;
    lease.since = due.since;
    if (due.parked) {
      subscription.parked_in_flight.insert_or_assign(
          lease.event,
          SubscriptionState::ParkedInFlight{due.due, false, due.cleanup, lease.number});
    } else {
      state.set_lease(lease.ticket, lease.number);
    }
    suspect_running_ = suspect_running_ || due.suspect;
  } else {
    lease.since = state.window_since();
    auto taken = state.take();
    lease.event = {lane, taken.sequence};
    lease.chunk = std::move(taken.chunk);
    lease.ticket = taken.ticket;
    state.set_lease(lease.ticket, lease.number);
  }
  lease.asks = needs_gate(ledger_, lease);
  const bool seen = lease.started || lease.cleanup;
  set_idle(subscription, lease, lease.asks && !seen);
  note_running(subscription, lease);
  ++state.leased;
  ++subscription.in_flight;
  if (lane != Priority::critical) ++subscription.in_flight_less_urgent;
  return lease;
}

// --- While something has aged -------------------------------------------------------------------

void Scheduler::move_up() {
  next_move_ = AgeingRule::kNever;
  for (const auto lane : {Priority::high, Priority::normal, Priority::low}) {
    for (std::size_t level = 0; level < AgeingRule::level_max(lane); ++level) {
      auto& rows = ready_[lane][level];
      for (auto left = rows.size(); left > 0; --left) {
        const auto row = rows.front();
        const auto next = ageing_.next(lane, level, row.since);
        if (next > now_.bus) {
          rows.pop_front();
          rows.push_back(row);
          next_move_ = std::min(next_move_, next);
          continue;
        }
        auto* subscription = ledger_.find(row.subscription);
        unlist_front({lane, level}, subscription);
        if (subscription != nullptr) list(*subscription, lane, row.turn);
      }
    }
  }
}

bool Scheduler::has_aged(Priority lane) const noexcept {
  return !ready_[lane][1].empty() || !ready_[lane][2].empty();
}

std::optional<Scheduler::Place> Scheduler::place_with_aged(Priority worker_class) {
  const auto place = place_whose_turn_it_is(worker_class);
  return place.has_value() ? place : most_urgent_place(worker_class);
}

std::optional<Scheduler::Place> Scheduler::place_whose_turn_it_is(Priority worker_class) {
  for (const auto lane : {Priority::low, Priority::normal, Priority::high}) {
    if (lane > worker_class || passed_over_[lane] + 1 < kTakesPerTurn) continue;
    for (auto level = AgeingRule::level_max(lane); level > 0; --level) {
      // Before everything, so that there is nothing to wait for.
      if (find_front({lane, level}, Priority::critical) != nullptr) return Place{lane, level};
    }
  }
  return std::nullopt;
}

std::optional<Scheduler::Place> Scheduler::best_of(Priority lane) {
  for (auto level = AgeingRule::level_max(lane) + 1; level-- > 0;) {
    if (find_front({lane, level}) != nullptr) return Place{lane, level};
  }
  return std::nullopt;
}

std::optional<Scheduler::Place> Scheduler::most_urgent_place(Priority worker_class) {
  std::optional<Place> best;
  auto others = Priority::low;  // the most urgent of the lanes that are not the best one's
  for (const auto lane : kAllPriorities) {
    if (lane > worker_class) break;
    const auto found = best_of(lane);
    if (!found.has_value()) continue;
    if (!best.has_value()) {
      best = found;
      continue;
    }
    const bool older = front(*found).since < front(*best).since;
    const bool before = found->effective() < best->effective() ||
                        (found->effective() == best->effective() && older);
    others = std::min(others, before ? best->effective() : found->effective());
    if (before) best = found;
  }
  if (!best.has_value()) return std::nullopt;
  // Of the lane that goes first, subscriptions take turns, as far as they go before other lanes.
  auto next = *best;
  for (std::size_t level = 0; level < best->level; ++level) {
    const Place place{best->lane, level};
    if (place.effective() > others || find_front(place) == nullptr) continue;
    if (front(place).turn < front(next).turn) next = place;
  }
  return next;
}

void Scheduler::count_turn(Priority worker_class, const Place& taken) {
  for (const auto lane : {Priority::high, Priority::normal, Priority::low}) {
    if (lane > worker_class) break;
    if (lane == taken.lane && taken.level > 0) {
      passed_over_[lane] = 0;
    } else if (has_aged(lane)) {
      ++passed_over_[lane];
    }
  }
}

// --- What happens to what was taken -------------------------------------------------------------

void Scheduler::finish(const Lease& lease) {
  if (lease.suspect) suspect_running_ = false;
  if (auto* subscription = find_current(lease); subscription != nullptr) {
    --subscription->lanes[lease.event.priority].leased;
    if (!lease.beside) free_slot(*subscription, lease.event.priority);
    refresh(*subscription);
  }
  if (!lease.suspect) return;
  for (auto& [id, other] : ledger_.subscriptions) refresh(*other);
}

SubscriptionState* Scheduler::find_current(const Lease& lease) {
  auto* subscription = ledger_.find(lease.subscription);
  return subscription != nullptr && subscription->generation == lease.generation ? subscription
                                                                                 : nullptr;
}

void Scheduler::free_slot(SubscriptionState& subscription, Priority lane) {
  --subscription.in_flight;
  if (lane != Priority::critical) --subscription.in_flight_less_urgent;
}

void Scheduler::finish_some(const Lease& first, std::size_t count) {
  auto* subscription = find_current(first);
  if (subscription != nullptr) subscription->lanes[first.event.priority].leased -= count;
}

void Scheduler::recall_stretch(const Lease& first, std::span<const Lease> left) {
  auto* subscription = find_current(first);
  if (subscription == nullptr) return;
  subscription->stretch_lane.reset();
  subscription->lanes[first.event.priority].leased -= left.size();
  std::for_each(left.rbegin(), left.rend(), [this](const Lease& lease) { give_back(lease); });
}

void Scheduler::finish_stretch(const Lease& first) {
  auto* subscription = find_current(first);
  if (subscription == nullptr) return;
  free_slot(*subscription, first.event.priority);
  refresh(*subscription);
}

void Scheduler::give_back(const Lease& lease) {
  auto* subscription = find_current(lease);
  const bool is_new = lease.attempt == 1 && !lease.parked && !lease.suspect && !lease.started &&
                      !lease.cleanup && !lease.chunk->keyed();
  // In the window nothing goes before it that did not before.
  if (subscription != nullptr && is_new &&
      subscription->lanes[lease.event.priority].untake(
          lease.ticket,
          {lease.chunk, lease.event.sequence, lease.event.sequence + 1, lease.since})) {
    return refresh(*subscription);
  }
  put_back(lease, lease.started, lease.since);
}

void Scheduler::put_back(const Lease& lease, bool started, base::BusTime since) {
  auto* subscription = find_current(lease);
  if (subscription == nullptr) return;
  auto& state = subscription->lanes[lease.event.priority];
  // It may have been parked meanwhile, for having held up the floor.
  const auto parked = subscription->parked_in_flight.extract(lease.event);
  if (parked.empty() && !state.is_taken(lease.ticket)) return;
  if (parked.empty()) state.give_up(lease.ticket, started);
  state.put_due(lease.event.sequence, {.parked = !parked.empty(),
                                       .suspect = lease.suspect,
                                       .started = started,
                                       .cleanup = lease.cleanup,
                                       .attempts = lease.attempt - 1,
                                       .due = parked.empty() ? 0 : parked.mapped().due,
                                       .chunk = lease.chunk,
                                       .ticket = lease.ticket,
                                       .since = since});
  subscription->keys.set_waiting(lease.event);
  give_turns(*subscription);
  refresh(*subscription);
}

void Scheduler::answered() {
  for (const auto id : std::exchange(ledger_.key_changes, {})) {
    if (auto* subscription = ledger_.find(id); subscription != nullptr) give_turns(*subscription);
  }
  for (const auto& [id, lane] : std::exchange(full_rows_, {})) {
    auto* subscription = ledger_.find(id);
    if (subscription == nullptr) continue;
    subscription->lanes[lane].waits_for_answers = false;
    refresh(*subscription);
  }
}

void Scheduler::advance(const base::Now& now) {
  const auto bus = std::max(now_.bus, now.bus);
  now_ = now;
  now_.bus = bus;
  end_lingering();
  read_again();
  for (const auto clock : model::kDueClocks) {
    auto& timers = ledger_.timers[clock];
    const auto until = model::due_now(clock, now_);
    while (!timers.empty() && timers.begin()->due <= until) {
      const auto timer = *timers.begin();
      auto& subscription = *ledger_.find(timer.subscription);
      auto& state = subscription.lanes[timer.lane];
      while (auto due = state.delayed[clock].take_due(until)) {
        auto& [key, entry] = *due;
        // Setting the wall clock makes nothing older.
        const auto since = clock == model::DueClock::bus ? key.due : now_.bus;
        state.put_due(key.sequence, {.parked = true,
                                     .suspect = entry.suspect,
                                     .started = entry.started,
                                     .cleanup = entry.cleanup,
                                     .attempts = entry.attempts,
                                     .due = key.due,
                                     .chunk = std::move(entry.chunk),
                                     .ticket = 0,
                                     .since = since});
      }
      ledger_.set_timer(subscription, timer.lane);
      refresh(subscription);
    }
  }
}

std::optional<base::BusTime> Scheduler::next_due() const {
  std::optional<base::BusTime> next;
  const auto note = [&next](std::optional<base::BusTime> due) {
    if (due.has_value() && (!next.has_value() || *due < *next)) next = due;
  };
  note(ledger_.cancellations.next_deadline());
  note(ledger_.operations.next_deadline());
  for (const auto clock : model::kDueClocks) {
    const auto& timers = ledger_.timers[clock];
    if (timers.empty()) continue;
    const auto wait = timers.begin()->due - model::due_now(clock, now_);
    note(wait > 0 ? model::due_at_bus(now_.bus) + wait : now_.bus);
  }
  note(next_linger());
  if (!unreadable_.empty()) note(unreadable_.front().until);
  return next;
}

void Scheduler::stop(bool stopped) {
  stopped_ = stopped;
  if (stopped) return;
  for (auto& [id, subscription] : ledger_.subscriptions) refresh(*subscription);
}

std::optional<Priority> Scheduler::most_urgent_work() const noexcept {
  for (const auto lane : kAllPriorities) {
    const auto& ready = ready_[lane];
    if (!refills_[lane].empty() || !parked_refills_[lane].empty() ||
        (!stopped_ && (!ready[0].empty() || !ready[1].empty() || !ready[2].empty()))) {
      return lane;
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::core
