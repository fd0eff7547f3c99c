// SPDX-License-Identifier: MIT
// The part of the world in which events are handed out, and backlogs read.
#include <algorithm>
#include <span>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

// --- Taking -------------------------------------------------------------------------------------

bool CoreWorld::take() {
  return take(
      pick({Priority::critical, Priority::high, Priority::normal, Priority::low, Priority::low}));
}

bool CoreWorld::take(Priority worker_class) {
  if (profile_.refills_at_once) refill_all();
  std::vector<core::Lease> others;
  auto* together = chance(85) ? &others : nullptr;
  const bool in_stretches = chance(70);
  auto lease = scheduler_->take(worker_class, together, in_stretches);
  // What was in front may wait for its key, and what is behind it has to be read.
  while (!lease.has_value() && profile_.refills_at_once && refill_all()) {
    lease = scheduler_->take(worker_class, together, in_stretches);
  }
  if (!lease.has_value()) {
    if (profile_.refills_at_once && (!profile_.crowded || chance(2))) {
      check_nothing_to_take(worker_class);
    }
    return false;
  }
  require(lease->event.priority <= worker_class, "a worker was given a lane that is not for it");
  check_taken(*lease, worker_class);
  if (others.empty()) {
    hold(std::move(*lease), 0, chance(30));
  } else if (oracle_.subscriptions.at(lease->subscription.value).batch_size > 1) {
    take_together(*lease, others, worker_class);
  } else {
    require(in_stretches, "a stretch that nobody has asked for");
    others.insert(others.begin(), *std::move(lease));
    take_stretch(others, worker_class);
  }
  return true;
}

void CoreWorld::take_together(const core::Lease& first, const std::vector<core::Lease>& others,
                              Priority worker_class) {
  const auto batch = serial_ + 1;
  // Between a take and the question whether its handler may run, copies are read from disk.
  const bool asks_later = chance(30);
  hold(first, batch, asks_later);
  check_joined(first, others);
  ++counts["taken together"];
  // The last are given back now and then, as a worker does that finds the batch large enough.
  const auto kept = chance(5) ? below(others.size()) : others.size();
  std::vector<core::Lease> left;
  for (std::size_t i = 0; i < others.size(); ++i) {
    check_taken(others[i], worker_class);
    if (i < kept) {
      hold(others[i], batch, asks_later);
    } else {
      pass_over(others[i]);
      left.push_back(others[i]);
    }
  }
  for (auto lease = left.rbegin(); lease != left.rend(); ++lease) {
    scheduler_->finish(*lease);
    scheduler_->give_back(*lease);
  }
  for (const auto& lease : left) note_given_back(lease);
}

/// Its handler comes to some of them, and answers for them when it likes; then it is recalled.
void CoreWorld::take_stretch(std::vector<core::Lease>& leases, Priority worker_class) {
  check_stretch(leases);
  ++counts["stretch"];
  const auto begun = chance(50) ? leases.size() : 1 + below(leases.size());
  for (std::size_t i = 0; i < leases.size(); ++i) {
    if (i > 0) check_taken(leases[i], worker_class);
    // The slot is that of the last, as it is after a recall.
    auto lease = leases[i];
    lease.beside = i + 1 != begun;
    if (i < begun) {
      hold(lease, 0, false);
    } else {
      pass_over(lease);
    }
  }
  const auto left = std::span(leases).subspan(begun);
  scheduler_->recall_stretch(leases.front(), left);
  for (const auto& lease : left) note_given_back(lease);
}

/// Its turn has come, for those behind it; but its handler does not come to it.
void CoreWorld::pass_over(const core::Lease& lease) {
  auto& owed = oracle_.subscriptions.at(lease.subscription.value).owed.at(lease.event);
  // As long as it has waited: it is to go on with that.
  owed.again_since =
      oracle_.ready_since(oracle_.subscriptions.at(lease.subscription.value), lease.event);
  owed.taken = true;
  owed.again = false;
}

void CoreWorld::note_given_back(const core::Lease& lease) {
  const auto id = lease.subscription.value;
  auto& owed = oracle_.subscriptions.at(id).owed.at(lease.event);
  meet(Command::give_back, EventState::taken);
  owed.taken = false;
  ++counts["given back"];
  const auto& lane = state_of(id).lanes[lease.event.priority];
  // What was taken last stands where it stood.
  if (!lane.is_due(lease.event.sequence) && !state_of(id).keys.is_held(lease.event)) {
    require(!lease.parked && lease.attempt == 1 && !lease.started && !lease.cleanup,
            "given back as if it was new: " + name(id, lease.event));
    ++counts["taken back"];
    return;
  }
  owed.again = true;
  owed.again_attempts = lease.attempt - 1;
  owed.again_cleanup = lease.cleanup;
  owed.again_started = lease.started;
  starts_over_ = {id, lease.event};
}

