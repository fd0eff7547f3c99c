// SPDX-License-Identifier: MIT
#include "core/commit_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/assert.h"
#include "core/retry.h"

namespace holdfast::core {

CommitPlan::CommitPlan(Ledger& ledger, const Place& place, base::Now now,
                       std::function<double()> random)
    : ledger_(ledger), now_(now), random_(std::move(random)) {
  commit_.epoch = place.epoch;
  commit_.number = place.number;
  commit_.durable_known = place.durable_known;
  commit_.written_at = now;
}

// --- Publishing ---------------------------------------------------------------------------------

void CommitPlan::append(std::string_view record, const model::EncodedEvents::Entry& entry,
                        BatchId batch, const model::OrderKey& key) {
  const auto lane = entry.lane;
  auto& chunk = chunks_[lane];
  if (chunk.builder.full_for(record.size())) close_chunk(lane);
  const auto sequence = ledger_.lanes[lane].next++;
  if (chunk.builder.count() == 0) chunk.first = sequence;
  chunk.builder.add(record, entry, index_++, batch, key);
}

void CommitPlan::publish(const model::EncodedEvents& events, bool atomic_batch,
                         std::vector<EventId>& ids, std::vector<Duplicate>* duplicates) {
  const auto batch = atomic_batch ? model::make_batch_id(commit_.number, index_) : BatchId{};
  if (atomic_batch) last_batch_ = batch;
  const auto next_use = ledger_.idempotency.range().next;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (const auto* first = first_of(events, i, next_use); first != nullptr) {
      ids.push_back(first->event);
      if (duplicates != nullptr) {
        duplicates->push_back({i, first->commit, first->batch, first->token});
      }
      continue;
    }
    const auto& entry = events.entry(i);
    ids.push_back({entry.lane, ledger_.lanes[entry.lane].next});
    const auto* admission = events.admission(i);
    append(events.record(i), entry, batch, order_key(events, i, ids.back()));
    if (admission == nullptr) continue;
    note_published(admission->token, ids.back());
    note_key(events, i, ids.back(), batch);
    note_member(*admission, ids.back());
  }
}

void CommitPlan::close_chunk(Priority lane) {
  auto& open = chunks_[lane];
  if (open.builder.count() == 0) return;
  auto chunk = open.builder.finish({lane, open.first}, commit_.number, now_.wall);
  add(model::Append{chunk});
  // The journal's own hold on it, if it keeps one, is not the delivery's.
  route(ledger_.metered(std::move(chunk)));
}

void CommitPlan::route(const ChunkPtr& chunk) {
  const auto lane = chunk->lane();
  auto& retention = *ledger_.lanes[lane].retention;
  auto routes = ledger_.router.route(chunk, [&](Sequence sequence, bool claimed) {
    for (const auto& mark : retention.note(sequence, chunk->record_bytes(sequence),
                                           {chunk->published_at(), now_.bus}, claimed)) {
      add(model::PutRetentionMark{mark});
      marked_ = true;
    }
  });
  for (const auto& route : routes) {
    auto* subscription = ledger_.find(route.subscription);
    subscription->lanes[lane].owed += route.span.end - route.span.next;
  }
  ledger_.pending_offers.push_back({commit_.number, chunk, std::move(routes)});
}

void CommitPlan::put_state(std::string name, std::string key, std::optional<std::string> value) {
  ledger_.state_versions.note_write(name, key, commit_.number);
  if (value.has_value()) {
    add(model::PutState{std::move(name), std::move(key), *std::move(value)});
  } else {
    add(model::EraseState{std::move(name), std::move(key)});
  }
}

// --- Answers ------------------------------------------------------------------------------------

void CommitPlan::touch(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  if (state.dirty || !subscription.durable) return;
  state.dirty = true;
  touched_.emplace_back(subscription.record.id, lane);
}

