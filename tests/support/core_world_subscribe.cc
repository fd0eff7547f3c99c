// SPDX-License-Identifier: MIT
// The part of the world in which subscriptions come, go, pause and are set back.
#include <algorithm>
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::PerLane;
using model::Sequence;
using model::SubscriptionId;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
const std::vector<MetadataPair> kFloodColor{{"color", "red"}};

}  // namespace

// --- Subscriptions ------------------------------------------------------------------------------

Wish CoreWorld::any_wish() {
  Wish wish;
  for (auto left = below(3); left > 0; --left)
    wish.types.emplace_back(pick({"a.*", ">", "b.>", "c", "*.x", "a.x", "*.*.z"}));
  if (chance(20)) wish.priorities = {any_lane(), any_lane()};
  if (chance(20)) wish.color = pick({"red", "blue"});
  return wish;
}

model::FilterRecord CoreWorld::filter_of(const Wish& wish) {
  model::FilterRecord filter{wish.types, {.priorities = wish.priorities}};
  if (wish.color.has_value()) filter.match.metadata_equals.emplace_back("color", *wish.color);
  return filter;
}

std::optional<CoreWorld::Id> CoreWorld::any_subscription(
    const std::function<bool(const OracleSubscription&)>& which) {
  std::vector<Id> found;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    if (which(subscription)) found.push_back(id);
  }
  if (found.empty()) return std::nullopt;
  return found[below(found.size())];
}

/// What earlier handlers hold may still be answered, and must change nothing.
void CoreWorld::make_late(Id id) {
  std::erase_if(held_, [&](const Held& each) {
    if (each.lease.subscription.value != id) return false;
    note_late(each);
    return true;
  });
}

void CoreWorld::attach(Id id) {
  meet(Command::attach, states_of(id));
  make_late(id);
  const auto concurrency = profile_.crowded ? 200U : pick({1U, 2U, 3U, 8U});
  const bool on_cancel = chance(60);
  const auto batch_size = chance(50) ? 1U : 2 + static_cast<std::uint32_t>(below(12));
  const auto linger = batch_size == 1 ? 0 : pick<base::BusTime>({0, 0, kSecond / 2, 3 * kSecond});
  auto retry = kRetry;
  retry.attempts_max = oracle_.subscriptions.at(id).attempts_max;
  core::attach(*ledger_, *scheduler_, state_of(id),
               {concurrency, retry, on_cancel, batch_size, linger, chance(60)}, now_);
  if (auto& most = state_of(id).stretch_max; most > 1) {
    most = 2 + static_cast<std::uint32_t>(below(10));
  }
  oracle_.attach(id, concurrency, on_cancel, now_.bus);
  oracle_.subscriptions.at(id).batch_size = batch_size;
  oracle_.subscriptions.at(id).batch_linger = linger;
}

/// As programs do it, in no time after they were started.
void CoreWorld::attach_another() {
  const auto id = any_subscription([](const auto& each) { return !each.attached; });
  if (id.has_value()) attach(*id);
}

void CoreWorld::detach(Id id) {
  if (oracle_.subscriptions.at(id).attached) meet(Command::detach, states_of(id));
  core::detach(*ledger_, state_of(id));
  oracle_.subscriptions.at(id).attached = false;
  ++counts["detach"];
}

