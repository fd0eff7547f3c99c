// SPDX-License-Identifier: MIT
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/gate.h"
#include "core/recovery.h"
#include "core/scheduler.h"
#include "support/record_store.h"

namespace holdfast::testing {

/// The core with one subscription, "s", and a journal that is a handful of maps: for tests of its
/// rules step by step, each of which may be followed by a restart.
class RuleBench {
 protected:
  using Kind = core::Answer::Kind;

  RuleBench() { start(); }
  /// What a restart finds.
  void start() {
    scheduler_.reset();
    ledger_ = std::make_unique<core::Ledger>(settings_);
    scheduler_ = std::make_unique<core::Scheduler>(*ledger_);
    core::Recovery recovery(*ledger_, store_.next, store_.trim);
    const auto add = [&](const auto& records) {
      for (const auto& [name, record] : records) EXPECT_TRUE(recovery.add(record).ok());
    };
    add(store_.subscriptions);
    add(store_.cursors);
    add(store_.operations);
    add(store_.members);
    add(store_.dead);
    add(store_.settlements);
    add(store_.tombstones);
    EXPECT_TRUE(recovery.add(store_.paused_types).ok());
    EXPECT_TRUE(recovery.finish().ok());
    state_ = ledger_->find("s");
    if (state_ != nullptr) attach();
  }
  void attach() { core::attach(*ledger_, *scheduler_, *state_, {8, {}, false}, now_); }
  void subscribe(bool compensates = true, std::vector<std::string> types = {},
                 std::uint64_t owed = 0) {
    model::SubscriptionRecord record;
    record.id = ledger_->next_id();
    record.name = "s";
    record.compensates = compensates;
    record.filter.types = std::move(types);
    model::PerLane<core::CommitPlan::Backlog> backlog;
    backlog[Priority::normal].owed = owed;
    commit([&](core::CommitPlan& plan) { state_ = &plan.create(record, backlog); });
    attach();
  }
  void subscribe_ephemeral() {
    model::SubscriptionRecord record;
    record.id = ledger_->next_id();
    state_ = &ledger_->add(record, false);
    attach();
  }
  void commit(const std::function<void(core::CommitPlan&)>& fill) {
    core::CommitPlan plan(*ledger_, {7, {++number_}, {0}}, now_, [] { return 0.5; });
    fill(plan);
    scheduler_->answered();
    store_.apply(plan.finish());
    scheduler_->offer({number_});
    scheduler_->advance(now_);
  }
  /// What is on disk alone.
  void read_on() {
    while (const auto refill = scheduler_->next_refill(Priority::low)) {
      std::vector<core::Span> spans;
      for (const auto& [first, chunk] : store_.chunks[refill->lane]) {
        for (auto sequence = std::max(first, refill->from); sequence <= chunk->last(); ++sequence) {
          if (!refill->interest->wants(chunk->event(sequence))) continue;
          spans.push_back({chunk, sequence, sequence + 1});
        }
      }
      scheduler_->refilled(*refill, std::move(spans), refill->to);
    }
    while (const auto refill = scheduler_->next_parked_refill(Priority::low)) {
      std::vector<model::DueRecord> records;
      for (const auto& [name, record] : store_.due_times) {
        if (record.event.priority == refill->lane && model::clock_of(record.due) == refill->clock) {
          records.push_back(record);
        }
      }
      scheduler_->refilled(*refill, records, std::nullopt);
    }
  }
  /// As a worker does it; what is not to be run is answered so.
  std::optional<core::Lease> take() {
    read_on();
    while (auto lease = scheduler_->take(Priority::low)) {
      if (lease->chunk == nullptr)
        lease->chunk = store_.parked.at({lease->subscription, lease->event});
      const auto verdict =
          gate(*ledger_, *lease, lease->chunk->event(lease->event.sequence), now_.wall);
      if (verdict == core::Verdict::run || verdict == core::Verdict::clean_up) return lease;
      how_ = verdict == core::Verdict::expired ? Settled::expired : Settled::cancelled;
      answer(*lease, verdict == core::Verdict::hold ? Kind::hold : Kind::drop);
    }
    return std::nullopt;
  }
  void answer(const core::Lease& lease, Kind kind = Kind::ack) {
    scheduler_->finish(lease);
    commit([&](core::CommitPlan& plan) {
      auto& answer = answers_.emplace_back();
      answer.lease = lease;
      answer.kind = kind;
      answer.ran = kind != Kind::hold && kind != Kind::drop;
      answer.how = how_;
      answer.reason = "why";
      (void)plan.answer(answer);
    });
  }
  /// The sequence that comes next, answered so; 0 = nothing does.
  model::Sequence next(Kind kind = Kind::ack) {
    const auto lease = take();
    if (!lease.has_value()) return 0;
    cleanup_ = lease->cleanup;
    answer(*lease, kind);
    return lease->event.sequence;
  }
  void advance(std::int64_t nanoseconds) {
    now_.wall += nanoseconds;
    now_.boot += nanoseconds;
    now_.bus += nanoseconds;
    scheduler_->advance(now_);
  }

  core::LedgerSettings settings_;
  std::unique_ptr<core::Ledger> ledger_;
  std::unique_ptr<core::Scheduler> scheduler_;
  RecordStore store_ = [] {
    RecordStore store;
    store.next = {{1, 1, 1, 1}};
    store.trim = {{1, 1, 1, 1}};
    return store;
  }();
  core::SubscriptionState* state_ = nullptr;
  base::Now now_{.wall = 1'000'000, .boot = 5'000, .bus = 5'000};
  std::uint64_t number_ = 0;
  std::deque<core::Answer> answers_;
  bool cleanup_ = false;
  Settled how_ = Settled::cancelled;  // of what was dropped last
};

}  // namespace holdfast::testing
