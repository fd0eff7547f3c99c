// SPDX-License-Identifier: MIT
#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <utility>

#include "base/status_or.h"
#include "core/attachment.h"
#include "core/event_limits.h"
#include "core/filter.h"
#include "core/retry.h"
#include "runtime/engine.h"
#include "runtime/pins.h"

namespace holdfast::runtime {

using internal::SubscriptionHandle;
using model::PerLane;
using model::Sequence;
using model::SubscriptionId;

namespace {

constexpr std::uint32_t kConcurrencyMax = 65'536;
constexpr std::size_t kEarlierFiltersMax = 16;

Status check_time_out(std::string_view what, std::chrono::milliseconds span) {
  if (span.count() >= 0 && span <= kHandlerTimeoutMax) return {};
  return {StatusCode::invalid_argument,
          std::string(what) + " is " + std::to_string(span.count()) + " ms, it must be 1 to " +
              std::to_string(kHandlerTimeoutMax.count()) + ", or 0 for none"};
}

Status check_time_outs(const SubscribeOptions& options) {
  HOLDFAST_TRY(check_time_out("timeout", options.timeout));
  HOLDFAST_TRY(check_time_out("abandon_after", options.abandon_after));
  if (options.abandon_after.count() == 0 || options.abandon_after >= options.timeout) return {};
  return {StatusCode::invalid_argument, "abandon_after is " +
                                            std::to_string(options.abandon_after.count()) +
                                            " ms, it must be at least timeout, which is " +
                                            std::to_string(options.timeout.count()) + " ms"};
}

Status check(const SubscribeOptions& options) {
  if (!options.name.empty()) HOLDFAST_TRY(core::check_name(options.name, "subscription name"));
  HOLDFAST_TRY(core::Filter::check(options.types, options.match));
  HOLDFAST_TRY(core::check_retry(options.retry));
  HOLDFAST_TRY(check_time_outs(options));
  if (options.compensate && options.name.empty()) {
    return {StatusCode::invalid_argument,
            "compensate is given, and the subscription has no name to be durable by"};
  }
  if (const auto* first = std::get_if<EventId>(&options.start.value); first != nullptr) {
    if (auto status = core::check_event_id(*first); !status.ok()) {
      return status.with_context("start position");
    }
  }
  if (options.concurrency == 0 || options.concurrency > kConcurrencyMax) {
    return {StatusCode::invalid_argument, "concurrency is " + std::to_string(options.concurrency) +
                                              ", it must be 1 to " +
                                              std::to_string(kConcurrencyMax)};
  }
  return {};
}

Status check_batch(const SubscribeOptions& options) {
  if (options.batch_size == 0 || options.batch_size > kBatchSizeMax) {
    return {StatusCode::invalid_argument, "batch_size is " + std::to_string(options.batch_size) +
                                              ", it must be 1 to " + std::to_string(kBatchSizeMax)};
  }
  const auto linger = options.batch_linger.count();
  if (linger < 0 || options.batch_linger > kBatchLingerMax) {
    return {StatusCode::invalid_argument, "batch_linger is " + std::to_string(linger) +
                                              " ms, it must be 0 to " +
                                              std::to_string(kBatchLingerMax.count())};
  }
  return {};
}

core::Attachment attachment_of(const SubscriptionHandle& handle) {
  const auto& options = handle.options();
  core::Attachment attachment{options.concurrency, options.retry,
                              static_cast<bool>(options.on_cancel)};
  if (handle.is_batch()) {
    attachment.batch_size = options.batch_size;
    attachment.batch_linger = base::BusTime{options.batch_linger.count()} * 1'000'000;
  }
  attachment.takes_stretches =
      !handle.is_batch() && options.concurrency == 1 && handle.stop_after() == 0;
  return attachment;
}

}  // namespace

Status Engine::read_backlog(const core::Interest& interest, PerLane<Sequence>& from,
                            const PerLane<Sequence>& to, Backlog& backlog) const {
  for (const auto lane : kAllPriorities) {
    if (from[lane] >= to[lane]) continue;
    auto& found = backlog.lanes[lane];
    {
      // Whatever is read is before the next mark to come.
      const std::lock_guard lock(state_.mutex);
      backlog.marks[lane] = state_.ledger.lanes[lane].retention->marks();
    }
    const auto mark_of = [&marks = backlog.marks[lane]](Sequence sequence) {
      const auto next = std::upper_bound(marks.begin(), marks.end(), sequence);
      return next == marks.begin() ? sequence : *std::prev(next);
    };
    HOLDFAST_TRY(journal_->scan(
        journal::EventRange{lane, from[lane], to[lane]}, [&](model::Record&& record) {
          const auto& chunk = *std::get<model::ChunkPtr>(record);
          const auto last = std::min(chunk.last(), to[lane] - 1);
          for (auto sequence = std::max(chunk.first(), from[lane]); sequence <= last; ++sequence) {
            const auto event = chunk.event(sequence);
            if (!interest.wants(event)) continue;
            if (std::binary_search(backlog.ahead[lane].begin(), backlog.ahead[lane].end(),
                                   sequence)) {
              continue;
            }
            ++found.owed;
            const bool claimed =
                std::any_of(backlog.others.begin(), backlog.others.end(),
                            [&](const auto& other) { return other->wants(event); });
            if (!claimed) ++found.claimed[mark_of(sequence)];
          }
          return true;
        }));
    from[lane] = to[lane];
  }
  return {};
}

/// Under the lock, but for the events it has to look up.
Result<PerLane<Sequence>> Engine::start_of(const Start& start) const {
  PerLane<Sequence> from;
  {
    const std::lock_guard lock(state_.mutex);
    for (const auto lane : kAllPriorities) from[lane] = state_.ledger.lanes[lane].trim;
    if (std::holds_alternative<Start::Earliest>(start.value)) return from;
    if (std::holds_alternative<Start::NewOnly>(start.value)) {
      for (const auto lane : kAllPriorities) from[lane] = state_.ledger.lanes[lane].next;
      return from;
    }
    if (const auto* time = std::get_if<Start::AtTime>(&start.value)) {
      for (const auto lane : kAllPriorities) {
        from[lane] =
            std::max(from[lane], state_.ledger.lanes[lane].retention->at_or_before(time->from));
      }
    }
  }
  CommitNumber first_commit;
  WallTime first_time = 0;
  if (const auto* id = std::get_if<EventId>(&start.value)) {
    HOLDFAST_ASSIGN(const auto found, journal_->find(journal::EventRef{*id}));
    if (!found.has_value()) {
      return Status(StatusCode::not_found,
                    "start position " + to_string(*id) + " is not in the journal (any more)");
    }
    first_commit = std::get<model::ChunkPtr>(*found)->commit();
    from[id->priority] = id->sequence;
  } else {
    first_time = std::get<Start::AtTime>(start.value).from;
  }
  for (const auto lane : kAllPriorities) {
    if (const auto* id = std::get_if<EventId>(&start.value);
        id != nullptr && id->priority == lane) {
      continue;
    }
    auto& first = from[lane];
    const auto begin = first;
    HOLDFAST_TRY(journal_->scan(
        journal::EventRange{.lane = lane, .from = begin}, [&](model::Record&& record) {
          const auto& chunk = *std::get<model::ChunkPtr>(record);
          const bool before = chunk.commit() < first_commit || chunk.published_at() < first_time;
          if (before) first = chunk.last() + 1;
          return before;
        }));
  }
  return from;
}

/// What handlers have answered before is known to the ledger after this.
Status Engine::commit_answers() {
  {
    const std::lock_guard lock(state_.mutex);
    state_.answer_count += state_.collect_answers();
    if (!state_.has_answers() && !state_.answers_taken) return {};
  }
  Request barrier;
  barrier.durability = Durability::os;
  return run(barrier).status();
}

Result<SubscriptionId> Engine::attach_durable(
    const SubscribeOptions& options,
    const std::function<std::shared_ptr<SubscriptionHandle>(SubscriptionId)>& make_handle) {
  // Closing lets the journal go only behind this.
  const auto open = reading();
  HOLDFAST_TRY(open.status());
  HOLDFAST_TRY(commit_answers());
  Backlog backlog;
  PerLane<Sequence> from;
  PerLane<Sequence> to;
  model::SubscriptionRecord record;
  bool is_new = false;
  bool filter_changed = false;
  {
    const std::lock_guard lock(state_.mutex);
    const auto* known = state_.ledger.find(options.name);
    is_new = known == nullptr;
    if (known != nullptr && known->attached) {
      return Status(StatusCode::already_exists,
                    "subscription \"" + options.name + "\" has a handler already");
    }
    if (is_new && state_.ledger.durable_count() >= options_.limits.subscriptions_max) {
      return Status(StatusCode::resource_exhausted,
                    "there are " + std::to_string(state_.ledger.durable_count()) +
                        " subscriptions, limits.subscriptions_max is " +
                        std::to_string(options_.limits.subscriptions_max));
    }
    if (known != nullptr) record = known->record;
    for (const auto& [id, other] : state_.ledger.subscriptions) {
      if (other->durable && other.get() != known) backlog.others.push_back(other->interest);
    }
  }
  const core::Filter wanted(options.types, options.match);
  if (is_new) {
    HOLDFAST_ASSIGN(from, start_of(options.start));
  } else {
    filter_changed = !(core::Filter(record.filter.types, record.filter.match) == wanted);
  }

  std::unique_lock lock(state_.mutex);
  for (const auto lane : kAllPriorities) {
    const auto& bus_lane = state_.ledger.lanes[lane];
    to[lane] = bus_lane.offered;
    if (!is_new) {
      from[lane] = state_.ledger.find(options.name)->lanes[lane].floor(bus_lane.offered);
    }
    from[lane] = std::max(from[lane], bus_lane.trim);
  }
  if (is_new) {
    record.name = options.name;
    record.filter = {options.types, options.match};
    record.start = from;
  } else if (filter_changed) {
    PerLane<Sequence> next;
    for (const auto lane : kAllPriorities) next[lane] = state_.ledger.lanes[lane].next;
    record = core::with_filter(record, {options.types, options.match},
                               state_.ledger.operations.oldest_pending(from), next);
    if (record.earlier.size() > kEarlierFiltersMax) {
      return Status(StatusCode::resource_exhausted,
                    "the filter of \"" + options.name + "\" changed " +
                        std::to_string(record.earlier.size()) +
                        " times with events of before still pending, the limit is " +
                        std::to_string(kEarlierFiltersMax));
    }
  }
  const Pins pins(state_, from);
  lock.unlock();

  const bool compensates = static_cast<bool>(options.compensate);
  const bool stored = is_new || filter_changed ||
                      record.attempts_max != options.retry.attempts_max ||
                      record.compensates != compensates;
  record.attempts_max = options.retry.attempts_max;
  record.compensates = compensates;
  const core::Interest interest(record);
  if (is_new) HOLDFAST_TRY(read_backlog(interest, from, to, backlog));

  SubscriptionId id = record.id;
  core::TokenChange tokens(state_.ledger, {id, std::make_shared<const core::Interest>(record)});
  Request request;
  request.prepare = [&]() -> Status {
    if (is_new || filter_changed) {
      PerLane<Sequence> end;
      {
        const std::lock_guard guard(state_.mutex);
        for (const auto lane : kAllPriorities) {
          end[lane] = state_.ledger.lanes[lane].next;
          if (is_new) continue;
          // Late answers may have moved it; now that nothing else commits it stands still.
          const auto& known = state_.ledger.find(id)->lanes[lane];
          from[lane] = std::max(known.floor(state_.ledger.lanes[lane].offered),
                                state_.ledger.lanes[lane].trim);
          backlog.ahead[lane] = known.ahead(from[lane]);
        }
      }
      HOLDFAST_TRY(read_backlog(interest, from, end, backlog));
      return read_token_change(tokens, id);
    }
    return {};
  };
  request.change = [&](core::CommitPlan& plan) -> Status {
    core::SubscriptionState* subscription = nullptr;
    plan.shift_ended(tokens.ended());
    if (is_new) {
      record.id = id = state_.ledger.next_id();
      subscription = &plan.create(record, backlog.lanes);
    } else {
      subscription = state_.ledger.find(id);
      if (stored) {
        PerLane<std::uint64_t> owed;
        for (const auto lane : kAllPriorities) {
          const auto& state = subscription->lanes[lane];
          owed[lane] = filter_changed ? backlog.lanes[lane].owed : state.owed - state.parked;
        }
        plan.change(*subscription, record, owed);
        // What does not match any more is skipped, and nobody answers for it. Who is about to find
        // out who owes an event has read of the old filter.
        for (auto& [event, waiter] : state_.settle_waiters) {
          if (filter_changed && (!waiter->complete || waiter->owed.contains(id))) {
            waiter->tell(SettleWaiter::End::look_again);
          }
        }
      }
    }
    auto handle = make_handle(id);
    if (handle->options().on_settled) ++state_.settle_listeners;
    const auto attachment = attachment_of(*handle);
    state_.handles.insert_or_assign(id, std::move(handle));
    core::attach(state_.ledger, state_.scheduler, *subscription, attachment, clock_.now());
    return {};
  };
  HOLDFAST_TRY(run(request).status());
  // What is owed to nobody any more may have been what an operation waited for.
  if (filter_changed) HOLDFAST_TRY(revisit_operations());
  return id;
}

Result<std::shared_ptr<SubscriptionHandle>> Engine::subscribe(SubscribeOptions options,
                                                              Handler handler,
                                                              BatchHandler batch_handler) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(check(options));
  if (batch_handler) HOLDFAST_TRY(check_batch(options));
  if (!handler && !batch_handler)
    return Status(StatusCode::invalid_argument, "the handler is empty");
  std::shared_ptr<SubscriptionHandle> handle;
  const auto make_handle = [&](SubscriptionId id) {
    handle = std::make_shared<SubscriptionHandle>(link_, id, options, std::move(handler),
                                                  std::move(batch_handler));
    return handle;
  };
  if (!options.name.empty()) {
    // Before the mutex, whose holder may be waiting for this very thread.
    HOLDFAST_TRY(internal::check_may_wait());
    const std::lock_guard one(subscribe_mutex_);
    HOLDFAST_TRY(attach_durable(options, make_handle).status());
  } else {
    const std::lock_guard lock(state_.mutex);
    model::SubscriptionRecord record;
    record.id = state_.ledger.next_id();
    record.filter = {options.types, options.match};
    for (const auto lane : kAllPriorities) record.start[lane] = state_.ledger.lanes[lane].next;
    auto& subscription = state_.ledger.add(record, false);
    state_.recall_all();
    if (options.on_settled) ++state_.settle_listeners;
    state_.handles.insert_or_assign(record.id, make_handle(record.id));
    core::attach(state_.ledger, state_.scheduler, subscription, attachment_of(*handle),
                 clock_.now());
  }
  workers_->wake();
  return handle;
}

