// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/duration.h"
#include "base/fail_point.h"
#include "base/status_or.h"
#include "core/event_limits.h"
#include "journal/open.h"
#include "runtime/engine.h"
#include "runtime/recover.h"

namespace holdfast::runtime {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMemoryBudgetMin = std::size_t{16} << 20U;
constexpr std::size_t kWorkersMax = 1'024;

Status invalid(std::string message) { return {StatusCode::invalid_argument, std::move(message)}; }

Status check_choices(const Options& options) {
  HOLDFAST_TRY(core::check_enum(options.durability, Durability::os, "durability"));
  HOLDFAST_TRY(core::check_enum(options.intake, IntakePolicy::reject, "intake"));
  return core::check_enum(options.on_damage, DamagePolicy::keep_good_prefix, "on_damage");
}

Status check_times(const Options& options) {
  const auto linger = options.ack_linger.count();
  if (linger < 0 || options.ack_linger > kAckLingerMax) {
    return invalid("ack_linger is " + std::to_string(linger) + " ms, it must be 0 to " +
                   std::to_string(kAckLingerMax.count()));
  }
  if (options.stuck_after.count() <= 0) {
    return invalid("stuck_after is " + std::to_string(options.stuck_after.count()) +
                   " s, it must be at least 1");
  }
  for (const auto& [what, wait] :
       {std::pair("high", options.ageing.high), std::pair("normal", options.ageing.normal),
        std::pair("low", options.ageing.low)}) {
    if (wait.count() >= 1 && wait <= kMaxWaitMax) continue;
    return invalid("ageing." + std::string(what) + " is " + std::to_string(wait.count()) +
                   " ms, it must be 1 to " + std::to_string(kMaxWaitMax.count()));
  }
  if (options.idempotency_window.count() < 0) {
    return invalid("idempotency_window is " + std::to_string(options.idempotency_window.count()) +
                   " s, it must be at least 0");
  }
  for (const auto& [what, rule] : {std::pair("retention", options.retention),
                                   std::pair("unclaimed_retention", options.unclaimed_retention)}) {
    if (rule.age.count() >= 0) continue;
    return invalid(std::string(what) + ".age is " + std::to_string(rule.age.count()) +
                   " s, it must be at least 0");
  }
  return {};
}

Status check(const Options& options) {
  if (options.limits.payload_bytes_max > kPayloadBytesHardMax) {
    return invalid("limits.payload_bytes_max is " +
                   std::to_string(options.limits.payload_bytes_max) + ", it can be at most " +
                   std::to_string(kPayloadBytesHardMax));
  }
  if (options.limits.intake_events_max == 0 || options.limits.intake_bytes_max == 0) {
    return invalid("limits.intake_events_max and intake_bytes_max must be at least 1");
  }
  if (options.memory_budget < kMemoryBudgetMin) {
    return invalid("memory_budget is " + std::to_string(options.memory_budget) +
                   " bytes, it must be at least " + std::to_string(kMemoryBudgetMin));
  }
  if (options.workers.low == 0) {
    return invalid("workers.low is 0: low events would never be delivered");
  }
  if (WorkerPool::count(options.workers) > kWorkersMax) {
    return invalid("there are " + std::to_string(WorkerPool::count(options.workers)) +
                   " workers, the limit is " + std::to_string(kWorkersMax));
  }
  if (options.replaced_workers_max > kReplacedWorkersMax) {
    return invalid("replaced_workers_max is " + std::to_string(options.replaced_workers_max) +
                   ", the limit is " + std::to_string(kReplacedWorkersMax));
  }
  HOLDFAST_TRY(check_choices(options));
  return check_times(options);
}

/// One that was abandoned may have been with two handlers when the process died: it is accused
/// once.
std::vector<RunningSlots::Running> each_once(const std::vector<RunningSlots::Running>& slots) {
  std::map<std::pair<model::SubscriptionId, EventId>, RunningSlots::Running> suspects;
  for (const auto& slot : slots) {
    auto& each = suspects.try_emplace({slot.subscription, slot.event}, slot).first->second;
    each.suspect = each.suspect || slot.suspect;
    each.together = each.together && slot.together;
  }
  std::vector<RunningSlots::Running> once;
  once.reserve(suspects.size());
  for (const auto& [which, each] : suspects) once.push_back(each);
  return once;
}

core::LedgerSettings ledger_settings(const Options& options) {
  return {.retention = {options.retention, options.unclaimed_retention},
          .dead_letters_max = options.limits.dead_letters_max,
          .tokens_max = options.limits.tokens_max,
          .operations_max = options.limits.operations_max,
          .operation_members_max = options.limits.operation_members_max,
          // An eighth for events on their way, half for the engine; the rest is intake and slack.
          .resident_bytes_max = options.memory_budget / 8,
          .ageing = options.ageing,
          .idempotency = {options.limits.idempotency_keys_max,
                          base::as_nanoseconds(options.idempotency_window).count()}};
}

}  // namespace