bool CommitPlan::holds(SubscriptionState& subscription, Answer& answer) const {
  auto& lease = answer.lease;
  if (subscription.generation != lease.generation) return false;
  const auto& lane = subscription.lanes[lease.event.priority];
  if (!lease.parked && lane.is_held(lease.ticket, lease.number)) return true;
  // Either it came from its parked copy, or it was parked while the handler ran.
  const auto parked = subscription.parked_in_flight.find(lease.event);
  if (parked == subscription.parked_in_flight.end() || parked->second.released ||
      parked->second.lease != lease.number) {
    return false;
  }
  lease.parked = true;
  lease.due = parked->second.due;
  return true;
}

/// With `keep` its copy stays, in case that its operation goes back.
void CommitPlan::settle(SubscriptionState& subscription, const Lease& lease, bool keep) {
  auto& lane = subscription.lanes[lease.event.priority];
  if (keep) keep_for_undo(subscription, lease);
  if (lease.parked) {
    subscription.parked_in_flight.erase(lease.event);
    lane.delayed[model::clock_of(lease.due)].remove({lease.due, lease.event.sequence});
    --lane.parked;
    lane.parked_events.remove(lease.event.sequence);
    if (subscription.durable && !keep) {
      add(model::EraseSettlement{lease.subscription, lease.event, lease.due});
    }
  } else {
    lane.settle(lease.ticket);
  }
  --lane.owed;
  if (lease.cleanup) subscription.compensations.erase(lease.event);
  touch(subscription, lease.event.priority);
  note_ended(subscription, lease);
  subscription.keys.erase(lease.event);
  note_key_change(subscription);
}

void CommitPlan::park(SubscriptionState& subscription, const Lease& lease, Parking parking) {
  auto& lane = subscription.lanes[lease.event.priority];
  const auto due = parking.due;
  if (subscription.durable) {
    add(model::PutSettlement{{.subscription = lease.subscription,
                              .event = lease.event,
                              .attempts = parking.attempts,
                              .due = due,
                              .suspect = parking.suspect,
                              .last_error = std::move(parking.error),
                              .started = parking.started,
                              .cleanup = parking.cleanup,
                              .place = subscription.keys.place(lease.event)},
                             lease.parked ? nullptr : lease.chunk->extract(lease.event.sequence),
                             lease.due});
  }
  if (lease.parked) {
    subscription.parked_in_flight.erase(lease.event);
    lane.delayed[model::clock_of(lease.due)].remove({lease.due, lease.event.sequence});
  } else {
    leave_row(subscription, lease.event, lease.ticket);
  }
  if (model::is_paused_due(due)) ++lane.paused;
  // Of an ephemeral one it is all there is; its neighbours in the chunk need not stay for it.
  auto copy =
      subscription.durable ? nullptr : ledger_.metered(lease.chunk->extract(lease.event.sequence));
  wait_until(
      due, subscription, lease.event,
      {parking.attempts, parking.suspect, parking.started, parking.cleanup, std::move(copy)});
  note_begun(subscription, lease.event, parking.started || parking.cleanup);
  touch(subscription, lease.event.priority);
  subscription.keys.set_waiting(lease.event);
  note_key_change(subscription);
}

void CommitPlan::leave_row(SubscriptionState& subscription, EventId event,
                           DeliveryLane::Ticket ticket) {
  auto& lane = subscription.lanes[event.priority];
  lane.settle(ticket);
  ++lane.parked;
  lane.parked_events.add(event.sequence);
  touch(subscription, event.priority);
}

void CommitPlan::wait_until(model::DueTime due, SubscriptionState& subscription, EventId event,
                            ParkedWindow::Entry entry) {
  const auto lane = event.priority;
  subscription.lanes[lane].delayed[model::clock_of(due)].add(
      {due, event.sequence}, std::move(entry), ledger_.parked_in_memory_max());
  ledger_.set_timer(subscription, lane);
}

