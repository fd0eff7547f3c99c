// SPDX-License-Identifier: MIT
#include "support/core_world.h"

#include <cmath>

#include "model/event_codec.h"

namespace holdfast::testing {

using core::CommitPlan;
using model::PerLane;
using model::Sequence;
using model::SubscriptionId;

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMillisecond;
constexpr std::int64_t kThirtyDays = 30 * 24 * 3'600 * kSecond;

}  // namespace

// --- Commits ------------------------------------------------------------------------------------

void CoreWorld::commit(const std::function<void(CommitPlan&)>& fill) {
  facts_.clear();
  expected_settlements_.clear();
  expected_redrives_.clear();
  expected_signalled_.clear();
  expected_forgotten_.clear();
  expected_ended_.clear();
  went_back_ = false;
  CommitPlan plan(*ledger_, {epoch_, {number_ + 1}, {durable_}}, now_, [this] { return unit(); });
  // Of every key, where a runtime reads those that it needs.
  std::vector<model::IdempotencyRecord> keys;
  for (const auto& [key, record] : store_.keys) keys.push_back(record);
  plan.know_keys(std::move(keys));
  fill(plan);
  scheduler_->answered();
  note_overflow();
  if (plan.empty()) {
    require(facts_.empty(), "a commit that says nothing changed something");
    return;
  }
  const auto& made = plan.finish();
  require(made.number.value == number_ + 1 && made.epoch == epoch_, "commit has another number");
  inspect(made);
  check_operations(plan, made);
  ++number_;
  log_.push_back(made);
  store_.apply(made);
  log_facts_.push_back(facts_);
  encoded_.clear();
  answers_.clear();
  batch_answers_.clear();
}

void CoreWorld::inspect(const model::Commit& made) {
  for (const auto lane : kAllPriorities) {
    require(made.next[lane] == oracle_.next[lane], "a sequence was skipped or used twice");
  }
  for (const auto& operation : made.operations) {
    if (const auto* put = std::get_if<model::PutSettlement>(&operation)) {
      const auto id = put->record.subscription.value;
      const auto event = put->record.event;
      if (expected_settlements_.contains({put->record.subscription, event})) continue;
      // Parked for having held up the floor: only what was taken, was never tried before and is
      // behind thousands of others.
      auto* subscription = oracle_.find(id);
      require(subscription != nullptr && subscription->owed.contains(event),
              "parked unasked: " + name(id, event));
      const auto& owed = subscription->owed.at(event);
      require(!owed.parked && (owed.taken || owed.again || oracle_.keyed.contains(event)) &&
                  put->record.attempts == 0 && put->copy != nullptr &&
                  made.next[event.priority] - event.sequence > core::DeliveryLane::kTakenSoftMax,
              "parked unasked: " + name(id, event));
      const bool runs = std::any_of(held_.begin(), held_.end(), [&](const Held& each) {
        return each.lease.subscription == put->record.subscription && each.lease.event == event &&
               holds(each) && !each.asks && !each.instead.has_value();
      });
      require(put->record.started ? begun_.contains({id, event}) : !runs,
              "a handler has seen it, or none has: " + name(id, event));
      fact([=, now = now_, started = put->record.started](Oracle& oracle) {
        oracle.park(id, event, {.due = now.bus, .started = started});
      });
      ++counts["overdue"];
    } else if (const auto* erase = std::get_if<model::EraseDeadLetter>(&operation)) {
      const RecordStore::Name letter{erase->subscription, erase->event};
      const auto id = erase->subscription.value;
      if (expected_redrives_.contains(letter)) continue;
      std::size_t dead = 0;
      for (const auto& [other, subscription] : oracle_.subscriptions) {
        for (const auto& [event, attempts] : subscription.dead) {
          ++dead;
          require(profile_.clock_jumps ||
                      died_.at(letter).first <= died_.at({SubscriptionId{other}, event}).first,
                  "a dead letter was dropped that is not the oldest");
        }
      }
      require(dead > settings_.dead_letters_max, "a dead letter was dropped without need");
      fact([=, event = erase->event](Oracle& oracle) { oracle.find(id)->dead.erase(event); });
      ++counts["dropped dead letter"];
      if (oracle_.subscriptions.at(id).dead_cleanups.contains(erase->event)) {
        note_given_up(erase->event);
      }
    }
  }
  check_erased(made);
  check_forgotten(made);
  for (const auto lane : kAllPriorities) {
    const auto to = made.trim[lane];
    if (to == store_.trim[lane]) continue;
    require(to > store_.trim[lane] && to <= made.next[lane],
            "the trim point moved back, or past the end");
    for (const auto& [id, subscription] : oracle_.subscriptions) {
      const auto owed =
          std::find_if(subscription.owed.lower_bound({lane, 0}), subscription.owed.end(),
                       [](const auto& each) { return !each.second.parked; });
      require(owed == subscription.owed.end() || owed->first.priority != lane ||
                  owed->first.sequence >= to,
              "trimmed what is owed");
    }
    for (const auto& [event, known] : oracle_.events) {
      if (event.priority != lane || event.sequence >= to) continue;
      require(known.commit <= offered_, "trimmed what has not been offered");
      if (known.ever_claimed) continue;
      ++counts["expired unclaimed"];
      require(now_.bus - known.published_at > settings_.retention.unclaimed.age.count() * kSecond,
              "an unclaimed event was trimmed early: " + to_string(event));
    }
    fact([=](Oracle& oracle) { oracle.trim(lane, to); });
    ++counts["trim"];
  }
}

