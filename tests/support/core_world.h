// SPDX-License-Identifier: MIT
#pragma once

// A small world around the core: a clock, dice, a journal that is a list of commits, and an oracle
// that is asked at every step what must happen. It plays the runtime's part in the runtime's order
// (changes, answers, publishing; a slot is free before its answer is committed) and takes every
// liberty the core allows: answers come late or twice, refills are slow, durability lags, and the
// process or the machine dies between any two steps.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/attachment.h"
#include "core/commit_plan.h"
#include "core/gate.h"
#include "core/held_release.h"
#include "core/recovery.h"
#include "core/scheduler.h"
#include "core/token_change.h"
#include "support/oracle.h"
#include "support/record_store.h"
#include "support/state_matrix.h"

namespace holdfast::testing {

/// Of every subscription.
inline const RetryPolicy kRetry{.attempts_max = 3,
                                .backoff_first = std::chrono::milliseconds(100),
                                .backoff_max = std::chrono::milliseconds(5'000)};

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a run is made of; each profile reaches what the others do not.
struct Profile {
  bool refills_at_once = false;  // then strict order over all subscriptions can be told
  bool crowded = false;          // thousands of events at a time, and handlers that never come back
  bool clock_jumps = false;
  bool keys = false;  // ordering keys: what had to wait for its key comes when it can, not in turn
  bool operations = false;  // composites: events that succeed together, or are undone
  bool steady = false;  // no filter changes and no subscription is removed: claims are told exactly
  Ageing ageing = Ageing::strict();
  std::size_t resident_bytes_max = std::size_t{8} << 20U;
  std::size_t parked_per_lane_max = 4'096;
  std::size_t dead_letters_max = 100'000;
};

class CoreWorld {
 public:
  using Id = Oracle::Id;

  CoreWorld(std::uint64_t seed, const Profile& profile) : dice_(seed), profile_(profile) {
    settings_.retention.settled = {std::chrono::seconds(pick({0, 5, 60})),
                                   pick<std::uint64_t>({0, 4'000, 1U << 20U})};
    settings_.retention.unclaimed = {std::chrono::seconds(pick({30, 600})),
                                     std::uint64_t{1} << 30U};
    settings_.resident_bytes_max = profile.resident_bytes_max;
    settings_.parked_per_lane_max = profile.parked_per_lane_max;
    settings_.dead_letters_max = profile.dead_letters_max;
    settings_.ageing = profile.ageing;
    settings_.idempotency = {pick<std::uint64_t>({0, 3, 1'000, 1'000}),
                             pick<std::int64_t>({5, 60, 100'000}) * 1'000'000'000};
    if (!profile.crowded) answers_at_once_ = pick<std::uint64_t>({2, 3, 5});
    if (profile.operations) {
      settings_.operations_max = pick<std::size_t>({8, 30, 10'000});
      settings_.operation_members_max = pick<std::size_t>({40, 200, 10'000});
    }
    start_process();
  }

  void step();
  /// Everything that is owed gets delivered; then nothing is left.
  void drain();
  void compare();

  std::map<std::string, std::uint64_t> counts;
  StateMatrix matrix;

 private:
  using Fact = std::function<void(Oracle&)>;
  using Effect = core::CommitPlan::Settlement::Effect;
  using Kind = core::Answer::Kind;

  struct Held {
    core::Lease lease;
    std::uint64_t serial = 0;
    std::uint64_t visible = 0;  // the newest commit its handler can have seen
    bool finished = false;
    std::optional<core::Verdict> instead;  // it was not to be run
    WallTime not_before = 0;
    std::uint64_t batch = 0;  // the serial of the first of its batch; 0 = taken alone
    bool begun = false;       // when it was taken, a handler had seen it
    bool asks = false;        // the gate still has to be asked
    bool unread = false;      // it was given up without that: it could not be read
  };

  /// Due times that were read, and what the scheduler has not been told yet.
  struct ParkedRead {
    core::Scheduler::ParkedRefill refill;
    std::vector<model::DueRecord> records;
    std::optional<core::ParkedWindow::Key> reached;
  };

  // --- Dice -------------------------------------------------------------------------------------
  std::uint64_t below(std::uint64_t end) { return end == 0 ? 0 : dice_() % end; }
  bool chance(unsigned percent) { return below(100) < percent; }
  /// Remembered, in their order, for who works out a delay again.
  double unit() { return units_.emplace_back(static_cast<double>(dice_() >> 11U) * 0x1.0p-53); }
  template <typename T>
  T pick(std::initializer_list<T> from) {
    return *(from.begin() + below(from.size()));
  }
  Priority any_lane() { return static_cast<Priority>(below(kLaneCount)); }
  Wish any_wish();
  static model::FilterRecord filter_of(const Wish& wish);

  static void require(bool good, const std::string& what) {
    if (!good) throw Violation(what);
  }
  static std::string name(Id id, EventId event) {
    return "subscription " + std::to_string(id) + ", " + to_string(event);
  }

  // --- Commits ----------------------------------------------------------------------------------
  void commit(const std::function<void(core::CommitPlan&)>& fill);
  void inspect(const model::Commit& commit);
  /// Happens now, and again whenever the journal is read after this commit.
  void fact(Fact fact) {
    fact(oracle_);
    facts_.push_back(std::move(fact));
  }
  /// Of an ephemeral subscription nothing is written.
  void fact_of(Id id, Fact what) {
    if (oracle_.subscriptions.at(id).durable) return fact(std::move(what));
    what(oracle_);
  }

  void publish(core::CommitPlan& plan);
  bool admits(const core::CommitPlan& plan, const model::EncodedEvents& events,
              OperationId begins = {});
  void note_published(const model::EncodedEvents& events, const std::vector<EventId>& ids,
                      const std::vector<core::Duplicate>& duplicates, std::uint64_t commit);
  model::EncodedEvents& encode(std::size_t count, OperationId operation = {});
  std::string any_ordering_key();
  void note_stored_key(model::EncodedEvents& events, const std::string& key);
  void expect_last(const core::CommitPlan& plan);
  void forget_ordering_keys(core::CommitPlan& plan);
  void answer_some(core::CommitPlan& plan);
  void answer(core::CommitPlan& plan, Held held);
  /// Of an answer that counts; the tx, if there is one, was looked at before.
  void check_effect(const Held& held, const core::Answer& answer, bool keeps_tx,
                    const core::CommitPlan::Settlement& settlement);
  void note_run_again(const Held& held, const core::CommitPlan::Settlement& settlement);
  bool tx_admitted(const core::TxWrites& tx);
  void note_tx(const core::CommitPlan& plan, const model::EncodedEvents& events,
               const core::CommitPlan::Settlement& settlement,
               const std::vector<core::TxWrites::StateWrite>& writes);
  static void give_instead(core::Answer& answer, const Held& held);
  core::Answer any_answer(const Held& held, const OracleSubscription* subscription);
  bool holds(const Held& held);
  bool is_durable(const Held& held) {
    const auto* subscription = oracle_.find(held.lease.subscription.value);
    return subscription != nullptr && subscription->durable;
  }

  // core_world_batch.cc
  std::vector<Held> take_batch(std::uint64_t batch);
  void answer(core::CommitPlan& plan, std::vector<Held> batch);
  bool lingers(const OracleSubscription& subscription) const;
  void check_joined(const core::Lease& first, const std::vector<core::Lease>& others);
  void check_stretch(const std::vector<core::Lease>& leases);

  void put_off(const Held& held, const core::Answer& answer);
  void fail(const Held& held, std::optional<std::int64_t> delay,
            const core::CommitPlan::Settlement& settlement);
  void park(const Held& held, const Oracle::Parking& parking);
  void settled(const Held& held, Settled how);
  /// How an event has ended with a subscription.
  struct Ending {
    Settled how = Settled::acked;
    std::uint32_t attempts = 0;
    bool cleanup = false;
    bool started = false;
  };
  void end(Id id, EventId event, const Ending& ending);
  std::unique_ptr<core::TxWrites> any_tx(const Held& held, bool& conflict);
  void finish(Held& held);
  void note_late(const Held& held);

  void subscribe(core::CommitPlan& plan);
  void subscribe_ephemeral();
  void reattach(core::CommitPlan& plan);
  void attach(Id id);
  void attach_another();
  void make_late(Id id);
  void detach(Id id);
  void change_filter(core::CommitPlan& plan, Id id);
  void remove(core::CommitPlan& plan);
  void remove(core::CommitPlan& plan, Id id);
  void set_compensates(core::CommitPlan& plan, Id id, bool compensates);
  void redrive(core::CommitPlan& plan);
  void redrive(core::CommitPlan& plan, const RecordStore::Name& letter);
  void pause_or_resume(core::CommitPlan& plan);
  void set_paused(core::CommitPlan& plan, Id id, bool paused);
  void flood();

  // core_world_pause.cc
  void pause_types(core::CommitPlan& plan, const std::string& pattern);
  void resume_types(core::CommitPlan& plan, const std::string& pattern);
  void resume_all_types(core::CommitPlan& plan);
  void pause_or_resume_types(core::CommitPlan& plan);
  model::DueTime held_until(const Held& held, const EventView& event);
  bool put_back(core::HeldRelease& pass, model::DueTime last, bool others);
  void put_back(core::CommitPlan& plan, core::SubscriptionState& subscription,
                const model::DueRecord& record);
  void put_some_back(bool others);
  void put_expired_back();
  void put_all_back();
  void compare_paused();

  // core_world_keys.cc
  std::string any_key();
  std::optional<OracleUse> first_of(const std::string& key, std::size_t together = 0) const;
  void forget_keys(core::CommitPlan& plan);
  void check_forgotten(const model::Commit& commit);
  void compare_keys();

  // core_world_cancel.cc
  void make_token(core::CommitPlan& plan);
  void cancel_event(core::CommitPlan& plan, std::optional<EventId> id);
  void cancel_token(core::CommitPlan& plan, TokenId id, Command command);
  void cancel_timed_out(core::CommitPlan& plan);
  void cancel_some(core::CommitPlan& plan);
  void pass_gate(Held& held);
  void pass_gates(const Held& one);
  void pass_some_gate();
  void note_returned(const Held& held);
  void ask_too_late(Held held);
  void expect_cleanups(const std::vector<std::pair<model::SubscriptionId, EventId>>& running);
  void answer_cancelled(core::CommitPlan::Settlement& settlement, const Held& held, bool ran);
  void check_erased(const model::Commit& commit);
  void compare_cancellations();
  void show_tokens(core::TokenChange& change);
  std::optional<TokenId> any_token();
  void rewind(core::CommitPlan& plan);
  void rewind(core::CommitPlan& plan, Id id);

  // core_world_matrix.cc
  std::optional<EventState> state_of(const OracleSubscription& subscription, EventId event) const;
  /// Acked, or given up on, and kept until its operation has ended.
  bool is_kept(const OracleSubscription& subscription, EventId event) const;
  std::optional<EventId> any_kept(Id id);
  StateSet states_of(EventId event) const;
  StateSet states_of(Id id);
  StateSet all_states();
  void meet(Command command, EventState state);
  void meet(Command command, StateSet states);
  void meet(Command command, Id id, EventId event);
  void meet(Command command, EventId event);
  void meet(Command command, OperationId operation);
  void meet(const core::Answer& answer, bool valid, bool with_tx);
  void meet_token(Command command, const OracleToken& token);
  void meet_time(std::int64_t nanoseconds);

  // core_world_steer.cc
  std::uint64_t known_of(Command command, EventState state) const;
  std::uint64_t known_of(Command command, StateSet states) const;
  std::optional<EventId> any_event();
  /// Of some that are looked at, and of those that fit, the one in the state that `command` has met
  /// least.
  std::optional<EventId> rarest_event(Command command, const std::function<bool(EventId)>& fits);
  std::optional<EventId> event_to_cancel();
  std::optional<TokenId> token_to_cancel();
  TokenId token_to_publish_under();
  std::string key_to_publish();
  std::size_t late_to_answer();
  bool takes_its_time(const Held& held);
  Kind rarest_kind(const Held& held, Kind kind);

  // core_world_rare.cc
  void load_the_dice();
  std::optional<Held> any_running();
  void bring_about();
  void bring_to_clean_up();
  void cancel_between_tries();
  bool can_meet_more(EventId event) const;
  std::int64_t deadline_of(EventId event) const;
  bool is_late_as_well(const core::Lease& lease) const;
  std::optional<std::pair<Id, EventId>> rare_one();
  std::optional<Command> least_known(Id id, EventId event);
  std::int64_t wait_for(Command command, Id id, EventId event);
  bool can_meet(Command command, Id id, EventId event);
  void meet_what_is_rare();
  void meet_what_starts_over();
  void meet_rare(Id id, EventId event);
  void give(Command command, Id id, EventId event);
  void answer_late(core::CommitPlan& plan, Id id, EventId event);
  void answer_late(core::CommitPlan& plan, std::uint64_t count);
  /// Often the one with what `command` has met least.
  std::optional<Id> any_subscription(Command command,
                                     const std::function<bool(const OracleSubscription&)>& which);
  std::optional<Id> any_subscription(const std::function<bool(const OracleSubscription&)>& which);

  // core_world_seldom.cc
  std::uint64_t known_seldom(Command command, EventState state) const;
  void meet_a_member();
  void bring_a_member_underway();
  void meet_member(Id id, EventId event);
  void put_back_what_was_held();
  void hold_a_suspect(Id id, EventId event);

  // core_world_operations.cc
  std::optional<OperationId> any_operation(
      const std::function<bool(const OracleOperation&)>& which);
  std::optional<OperationId> any_operation();
  OperationId next_operation();
  bool make_room(core::CommitPlan& plan, std::size_t operations, std::size_t members);
  void begin(core::CommitPlan& plan, OperationId id);
  void publish_members(core::CommitPlan& plan);
  void seal(core::CommitPlan& plan, OperationId id);
  void roll_back(core::CommitPlan& plan, OperationId id);
  void expire_operations(core::CommitPlan& plan);
  void operate(core::CommitPlan& plan);
  void end_operations(core::CommitPlan& plan, bool waits);
  void keep_for_undo(Id id, EventId event, const Ending& ending);
  void note_member_ended(Id id, EventId event, const Ending& ending);
  void note_given_up(EventId event);
  void set_member(EventId event, MemberState state);
  void set_operation(OperationId id, OperationState state);
  void move_on(OperationId id);
  void wake(EventId event, bool also_paused = false);
  void go_back(OperationId id);
  bool is_begun(EventId event) const;
  bool decides(const OracleMember& member) const {
    return member.state == MemberState::pending || is_begun(member.event);
  }
  bool is_undone_in_vain(EventId event) const;
  void undo(OperationId id);
  std::vector<core::CommitPlan::MemberEvent> pending_members();
  bool is_done_unanswered(EventId event);
  void revisit_operations();
  [[nodiscard]] bool is_gone(const OracleMember& member) const;
  void trim(core::CommitPlan& plan);
  bool needs_for_operation(Id id) const;
  void check_operations(const core::CommitPlan& plan, const model::Commit& made);
  void compare_standing(const OracleMember& member, const core::Operations::Member& core);
  void compare_member(const OracleOperation& operation, const OracleMember& member);
  void compare_operations();

  // --- The rest of the world --------------------------------------------------------------------
  void start_process();
  void crash();
  void end_process(Command how);
  void accuse(core::CommitPlan& plan, const std::vector<std::pair<Held, bool>>& running);
  bool take();
  bool take(Priority worker_class);
  void take_together(const core::Lease& first, const std::vector<core::Lease>& others,
                     Priority worker_class);
  void take_stretch(std::vector<core::Lease>& leases, Priority worker_class);
  void pass_over(const core::Lease& lease);
  void note_given_back(const core::Lease& lease);
  void hold(core::Lease lease, std::uint64_t batch, bool asks_later);
  void check_taken(const core::Lease& lease, Priority worker_class);
  void check_order(const core::Lease& lease, Priority worker_class);
  void check_turns(const core::Lease& lease, Priority worker_class);
  /// How urgent it is by the time it has waited, less `slack` eighths of the wait of its lane.
  std::size_t level_of(const OracleSubscription& subscription, EventId event, int slack) const;
  Priority effective(const OracleSubscription& subscription, EventId event, int slack) const;
  /// What might be given next in a lane: a retry that is due, the next in turn, or both.
  std::vector<EventId> heads(const OracleSubscription& subscription, Priority lane) const;
  Oracle::Ready ready(const OracleSubscription& subscription, Priority lane,
                      bool without_cleanups = false) const {
    const bool all_is_read = profile_.refills_at_once && !gets_no_more(subscription);
    return oracle_.ready(subscription, lane, now_, offered_, all_is_read, without_cleanups);
  }
  void check_nothing_to_take(Priority worker_class);
  void offer(std::uint64_t commit);
  void read_backlog(const core::Scheduler::Refill& refill);
  ParkedRead read_due_times(const core::Scheduler::ParkedRefill& refill);
  /// False when the scheduler had nothing to read.
  bool refill_all();
  void advance(std::int64_t nanoseconds);
  core::SubscriptionState& state_of(Id id) { return *ledger_->find(model::SubscriptionId{id}); }
  /// A lane at what waits for its key, where memory is short.
  bool may_stand_still() const { return profile_.resident_bytes_max < 10'000 || profile_.crowded; }
  bool has_little_memory() const { return profile_.parked_per_lane_max < 100; }
  /// Some of what is parked may be on disk alone: since it was attached there was too much of it at
  /// some time. It is read on only once there is room for a good deal, so that how much there is
  /// now says nothing.
  static bool overflows(const OracleSubscription& subscription, Priority lane) {
    return subscription.overflowed[lane];
  }
  void note_overflow();
  /// `passed` is on disk alone, as far as can be told: in memory are those that are due first.
  [[nodiscard]] static bool may_be_on_disk(const Owed& passed, const Owed& taken);
  /// Suspects that wait for each other may be all that there is room for.
  bool suspects_fill_memory() const { return has_little_memory() && suspect_running_; }
  /// What an ephemeral one has put off is in memory alone: where that is used up, as it can be in a
  /// crowd, it has to wait.
  bool gets_no_more(const OracleSubscription& subscription) const {
    return (profile_.resident_bytes_max < 10'000 || profile_.crowded) && !subscription.durable &&
           std::any_of(subscription.owed.begin(), subscription.owed.end(),
                       [](const auto& each) { return each.second.parked; });
  }
  bool suspect_may_run(const OracleSubscription& subscription,
                       const std::optional<EventId>& event) const {
    return event.has_value() && !(subscription.owed.at(*event).suspect && suspect_running_);
  }

  std::mt19937_64 dice_;
  std::deque<double> units_;
  Profile profile_;
  core::LedgerSettings settings_;
  base::Now now_{.wall = 1'700'000'000'000'000'000, .boot = 5'000'000'000, .bus = 5'000'000'000};
  bool claims_forgotten_ = false;

  std::unique_ptr<core::Ledger> ledger_;
  std::unique_ptr<core::Scheduler> scheduler_;

  std::vector<model::Commit> log_;
  std::vector<std::vector<Fact>> log_facts_;
  std::vector<Fact> facts_;  // of the commit being made
  RecordStore store_;
  std::uint64_t epoch_ = 1;
  std::uint64_t number_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t offered_ = 0;

  Oracle oracle_;
  std::set<RecordStore::Name> expected_settlements_;
  std::set<RecordStore::Name> expected_redrives_;
  std::set<RecordStore::Name> expected_signalled_;
  std::set<OperationId> expected_forgotten_;
  std::vector<OperationId> expected_ended_;
  bool went_back_ = false;
  bool revisit_due_ = false;  // a subscription has gone, or wants others
  std::uint32_t operations_begun_ = 0;
  std::set<std::pair<Id, EventId>> begun_;  // a handler has had it, ever, in any life
  std::map<RecordStore::Name, std::pair<WallTime, std::uint64_t>> died_;

  std::deque<model::EncodedEvents> encoded_;
  std::deque<core::Answer> answers_;
  std::deque<core::BatchAnswer> batch_answers_;
  std::vector<Held> held_;
  std::set<std::pair<Id, EventId>> ran_;  // and may be at it still, of whatever attachment
  std::vector<Held> late_;  // of earlier attachments, removed subscriptions, and answered before
  std::vector<core::Scheduler::Refill> refills_;
  std::vector<ParkedRead> parked_reads_;
  std::uint64_t serial_ = 0;
  bool suspect_running_ = false;
  core::HeldRelease held_release_;
  std::uint64_t suspect_serial_ = 0;
  std::uint64_t names_ = 0;
  std::uint64_t answers_at_once_ = 5;                  // at most, in a commit
  std::optional<Kind> next_kind_;                      // of the next answer
  std::optional<std::int64_t> next_delay_;             // of the next retry
  std::string next_key_;                               // under which the next event is published
  std::optional<std::pair<Id, EventId>> starts_over_;  // the last that does
  std::uint32_t tokens_made_ = 0;
  const core::AgeingRule rule_{profile_.ageing};
  /// Takes by workers of at least this class since the last of the lane of what had aged; and
  /// those in a row for which something aged of this lane was there, the least urgent such.
  model::PerLane<std::uint32_t> since_turn_;
  model::PerLane<std::uint32_t> passed_over_;
};

}  // namespace holdfast::testing