/// Somebody has it.
void CoreWorld::hold(core::Lease lease, std::uint64_t batch, bool asks_later) {
  const auto id = lease.subscription.value;
  auto& subscription = oracle_.subscriptions.at(id);
  auto& owed = subscription.owed.at(lease.event);
  if (lease.chunk == nullptr) {
    const auto copy = store_.parked.find({lease.subscription, lease.event});
    require(copy != store_.parked.end(),
            "the copy of a parked event is missing: " + name(id, lease.event));
    lease.chunk = copy->second;
  }
  const auto view = lease.chunk->event(lease.event.sequence);
  require(view.id == lease.event, "another event was delivered: " + name(id, lease.event));
  require(view.priority() == lease.event.priority, "another event was delivered");
  const auto known = oracle_.events.find(lease.event);
  require(known == oracle_.events.end() || view.type == known->second.type,
          "another event was delivered");

  owed.taken = true;
  owed.again = false;
  owed.holder = ++serial_;
  if (!lease.beside) {
    ++subscription.in_flight;
    if (lease.event.priority != Priority::critical) ++subscription.in_flight_less_urgent;
  }
  if (subscription.concurrency > 1 && subscription.in_flight == subscription.concurrency)
    ++counts["critical slot"];
  if (lease.suspect) {
    suspect_running_ = true;
    suspect_serial_ = serial_;
    ++counts["suspect taken"];
  }
  const bool begun = owed.cleanup || owed.started || lease.started;
  owed.together = batch != 0;
  owed.asks = lease.asks;
  owed.idle = lease.asks && !begun;
  owed.cleaning = false;
  held_.push_back({.lease = lease,
                   .serial = serial_,
                   .visible = number_,
                   .instead = std::nullopt,
                   .not_before = view.not_before,
                   .batch = batch,
                   .begun = begun,
                   .asks = owed.asks});
  if (!owed.asks || !asks_later) pass_gate(held_.back());
  ++counts["take"];
}

void CoreWorld::check_taken(const core::Lease& lease, Priority worker_class) {
  const auto id = lease.subscription.value;
  const auto event = lease.event;
  const auto what = name(id, event);
  auto* subscription = oracle_.find(id);
  require(subscription != nullptr && subscription->is_served(), "given to nobody: " + what);
  require(lease.generation == subscription->generation, "a new lease is stale: " + what);
  const auto found = subscription->owed.find(event);
  require(found != subscription->owed.end(), "delivered though it is not owed: " + what);
  const auto& owed = found->second;
  require(!owed.taken, "delivered twice at once: " + what);
  require((owed.again ? owed.again_attempts : owed.attempts) + 1 == lease.attempt,
          "attempts are counted wrong: " + what);
  require(owed.suspect == lease.suspect, "not the one that is suspect: " + what);
  require(!lease.suspect || !suspect_running_, "two suspects run at once: " + what);
  require(lease.beside || Oracle::has_slot(*subscription, event.priority),
          "more at once than concurrency allows: " + what);

  require(!oracle_.must_wait_for_key(*subscription, event),
          "given before what comes before it in its key: " + what);
  if (oracle_.keyed.contains(event)) ++counts["keyed taken"];

  // In a crowd the oracle's long walks are only sometimes worth their time.
  if (profile_.crowded && !chance(2)) {
    for (auto& count : since_turn_) ++count;  // may be one
    return;
  }
  const bool is_due = owed.again || (owed.parked && Oracle::is_due(owed, now_));
  // What was due before the clock was set back comes too early, and is put off again.
  const bool was_due =
      profile_.clock_jumps && owed.parked && model::clock_of(owed.due) == model::DueClock::wall;
  const auto ready = this->ready(*subscription, event.priority, /*without_cleanups=*/lease.beside);
  const bool overflow = overflows(*subscription, event.priority);
  const bool little_memory = has_little_memory() || overflow;
  // Where some have a key, those that had to wait for it come in between.
  const bool in_turn = !profile_.keys;
  if (suspect_may_run(*subscription, ready.out_of_turn)) {
    // With little memory, those that are due longest come first.
    // But for what has aged behind one that has just become due.
    // With little memory, which one that is cannot be told.
    const auto level = level_of(*subscription, event, 0);
    const bool aged_more =
        ready.in_turn == event &&
        level > (little_memory ? 0 : level_of(*subscription, *ready.out_of_turn, 1));
    if (aged_more) ++counts["aged before due"];
    const auto& passed = subscription->owed.at(*ready.out_of_turn);
    // Until it is read: handlers have all that memory had room for.
    const bool unread = overflow && !is_due && passed.parked && !passed.again;
    require(!in_turn || ready.out_of_turn == event || aged_more || suspects_fill_memory() ||
                was_due || (ready.maybe_hidden && profile_.clock_jumps) || unread ||
                (little_memory && is_due && may_be_on_disk(passed, owed)),
            "passed over " + to_string(*ready.out_of_turn) + ": " + what);
  } else {
    require(!in_turn || ready.in_turn == event || was_due || (little_memory && is_due),
            "out of order, or before it was offered, or not due: " + what + ", first is " +
                (ready.in_turn.has_value() ? to_string(*ready.in_turn) : "none"));
  }
  // Those that go with another have no turn of their own.
  if (lease.beside) return;
  check_order(lease, worker_class);
  check_turns(lease, worker_class);
}

