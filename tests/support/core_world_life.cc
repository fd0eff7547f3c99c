// SPDX-License-Identifier: MIT
// The part of the world in which subscriptions come and go, and processes die.
#include <utility>

#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::PerLane;
using model::Sequence;
using model::SubscriptionId;

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMillisecond;
const RetryPolicy kRetry{.attempts_max = 3,
                         .backoff_first = std::chrono::milliseconds(100),
                         .backoff_max = std::chrono::milliseconds(5'000)};
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
  make_late(id);
  const auto concurrency = profile_.crowded ? 200U : pick({1U, 2U, 3U, 8U});
  const bool on_cancel = chance(60);
  core::attach(*ledger_, *scheduler_, state_of(id), {concurrency, kRetry, on_cancel}, now_);
  oracle_.attach(id, concurrency, on_cancel, now_.bus);
}

void CoreWorld::detach(Id id) {
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
  record.attempts_max = kRetry.attempts_max;
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
  core::TokenChange tokens(*ledger_, {{}, std::make_shared<const core::Interest>(record)});
  show_tokens(tokens);
  plan.shift_ended(tokens.ended());
  plan.create(std::move(record), backlog);
  fact([=](Oracle& oracle) { oracle.create(id, wish, true, kRetry.attempts_max, start); });
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
  const auto id = any_subscription([](const auto& each) { return each.durable; });
  if (!id.has_value()) return;
  auto& state = state_of(*id);
  if (state.attached && chance(80)) detach(*id);
  if (!profile_.steady && chance(40)) {
    PerLane<Sequence> floor;
    PerLane<Sequence> next;
    for (const auto lane : kAllPriorities) {
      const auto& bus_lane = ledger_->lanes[lane];
      floor[lane] = std::max(state.lanes[lane].floor(bus_lane.offered), bus_lane.trim);
      next[lane] = bus_lane.next;
    }
    const auto wish = any_wish();
    const auto record = core::with_filter(state.record, filter_of(wish), floor, next);
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
    fact([=, id = *id](Oracle& oracle) { oracle.change(id, wish, kRetry.attempts_max); });
    claims_forgotten_ = true;
    ++counts["change filter"];
  }
  attach(*id);
  ++counts["attach again"];
}

void CoreWorld::remove(CommitPlan& plan) {
  const auto id =
      any_subscription([this](const auto& each) { return !profile_.steady || !each.durable; });
  if (!id.has_value()) return;
  make_late(*id);
  detach(*id);
  if (!oracle_.subscriptions.at(*id).durable) {
    ledger_->erase(SubscriptionId{*id});
    oracle_.remove(*id);
    return;
  }
  core::TokenChange tokens(*ledger_, {SubscriptionId{*id}, nullptr});
  show_tokens(tokens);
  plan.shift_ended(tokens.ended());
  plan.remove(SubscriptionId{*id});
  fact([id = *id](Oracle& oracle) { oracle.remove(id); });
  claims_forgotten_ = true;
  ++counts["remove"];
}

void CoreWorld::redrive(CommitPlan& plan) {
  const auto id = any_subscription([](const auto& each) { return !each.dead.empty(); });
  if (!id.has_value()) return;
  const auto& dead = oracle_.subscriptions.at(*id).dead;
  const auto event =
      std::next(dead.begin(), static_cast<std::ptrdiff_t>(below(dead.size())))->first;
  const RecordStore::Name letter{SubscriptionId{*id}, event};
  require(store_.dead.contains(letter), "a dead letter is missing: " + name(*id, event));
  plan.redrive(store_.dead.at(letter));
  expected_redrives_.insert(letter);
  expected_settlements_.insert(letter);
  fact([=, id = *id, now = now_](Oracle& oracle) { oracle.redrive(id, event, now); });
  ++counts["redrive"];
}

void CoreWorld::set_paused(CommitPlan& plan, Id id, bool paused) {
  auto& state = state_of(id);
  if (state.record.paused == paused) return;
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
  const auto id = any_subscription([](const auto& each) { return each.durable; });
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
      note_published(events, ids, plan.number().value);
    });
    offer(number_);
    scheduler_->advance(now_);
    if (!take(Priority::low)) continue;
    commit([this](CommitPlan& plan) {
      const auto held = held_.back();
      held_.pop_back();
      answer(plan, held);
    });
  }
  ++counts["flood"];
}