void CommitPlan::bury(SubscriptionState& subscription, const Lease& lease, std::uint32_t attempts,
                      const std::string& reason) {
  ++subscription.rejected;
  subscription.last_error = reason;
  // What an ephemeral subscription gives up on is nobody's dead letter: nothing of it is stored.
  if (subscription.durable) {
    add(model::PutDeadLetter{{.subscription = lease.subscription,
                              .event = lease.event,
                              .attempts = attempts,
                              .reason = reason,
                              .died_at = now_.wall,
                              .chunk = lease.chunk->extract(lease.event.sequence),
                              .cleanup = lease.cleanup,
                              .started = lease.started_then()}});
    const DeadLetterIndex::Name name{lease.subscription, lease.event};
    // It takes the place of another when what had been given up is compensated, and that is too.
    if (ledger_.dead_letters.contains(name)) {
      ledger_.dead_letters.erase(name);
    } else {
      ++subscription.lanes[lease.event.priority].dead;
    }
    ledger_.dead_letters.add(name);
  }
  settle(subscription, lease, is_kept(subscription, lease));
  note_member_ended(subscription, lease, Settled::dead, reason);
}

CommitPlan::Settlement CommitPlan::fail(SubscriptionState& subscription, const Lease& lease,
                                        std::optional<std::int64_t> delay,
                                        const std::string& reason) {
  subscription.last_error = reason;
  if (lease.attempt >= subscription.retry.attempts_max) {
    bury(subscription, lease, lease.attempt, reason.empty() ? "failed" : reason);
    return {Settlement::Effect::settled, Settled::dead, {}};
  }
  ++subscription.retried;
  const auto wait = delay.has_value() ? clamp_delay(std::chrono::nanoseconds(*delay))
                                      : backoff(subscription.retry, lease.attempt, random_());
  park(subscription, lease,
       {lease.attempt, in(wait.count()), reason, lease.started_then(), lease.cleanup});
  return {Settlement::Effect::parked, Settled::acked, {}};
}

/// This lease has ended; with one that was superseded somebody else may have the event.
void CommitPlan::forget_running(const Lease& lease) {
  if (lease.token.value == 0) return;
  const auto* subscription = ledger_.find(lease.subscription);
  if (subscription != nullptr && subscription->is_leased(lease.event) &&
      !subscription->is_held(lease.event, lease.number)) {
    return;
  }
  if (auto* token = ledger_.cancellations.find(lease.token); token != nullptr) {
    token->running.erase({lease.event, lease.subscription});
  }
}

CommitPlan::Settlement CommitPlan::answer(Answer& answer) {
  using Effect = Settlement::Effect;
  auto* subscription = ledger_.find(answer.lease.subscription);
  const auto& lease = answer.lease;
  forget_running(lease);
  if (subscription == nullptr || !holds(*subscription, answer)) return {Effect::stale, {}, {}};
  if (!lease.cleanup && ledger_.cancellations.is_cancelled(lease.event, lease.token)) {
    return refuse_cancelled(*subscription, answer);
  }
  // With the ack alone: a rejected event can be redriven, and then its effect would happen twice.
  TxEffect tx;
  if (answer.tx != nullptr && answer.kind == Answer::Kind::ack) {
    tx = apply(*subscription, *answer.tx);
    if (!tx.failed.ok()) return fail(*subscription, lease, std::nullopt, tx.failed.to_string());
    if (tx.outdated) return {Effect::run_again, {}, {}};
  }
  auto settlement = apply(*subscription, answer);
  settlement.published = std::move(tx.published);
  settlement.duplicates = std::move(tx.duplicates);
  return settlement;
}

CommitPlan::TxEffect CommitPlan::apply(SubscriptionState& subscription, TxWrites& tx) {
  TxEffect effect;
  if (!tx.status.ok()) {
    effect.failed = tx.status;
    return effect;
  }
  if (ledger_.state_versions.changed_since(tx.reads)) {
    ++subscription.refused_tx;
    effect.outdated = true;
    return effect;
  }
  for (std::size_t i = 0; i < tx.events.size(); ++i) {
    effect.failed = admit(tx.events, i);
    if (!effect.failed.ok()) return effect;
  }
  publish(tx.events, false, effect.published, &effect.duplicates);
  for (auto& write : tx.state) {
    put_state(std::move(write.name), std::move(write.key), std::move(write.value));
  }
  return effect;
}

