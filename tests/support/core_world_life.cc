// SPDX-License-Identifier: MIT
// The part of the world in which processes die, and each step is held against the oracle.
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

}  // namespace

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
  add(store_.operations);
  add(store_.members);
  add(store_.dead);
  add(store_.settlements);
  add(store_.tokens);
  add(store_.tombstones);
  require(recovery.add(store_.key_range).ok(), "recovery refused a record");
  require(recovery.add(store_.paused_types).ok(), "recovery refused a record");
  for (const auto lane : kAllPriorities) {
    const auto from = recovery.tail_from(lane);
    for (const auto& [first, chunk] : store_.chunks[lane]) {
      if (chunk->last() >= from) recovery.add_chunk(chunk);
    }
  }
  require(recovery.finish().ok(), "recovery refused what it was given");
  held_.clear();
  ran_.clear();
  starts_over_.reset();
  late_.clear();
  refills_.clear();
  parked_reads_.clear();
  suspect_running_ = false;
  held_release_ = {};
  since_turn_ = {};
  passed_over_ = {};
}

void CoreWorld::crash() {
  end_process(chance(15) ? Command::clean_end : chance(50) ? Command::power_loss : Command::crash);
}

void CoreWorld::end_process(Command how) {
  ++counts["crash"];
  const bool clean = how == Command::clean_end;
  const bool power = how == Command::power_loss;
  meet(how, all_states());
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
    if (each.finished || each.asks || clean || power) continue;
    if (chance(90)) running.emplace_back(each, chance(80));
  }
  // And some that have answered had still to return.
  for (const auto& each : late_) {
    const auto is_it = [&](const auto& other) {
      return other.first.lease.subscription == each.lease.subscription &&
             other.first.lease.event == each.lease.event;
    };
    if (!profile_.operations || clean || power || each.instead.has_value() || each.asks ||
        !chance(60) || std::any_of(running.begin(), running.end(), is_it)) {
      continue;
    }
    running.emplace_back(each, chance(80));
  }

  log_.resize(kept);
  now_.bus = now_.boot +
             base::bus_offset(log_.empty() ? base::Now{} : log_.back().written_at, now_, power);
  log_facts_.resize(kept);
  store_ = {};
  for (const auto& each : log_) store_.apply(each);
  died_.clear();
  for (const auto& [name, letter] : store_.dead) died_[name] = {letter.died_at, 0};
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
  revisit_due_ = false;
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
  revisit_operations();
}