// --- Publishing ---------------------------------------------------------------------------------

model::EncodedEvents& CoreWorld::encode(std::size_t count, OperationId operation) {
  static constexpr std::array<const char*, 6> kTypes = {"a.x", "a.y", "b.x", "b.y.z", "c", "a.x.z"};
  static const std::array<std::vector<MetadataPair>, 2> kColors = {
      std::vector<MetadataPair>{{"color", "red"}},
      std::vector<MetadataPair>{{"other", "1"}, {"color", "blue"}}};
  auto& events = encoded_.emplace_back();
  const auto lane = chance(80) ? Priority::normal : any_lane();
  // Those of an operation are of one kind often, so that they go to one handler together.
  const bool alike = operation.value != 0 && chance(50);
  // With much that can end one of them, hardly an operation would get far.
  const bool calm = operation.value != 0 && chance(60);
  const auto* type = kTypes[alike ? below(kTypes.size()) : 0];
  for (std::size_t i = 0; i < count; ++i) {
    const auto& color = kColors[below(2)];
    Event event{.type = alike ? type : kTypes[below(kTypes.size())],
                .payload = {},
                .priority = count > 100 || alike ? lane : any_lane(),
                .metadata = color};
    const std::string payload(below(40), 'p');
    event.payload = payload;
    if (chance(8)) event.not_before = now_.wall + static_cast<std::int64_t>(below(60)) * kSecond;
    if (chance(profile_.crowded ? 8 : calm ? 18 : 25)) {
      event.expires_at = std::max(event.not_before, now_.wall) +
                         static_cast<std::int64_t>(1 + below(pick({60, 600, 600}))) * kSecond;
    }
    // One that is cancelled refuses all of them.
    if (chance(count > 100 ? 0 : calm ? 20 : 35)) event.token = token_to_publish_under();
    const bool has_key = profile_.keys && chance(count > 100 ? 1 : 20);
    const auto key = has_key ? any_ordering_key() : std::string();
    event.ordering_key = key;
    const auto once = count <= 100 ? key_to_publish() : std::string();
    event.idempotency_key = once;
    events.add(event, now_.wall, operation);
    note_stored_key(events, key);
  }
  return events;
}