Signaller::Runs Engine::detach(const SubscriptionHandle& handle) {
  Signaller::Runs asked;
  {
    const std::lock_guard lock(state_.mutex);
    state_.recall_all();
    state_.outstanding.for_each([&](internal::DeliveryState& run) {
      if (run.handle.get() != &handle || !run.whole().stop.note(StopReason::shutdown)) return;
      asked.push_back(run.whole().shared_from_this());
    });
    forget(handle);
  }
  if (!internal::inside_callback()) return asked;
  signaller_.signal(std::move(asked));
  return {};
}

/// Under the lock.
void Engine::forget(const SubscriptionHandle& handle) {
  const auto found = state_.handles.find(handle.id());
  if (found == state_.handles.end() || found->second.get() != &handle) return;
  if (handle.options().on_settled) --state_.settle_listeners;
  state_.handles.erase(found);
  auto* subscription = state_.ledger.find(handle.id());
  if (subscription == nullptr) return;
  core::detach(state_.ledger, *subscription);
  if (!subscription->durable) state_.ledger.erase(handle.id());
}

Status Engine::remove_subscription(std::string_view name) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(internal::check_may_wait());
  const std::lock_guard one(subscribe_mutex_);
  Request request;
  std::optional<core::TokenChange> tokens;
  request.prepare = [&]() -> Status {
    SubscriptionId id;
    {
      const std::lock_guard lock(state_.mutex);
      const auto* subscription = state_.ledger.find(name);
      if (subscription == nullptr) return {};
      id = subscription->record.id;
    }
    tokens.emplace(state_.ledger, core::TokenChange::After{id, nullptr});
    return read_token_change(*tokens, id);
  };
  request.change = [&](core::CommitPlan& plan) -> Status {
    const auto* subscription = state_.ledger.find(name);
    if (subscription == nullptr) {
      return {StatusCode::not_found,
              "there is no subscription named \"" + std::string(name) + "\""};
    }
    if (subscription->attached) {
      return {StatusCode::conflict,
              "subscription \"" + std::string(name) + "\" has a handler; end it first"};
    }
    const auto id = subscription->record.id;
    plan.shift_ended(tokens->ended());
    plan.remove(id);
    // Whoever waits for an event that only this one was owed has nothing to wait for any more.
    for (auto& [event, waiter] : state_.settle_waiters) {
      if (waiter->owed.contains(id)) waiter->note(id);
    }
    return {};
  };
  HOLDFAST_TRY(run(request).status());
  return revisit_operations();
}