Engine::Engine(const Options& options, std::unique_ptr<journal::Journal> journal)
    : options_(options),
      clock_(base::system_clock()),
      log_(options.logger),
      journal_(std::move(journal)),
      state_(ledger_settings(options)) {
  const auto& found = journal_->state();
  clock_.set_offset(base::bus_offset(found.last_written_at, clock_.now(), found.rebooted));
}

Result<std::unique_ptr<Engine>> Engine::open(const std::filesystem::path& folder,
                                             const Options& options) {
  HOLDFAST_TRY(check(options));
  const auto started = steady_clock::now();
  HOLDFAST_ASSIGN(auto journal,
                  journal::open_journal(folder, {.create_if_missing = options.create_if_missing,
                                                 .in_memory = options.in_memory,
                                                 .on_damage = options.on_damage,
                                                 .memory_bytes = options.memory_budget / 2,
                                                 .log = base::Log(options.logger)}));
  const auto open_time = steady_clock::now() - started;
  HOLDFAST_ASSIGN(
      auto engine,
      open(std::move(journal),
           options.in_memory ? std::filesystem::path() : folder / "running.slots", options));
  engine->recovery_.open_time = open_time;
  return engine;
}

Result<std::unique_ptr<Engine>> Engine::open(std::unique_ptr<journal::Journal> journal,
                                             const std::filesystem::path& slot_file,
                                             const Options& options) {
  HOLDFAST_TRY(check(options));
  const auto opened = steady_clock::now();
  std::unique_ptr<Engine> engine(new Engine(options, std::move(journal)));
  HOLDFAST_TRY(recover(*engine->journal_, engine->state_.ledger));
  engine->reader_ = std::make_unique<EventReader>(*engine->journal_, engine->state_.ledger,
                                                  engine->state_.mutex, engine->clock_);

  const auto boot = base::boot_id();
  const auto left = slot_file.empty() ? std::vector<RunningSlots::Running>()
                                      : RunningSlots::left_behind(slot_file, boot);
  HOLDFAST_TRY(engine->first_commit(left));
  HOLDFAST_FAIL_POINT("open.committed");
  // Only now, when what the slots said is in the journal, may they be emptied.
  HOLDFAST_ASSIGN(engine->slots_,
                  RunningSlots::create(slot_file, boot, WorkerPool::slot_count(options)));
  engine->fill_report();
  engine->recovery_.recover_time = steady_clock::now() - opened;
  HOLDFAST_TRY(engine->start());
  HOLDFAST_TRY(engine->revisit_operations());
  return engine;
}