void CoreWorld::note_published(const model::EncodedEvents& events, const std::vector<EventId>& ids,
                               const std::vector<core::Duplicate>& duplicates,
                               std::uint64_t commit) {
  require(ids.size() == events.size(), "not every event got its id");
  auto duplicate = duplicates.begin();
  const auto uses = oracle_.uses.size();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = ids[i];
    const std::string key(model::read_event(events.record(i)).idempotency_key);
    if (const auto first = first_of(key, oracle_.uses.size() - uses); first.has_value()) {
      require(duplicate != duplicates.end() && duplicate->index == i && id == first->event &&
                  duplicate->commit.value == first->commit && duplicate->token == first->token,
              "a duplicate is not told as one: " + to_string(first->event));
      ++duplicate;
      ++counts["duplicate"];
      meet(Command::publish_again, first->event);
      if (first->commit == commit) ++counts["duplicate in its commit"];
      continue;
    }
    require(id.priority == events.entry(i).lane && id.sequence == oracle_.next[id.priority],
            "a sequence was skipped or used twice: " + to_string(id));
    const auto view = model::read_event(events.record(i));
    OracleEvent event{.type = std::string(view.type),
                      .color = std::string(*view.metadata.find("color")),
                      .idempotency_key = key,
                      .commit = commit,
                      .published_at = now_.bus,
                      .ever_claimed = false,
                      .token = view.token,
                      .not_before = view.not_before,
                      .expires_at = view.expires_at,
                      .key = std::string(view.ordering_key),
                      .operation = view.operation_id};
    if (!event.key.empty()) ++counts["keyed"];
    const bool again = !key.empty() && std::any_of(oracle_.uses.begin(), oracle_.uses.end(),
                                                   [&](const auto& use) { return use.key == key; });
    if (again) ++counts["key used again"];
    fact([id, event](Oracle& oracle) { oracle.publish(id, event); });
  }
  require(duplicate == duplicates.end(), "what was new is told as a duplicate");
}