void Engine::hand_over(internal::DeliveryState& delivery) { workers_->hand_over(delivery); }

Status Engine::answer(internal::DeliveryState& delivery, const Outcome& outcome) {
  if (auto health = committer_->health(); !health.ok()) {
    workers_->forget(delivery);
    return health;
  }
  Status status;
  {
    const std::lock_guard lock(state_.mutex);
    const auto* subscription = state_.ledger.find(delivery.lease.subscription);
    if (subscription == nullptr) {
      status = {StatusCode::stale, "the subscription is gone"};
    } else if (subscription->generation != delivery.lease.generation) {
      status = {StatusCode::stale, "the subscription was attached anew, or rewound"};
    } else if (!delivery.lease.cleanup && state_.ledger.cancellations.is_cancelled(
                                              delivery.lease.event, delivery.lease.token)) {
      status = {StatusCode::cancelled, "the event was cancelled"};
    }
  }
  const auto event = delivery.lease.event;
  workers_->answer(delivery, outcome);
  return status.ok() ? status : status.with_context(to_string(event));
}

Status Engine::wait_settled(EventId id, std::chrono::steady_clock::time_point deadline) {
  HOLDFAST_TRY(core::check_enum(id.priority, Priority::low, "priority of an event id"));
  HOLDFAST_TRY(check_open());
  while (true) {
    SettleWaiter waiter;
    HOLDFAST_TRY(wait_settled_once(id, deadline, waiter));
    if (waiter.end != SettleWaiter::End::look_again) return {};
  }
}