/// The commit that makes this epoch the journal's last, and accuses the suspects.
Status Engine::first_commit(const std::vector<RunningSlots::Running>& slots) {
  const auto left = each_once(slots);
  const auto& found = journal_->state();
  core::CommitPlan plan(state_.ledger,
                        {found.epoch, {found.last_commit.value + 1}, found.last_commit},
                        clock_.now(), [] { return 0.0; });
  const bool blamed =
      std::any_of(left.begin(), left.end(), [](const auto& running) { return running.suspect; });
  for (const auto& running : left) {
    auto* subscription = state_.ledger.find(running.subscription);
    if (subscription == nullptr) continue;
    core::CommitPlan::Suspect suspect{.subscription = running.subscription,
                                      .event = running.event,
                                      .attempts = 0,
                                      .parked = false,
                                      .chunk = nullptr,
                                      // With a suspect among them it is the one to blame. Of a
                                      // batch nobody knows which; alone it will show.
                                      .counted = running.suspect || (!blamed && !running.together)};
    const journal::SettlementRef settlement{running.subscription, running.event};
    HOLDFAST_ASSIGN(const auto parked, journal_->find(settlement));
    if (parked.has_value()) {
      suspect.parked = true;
      const auto& record = std::get<model::SettlementRecord>(*parked);
      suspect.attempts = record.attempts;
      suspect.due = record.due;
      suspect.cleanup = record.cleanup;
      // Also what was acknowledged just before the end, and is kept for its operation's sake.
      if (!record.is_owed()) continue;
      suspect.started = record.started || !record.cleanup;
      HOLDFAST_ASSIGN(auto copy,
                      journal_->find(journal::ParkedRef{running.subscription, running.event}));
      if (!copy.has_value()) continue;
      suspect.chunk = std::get<model::ParkedEvent>(*copy).chunk;
    } else {
      HOLDFAST_ASSIGN(auto chunk, journal_->find(journal::EventRef{running.event}));
      if (!chunk.has_value()) continue;
      suspect.chunk = std::get<model::ChunkPtr>(*chunk);
      const auto view = suspect.chunk->event(running.event.sequence);
      // Its answer may have been committed just before the end.
      if (state_.ledger.standing(*subscription, view) != core::Ledger::Standing::owed) continue;
    }
    const bool dead = plan.accuse(suspect);
    recovery_.suspects.push_back({subscription->record.name, running.event,
                                  suspect.attempts + (suspect.counted ? 1U : 0U), dead});
  }
  // The commit is needed for its epoch alone, so it is written even if it says nothing else.
  return journal_->commit(plan.finish(), Durability::durable);
}

void Engine::fill_report() {
  const auto& found = journal_->state();
  recovery_.created = found.created;
  recovery_.clean = found.clean;
  recovery_.bytes_cut = found.bytes_cut;
  recovery_.cut_copy = found.cut_copy;
  recovery_.damage = found.damage;
  for (const auto& range : found.lost) {
    recovery_.lost.push_back({range.lane, range.from, range.to});
  }
  for (const auto lane : kAllPriorities) {
    auto& pending = recovery_.pending[static_cast<std::size_t>(lane)];
    pending = state_.ledger.lanes[lane].retention->unclaimed();
    for (const auto& [id, subscription] : state_.ledger.subscriptions) {
      pending += subscription->lanes[lane].owed;
    }
  }
  std::uint64_t pending = 0;
  for (const auto count : recovery_.pending) pending += count;
  log_.info("holdfast: opened after " +
            std::string(found.created ? "creation"
                        : found.clean ? "a proper close"
                                      : "a crash") +
            ", " + std::to_string(pending) + " pending, " +
            std::to_string(recovery_.suspects.size()) + " were running");
}

Status Engine::start() {
  link_->engine = this;
  Committer::Hooks hooks;
  hooks.work_offered = [this] { workers_->wake(); };
  const auto next_due = [this](base::BusTime due) { wake_upkeep(due); };
  hooks.next_due = next_due;
  hooks.cancelled = [this](const auto& running) { signaller_.signal(runs_of(running)); };
  const CommitNumber last{journal_->state().last_commit.value + 1};
  committer_ = std::make_unique<Committer>(*journal_, last, state_, options_, clock_, log_,
                                           std::move(hooks));
  workers_ = std::make_unique<WorkerPool>(*journal_, state_, *committer_, signaller_, *slots_,
                                          options_, clock_, log_, next_due);
  reader_->set_live({.written =
                         [this] {
                           if (committer_->planned() > committer_->written()) {
                             committer_->wait_written();
                           }
                         },
                     .get = [this](EventId id) { return get(id); }});
  (void)look_at_disk(0);
  try {
    signaller_.start();
    committer_->start();
    workers_->start();
    upkeep_thread_ = std::thread([this] { upkeep_loop(); });
  } catch (const std::system_error& error) {
    // Those there are end as at any close.
    return {StatusCode::unavailable,
            "not all threads that the bus needs can be started: " + std::string(error.what())};
  }
  return {};
}

}  // namespace holdfast::runtime