void CoreWorld::accuse(CommitPlan& plan, const std::vector<std::pair<Held, bool>>& running) {
  for (const auto& [held, counted] : running) {
    const auto id = held.lease.subscription.value;
    const auto event = held.lease.event;
    auto* state = ledger_->find(held.lease.subscription);
    // Only what a handler has is in a slot.
    if (state == nullptr || held.instead.has_value()) continue;
    CommitPlan::Suspect suspect{
        .subscription = held.lease.subscription, .event = event, .counted = counted};
    const RecordStore::Name name{held.lease.subscription, event};
    const auto known = oracle_.find(id)->owed.find(event);
    const bool owed = known != oracle_.find(id)->owed.end();
    if (const auto settlement = store_.settlements.find(name);
        settlement != store_.settlements.end()) {
      // It was acknowledged just before the end.
      if (!settlement->second.is_owed()) {
        // Another suspect may have sent back the operation for which it is kept.
        require(!owed || (went_back_ && known->second.cleanup),
                "recovery knows another standing: " + CoreWorld::name(id, event));
        ++counts["suspect is kept"];
        continue;
      }
      suspect.parked = true;
      suspect.due = settlement->second.due;
      suspect.attempts = settlement->second.attempts;
      suspect.cleanup = settlement->second.cleanup;
      suspect.started = settlement->second.started || !settlement->second.cleanup;
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
    const bool cleanup = cancelled || known->second.cleanup;
    const bool started = known->second.started || !known->second.cleanup;
    const auto attempts = newly ? 0U : known->second.attempts + (counted ? 1U : 0U);
    const bool dead = plan.accuse(suspect);
    require(dead == (attempts >= oracle_.subscriptions.at(id).attempts_max),
            "a suspect has another number of attempts");
    ++counts[dead ? "suspect dead" : "suspect"];
    if (dead) {
      end(id, event, {Settled::dead, attempts, cleanup, started});
    } else {
      expected_settlements_.insert(name);
      if (cleanup) ++counts["suspect cancelled"];
      fact([=, now = now_, parked = suspect.parked](Oracle& oracle) {
        oracle.park(id, event,
                    {.attempts = attempts,
                     .due = now.bus,
                     .suspect = true,
                     .started = started,
                     .cleanup = cleanup});
        if (!parked) oracle.subscriptions.at(id).owed.at(event).is_behind_lane = true;
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
  if (chance(20)) put_some_back(true);
  if (revisit_due_) revisit_operations();
  // What that has made due is ready before anything is taken.
  scheduler_->advance(now_);
  load_the_dice();
  const auto what = below(1'000);
  if (what < 330) {
    for (auto left = profile_.crowded ? below(200) : 1; left > 0; --left) take();
  } else if (what < 640) {
    commit([this](CommitPlan& plan) {
      // In the order of the runtime: changes, answers, publishing.
      if (chance(6) && ledger_->subscriptions.size() < 6) subscribe(plan);
      if (chance(profile_.crowded ? 1 : 6)) reattach(plan);
      if (!profile_.crowded && chance(20)) attach_another();
      if (chance(8)) redrive(plan);
      if (chance(3)) pause_or_resume(plan);
      if (chance(3)) pause_or_resume_types(plan);
      if (chance(70)) answer_some(plan);
      if (chance(8)) make_token(plan);
      if (chance(8)) cancel_some(plan);
      if (profile_.operations && chance(40)) operate(plan);
      if (chance(45)) publish(plan);
    });
  } else if (what < 650 && ledger_->subscriptions.size() < 7) {
    subscribe_ephemeral();
  } else if (what < 660) {
    if (profile_.crowded && !chance(10)) return;
    const auto id = any_subscription(
        Command::detach, [](const auto& each) { return each.attached && each.durable; });
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
    const auto wait = static_cast<std::int64_t>(below(2'000)) * kMillisecond * pick({1, 1, 1, 20});
    meet_time(wait);
    advance(wait);
    if (profile_.clock_jumps && chance(20)) {
      now_.wall += static_cast<std::int64_t>(below(4'000)) * kSecond - 2'000 * kSecond;
      ++counts["clock set"];
    }
  } else if (what < 975) {
    meet(Command::housekeeping, all_states());
    commit([this](CommitPlan& plan) {
      trim(plan);
      forget_keys(plan);
      plan.refresh_cursors(below(50));
      forget_ordering_keys(plan);
    });
    ++counts["housekeeping"];
    put_expired_back();
  } else if (what < 979) {
    if (!profile_.crowded || chance(20)) crash();
  } else if (what < 984) {
    if (profile_.crowded && !chance(10)) return;
    commit([this](CommitPlan& plan) {
      rewind(plan);
      answer_late(plan, below(profile_.keys ? 12 : 4));
      if (chance(70)) answer_some(plan);
      if (chance(45)) publish(plan);
    });
  } else if (what < 997) {
    if (profile_.crowded && !chance(10)) return;
    compare();
  } else if (profile_.refills_at_once && !profile_.crowded) {
    flood();
  }
  if (revisit_due_) revisit_operations();
  scheduler_->advance(now_);
}

void CoreWorld::drain() {
  if (revisit_due_) revisit_operations();
  compare();
  durable_ = number_;
  offer(number_);
  int idle = 0;
  while (idle < 3) {
    commit([this, idle](CommitPlan& plan) {
      resume_all_types(plan);
      if (profile_.operations) expire_operations(plan);
      for (const auto& [id, subscription] : oracle_.subscriptions) {
        if (subscription.durable) set_paused(plan, id, false);
        if (subscription.durable && (!subscription.attached || idle > 0)) attach(id);
      }
      auto late = std::exchange(late_, {});
      for (auto& each : late) finish(each);
      for (auto& each : held_) {
        if (each.asks) pass_gate(each);
      }
      auto held = std::exchange(held_, {});
      for (auto& each : held) {
        auto& answer = answers_.emplace_back();
        answer.lease = each.lease;
        if (each.instead.has_value()) give_instead(answer, each);
        const bool cancelled = oracle_.is_cancelled(each.lease.event, each.lease.token);
        auto settlement = plan.answer(answer);
        if (cancelled && !each.lease.cleanup) {
          answer_cancelled(settlement, each, answer.ran);
        } else if (answer.kind == Kind::postpone || answer.kind == Kind::hold) {
          check_effect(each, answer, false, settlement);
        } else {
          require(settlement.effect == Effect::settled,
                  "an ack was refused: " + name(each.lease.subscription.value, each.lease.event));
          settled(each, settlement.how);
        }
        finish(each);
      }
      if (profile_.operations) end_operations(plan, idle > 0);
    });
    put_all_back();
    offer(number_);
    // Some were put off until a time that has come meanwhile; some wait for others.
    advance(4 * kSecond);
    refill_all();
    // What is ready only now may wait for more of its batch.
    advance(4 * kSecond);
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
  for (const auto& [id, operation] : oracle_.operations.all) {
    std::string members;
    for (const auto& member : operation.members) {
      members += " " + to_string(member.event) + " " + std::string(to_string(member.state));
    }
    require(operation.has_ended(), to_string(id) + " has not ended but is " +
                                       std::string(to_string(operation.state)) + ":" + members);
  }
  compare();
  if (!profile_.operations) return;
  commit([this](CommitPlan& plan) { trim(plan); });
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
  for (const auto& [id, operation] : oracle_.operations.all) {
    for (const auto& member : operation.members) settlements += member.kept.size();
  }
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
  compare_operations();
  compare_keys();
  compare_paused();
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
