// SPDX-License-Identifier: MIT
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "runtime/engine.h"
#include "runtime/pins.h"

namespace holdfast::runtime {

using model::PerLane;
using model::Sequence;
using model::SubscriptionId;

namespace {

// Each takes about 100 bytes of the one commit that a rewind is.
constexpr std::size_t kParkedKeptMax = 100'000;

}  // namespace

/// One try to rewind a subscription: what is known of it, and what was read.
struct Engine::Rewinding {
  std::string name;
  SubscriptionId id;
  core::InterestPtr interest;  // from the new position on
  bool keeps_parked = false;   // it goes nowhere that is behind all that is kept
  Backlog backlog;
  PerLane<Sequence> read_to;  // of the backlog
  core::CommitPlan::Rewind to;
  /// As they were when the rest was read. When they have changed it is read anew.
  struct Seen {
    PerLane<std::uint64_t> parked;
    PerLane<std::uint64_t> dead;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  Seen seen;
  bool again = false;
  std::optional<core::TokenChange> tokens;
  RewindReceipt receipt;

  static Seen look(const core::SubscriptionState& subscription) {
    Seen seen;
    for (const auto lane : kAllPriorities) {
      seen.parked[lane] = subscription.lanes[lane].parked;
      seen.dead[lane] = subscription.lanes[lane].dead;
    }
    return seen;
  }
};

/// `position`, or the earliest when the event is gone that it names.
Result<Start> Engine::kept_position(const Start& position, bool& trimmed) const {
  const auto* id = std::get_if<EventId>(&position.value);
  if (id == nullptr) return position;
  if (auto status = core::check_event_id(*id); !status.ok()) return status.with_context("position");
  const std::lock_guard lock(state_.mutex);
  const auto& lane = state_.ledger.lanes[id->priority];
  if (id->sequence >= lane.next) {
    return Status(StatusCode::not_found, "position " + to_string(*id) + " was never published");
  }
  trimmed = id->sequence < lane.trim;
  return trimmed ? Start::earliest() : position;
}

/// Under the lock.
Status Engine::begin_rewind(Rewinding& rewinding) const {
  const auto* known = state_.ledger.find(rewinding.name);
  if (known == nullptr) {
    return {StatusCode::not_found, "there is no subscription named \"" + rewinding.name + "\""};
  }
  if (known->attached) {
    return {StatusCode::conflict,
            "subscription \"" + rewinding.name + "\" has a handler; end it first"};
  }
  rewinding.id = known->record.id;
  auto record = known->record;
  record.earlier.clear();
  for (const auto lane : kAllPriorities) {
    auto& from = rewinding.to.from[lane];
    const auto& bus_lane = state_.ledger.lanes[lane];
    from = std::max(from, bus_lane.trim);
    record.start[lane] = std::min(record.start[lane], from);
    rewinding.read_to[lane] = from;
    rewinding.to.parked_before[lane] =
        rewinding.keeps_parked && from == bus_lane.trim ? bus_lane.trim : 0;
  }
  rewinding.interest = std::make_shared<const core::Interest>(record);
  // Its own is one of those that have claimed: of what it wanted all along.
  for (const auto& [id, other] : state_.ledger.subscriptions) {
    if (other->durable) rewinding.backlog.others.push_back(other->interest);
  }
  return {};
}

/// What changes by commits alone. With no other commit under way.
Status Engine::read_for_rewind(Rewinding& rewinding) const {
  PerLane<Sequence> end;
  {
    const std::lock_guard lock(state_.mutex);
    const auto* known = state_.ledger.find(rewinding.id);
    if (known == nullptr) return {};
    rewinding.seen = Rewinding::look(*known);
    for (const auto lane : kAllPriorities) end[lane] = state_.ledger.lanes[lane].next;
  }
  HOLDFAST_TRY(read_backlog(*rewinding.interest, rewinding.read_to, end, rewinding.backlog));
  HOLDFAST_TRY(read_parked(rewinding));
  HOLDFAST_TRY(check_no_cleanup(rewinding));
  HOLDFAST_TRY(check_no_operation(rewinding));
  rewinding.tokens.emplace(
      state_.ledger, core::TokenChange::After{rewinding.id, rewinding.interest, rewinding.to.from,
                                              rewinding.to.parked_before});
  HOLDFAST_TRY(read_token_change(*rewinding.tokens, rewinding.id));
  rewinding.to.dead.clear();
  const auto& dead = rewinding.seen.dead;
  if (std::all_of(dead.begin(), dead.end(), [](auto count) { return count == 0; })) return {};
  return journal_->scan(journal::DeadLetters{rewinding.id}, [&](model::Record&& record) {
    const auto& letter = std::get<model::DeadLetterRecord>(record);
    if (letter.event.sequence >= rewinding.to.from[letter.event.priority] &&
        rewinding.interest->wants(letter.chunk->event(letter.event.sequence))) {
      rewinding.to.dead.push_back(letter.event);
    }
    return true;
  });
}

/// What waits for `on_cancel` would be forgotten with its parked record.
Status Engine::check_no_cleanup(const Rewinding& rewinding) const {
  Status waits;
  const auto& parked = rewinding.seen.parked;
  if (std::all_of(parked.begin(), parked.end(), [](auto count) { return count == 0; })) return {};
  HOLDFAST_TRY(journal_->scan(journal::Settlements{rewinding.id, {}}, [&](model::Record&& record) {
    const auto& settlement = std::get<model::SettlementRecord>(record);
    const auto event = settlement.event;
    if (!settlement.cleanup || event.sequence < rewinding.to.parked_before[event.priority]) {
      return true;
    }
    waits = {StatusCode::conflict, to_string(event) +
                                       " is cancelled and waits for on_cancel of \"" +
                                       rewinding.name + "\"; subscribe it first"};
    return false;
  }));
  return waits;
}

/// Nor may what an operation needs to go on, or back.
Status Engine::check_no_operation(const Rewinding& rewinding) const {
  const std::lock_guard lock(state_.mutex);
  const auto operation = state_.ledger.operations.of(rewinding.id);
  if (!operation.has_value()) return {};
  return {StatusCode::conflict, to_string(*operation) + " has events with \"" + rewinding.name +
                                    "\" and has not ended; end it first"};
}

/// Those that stay parked.
Status Engine::read_parked(Rewinding& rewinding) const {
  auto& kept = rewinding.to.kept;
  kept.clear();
  for (const auto lane : kAllPriorities) {
    const auto end = rewinding.to.parked_before[lane];
    if (end <= 1 || rewinding.seen.parked[lane] == 0) continue;
    HOLDFAST_TRY(journal_->scan(
        journal::Settlements{rewinding.id, EventId{lane, 0}}, [&](model::Record&& record) {
          const auto& settlement = std::get<model::SettlementRecord>(record);
          if (settlement.event.priority != lane || settlement.event.sequence >= end) return false;
          kept.push_back({settlement.subscription, settlement.event, settlement.due,
                          settlement.attempts, settlement.suspect, settlement.started,
                          settlement.cleanup});
          return kept.size() <= kParkedKeptMax;
        }));
    if (kept.size() > kParkedKeptMax) {
      return {StatusCode::resource_exhausted,
              "more than " + std::to_string(kParkedKeptMax) + " retries of \"" + rewinding.name +
                  "\" are older than what its lanes keep, which is the limit; rewind it to a "
                  "position, or let them run first"};
    }
  }
  return {};
}

Status Engine::change_rewound(core::CommitPlan& plan, Rewinding& rewinding) {
  auto* subscription = state_.ledger.find(rewinding.id);
  // Others may change it in the same commit, before this.
  rewinding.again = subscription == nullptr || !(Rewinding::look(*subscription) == rewinding.seen);
  if (rewinding.again) return {StatusCode::conflict, "it changed meanwhile"};
  rewinding.to.backlog = rewinding.backlog.lanes;
  plan.shift_ended(rewinding.tokens->ended());
  plan.rewind(*subscription, rewinding.to);
  auto& receipt = rewinding.receipt;
  for (const auto lane : kAllPriorities) {
    const auto at = static_cast<std::size_t>(lane);
    receipt.owed[at] = subscription->lanes[lane].owed;
    receipt.total += receipt.owed[at];
    receipt.from[at] = rewinding.to.from[lane];
  }
  receipt.dead_letters_erased = rewinding.to.dead.size();
  // What it owes has changed, and nobody answers for what it owes no more.
  state_.look_again();
  return {};
}

Result<RewindReceipt> Engine::rewind(std::string_view name, const Start& position) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(internal::check_may_wait());
  // Nobody subscribes to it, or removes it, until this is done.
  const std::lock_guard one(subscribe_mutex_);
  const auto open = reading();
  HOLDFAST_TRY(open.status());
  bool trimmed = false;
  HOLDFAST_ASSIGN(auto kept, kept_position(position, trimmed));
  auto found = start_of(kept);
  if (found.status() == StatusCode::not_found) {
    // It may have been trimmed in between.
    HOLDFAST_ASSIGN(kept, kept_position(position, trimmed));
    if (trimmed) found = start_of(kept);
  }
  HOLDFAST_TRY(found.status());
  const auto& from = *found;
  while (true) {
    HOLDFAST_TRY(commit_answers());
    Rewinding rewinding;
    rewinding.name = name;
    rewinding.to.from = from;
    rewinding.keeps_parked = !std::holds_alternative<Start::NewOnly>(kept.value);
    PerLane<Sequence> offered;
    std::unique_lock lock(state_.mutex);
    HOLDFAST_TRY(begin_rewind(rewinding));
    rewinding.receipt.trimmed = trimmed;
    for (const auto lane : kAllPriorities) {
      const auto& bus_lane = state_.ledger.lanes[lane];
      offered[lane] = bus_lane.offered;
      if (std::holds_alternative<Start::AtTime>(kept.value) && bus_lane.trim > 1 &&
          rewinding.to.from[lane] == bus_lane.trim) {
        rewinding.receipt.trimmed = true;
      }
    }
    const Pins pins(state_, rewinding.to.from);
    lock.unlock();
    HOLDFAST_TRY(read_backlog(*rewinding.interest, rewinding.read_to, offered, rewinding.backlog));
    Request request;
    request.prepare = [&] { return read_for_rewind(rewinding); };
    request.change = [&](core::CommitPlan& plan) { return change_rewound(plan, rewinding); };
    const auto committed = run(request);
    if (rewinding.again) continue;
    HOLDFAST_TRY(committed.status());
    rewinding.receipt.commit = committed->commit;
    // What it owes no more may have been what an operation waited for.
    HOLDFAST_TRY(revisit_operations());
    return rewinding.receipt;
  }
}

}  // namespace holdfast::runtime