/// Of an answer that counts, without its tx.
CommitPlan::Settlement CommitPlan::apply(SubscriptionState& subscription, const Answer& answer) {
  using Effect = Settlement::Effect;
  const auto& lease = answer.lease;
  switch (answer.kind) {
    case Answer::Kind::ack:
      return end(subscription, lease, lease.cleanup ? Settled::cancelled : Settled::acked);
    case Answer::Kind::skip: return end(subscription, lease, Settled::skipped);
    case Answer::Kind::drop: return end(subscription, lease, answer.how);
    case Answer::Kind::hold: hold(subscription, lease); return {Effect::parked, {}, {}};
    case Answer::Kind::postpone:
      park(subscription, lease,
           {lease.attempt - 1, answer.until, answer.reason, lease.started, lease.cleanup,
            lease.suspect});
      return {Effect::parked, {}, {}};
    case Answer::Kind::reject:
      bury(subscription, lease, lease.attempt, answer.reason);
      return {Effect::settled, Settled::dead, {}};
    case Answer::Kind::retry: return fail(subscription, lease, answer.delay, answer.reason);
    case Answer::Kind::abandon: return fail(subscription, lease, std::nullopt, answer.reason);
    case Answer::Kind::snooze:
      park(subscription, lease,
           {lease.attempt - 1,
            in(clamp_delay(std::chrono::nanoseconds(answer.delay.value_or(0))).count()),
            answer.reason, lease.started_then(), lease.cleanup, lease.suspect});
      return {Effect::parked, {}, {}};
    case Answer::Kind::release:
      if (answer.stop == StopReason::cancelled) {
        // It was asked to stop by a cancel that came to nothing.
        park(subscription, lease,
             {lease.attempt - 1, in(0), {}, lease.started_then(), lease.cleanup, lease.suspect});
        return {Effect::parked, {}, {}};
      }
      if (lease.parked) {
        subscription.parked_in_flight.at(lease.event).released = true;
      } else {
        subscription.lanes[lease.event.priority].release(lease.ticket);
      }
      subscription.keys.set_waiting(lease.event);
      return {Effect::released, {}, {}};
  }
  return {Effect::stale, {}, {}};
}

CommitPlan::Settlement CommitPlan::abandon(const Lease& lease, std::string reason) {
  Answer answer;
  answer.lease = lease;
  answer.kind = Answer::Kind::abandon;
  answer.reason = std::move(reason);
  answer.stop = StopReason::timed_out;
  return this->answer(answer);
}

void CommitPlan::park_overdue(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  while (const auto oldest = state.overdue()) {
    const EventId event{lane, oldest->sequence};
    const bool released = !state.is_in_row(oldest->sequence);
    const bool idle = !state.is_with_handler(oldest->sequence);
    // Due at once if this run ends here; while it goes on the handler's answer still counts.
    if (subscription.durable) {
      add(model::PutSettlement{{.subscription = subscription.record.id,
                                .event = event,
                                .attempts = 0,
                                .due = in(0),
                                .suspect = false,
                                .last_error = {},
                                .started = oldest->begun,
                                .cleanup = false,
                                .place = subscription.keys.place(event)},
                               oldest->chunk->extract(oldest->sequence)});
    }
    note_begun(subscription, event, oldest->begun);
    leave_row(subscription, event, oldest->ticket);
    if (!state.mark_due_parked(oldest->sequence, in(0)) &&
        !subscription.keys.mark_parked(event, in(0), subscription.durable)) {
      subscription.parked_in_flight.insert_or_assign(
          event, SubscriptionState::ParkedInFlight{in(0), released, false, oldest->lease, idle});
    }
  }
}

// --- Subscriptions ------------------------------------------------------------------------------

SubscriptionState& CommitPlan::create(model::SubscriptionRecord record,
                                      const PerLane<Backlog>& backlog) {
  add(model::PutSubscription{record});
  auto& subscription = ledger_.add(std::move(record), true);
  for (const auto lane : kAllPriorities) {
    subscription.lanes[lane].owed = backlog[lane].owed;
    claim(lane, backlog[lane]);
    touch(subscription, lane);
  }
  reroute_pending(subscription);
  return subscription;
}