/// Finds out who owes `id`, and whether there is something to wait for.
Request Engine::look_at_settling(EventId id, SettleWaiter& waiter, bool& wait) {
  const auto stored = std::make_shared<std::optional<StoredEvent>>();
  Request look;
  look.prepare = [this, stored, id]() -> Status {
    HOLDFAST_ASSIGN(*stored, reader_->get(id));
    return {};
  };
  look.change = [this, stored, &waiter, &wait](core::CommitPlan&) -> Status {
    if (!stored->has_value()) return {};
    // These end an event for everybody, whoever has still to hear of it.
    if ((*stored)->cancelled.has_value() || (*stored)->state == EventState::expired) return {};
    bool pending = false;
    for (const auto& each : (*stored)->standings) {
      const auto* subscription = state_.ledger.find(each.subscription);
      if (each.state == EventState::dead || subscription == nullptr) continue;
      pending = true;
      waiter.owed.insert(subscription->record.id);
    }
    wait = (pending || (*stored)->state == EventState::unclaimed) &&
           waiter.end == SettleWaiter::End::none;
    // Some may have settled while it was read.
    for (const auto& done : waiter.settled) waiter.owed.erase(done);
    wait = wait && !(pending && waiter.owed.empty());
    waiter.complete = true;
    return {};
  };
  return look;
}