void CoreWorld::check_nothing_to_take(Priority worker_class) {
  if (suspects_fill_memory()) return;
  ++counts["idle check"];
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    if (!subscription.is_served() || gets_no_more(subscription) || lingers(subscription)) continue;
    for (const auto lane : kAllPriorities) {
      if (lane > worker_class) break;
      if (!Oracle::has_slot(subscription, lane)) continue;
      const auto ready = this->ready(subscription, lane);
      // In front of what is in memory there may be a suspect that waits for another.
      if (suspect_running_ && overflows(subscription, lane)) continue;
      // A lane may stand still at one where memory is short.
      if (ready.waits_for_key && may_stand_still()) continue;
      const bool due = suspect_may_run(subscription, ready.out_of_turn);
      if (!due && !ready.in_turn.has_value()) continue;
      // What had to wait for its key stands with what is due, and there a suspect may be in front.
      if (!due && ready.out_of_turn.has_value() && oracle_.keyed.contains(*ready.in_turn)) continue;
      throw Violation("a worker found nothing though there is " +
                      name(id, due ? *ready.out_of_turn : *ready.in_turn));
    }
  }
}

// --- Reading the backlog ------------------------------------------------------------------------

void CoreWorld::read_backlog(const core::Scheduler::Refill& refill) {
  std::vector<core::Span> spans;
  auto reached = std::max(refill.from, refill.to);
  const auto most =
      chance(50) ? std::min<std::size_t>(refill.events_max, 1 + below(40)) : refill.events_max;
  std::size_t events = 0;
  std::size_t bytes = 0;
  const auto& kept = store_.chunks[refill.lane];
  auto at = kept.upper_bound(refill.from);
  if (at != kept.begin() && std::prev(at)->second->contains(refill.from)) --at;
  for (; at != kept.end() && at->first < refill.to; ++at) {
    const auto chunk = ledger_->metered(at->second);
    if (events >= most || (bytes > 0 && bytes + chunk->bytes().size() > refill.bytes_max)) {
      reached = std::max(at->first, refill.from);
      break;
    }
    bytes += chunk->bytes().size();
    for (auto sequence = std::max(chunk->first(), refill.from);
         sequence <= chunk->last() && sequence < refill.to; ++sequence) {
      if (events >= most) {
        reached = sequence;
        scheduler_->refilled(refill, std::move(spans), reached);
        return;
      }
      if (!refill.interest->wants(chunk->event(sequence))) continue;
      ++events;
      if (!spans.empty() && spans.back().chunk == chunk && spans.back().end == sequence) {
        ++spans.back().end;
      } else {
        spans.push_back({chunk, sequence, sequence + 1});
      }
    }
  }
  scheduler_->refilled(refill, std::move(spans), reached);
}

bool CoreWorld::refill_all() {
  bool has_read = false;
  while (!refills_.empty()) {
    const auto refill = refills_.back();
    refills_.pop_back();
    const auto* subscription = oracle_.find(refill.subscription.value);
    ++counts[subscription != nullptr &&
                     state_of(refill.subscription.value).reading == refill.reading
                 ? "late refill"
                 : "stale refill"];
    read_backlog(refill);
  }
  for (const auto& read : std::exchange(parked_reads_, {})) {
    ++counts["late due times"];
    scheduler_->refilled(read.refill, read.records, read.reached);
  }
  while (const auto refill = scheduler_->next_parked_refill(Priority::low)) {
    const auto read = read_due_times(*refill);
    scheduler_->refilled(read.refill, read.records, read.reached);
    has_read = true;
  }
  while (const auto refill = scheduler_->next_refill(Priority::low)) {
    read_backlog(*refill);
    has_read = true;
  }
  return has_read;
}

CoreWorld::ParkedRead CoreWorld::read_due_times(const core::Scheduler::ParkedRefill& refill) {
  ParkedRead read{refill, {}, {}};
  const RecordStore::DueName from{refill.subscription, refill.lane, refill.from.due,
                                  refill.from.sequence};
  for (auto at = store_.due_times.lower_bound(from); at != store_.due_times.end(); ++at) {
    const auto& record = at->second;
    if (record.subscription != refill.subscription || record.event.priority != refill.lane ||
        record.due > model::last_due(refill.clock)) {
      break;
    }
    if (read.records.size() == refill.events_max) {
      read.reached = {record.due, record.event.sequence};
      ++counts["more due times"];
      break;
    }
    read.records.push_back(record);
  }
  return read;
}

void CoreWorld::offer(std::uint64_t commit) {
  for (auto each = offered_ + 1; each <= commit; ++each) oracle_.offered_at[each] = now_.bus;
  offered_ = commit;
  scheduler_->offer({commit});
}

void CoreWorld::advance(std::int64_t nanoseconds) {
  now_.boot += nanoseconds;
  now_.bus += nanoseconds;
  now_.wall += nanoseconds;
  scheduler_->advance(now_);
}

}  // namespace holdfast::testing