void CommitPlan::claim(Priority lane, const Backlog& backlog) {
  std::map<Sequence, model::RetentionMark> changed;
  if (const auto mark = ledger_.lanes[lane].retention->keep_count()) {
    changed[mark->sequence] = *mark;
  }
  for (const auto& [sequence, count] : backlog.claimed) {
    const auto mark = ledger_.lanes[lane].retention->claim(sequence, count);
    if (mark.has_value()) changed[mark->sequence] = *mark;
  }
  for (const auto& [sequence, mark] : changed) add(model::PutRetentionMark{mark});
}

void CommitPlan::reroute_pending(SubscriptionState& subscription) {
  const auto id = subscription.record.id;
  for (auto& offer : ledger_.pending_offers) {
    const auto lane = offer.chunk->lane();
    const auto floor = subscription.lanes[lane].floor(ledger_.lanes[lane].offered);
    std::erase_if(offer.routes, [&](const Route& route) { return route.subscription == id; });
    for (auto sequence = std::max(offer.chunk->first(), floor); sequence <= offer.chunk->last();
         ++sequence) {
      if (!subscription.interest->wants(offer.chunk->event(sequence))) continue;
      if (!offer.routes.empty() && offer.routes.back().subscription == id &&
          offer.routes.back().span.end == sequence) {
        ++offer.routes.back().span.end;
      } else {
        offer.routes.push_back({id, {offer.chunk, sequence, sequence + 1}});
      }
    }
  }
}

void CommitPlan::change(SubscriptionState& subscription, model::SubscriptionRecord record,
                        const PerLane<std::uint64_t>& owed) {
  add(model::PutSubscription{record});
  if (!(subscription.interest->filter() == Filter(record.filter.types, record.filter.match))) {
    forget_claims();
  }
  subscription.record = std::move(record);
  ledger_.set_interest(subscription);
  for (const auto lane : kAllPriorities) {
    auto& state = subscription.lanes[lane];
    state.owed = owed[lane] + state.parked;
    touch(subscription, lane);
  }
  reroute_pending(subscription);
}

void CommitPlan::remove(SubscriptionId id) {
  add(model::EraseSubscription{id});
  ledger_.erase(id);
  forget_claims();
  std::erase_if(touched_, [&](const auto& each) { return each.first == id; });
}

void CommitPlan::set_paused(SubscriptionState& subscription, bool paused) {
  if (std::exchange(subscription.record.paused, paused) == paused) return;
  add(model::PutSubscription{subscription.record});
}

void CommitPlan::rewind(SubscriptionState& subscription, const Rewind& to) {
  const auto id = subscription.record.id;
  auto& record = subscription.record;
  record.earlier.clear();
  for (const auto lane : kAllPriorities) {
    // Never forward: what it was owed before and is not any more was wanted all the same.
    record.start[lane] = std::min(record.start[lane], to.from[lane]);
  }
  add(model::PutSubscription{record});
  ledger_.set_interest(subscription);
  add(model::EraseParked{id, to.parked_before, to.kept});
  for (const auto& event : to.dead) {
    add(model::EraseDeadLetter{id, event});
    ledger_.dead_letters.erase({id, event});
    --subscription.lanes[event.priority].dead;
  }
  ++subscription.generation;
  subscription.stretch_lane.reset();
  subscription.in_flight = 0;
  subscription.in_flight_less_urgent = 0;
  subscription.parked_in_flight.clear();
  for (const auto lane : kAllPriorities) {
    auto& state = subscription.lanes[lane];
    state.reset(to.from[lane], {}, to.from[lane] >= ledger_.lanes[lane].offered);
    state.leased = 0;
    state.parked_events.clear();
    state.paused = 0;
    for (const auto& each : to.kept) {
      if (each.event.priority != lane) continue;
      state.parked_events.add(each.event.sequence);
      if (model::is_paused_due(each.due)) ++state.paused;
    }
    state.parked = state.parked_events.size();
    state.owed = to.backlog[lane].owed + state.parked;
    claim(lane, to.backlog[lane]);
    touch(subscription, lane);
  }
  subscription.forget_taken_keys();
  reroute_pending(subscription);
}