Status Engine::wait_settled_once(EventId id, std::chrono::steady_clock::time_point deadline,
                                 SettleWaiter& waiter) {
  std::promise<void> over;
  auto waiting = over.get_future();
  waiter.done = [&over] { over.set_value(); };
  std::multimap<EventId, SettleWaiter*>::iterator place;
  {
    // Registered first and looked at afterwards, so that nothing is missed in between.
    const std::lock_guard lock(state_.mutex);
    // Closing tells those that are registered, and this comes too late to be one of them.
    if (closed_) return {StatusCode::unavailable, "the bus is closed"};
    if (id.sequence == 0 || id.sequence >= state_.ledger.lanes[id.priority].next) {
      return {StatusCode::not_found, "event " + to_string(id) + " was never published"};
    }
    // From here on each answer counts by itself.
    state_.recall_all();
    ++state_.settle_listeners;
    place = state_.settle_waiters.emplace(id, &waiter);
  }
  // Read between two commits, since what one in the making has changed in memory is not in the
  // journal yet. Answers given before count as well: they are committed, and what is settled is
  // durable, after this.
  bool wait = false;
  auto look = look_at_settling(id, waiter, wait);
  auto status = committer_->submit_and_wait(look, true).status();
  if (status.ok() && wait && waiting.wait_until(deadline) == std::future_status::timeout) {
    status = {StatusCode::deadline_exceeded, "event " + to_string(id) + " is not settled yet"};
  }
  const std::lock_guard lock(state_.mutex);
  --state_.settle_listeners;
  state_.settle_waiters.erase(place);
  return outcome_of(waiter, status);
}

