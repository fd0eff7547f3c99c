// SPDX-License-Identifier: MIT
// The part of the world in which events are cancelled, expire, and wait for their time.
#include <utility>

#include "core/token_id.h"
#include "support/core_world.h"

namespace holdfast::testing {

using core::CommitPlan;
using core::Verdict;
using model::Sequence;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kTokenIdle = std::int64_t{24} * 3'600 * kSecond;

}  // namespace

std::optional<TokenId> CoreWorld::any_token() {
  if (oracle_.tokens.empty()) return std::nullopt;
  return std::next(oracle_.tokens.begin(),
                   static_cast<std::ptrdiff_t>(below(oracle_.tokens.size())))
      ->first;
}

void CoreWorld::make_token(CommitPlan& plan) {
  const auto id = core::made_token(epoch_, ++tokens_made_);
  const auto timeout =
      chance(70) ? static_cast<std::int64_t>(1 + below(pick({100, 300}))) * kSecond : 0;
  const bool room = oracle_.tokens.size() < settings_.tokens_max;
  require(plan.make_token(id, timeout).ok() == room, "the limit of tokens is another");
  if (!room) return;
  fact([=, now = now_](Oracle& oracle) {
    oracle.tokens[id] = {.used_at = now.bus, .deadline = timeout == 0 ? 0 : now.bus + timeout};
  });
  ++counts["token"];
}

void CoreWorld::cancel_timed_out(CommitPlan& plan) {
  while (const auto id = ledger_->cancellations.next_expired(now_.bus)) {
    require(oracle_.tokens.at(*id).deadline <= now_.bus, "a token timed out early");
    cancel_token(plan, *id, Command::token_timeout);
    ++counts["token timed out"];
  }
}

void CoreWorld::cancel_some(CommitPlan& plan) {
  // Whose time is over cancels itself, before anybody else does.
  cancel_timed_out(plan);
  if (chance(60)) return cancel_event(plan, event_to_cancel());
  const auto id = token_to_cancel();
  if (id.has_value()) cancel_token(plan, *id, Command::cancel_token);
}

/// What a cancel keeps for `on_cancel`, while the handler still has it.
void CoreWorld::expect_cleanups(
    const std::vector<std::pair<model::SubscriptionId, EventId>>& running) {
  for (const auto& [subscription_id, event] : running) {
    const auto id = subscription_id.value;
    auto& subscription = oracle_.subscriptions.at(id);
    require(subscription.owed.contains(event) && subscription.owed.at(event).holder != 0,
            "signalled though nobody has it: " + name(id, event));
    if (!subscription.durable || !oracle_.cleans_up(subscription, event)) continue;
    if (subscription.owed.at(event).cleanup) continue;
    expected_settlements_.insert({subscription_id, event});
    fact([=, event = event, now = now_](Oracle& oracle) {
      oracle.park(id, event, {.due = now.bus, .cleanup = true});
    });
    ++counts["kept for clean-up"];
  }
}

void CoreWorld::cancel_event(CommitPlan& plan, std::optional<EventId> id) {
  if (!id.has_value()) return;
  auto chunk = store_.chunk_of(*id);
  for (const auto& [name, copy] : store_.parked) {
    if (chunk == nullptr && name.second == *id) chunk = copy;
  }
  if (chunk == nullptr) return;
  const auto view = chunk->event(id->sequence);
  const bool already = oracle_.is_cancelled(*id, view.token);
  const bool leased = oracle_.is_leased(*id);
  const bool owed = oracle_.is_owed(*id);
  const bool ended = oracle_.is_ended(*id);
  meet(Command::cancel_event, *id);
  const auto cancelled = plan.cancel(view, "enough");
  const auto& receipt = cancelled.receipt;
  require(receipt.already_cancelled == already, "cancelled already: " + to_string(*id));
  if (leased) {
    require(receipt.outcome == CancelOutcome::signalled, "not signalled: " + to_string(*id));
  } else if (owed || already) {
    require(receipt.outcome == CancelOutcome::prevented, "not prevented: " + to_string(*id));
  } else if (profile_.steady) {
    require(receipt.outcome == (ended ? CancelOutcome::too_late : CancelOutcome::prevented),
            "too late, or not: " + to_string(*id));
  }
  require(
      receipt.prevented + receipt.signalled + receipt.too_late == 1 && receipt.events.size() == 1,
      "a single event was counted otherwise");
  ++counts["cancel " + std::string(to_string(receipt.outcome))];
  if (already) {
    ++counts["cancel again"];
    return;
  }
  expect_cleanups(cancelled.running);
  if (receipt.outcome == CancelOutcome::too_late) return;
  fact([id = *id](Oracle& oracle) { oracle.tombstones.insert(id); });
  const auto place = oracle_.operations.find(*id);
  if (!place.has_value()) return;
  const auto& operation = oracle_.operations.all.at(place->id);
  if (operation.is_open() && decides(operation.members[place->index])) {
    ++counts["member cancelled"];
    go_back(place->id);
  }
}