void CoreWorld::subscribe(CommitPlan& plan) {
  model::SubscriptionRecord record;
  record.id = ledger_->next_id();
  record.name = "s" + std::to_string(++names_);
  const auto wish = any_wish();
  record.filter = filter_of(wish);
  record.attempts_max = profile_.operations && chance(25) ? 1 : kRetry.attempts_max;
  record.compensates = profile_.operations && chance(65);
  const auto from = below(3);
  for (const auto lane : kAllPriorities) {
    const auto& bus_lane = ledger_->lanes[lane];
    record.start[lane] = from == 0   ? bus_lane.trim
                         : from == 1 ? bus_lane.next
                                     : bus_lane.trim + below(bus_lane.next - bus_lane.trim + 1);
  }
  const core::Interest interest(record);
  PerLane<CommitPlan::Backlog> backlog;
  for (const auto lane : kAllPriorities) {
    for (const auto& [first, chunk] : store_.chunks[lane]) {
      for (auto sequence = std::max(first, record.start[lane]); sequence <= chunk->last();
           ++sequence) {
        const auto event = chunk->event(sequence);
        if (!interest.wants(event)) continue;
        ++backlog[lane].owed;
        const bool claimed = std::any_of(
            ledger_->subscriptions.begin(), ledger_->subscriptions.end(), [&](const auto& each) {
              return each.second->durable && each.second->interest->wants(event);
            });
        if (!claimed) ++backlog[lane].claimed[sequence];
      }
    }
  }
  const auto id = record.id.value;
  const auto start = record.start;
  const auto attempts_max = record.attempts_max;
  const bool compensates = record.compensates;
  core::TokenChange tokens(*ledger_, {{}, std::make_shared<const core::Interest>(record)});
  show_tokens(tokens);
  plan.shift_ended(tokens.ended());
  plan.create(std::move(record), backlog);
  fact([=](Oracle& oracle) {
    oracle.create(id, wish, true, attempts_max, start);
    oracle.subscriptions.at(id).compensates = compensates;
  });
  attach(id);
  ++counts["subscribe"];
}

void CoreWorld::subscribe_ephemeral() {
  model::SubscriptionRecord record;
  record.id = ledger_->next_id();
  const auto wish = any_wish();
  record.filter = filter_of(wish);
  for (const auto lane : kAllPriorities) record.start[lane] = ledger_->lanes[lane].next;
  const auto id = record.id.value;
  ledger_->add(std::move(record), false);
  oracle_.create(id, wish, false, kRetry.attempts_max, {});
  attach(id);
  ++counts["ephemeral"];
}

void CoreWorld::reattach(CommitPlan& plan) {
  const auto which = pick({Command::detach, Command::attach, Command::change_filter});
  const auto id = any_subscription(which, [](const auto& each) { return each.durable; });
  if (!id.has_value()) return;
  auto& state = state_of(*id);
  if (state.attached && chance(80)) detach(*id);
  if (!profile_.steady && chance(40)) change_filter(plan, *id);
  if (profile_.operations && chance(20)) {
    set_compensates(plan, *id, !oracle_.subscriptions.at(*id).compensates);
  }
  attach(*id);
  ++counts["attach again"];
}

/// Whoever comes next has a handler that undoes, or has none any more.
void CoreWorld::set_compensates(CommitPlan& plan, Id id, bool compensates) {
  auto& state = state_of(id);
  auto record = state.record;
  record.compensates = compensates;
  PerLane<std::uint64_t> owed;
  for (const auto lane : kAllPriorities) {
    owed[lane] = state.lanes[lane].owed - state.lanes[lane].parked;
  }
  plan.change(state, record, owed);
  fact([=](Oracle& oracle) { oracle.subscriptions.at(id).compensates = compensates; });
  ++counts[compensates ? "compensates from now on" : "compensates no more"];
}

void CoreWorld::change_filter(CommitPlan& plan, Id id) {
  meet(Command::change_filter, states_of(id));
  auto& state = state_of(id);
  PerLane<Sequence> floor;
  PerLane<Sequence> next;
  for (const auto lane : kAllPriorities) {
    const auto& bus_lane = ledger_->lanes[lane];
    floor[lane] = std::max(state.lanes[lane].floor(bus_lane.offered), bus_lane.trim);
    next[lane] = bus_lane.next;
  }
  const auto wish = any_wish();
  const auto record = core::with_filter(state.record, filter_of(wish),
                                        ledger_->operations.oldest_pending(floor), next);
  const core::Interest interest(record);
  PerLane<std::uint64_t> owed;
  for (const auto lane : kAllPriorities) {
    const auto ahead = state.lanes[lane].ahead(floor[lane]);
    for (const auto& [first, chunk] : store_.chunks[lane]) {
      for (auto sequence = std::max(first, floor[lane]); sequence <= chunk->last(); ++sequence) {
        if (interest.wants(chunk->event(sequence)) &&
            !std::binary_search(ahead.begin(), ahead.end(), sequence)) {
          ++owed[lane];
        }
      }
    }
  }
  core::TokenChange tokens(*ledger_, {record.id, std::make_shared<const core::Interest>(record)});
  show_tokens(tokens);
  plan.shift_ended(tokens.ended());
  plan.change(state, record, owed);
  fact([=, attempts_max = record.attempts_max](Oracle& oracle) {
    oracle.change(id, wish, attempts_max);
  });
  claims_forgotten_ = true;
  revisit_due_ = true;
  ++counts["change filter"];
}