/// What somebody had claimed who is gone, or wants other events now, looks as if nobody had.
void CommitPlan::forget_claims() {
  for (auto& lane : ledger_.lanes) {
    for (const auto& mark : lane.retention->forget_claims()) add(model::PutRetentionMark{mark});
  }
}

// --- The end ------------------------------------------------------------------------------------

void CommitPlan::trim() {
  trim_lanes();
  note_members_gone();
  reclaim_cancellations();
  reclaim_operations();
}

void CommitPlan::trim_lanes() {
  PerLane<LaneRetention*> lanes;
  PerLane<Sequence> floor;
  for (const auto lane : kAllPriorities) {
    lanes[lane] = &*ledger_.lanes[lane].retention;
    floor[lane] = ledger_.floor(lane);
  }
  const auto trimmed = core::trim_lanes(lanes, floor, now_.bus);
  for (const auto lane : kAllPriorities) {
    auto& state = ledger_.lanes[lane];
    ledger_.expired_unclaimed += trimmed[lane].unclaimed;
    trimmed_ = trimmed_ || trimmed[lane].trim > state.trim;
    state.trim = std::max(state.trim, trimmed[lane].trim);
  }
}

void CommitPlan::refresh_cursors(Sequence lag) {
  for (auto& [id, subscription] : ledger_.subscriptions) {
    for (const auto lane : kAllPriorities) {
      if (ledger_.lanes[lane].next - subscription->lanes[lane].stored_as_of > lag) {
        touch(*subscription, lane);
      }
    }
  }
}

void CommitPlan::limit_dead_letters() {
  while (ledger_.dead_letters.size() > ledger_.settings.dead_letters_max) {
    const auto [id, event] = ledger_.dead_letters.take_oldest();
    add(model::EraseDeadLetter{id, event});
    if (auto* subscription = ledger_.find(id); subscription != nullptr) {
      --subscription->lanes[event.priority].dead;
    }
    ++ledger_.dropped_dead_letters;
    note_dropped({id, event});
  }
}

void CommitPlan::put_cursor(SubscriptionState& subscription, Priority lane) {
  auto& state = subscription.lanes[lane];
  const auto& bus_lane = ledger_.lanes[lane];
  state.dirty = false;
  state.stored_as_of = bus_lane.next;
  const auto floor = state.floor(bus_lane.offered);
  add(model::PutCursor{{.subscription = subscription.record.id,
                        .lane = lane,
                        .floor = floor,
                        .ahead = state.ahead(floor),
                        .owed = state.owed,
                        .parked = state.parked,
                        .as_of = bus_lane.next}});
}

bool CommitPlan::empty() const noexcept {
  return index_ == 0 && commit_.operations.empty() && touched_.empty() && touched_tokens_.empty() &&
         touched_operations_.empty() && !trimmed_ && !keys_changed_ && !commit_.clean;
}

const model::Commit& CommitPlan::finish() {
  for (const auto lane : kAllPriorities) close_chunk(lane);
  // A fast publisher is far ahead of `trim`: what goes before the engine writes a table never gets
  // into one.
  if (marked_) trim_lanes();
  limit_dead_letters();
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    const auto [id, lane] = touched_[i];
    auto* subscription = ledger_.find(id);
    if (subscription == nullptr) continue;
    park_overdue(*subscription, lane);
    put_cursor(*subscription, lane);
  }
  for (const auto id : touched_tokens_) {
    auto* token = ledger_.cancellations.find(id);
    if (token == nullptr || !std::exchange(token->dirty, false)) continue;
    add(model::PutToken{token->record});
  }
  for (const auto id : touched_operations_) {
    auto* operation = ledger_.operations.find(id);
    if (operation == nullptr || !std::exchange(operation->dirty, false)) continue;
    add(model::PutOperation{operation->record});
  }
  write_ordering_keys();
  if (std::exchange(keys_changed_, false)) {
    add(model::PutIdempotencyRange{ledger_.idempotency.range()});
  }
  for (const auto lane : kAllPriorities) {
    commit_.next[lane] = ledger_.lanes[lane].next;
    commit_.trim[lane] = ledger_.lanes[lane].trim;
  }
  return commit_;
}

}  // namespace holdfast::core