void CoreWorld::cancel_token(CommitPlan& plan, TokenId id, Command command) {
  const auto& token = oracle_.tokens.at(id);
  meet_token(command, token);
  std::uint64_t signalled = 0;
  std::uint64_t perhaps = 0;  // one whose attachment is over may be at it, and another has it now
  const auto ended = oracle_.ended_of(token);
  std::vector<core::Span> members;
  for (const auto event : token.events) {
    if (oracle_.is_leased(event)) {
      bool runs = false;
      bool may_run = false;
      for (const auto& each : held_) {
        if (each.lease.event != event) continue;
        // One that waits to be asked about by the gate is not with a handler yet.
        runs = runs || !(each.instead.has_value() || each.lease.cleanup || each.asks);
        may_run = may_run || ran_.contains({each.lease.subscription.value, event});
      }
      if (runs) {
        ++signalled;
      } else if (may_run) {
        ++perhaps;
      }
    }
    if (auto chunk = store_.chunk_of(event); chunk != nullptr) {
      members.push_back({chunk, event.sequence, event.sequence + 1});
    }
  }
  const bool already = token.cancelled;
  const auto total = token.events.size();
  const auto cancelled = plan.cancel(id, "enough", members);
  require(cancelled.ok(), "a known token was not found");
  const auto& receipt = cancelled->receipt;
  require(receipt.already_cancelled == already, "cancelled already");
  require(receipt.prevented + receipt.signalled + receipt.too_late >= total,
          "not every event of a token was counted");
  if (!already) {
    require(
        receipt.signalled >= signalled && receipt.signalled <= signalled + perhaps,
        "signalled is " + std::to_string(receipt.signalled) + ", not " + std::to_string(signalled));
  }
  if (profile_.steady && !already) {
    require(receipt.too_late == ended,
            "too late is " + std::to_string(receipt.too_late) + ", not " + std::to_string(ended));
    for (const auto& [event, outcome] : receipt.events) {
      const bool late = outcome == CancelOutcome::too_late;
      require(outcome == CancelOutcome::signalled || late == oracle_.is_ended(event),
              "told otherwise one by one: " + to_string(event));
    }
  }
  ++counts["cancel token"];
  if (total > 1 && receipt.prevented > 0 && receipt.too_late > 0) ++counts["cancel token in part"];
  if (already) return;
  expect_cleanups(cancelled->running);
  fact([id](Oracle& oracle) { oracle.tokens.at(id).cancelled = true; });
  for (const auto& [operation_id, operation] : oracle_.operations.all) {
    const auto& of_it = operation.members;
    const bool pending = std::any_of(of_it.begin(), of_it.end(), [&](const auto& member) {
      return member.token == id && decides(member);
    });
    if (!operation.is_open() || !pending) continue;
    ++counts["members cancelled by token"];
    go_back(operation_id);
  }
}