void CoreWorld::rewind(CommitPlan& plan) {
  const auto id = any_subscription([](const auto& each) { return each.durable; });
  if (!id.has_value()) return;
  // What waits for its clean-up would be forgotten.
  for (const auto& [event, owed] : oracle_.subscriptions.at(*id).owed) {
    if (owed.cleanup) return;
  }
  make_late(*id);
  detach(*id);
  auto& state = state_of(*id);
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
    if (owner.value != *id || event.sequence >= to.parked_before[event.priority]) continue;
    to.kept.push_back(
        {owner, event, each.due, each.attempts, each.suspect, each.started, each.cleanup});
    ++counts["rewind keeps a retry"];
  }
  for (const auto& [name, letter] : store_.dead) {
    const auto& [owner, event] = name;
    if (owner.value != *id || event.sequence < to.from[event.priority] ||
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
  ++oracle_.subscriptions.at(*id).generation;
  fact([id = *id, from = to.from, keeps](Oracle& oracle) { oracle.rewind(id, from, keeps); });
  ++counts["rewind"];
}

// --- Life and death of the process --------------------------------------------------------------

void CoreWorld::start_process() {
  ledger_ = std::make_unique<core::Ledger>(settings_);
  scheduler_ = std::make_unique<core::Scheduler>(*ledger_);
  core::Recovery recovery(*ledger_, store_.next, store_.trim);
  const auto add = [&](const auto& records) {
    for (const auto& [name, record] : records)
      require(recovery.add(record).ok(), "recovery refused a record");
  };
  add(store_.subscriptions);
  add(store_.cursors);
  add(store_.marks);
  add(store_.dead);
  add(store_.settlements);
  add(store_.tokens);
  add(store_.tombstones);
  for (const auto lane : kAllPriorities) {
    const auto from = recovery.tail_from(lane);
    for (const auto& [first, chunk] : store_.chunks[lane]) {
      if (chunk->last() >= from) recovery.add_chunk(chunk);
    }
  }
  recovery.finish();
  held_.clear();
  late_.clear();
  refills_.clear();
  parked_reads_.clear();
  suspect_running_ = false;
  since_turn_ = {};
  passed_over_ = {};
}

void CoreWorld::crash() {
  ++counts["crash"];
  const bool clean = chance(15);
  const bool power = !clean && chance(50);
  if (clean) {
    commit([](CommitPlan& plan) {
      plan.refresh_cursors(0);
      plan.mark_clean();
    });
    ++counts["clean end"];
  }
  auto kept = number_;
  if (power) {
    kept = durable_ + below(number_ - durable_ + 1);
    if (kept < number_) ++counts["lost commits"];
    ++counts["power loss"];
    now_.boot = static_cast<std::int64_t>(below(100)) * kSecond;
  }
  if (profile_.clock_jumps)
    now_.wall += static_cast<std::int64_t>(below(4'000)) * kSecond - 2'000 * kSecond;
  now_.wall += kSecond;
  now_.boot += kSecond;
  // What the slots of the workers say: some handlers were running, a deferred one was not.
  std::vector<std::pair<Held, bool>> running;
  for (const auto& each : held_) {
    if (!each.finished && !clean && !power && chance(90)) running.emplace_back(each, chance(80));
  }

  log_.resize(kept);
  now_.bus = now_.boot +
             base::bus_offset(log_.empty() ? base::Now{} : log_.back().written_at, now_, power);
  log_facts_.resize(kept);
  store_ = {};
  for (const auto& each : log_) store_.apply(each);
  oracle_ = {};
  for (const auto& facts : log_facts_) {
    for (const auto& fact : facts) fact(oracle_);
  }
  number_ = durable_ = offered_ = kept;
  ++epoch_;
  if (chance(15)) {
    const auto lane = any_lane();
    store_.next[lane] += 1 + below(5);
    oracle_.next[lane] = store_.next[lane];
    ++counts["lost range"];
  }
  start_process();
  compare();
  commit([&](CommitPlan& plan) {
    accuse(plan, running);
    // The first commit of a process is written even if it says nothing else; it also keeps a lost
    // range.
    plan.put_state("epoch", "epoch", std::to_string(epoch_));
    fact([epoch = epoch_, number = number_ + 1, next = store_.next](Oracle& oracle) {
      oracle.write_state({"epoch", "epoch"}, std::to_string(epoch), number);
      oracle.next = next;
    });
  });
  compare();
}

void CoreWorld::accuse(CommitPlan& plan, const std::vector<std::pair<Held, bool>>& running) {
  for (const auto& [held, counted] : running) {
    const auto id = held.lease.subscription.value;
    const auto event = held.lease.event;
    auto* state = ledger_->find(held.lease.subscription);
    if (state == nullptr) continue;
    CommitPlan::Suspect suspect{
        .subscription = held.lease.subscription, .event = event, .counted = counted};
    const RecordStore::Name name{held.lease.subscription, event};
    const auto known = oracle_.find(id)->owed.find(event);
    const bool owed = known != oracle_.find(id)->owed.end();
    if (const auto settlement = store_.settlements.find(name);
        settlement != store_.settlements.end()) {
      suspect.parked = true;
      suspect.due = settlement->second.due;
      suspect.attempts = settlement->second.attempts;
      suspect.cleanup = settlement->second.cleanup;
      suspect.chunk = store_.parked.at(name);
    } else {
      suspect.chunk = store_.chunk_of(event);
      const bool standing = suspect.chunk != nullptr &&
                            ledger_->standing(*state, suspect.chunk->event(event.sequence)) ==
                                core::Ledger::Standing::owed;
      require(standing == owed, "recovery knows another standing: " + CoreWorld::name(id, event));
      if (!standing) continue;
    }
    require(owed, "recovery kept what was settled: " + CoreWorld::name(id, event));
    const auto token = suspect.chunk->event(event.sequence).token;
    const bool cancelled = oracle_.is_cancelled(event, token);
    const bool newly = cancelled && !known->second.cleanup;
    const bool cleanup = cancelled;
    const auto attempts = newly ? 0U : known->second.attempts + (counted ? 1U : 0U);
    const bool dead = plan.accuse(suspect);
    require(dead == (attempts >= kRetry.attempts_max), "a suspect has another number of attempts");
    ++counts[dead ? "suspect dead" : "suspect"];
    if (dead) {
      died_[name] = {now_.wall, number_ + 1};
      fact([=](Oracle& oracle) { oracle.die(id, event, attempts); });
    } else {
      expected_settlements_.insert(name);
      if (cleanup) ++counts["suspect cancelled"];
      fact([=, now = now_](Oracle& oracle) {
        oracle.park(id, event,
                    {.attempts = attempts, .due = now.bus, .suspect = true, .cleanup = cleanup});
      });
    }
  }
}

// --- Steps --------------------------------------------------------------------------------------

void CoreWorld::step() {
  if (!profile_.refills_at_once && chance(20)) {
    if (const auto refill = scheduler_->next_parked_refill(any_lane())) {
      parked_reads_.push_back(read_due_times(*refill));
    }
  }
  const auto what = below(1'000);
  if (what < 330) {
    for (auto left = profile_.crowded ? below(200) : 1; left > 0; --left) take();
  } else if (what < 640) {
    commit([this](CommitPlan& plan) {
      // In the order of the runtime: changes, answers, publishing.
      if (chance(6) && ledger_->subscriptions.size() < 6) subscribe(plan);
      if (chance(profile_.crowded ? 1 : 6)) reattach(plan);
      if (chance(8)) redrive(plan);
      if (chance(3)) pause_or_resume(plan);
      if (chance(70)) answer_some(plan);
      if (chance(3)) make_token(plan);
      if (chance(8)) cancel_some(plan);
      if (chance(45)) publish(plan);
    });
  } else if (what < 650 && ledger_->subscriptions.size() < 7) {
    subscribe_ephemeral();
  } else if (what < 660) {
    if (profile_.crowded && !chance(10)) return;
    const auto id =
        any_subscription([](const auto& each) { return each.attached && each.durable; });
    if (id.has_value()) detach(*id);
  } else if (what < 663) {
    commit([this](CommitPlan& plan) { remove(plan); });
  } else if (what < 740) {
    offer(offered_ + below(number_ - offered_ + 1));
  } else if (what < 790) {
    durable_ += below(number_ - durable_ + 1);
    offer(std::max(offered_, durable_));
  } else if (what < 860) {
    if (const auto refill = scheduler_->next_refill(any_lane())) {
      if (chance(50)) {
        refills_.push_back(*refill);
      } else {
        read_backlog(*refill);
      }
    }
    if (chance(40)) refill_all();
  } else if (what < 940) {
    advance(static_cast<std::int64_t>(below(2'000)) * kMillisecond * pick({1, 1, 1, 20}));
    if (profile_.clock_jumps && chance(20)) {
      now_.wall += static_cast<std::int64_t>(below(4'000)) * kSecond - 2'000 * kSecond;
      ++counts["clock set"];
    }
  } else if (what < 975) {
    commit([this](CommitPlan& plan) {
      plan.trim();
      plan.refresh_cursors(below(50));
    });
    ++counts["housekeeping"];
  } else if (what < 979) {
    if (!profile_.crowded || chance(20)) crash();
  } else if (what < 984) {
    if (profile_.crowded && !chance(10)) return;
    commit([this](CommitPlan& plan) {
      rewind(plan);
      if (chance(70)) answer_some(plan);
      if (chance(45)) publish(plan);
    });
  } else if (what < 997) {
    if (profile_.crowded && !chance(10)) return;
    compare();
  } else if (profile_.refills_at_once && !profile_.crowded) {
    flood();
  }
  scheduler_->advance(now_);
}

void CoreWorld::drain() {
  compare();
  durable_ = number_;
  offer(number_);
  int idle = 0;
  while (idle < 3) {
    commit([this, idle](CommitPlan& plan) {
      for (const auto& [id, subscription] : oracle_.subscriptions) {
        if (subscription.durable) set_paused(plan, id, false);
        if (subscription.durable && (!subscription.attached || idle > 0)) attach(id);
      }
      auto late = std::exchange(late_, {});
      for (auto& each : late) finish(each);
      auto held = std::exchange(held_, {});
      for (auto& each : held) {
        auto& answer = answers_.emplace_back();
        answer.lease = each.lease;
        if (each.instead == core::Verdict::postpone) {
          answer.kind = Kind::postpone;
          answer.until = model::due_at_wall(each.not_before);
        }
        if (each.instead.has_value()) answer.ran = false;
        const bool cancelled = oracle_.is_cancelled(each.lease.event, each.lease.token);
        auto settlement = plan.answer(answer);
        if (cancelled && !each.lease.cleanup) {
          answer_cancelled(settlement, each, answer.ran);
        } else if (answer.kind == Kind::postpone) {
          const auto id = each.lease.subscription.value;
          expected_settlements_.insert({each.lease.subscription, each.lease.event});
          fact_of(id, [=, lease = each.lease, due = answer.until](Oracle& oracle) {
            oracle.park(id, lease.event,
                        {.attempts = lease.attempt - 1, .due = due, .started = lease.started});
          });
          auto& owed = oracle_.subscriptions.at(id).owed.at(each.lease.event);
          owed.taken = false;
          owed.holder = 0;
        } else {
          require(settlement.effect == Effect::settled,
                  "an ack was refused: " + name(each.lease.subscription.value, each.lease.event));
          settled(each, false);
        }
        finish(each);
      }
    });
    offer(number_);
    // Some were put off until a time that has come meanwhile.
    scheduler_->advance(now_);
    refill_all();
    bool found = false;
    for (int missed = 0; missed < 20;) {
      if (profile_.resident_bytes_max < 10'000) refill_all();
      if (take()) {
        found = true;
      } else {
        ++missed;
      }
    }
    idle = found ? 0 : idle + 1;
    if (!found) advance(31 * 24 * 3'600 * kSecond);
  }
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    require(subscription.owed.empty(),
            "forgotten: " +
                name(id, subscription.owed.empty() ? EventId{} : subscription.owed.begin()->first));
  }
  compare();
}

void CoreWorld::compare() {
  require(ledger_->subscriptions.size() == oracle_.subscriptions.size(),
          "not the same subscriptions");
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    PerLane<std::uint64_t> owed;
    PerLane<std::uint64_t> parked;
    PerLane<std::uint64_t> dead;
    PerLane<std::optional<Sequence>> lowest;
    for (const auto& [event, each] : subscription.owed) {
      ++owed[event.priority];
      if (each.parked) ++parked[event.priority];
      if (!each.parked && !lowest[event.priority].has_value())
        lowest[event.priority] = event.sequence;
      if (!subscription.durable || !each.parked) continue;
      const auto stored = store_.settlements.find({SubscriptionId{id}, event});
      require(stored != store_.settlements.end(),
              "a parked event is not stored: " + name(id, event));
      require(stored->second.attempts == each.attempts && stored->second.suspect == each.suspect &&
                  stored->second.due == each.due && stored->second.started == each.started &&
                  stored->second.cleanup == each.cleanup,
              "a parked event is stored differently: " + name(id, event));
      const auto due =
          store_.due_times.find(RecordStore::due_name({SubscriptionId{id}, event}, each.due));
      require(due != store_.due_times.end() && due->second.attempts == each.attempts &&
                  due->second.suspect == each.suspect,
              "a parked event is not where its time is looked for: " + name(id, event));
      require(store_.parked.contains({SubscriptionId{id}, event}),
              "a parked event has no copy: " + name(id, event));
    }
    for (const auto& [event, attempts] : subscription.dead) {
      ++dead[event.priority];
      const auto stored = store_.dead.find({SubscriptionId{id}, event});
      require(stored != store_.dead.end() && stored->second.attempts == attempts &&
                  stored->second.chunk->event(event.sequence).id == event,
              "a dead letter is stored differently: " + name(id, event));
    }
    for (const auto lane : kAllPriorities) {
      const auto& state = state_of(id).lanes[lane];
      const auto where =
          "subscription " + std::to_string(id) + ", lane " + std::string(to_string(lane));
      const auto same = [&](std::uint64_t core, std::uint64_t oracle, const char* what) {
        require(core == oracle, where + ": " + what + " is " + std::to_string(core) + ", not " +
                                    std::to_string(oracle));
      };
      same(state.owed, owed[lane], "owed");
      same(state.parked, parked[lane], "parked");
      same(state.dead, dead[lane], "dead");
      require(
          !lowest[lane].has_value() || state.floor(ledger_->lanes[lane].offered) <= *lowest[lane],
          where + ": its floor passed what is owed");
    }
  }
  std::size_t settlements = 0;
  std::size_t dead = 0;
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    if (!subscription.durable) continue;
    dead += subscription.dead.size();
    settlements += static_cast<std::size_t>(
        std::count_if(subscription.owed.begin(), subscription.owed.end(),
                      [](const auto& each) { return each.second.parked; }));
  }
  require(store_.settlements.size() == settlements && store_.parked.size() == settlements &&
              store_.due_times.size() == settlements,
          "a settlement is left over");
  require(store_.dead.size() == dead, "a dead letter is left over");
  require(store_.state == oracle_.state, "user state differs: a tx was not all or nothing");

  for (const auto lane : kAllPriorities) {
    require(ledger_->lanes[lane].next == oracle_.next[lane], "the next sequence differs");
    std::uint64_t never_claimed = 0;
    for (const auto& [event, known] : oracle_.events) {
      if (event.priority == lane && !known.ever_claimed) ++never_claimed;
    }
    const auto unclaimed = ledger_->lanes[lane].retention->unclaimed();
    require(unclaimed == never_claimed || (claims_forgotten_ && unclaimed > never_claimed),
            "lane " + std::string(to_string(lane)) + ": unclaimed is " + std::to_string(unclaimed) +
                ", not " + std::to_string(never_claimed));
  }
  compare_cancellations();
  for (const auto& [id, subscription] : oracle_.subscriptions) {
    require(state_of(id).record.paused == subscription.paused,
            "paused or not: subscription " + std::to_string(id));
    if (!subscription.attached) continue;
    require(state_of(id).in_flight == subscription.in_flight &&
                state_of(id).in_flight_less_urgent == subscription.in_flight_less_urgent,
            "slots are counted wrong: subscription " + std::to_string(id));
  }
}

}  // namespace holdfast::testing