void CoreWorld::remove(CommitPlan& plan) {
  const auto id = any_subscription(
      Command::remove, [this](const auto& each) { return !profile_.steady || !each.durable; });
  if (id.has_value()) remove(plan, *id);
}

void CoreWorld::remove(CommitPlan& plan, Id id) {
  meet(Command::remove, states_of(id));
  make_late(id);
  detach(id);
  if (!oracle_.subscriptions.at(id).durable) {
    ledger_->erase(SubscriptionId{id});
    oracle_.remove(id);
    return;
  }
  core::TokenChange tokens(*ledger_, {SubscriptionId{id}, nullptr});
  show_tokens(tokens);
  plan.shift_ended(tokens.ended());
  plan.remove(SubscriptionId{id});
  fact([=](Oracle& oracle) { oracle.remove(id); });
  claims_forgotten_ = true;
  revisit_due_ = true;
  ++counts["remove"];
}

void CoreWorld::redrive(CommitPlan& plan) {
  const auto id = any_subscription([](const auto& each) { return !each.dead.empty(); });
  if (!id.has_value()) return;
  const auto& dead = oracle_.subscriptions.at(*id).dead;
  const auto event =
      std::next(dead.begin(), static_cast<std::ptrdiff_t>(below(dead.size())))->first;
  redrive(plan, {SubscriptionId{*id}, event});
}

void CoreWorld::redrive(CommitPlan& plan, const RecordStore::Name& letter) {
  const auto id = letter.first.value;
  const auto event = letter.second;
  require(store_.dead.contains(letter), "a dead letter is missing: " + name(id, event));
  const auto& record = store_.dead.at(letter);
  const bool cleanup = oracle_.subscriptions.at(id).dead_cleanups.contains(event);
  require(record.cleanup == cleanup, "a dead letter is of something else: " + name(id, event));
  // Of what is undone, or was, its compensation has taken care.
  const bool stays = oracle_.operations.was_member(event) && !cleanup &&
                     oracle_.is_cancelled(event, record.chunk->event(event.sequence).token);
  require(plan.redrive(record) == !stays, "redriven, or not: " + name(id, event));
  if (stays) {
    ++counts["dead letter of what is undone stays"];
    return;
  }
  meet(Command::redrive, EventState::dead);
  expected_redrives_.insert(letter);
  expected_settlements_.insert(letter);
  fact([=, now = now_](Oracle& oracle) { oracle.redrive(id, event, now); });
  ++counts["redrive"];
  const auto place = oracle_.operations.find(event);
  if (!place.has_value() || !cleanup || !oracle_.operations.all.at(place->id).goes_back()) return;
  ++counts["redriven compensation"];
  undo(place->id);
}

void CoreWorld::set_paused(CommitPlan& plan, Id id, bool paused) {
  auto& state = state_of(id);
  if (state.record.paused == paused) return;
  meet(paused ? Command::pause : Command::resume, states_of(id));
  plan.set_paused(state, paused);
  fact([=](Oracle& oracle) { oracle.subscriptions.at(id).paused = paused; });
  if (paused) {
    core::pause(state);
  } else {
    core::resume(*scheduler_, state, now_);
    oracle_.subscriptions.at(id).ready_from = now_.bus;
  }
  ++counts[paused ? "pause" : "resume"];
}

void CoreWorld::pause_or_resume(CommitPlan& plan) {
  const auto id = any_subscription(pick({Command::pause, Command::resume}),
                                   [](const auto& each) { return each.durable; });
  // Seldom for long, or nothing would be delivered any more.
  if (id.has_value()) set_paused(plan, *id, !oracle_.subscriptions.at(*id).paused && chance(40));
}