/// The answer of a handler whose event was cancelled meanwhile.
void CoreWorld::answer_cancelled(CommitPlan::Settlement& settlement, const Held& held, bool ran) {
  const auto id = held.lease.subscription.value;
  const auto event = held.lease.event;
  auto& subscription = oracle_.subscriptions.at(id);
  auto& owed = subscription.owed.at(event);
  if (!oracle_.cleans_up(subscription, event) || !(ran || held.lease.started)) {
    require(settlement.effect == Effect::settled && settlement.how == Settled::cancelled,
            "a cancelled event did not end: " + name(id, event));
    ++counts["ended as cancelled"];
    return settled(held, Settled::cancelled);
  }
  require(settlement.effect == Effect::refused, "the answer was not refused: " + name(id, event));
  ++counts["refused as cancelled"];
  owed.taken = false;
  owed.holder = 0;
  if (owed.cleanup) return;  // written down with the cancel
  expected_settlements_.insert({held.lease.subscription, event});
  fact_of(id, [=, now = now_](Oracle& oracle) {
    oracle.park(id, event, {.due = now.bus, .cleanup = true});
  });
}

/// Nothing is forgotten that could still apply to something.
void CoreWorld::check_erased(const model::Commit& made) {
  const auto gone = [&](EventId event) {
    return event.sequence < made.trim[event.priority] && !oracle_.is_owed(event) &&
           !oracle_.is_dead(event);
  };
  for (const auto& operation : made.operations) {
    if (const auto* erased = std::get_if<model::EraseTombstone>(&operation)) {
      const auto event = erased->event;
      require(gone(event), "a tombstone went too early: " + to_string(event));
      fact([event](Oracle& oracle) { oracle.tombstones.erase(event); });
      ++counts["tombstone reclaimed"];
    } else if (const auto* token = std::get_if<model::EraseToken>(&operation)) {
      const auto id = token->token;
      const auto& known = oracle_.tokens.at(id);
      require(known.cancelled || now_.bus - known.used_at >= kTokenIdle,
              "a token was forgotten that could be used");
      for (const auto event : known.events) {
        require(gone(event), "a token was forgotten too early: " + to_string(event));
      }
      fact([id](Oracle& oracle) { oracle.tokens.erase(id); });
      ++counts["token reclaimed"];
    } else if (const auto* key = std::get_if<model::EraseOrderingKey>(&operation)) {
      for (const auto event : oracle_.by_key.at(key->key)) {
        require(event.sequence < made.trim[event.priority], "an ordering key was forgotten early");
      }
      ++counts["key reclaimed"];
    }
  }
}

/// Read some time ago, it may be that more was published under them since.
void CoreWorld::forget_ordering_keys(core::CommitPlan& plan) {
  for (const auto& [key, record] : store_.ordering_keys) {
    if (chance(50)) plan.forget_ordering_key(record);
  }
}

void CoreWorld::show_tokens(core::TokenChange& change) {
  for (const auto lane : kAllPriorities) {
    for (const auto& [first, chunk] : store_.chunks[lane]) {
      for (auto each = std::max(first, store_.trim[lane]); each <= chunk->last(); ++each) {
        change.add(chunk->event(each));
      }
    }
  }
  for (const auto& [name, copy] : store_.parked) {
    if (name.second.sequence < store_.trim[name.second.priority]) {
      change.add(copy->event(name.second.sequence));
    }
  }
}

void CoreWorld::compare_cancellations() {
  std::size_t tombstones = 0;
  for (const auto& lane : ledger_->cancellations.tombstones) tombstones += lane.size();
  require(tombstones == oracle_.tombstones.size() &&
              store_.tombstones.size() == oracle_.tombstones.size(),
          "tombstones differ");
  require(ledger_->cancellations.token_count() == oracle_.tokens.size() &&
              store_.tokens.size() == oracle_.tokens.size(),
          "tokens differ");
  for (const auto& [id, known] : oracle_.tokens) {
    const auto* token = ledger_->cancellations.find(id);
    require(token != nullptr && token->cancelled() == known.cancelled, "a token differs");
    require(token->record.published == known.events.size(), "a token counts other events");
    require(store_.tokens.at(id).ended == token->record.ended &&
                store_.tokens.at(id).published == token->record.published,
            "a token is stored differently");
    require(token->record.ended <= token->record.published, "more have ended than there were");
    if (!profile_.steady || known.cancelled) continue;
    const auto ended = oracle_.ended_of(known);
    require(token->record.ended == ended, "of a token's events " +
                                              std::to_string(token->record.ended) +
                                              " have ended, not " + std::to_string(ended));
  }
}

}  // namespace holdfast::testing