/// Of a wait that ended with `status`: told between the time-out and the lock, it is over after
/// all.
Status Engine::outcome_of(const SettleWaiter& waiter, const Status& status) const {
  switch (waiter.end) {
    case SettleWaiter::End::none: return status;
    case SettleWaiter::End::closed: return {StatusCode::unavailable, "the bus is closed"};
    case SettleWaiter::End::failed: return committer_->health();
    case SettleWaiter::End::settled:
    case SettleWaiter::End::look_again: break;
  }
  return status == StatusCode::deadline_exceeded ? Status() : status;
}

Result<std::uint64_t> Engine::redrive(const DeadLetterFilter& filter) {
  // In parts, so that a commit stays small whatever the number. Each begins behind the last letter
  // of the one before: an event that has died again meanwhile is not redriven twice.
  constexpr std::uint64_t kPart = 256;
  std::uint64_t count = 0;
  std::optional<core::DeadLetterIndex::Name> last;
  while (count < filter.limit) {
    HOLDFAST_TRY(check_open());
    auto part = filter;
    part.limit = std::min(kPart, filter.limit - count);
    std::vector<model::DeadLetterRecord> letters;
    std::uint64_t redriven = 0;
    Request request;
    request.prepare = [&]() -> Status {
      HOLDFAST_ASSIGN(letters, reader_->dead_letter_records(part, last));
      return {};
    };
    request.change = [&](core::CommitPlan& plan) -> Status {
      redriven = 0;
      for (const auto& letter : letters) redriven += plan.redrive(letter) ? 1U : 0U;
      return {};
    };
    HOLDFAST_TRY(run(request).status());
    {
      const std::lock_guard lock(state_.mutex);
      state_.scheduler.advance(clock_.now());
    }
    workers_->wake();
    count += redriven;
    if (letters.size() < part.limit) break;
    last = {letters.back().subscription, letters.back().event};
  }
  return count;
}

}  // namespace holdfast::runtime