/// More critical events than anybody gets through, and a worker that takes one after the other.
void CoreWorld::flood() {
  advance(30 * kSecond);
  for (int i = 0; i < 40; ++i) {
    commit([this](CommitPlan& plan) {
      auto& events = encoded_.emplace_back();
      for (int each = 0; each < 2; ++each) {
        events.add(
            {.type = "a.x", .payload = "", .priority = Priority::critical, .metadata = kFloodColor},
            now_.wall);
      }
      std::vector<EventId> ids;
      plan.publish(events, false, ids);
      note_published(events, ids, {}, plan.number().value);
    });
    offer(number_);
    scheduler_->advance(now_);
    if (!take(Priority::low)) continue;
    pass_gates(held_.back());
    commit([this](CommitPlan& plan) {
      const auto held = held_.back();
      held_.pop_back();
      answer(plan, held);
    });
  }
  ++counts["flood"];
}

void CoreWorld::rewind(CommitPlan& plan) {
  const auto id = any_subscription(Command::rewind, [](const auto& each) { return each.durable; });
  if (id.has_value()) rewind(plan, *id);
}

void CoreWorld::rewind(CommitPlan& plan, Id id) {
  // What waits for its clean-up would be forgotten.
  for (const auto& [event, owed] : oracle_.subscriptions.at(id).owed) {
    if (owed.cleanup) return;
  }
  const bool is_needed = needs_for_operation(id);
  require(ledger_->operations.of(SubscriptionId{id}).has_value() == is_needed,
          "it may be rewound, or not: subscription " + std::to_string(id));
  if (is_needed) {
    ++counts["rewind refused for an operation"];
    return;
  }
  meet(Command::rewind, states_of(id));
  make_late(id);
  detach(id);
  auto& state = state_of(id);
  CommitPlan::Rewind to;
  PerLane<bool> keeps;
  auto record = state.record;
  record.earlier.clear();
  const auto where = below(4);
  for (const auto lane : kAllPriorities) {
    const auto& bus_lane = ledger_->lanes[lane];
    to.from[lane] = where == 0   ? bus_lane.trim
                    : where == 1 ? bus_lane.next
                                 : bus_lane.trim + below(bus_lane.next - bus_lane.trim + 1);
    record.start[lane] = std::min(record.start[lane], to.from[lane]);
    keeps[lane] = to.from[lane] == bus_lane.trim && chance(80);
    to.parked_before[lane] = keeps[lane] ? bus_lane.trim : 0;
  }
  const core::Interest interest(record);
  for (const auto lane : kAllPriorities) {
    for (const auto& [first, chunk] : store_.chunks[lane]) {
      for (auto sequence = std::max(first, to.from[lane]); sequence <= chunk->last(); ++sequence) {
        const auto event = chunk->event(sequence);
        if (!interest.wants(event)) continue;
        ++to.backlog[lane].owed;
        const bool claimed = std::any_of(
            ledger_->subscriptions.begin(), ledger_->subscriptions.end(), [&](const auto& each) {
              return each.second->durable && each.second->interest->wants(event);
            });
        if (!claimed) ++to.backlog[lane].claimed[sequence];
      }
    }
  }
  for (const auto& [name, each] : store_.settlements) {
    const auto& [owner, event] = name;
    if (owner.value != id || event.sequence >= to.parked_before[event.priority]) continue;
    to.kept.push_back(
        {owner, event, each.due, each.attempts, each.suspect, each.started, each.cleanup});
    ++counts["rewind keeps a retry"];
  }
  for (const auto& [name, letter] : store_.dead) {
    const auto& [owner, event] = name;
    if (owner.value != id || event.sequence < to.from[event.priority] ||
        !interest.wants(letter.chunk->event(event.sequence))) {
      continue;
    }
    to.dead.push_back(event);
    expected_redrives_.insert(name);
    ++counts["rewind erases a dead letter"];
  }
  core::TokenChange tokens(
      *ledger_, {state.record.id, std::make_shared<const core::Interest>(interest), to.from,
                 to.parked_before});
  show_tokens(tokens);
  plan.shift_ended(tokens.ended());
  plan.rewind(state, to);
  ++oracle_.subscriptions.at(id).generation;
  fact([id, from = to.from, keeps](Oracle& oracle) { oracle.rewind(id, from, keeps); });
  revisit_due_ = true;
  ++counts["rewind"];
}

}  // namespace holdfast::testing