void CoreWorld::publish(CommitPlan& plan) {
  const bool crowd = profile_.crowded && counts["crowd"] < 5 && chance(10);
  const bool batch = chance(40);
  const auto& events = encode(crowd ? 2'000 + below(4'000) : batch ? 2 + below(6) : 1);
  std::vector<EventId> ids;
  std::vector<core::Duplicate> duplicates;
  if (!admits(plan, events)) {
    ++counts["refused by token"];
    return;
  }
  plan.publish(events, batch, ids, &duplicates);
  note_published(events, ids, duplicates, plan.number().value);
  ++counts[crowd ? "crowd" : batch ? "batch" : "publish"];
  if (chance(20)) expect_last(plan);
  if (chance(10)) {
    const Oracle::StateKey key{"shared", "k" + std::to_string(below(6))};
    std::optional<std::string> value;
    if (chance(70)) value = std::to_string(below(1'000));
    plan.put_state(key.first, key.second, value);
    fact([=, number = plan.number().value](Oracle& oracle) {
      oracle.write_state(key, value, number);
    });
  }
}

// --- Answers ------------------------------------------------------------------------------------

void CoreWorld::finish(Held& held) {
  if (std::exchange(held.finished, true)) return;
  scheduler_->finish(held.lease);
  if (held.serial == suspect_serial_) suspect_running_ = false;
  auto* subscription = oracle_.find(held.lease.subscription.value);
  if (subscription == nullptr || subscription->generation != held.lease.generation) return;
  if (held.lease.beside) return;
  --subscription->in_flight;
  if (held.lease.event.priority != Priority::critical) --subscription->in_flight_less_urgent;
}

void CoreWorld::answer_some(CommitPlan& plan) {
  for (auto left = below(profile_.crowded ? 400 : answers_at_once_); left > 0 && !held_.empty();
       --left) {
    const auto at = held_.begin() + static_cast<std::ptrdiff_t>(below(held_.size()));
    const bool unread = at->asks && chance(5) && is_durable(*at);
    if (at->asks && !unread) {
      pass_gates(*at);
      if (chance(30)) continue;
    }
    if (!unread && takes_its_time(*at)) continue;
    // In a crowd some handlers take very long, so that the row behind them grows.
    if (profile_.crowded && at->serial % 701 == 0 && !chance(1)) continue;
    // Mostly as one; those that are looked after by themselves are answered so.
    if (at->batch != 0 && !unread && chance(75)) {
      if (auto batch = take_batch(at->batch); !batch.empty()) {
        // Now and then with one that is not its own any more.
        if (!late_.empty() && chance(30) &&
            late_.back().lease.subscription == batch.front().lease.subscription &&
            !late_.back().instead.has_value() && !late_.back().lease.cleanup) {
          batch.push_back(late_.back());
          late_.pop_back();
        }
        answer(plan, std::move(batch));
        continue;
      }
    }
    auto held = *at;
    held.unread = unread;
    held_.erase(at);
    answer(plan, std::move(held));
  }
  while (!late_.empty() && chance(late_.size() > 20 ? 50 : 20)) {
    std::swap(late_[late_to_answer()], late_.back());
    const auto held = late_.back();
    late_.pop_back();
    answer(plan, held);
  }
}

std::unique_ptr<core::TxWrites> CoreWorld::any_tx(const Held& held, bool& conflict) {
  auto tx = std::make_unique<core::TxWrites>();
  for (auto left = below(3); left > 0; --left) {
    const auto& one = encode(1);
    const auto view = model::read_event(one.record(0));
    std::vector<MetadataPair> metadata{{"color", *view.metadata.find("color")}};
    tx->events.add({.type = view.type,
                    .payload = "tx",
                    .priority = one.entry(0).lane,
                    .metadata = metadata,
                    .token = view.token,
                    .ordering_key = view.ordering_key,
                    .idempotency_key = view.idempotency_key},
                   now_.wall);
    note_stored_key(tx->events, std::string(view.ordering_key));
  }
  for (auto left = below(3); left > 0; --left) {
    std::optional<std::string> value;
    if (chance(70)) value = std::to_string(below(1'000));
    tx->state.push_back({pick({"shared", "own"}), "k" + std::to_string(below(6)), value});
  }
  for (auto left = below(3); left > 0; --left) {
    const bool prefix = chance(30);
    const Oracle::StateKey key{pick({"shared", "own"}),
                               prefix ? pick({"k", ""}) : "k" + std::to_string(below(6))};
    tx->reads.reads.push_back(
        {core::StateVersions::full_key(key.first, key.second), prefix, {held.visible}});
    conflict = conflict || oracle_.conflicts(key, prefix, held.visible);
  }
  if (chance(10)) tx->status = {StatusCode::invalid_argument, "a tx that is too large"};
  return tx;
}

bool CoreWorld::holds(const Held& held) {
  auto* subscription = oracle_.find(held.lease.subscription.value);
  if (subscription == nullptr) return false;
  const auto found = subscription->owed.find(held.lease.event);
  return found != subscription->owed.end() && found->second.holder == held.serial;
}

bool CoreWorld::tx_admitted(const core::TxWrites& tx) {
  bool admitted = true;
  for (std::size_t i = 0; i < tx.events.size(); ++i) {
    const auto* admission = tx.events.admission(i);
    if (admission == nullptr || admission->token.value == 0) continue;
    const std::string key(model::read_event(tx.events.record(i)).idempotency_key);
    if (first_of(key).has_value()) continue;
    const auto known = oracle_.tokens.find(admission->token);
    admitted = admitted && known != oracle_.tokens.end() && !known->second.cancelled;
  }
  return admitted;
}

void CoreWorld::note_tx(const CommitPlan& plan, const model::EncodedEvents& events,
                        const CommitPlan::Settlement& settlement,
                        const std::vector<core::TxWrites::StateWrite>& writes) {
  note_published(events, settlement.published, settlement.duplicates, plan.number().value);
  counts["tx event"] += settlement.published.size();
  counts["duplicate in a tx"] += settlement.duplicates.size();
  for (const auto& write : writes) {
    fact([=, number = plan.number().value](Oracle& oracle) {
      oracle.write_state({write.name, write.key}, write.value, number);
    });
  }
}

void CoreWorld::note_run_again(const Held& held, const CommitPlan::Settlement& settlement) {
  const auto id = held.lease.subscription.value;
  require(settlement.effect == Effect::run_again,
          "it does not start over: " + name(id, held.lease.event));
  scheduler_->run_again(held.lease);
  auto& owed = oracle_.subscriptions.at(id).owed.at(held.lease.event);
  owed.again = true;
  owed.again_attempts = held.lease.attempt - 1;
  owed.again_cleanup = held.lease.cleanup;
  owed.again_started = held.lease.started_then();
  owed.again_since = now_.bus;
  owed.taken = false;
  owed.holder = 0;
  starts_over_ = {id, held.lease.event};
  ++counts["run again"];
}

core::Answer CoreWorld::any_answer(const Held& held, const OracleSubscription* subscription) {
  static constexpr std::array<Kind, 13> kKinds = {
      Kind::ack,   Kind::ack,    Kind::ack,    Kind::ack,     Kind::ack,  Kind::ack,    Kind::retry,
      Kind::retry, Kind::snooze, Kind::reject, Kind::release, Kind::skip, Kind::abandon};
  core::Answer answer;
  answer.lease = held.lease;
  answer.kind = rarest_kind(held, kKinds[below(kKinds.size())]);
  // An ephemeral subscription has no later attachment that a release could wait for.
  if (answer.kind == Kind::release && subscription != nullptr &&
      (!subscription->durable || (profile_.crowded && !chance(20)))) {
    answer.kind = Kind::ack;
  }
  if (held.instead.has_value()) {
    give_instead(answer, held);
  } else if (held.lease.is_compensation() && subscription != nullptr &&
             !subscription->compensates) {
    // As for want of a handler.
    answer.kind = Kind::reject;
  }
  if (held.unread) {
    answer.ran = false;
    answer.kind = Kind::release;
  }
  if (chance(30)) answer.reason = "why";
  if (answer.kind == Kind::snooze || (answer.kind == Kind::retry && chance(40))) {
    answer.delay =
        pick<std::int64_t>({0, 50 * kMillisecond, 2 * kSecond, 40 * kSecond, 2 * kThirtyDays, -5});
    if (*answer.delay > kThirtyDays && !chance(10)) answer.delay = kSecond;
  }
  const auto delay = std::exchange(next_delay_, std::nullopt);
  if (answer.kind == Kind::retry && delay.has_value()) answer.delay = delay;
  return answer;
}

void CoreWorld::answer(CommitPlan& plan, Held held) {
  const auto id = held.lease.subscription.value;
  const auto event = held.lease.event;
  auto* subscription = oracle_.find(id);
  const bool valid = holds(held);
  if (!valid && held.asks && !held.unread) ask_too_late(held);
  if (chance(80)) finish(held);
  auto& answer = answers_.emplace_back(any_answer(held, subscription));
  const bool refused = oracle_.is_cancelled(event, held.lease.token) && !held.lease.cleanup;
  bool conflict = false;
  if (chance(35) && !held.instead.has_value() && !held.unread) answer.tx = any_tx(held, conflict);
  meet(answer, valid, answer.tx != nullptr);
  const auto* tx = answer.tx.get();
  const bool keeps_tx = tx != nullptr && answer.kind == Kind::ack;
  const auto writes = tx == nullptr ? std::vector<core::TxWrites::StateWrite>() : tx->state;

  note_returned(held);
  const auto before = plan.event_count();
  units_.clear();
  const auto settlement = plan.answer(answer);
  if (!valid) {
    require(settlement.effect == Effect::stale, "stale had another effect: " + name(id, event));
    ++counts["stale"];
    const auto* known = subscription == nullptr ? nullptr : &subscription->owed;
    if (known != nullptr && known->contains(event) && known->at(event).holder != 0) {
      ++counts["superseded"];
    }
    require(plan.event_count() == before, "a stale answer published something");
    return finish(held);
  }
  if (subscription->owed.at(event).parked && !held.lease.parked) ++counts["overdue answered"];
  if (refused) {
    require(plan.event_count() == before, "a cancelled answer published something");
    auto effect = settlement;
    answer_cancelled(effect, held, answer.ran);
  } else if (keeps_tx && !tx->status.ok()) {
    ++counts["failed tx"];
    fail(held, std::nullopt, settlement);
  } else if (keeps_tx && conflict) {
    ++counts["conflict"];
    require(plan.event_count() == before, "a refused tx published something");
    note_run_again(held, settlement);
  } else if (keeps_tx && !tx_admitted(*tx)) {
    ++counts["tx under a cancelled token"];
    require(plan.event_count() == before, "a tx published under a cancelled token");
    fail(held, std::nullopt, settlement);
  } else {
    if (keeps_tx) note_tx(plan, tx->events, settlement, writes);
    check_effect(held, answer, keeps_tx, settlement);
    if (settlement.effect == Effect::settled && chance(20)) {
      auto& twice = answers_.emplace_back();
      twice.lease = held.lease;
      twice.kind = pick({Kind::ack, Kind::retry, Kind::snooze, Kind::reject, Kind::release});
      require(plan.answer(twice).effect == Effect::stale, "answered twice: " + name(id, event));
      ++counts["twice"];
    }
  }
  finish(held);
  // Its handler may still be at it, and answer when somebody else has the event.
  if (chance(20)) note_late(held);
}

void CoreWorld::check_effect(const Held& held, const core::Answer& answer, bool keeps_tx,
                             const CommitPlan::Settlement& settlement) {
  const auto id = held.lease.subscription.value;
  const auto event = held.lease.event;
  const auto expect = [&](Effect effect, const std::string& what) {
    require(settlement.effect == effect, what + " had another effect: " + name(id, event));
    ++counts[what];
  };
  const auto give_up_hold = [&] {
    auto& owed = oracle_.subscriptions.at(id).owed.at(event);
    owed.taken = false;
    owed.holder = 0;
  };
  switch (answer.kind) {
    case Kind::ack:
      expect(Effect::settled, held.lease.cleanup ? "cleaned up" : keeps_tx ? "ack with tx" : "ack");
      require(settlement.how == (held.lease.cleanup ? Settled::cancelled : Settled::acked),
              "an ack did not end as one");
      settled(held, settlement.how);
      break;
    case Kind::drop:
      expect(Effect::settled, answer.how == Settled::expired ? "expired" : "no clean-up");
      require(settlement.how == answer.how, "an event ended otherwise than the gate said");
      settled(held, answer.how);
      break;
    case Kind::postpone:
      expect(Effect::parked, "postponed");
      put_off(held, answer);
      break;
    case Kind::hold:
      expect(Effect::parked, "held");
      put_off(held, answer);
      break;
    case Kind::skip:
      expect(Effect::settled, "skip");
      require(settlement.how == Settled::skipped, "a skip did not end as one");
      settled(held, Settled::skipped);
      break;
    case Kind::reject:
      expect(Effect::settled, answer.tx != nullptr ? "reject with tx" : "reject");
      require(settlement.how == Settled::dead, "a reject did not end as one");
      settled(held, Settled::dead);
      break;
    case Kind::abandon:
    case Kind::retry:
      ++counts[answer.kind == Kind::retry ? "retry" : "abandon"];
      fail(held, answer.delay, settlement);
      break;
    case Kind::snooze: {
      expect(Effect::parked, "snooze");
      const auto delay = std::clamp<std::int64_t>(*answer.delay, 0, kThirtyDays);
      expected_settlements_.insert({held.lease.subscription, event});
      if (held.lease.suspect) ++counts["suspect snoozed"];
      park(held, {.attempts = held.lease.attempt - 1,
                  .due = now_.bus + delay,
                  .suspect = held.lease.suspect,
                  .started = held.lease.started_then(),
                  .cleanup = held.lease.cleanup});
      give_up_hold();
      break;
    }
    case Kind::release:
      expect(Effect::released, "release");
      // Given to nobody until the next attachment.
      oracle_.subscriptions.at(id).owed.at(event).holder = 0;
      break;
  }
}

/// What is late keeps no event in memory: the world has no handlers that would go on.
void CoreWorld::note_late(const Held& held) {
  late_.push_back(held);
  late_.back().lease.chunk.reset();
}

void CoreWorld::fail(const Held& held, std::optional<std::int64_t> delay,
                     const CommitPlan::Settlement& settlement) {
  const auto id = held.lease.subscription.value;
  const auto event = held.lease.event;
  if (held.lease.attempt >= oracle_.subscriptions.at(id).attempts_max) {
    require(settlement.effect == Effect::settled && settlement.how == Settled::dead,
            "more attempts than allowed: " + name(id, event));
    return settled(held, Settled::dead);
  }
  require(settlement.effect == Effect::parked, "given up on too early: " + name(id, event));
  if (!delay.has_value()) {
    const auto base = std::min(100e6 * std::pow(2.0, held.lease.attempt - 1), 5'000e6);
    delay = static_cast<std::int64_t>(base * (1.0 + kRetry.jitter * (2.0 * units_.front() - 1.0)));
    units_.pop_front();
  }
  delay = std::clamp<std::int64_t>(*delay, 0, kThirtyDays);
  expected_settlements_.insert({held.lease.subscription, event});
  if (held.lease.is_compensation()) ++counts["compensation retried"];
  park(held, {.attempts = held.lease.attempt,
              .due = now_.bus + *delay,
              .started = held.lease.started_then(),
              .cleanup = held.lease.cleanup});
  auto& owed = oracle_.subscriptions.at(id).owed.at(event);
  owed.taken = false;
  owed.holder = 0;
}

}  // namespace holdfast::testing
