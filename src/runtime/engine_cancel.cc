// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "core/token_id.h"
#include "runtime/engine.h"

namespace holdfast::runtime {

namespace {

// A token's events are told one by one as far as so many sequences and bytes of events hold them.
constexpr model::Sequence kListedSequences = 4'096;
constexpr std::size_t kListedBytes = std::size_t{4} << 20U;

Status unknown(TokenId id) {
  return {StatusCode::not_found, to_string(id) + " was never made, or is forgotten by now"};
}

}  // namespace

// --- Tokens -------------------------------------------------------------------------------------

Status check_within_a_year(std::string_view what, std::chrono::nanoseconds span) {
  constexpr std::chrono::nanoseconds kYear = std::chrono::hours(24 * 365);
  if (span.count() >= 0 && span <= kYear) return {};
  return {StatusCode::invalid_argument, std::string(what) + " is " + std::to_string(span.count()) +
                                            " ns, it must be 0 to " +
                                            std::to_string(kYear.count())};
}

Result<std::uint64_t> Engine::next_id(std::atomic<std::uint64_t>& made,
                                      std::string_view what) const {
  const auto count = made.fetch_add(1);
  if (count > UINT32_MAX) {
    return Status(StatusCode::resource_exhausted,
                  "4,294,967,295 " + std::string(what) + " since the bus was opened; reopen it");
  }
  return core::made_token(journal_->state().epoch, static_cast<std::uint32_t>(count)).value;
}

Result<CancellationToken> Engine::make_token(const TokenOptions& options) {
  HOLDFAST_TRY(check_within_a_year("timeout of a token", options.timeout));
  HOLDFAST_ASSIGN(const auto number, next_id(tokens_made_, "tokens were made"));
  const TokenId id{number};
  Request request;
  request.decide = [&](core::CommitPlan& plan) {
    return plan.make_token(id, options.timeout.count());
  };
  HOLDFAST_TRY(run(request).status());
  wake_upkeep(clock_.now().bus + options.timeout.count());
  return CancellationToken(id, link_);
}

Result<CancellationToken> Engine::token(TokenId id) const {
  HOLDFAST_TRY(check_open());
  if (const auto event = core::single_event(id); event.has_value()) {
    HOLDFAST_TRY(core::check_event_id(*event));
    HOLDFAST_ASSIGN(const auto found, get(*event));
    if (!found.has_value()) return unknown(id);
    return CancellationToken(id, link_);
  }
  const std::lock_guard lock(state_.mutex);
  if (state_.ledger.cancellations.find(id) == nullptr) return unknown(id);
  return CancellationToken(id, link_);
}

bool Engine::is_cancelled(TokenId id) const {
  const auto event = core::single_event(id);
  const std::lock_guard lock(state_.mutex);
  const auto& cancellations = state_.ledger.cancellations;
  return event.has_value() ? cancellations.is_cancelled(*event, {})
                           : cancellations.is_cancelled({}, id);
}

// --- Cancelling ---------------------------------------------------------------------------------

/// Under the lock: those who run what has been cancelled, noted to be told so.
Signaller::Runs Engine::runs_of(const Running& running) {
  Signaller::Runs told;
  for (const auto& [subscription, event] : running) {
    state_.outstanding.for_each(event, [&, id = subscription](internal::DeliveryState& run) {
      auto& whole = run.whole();
      if (run.lease.subscription == id && whole.stop.note(StopReason::cancelled)) {
        told.push_back(whole.shared_from_this());
      }
    });
  }
  return told;
}

/// Under the lock. The handlers that hold what was cancelled are told at once, by a thread of their
/// own: not before it is decided, or what they do then could decide it.
void Engine::decided(core::CommitPlan::Cancelled&& cancelled, Cancelling& cancelling) {
  cancelling.told = runs_of(cancelled.running);
  cancelling.receipt = std::move(cancelled.receipt);
  signaller_.signal(cancelling.told);
}

Request Engine::cancel_request(EventId id, const std::string& reason,
                               const CancellingPtr& cancelling) {
  const auto chunk = std::make_shared<model::ChunkPtr>();
  Request request;
  request.prepare = [this, chunk, id]() -> Status {
    HOLDFAST_ASSIGN(*chunk, reader_->find_event(id));
    if (*chunk != nullptr) return {};
    return {StatusCode::not_found,
            "event " + to_string(id) + " was never published, or is not kept any more"};
  };
  request.overtakes = true;
  request.decide = [this, chunk, id, cancelling,
                    reason = std::string(internal::cut(reason, kReasonBytesMax))](
                       core::CommitPlan& plan) -> Status {
    const auto event = (*chunk)->event(id.sequence);
    decided(plan.cancel(event, reason), *cancelling);
    state_.look_again(id);
    return {};
  };
  return request;
}

Status Engine::read_members(TokenId id, std::vector<core::Span>& members) const {
  model::TokenRecord record;
  {
    const std::lock_guard lock(state_.mutex);
    const auto* token = state_.ledger.cancellations.find(id);
    if (token == nullptr) return unknown(id);
    record = token->record;
  }
  model::Sequence sequences = 0;
  for (const auto lane : kAllPriorities) {
    if (record.last[lane] != 0) sequences += record.last[lane] - record.first[lane] + 1;
  }
  if (sequences > kListedSequences) return {};
  std::size_t bytes = 0;
  for (const auto lane : kAllPriorities) {
    if (record.last[lane] == 0) continue;
    const journal::EventRange range{lane, record.first[lane], record.last[lane] + 1};
    HOLDFAST_TRY(journal_->scan(range, [&](model::Record&& scanned) {
      const auto& chunk = std::get<model::ChunkPtr>(scanned);
      bytes += chunk->bytes().size();
      if (!chunk->conditional()) return true;
      const auto last = std::min(chunk->last(), record.last[lane]);
      for (auto each = std::max(chunk->first(), record.first[lane]); each <= last; ++each) {
        if (chunk->event(each).token == id) members.push_back({chunk, each, each + 1});
      }
      return bytes < kListedBytes && members.size() < kCancelEventsListed;
    }));
  }
  return {};
}

Status Engine::read_token_change(core::TokenChange& change, model::SubscriptionId parked_of) const {
  model::PerLane<model::Sequence> first;
  model::PerLane<model::Sequence> last;
  bool any = false;
  {
    const std::lock_guard lock(state_.mutex);
    for (const auto& [id, token] : state_.ledger.cancellations.tokens()) {
      any = any || token.record.published > 0;
      for (const auto lane : kAllPriorities) {
        if (token.record.last[lane] == 0) continue;
        const auto& record = token.record;
        first[lane] =
            first[lane] == 0 ? record.first[lane] : std::min(first[lane], record.first[lane]);
        last[lane] = std::max(last[lane], record.last[lane]);
      }
    }
  }
  if (!any) return {};
  const auto show = [&](const model::ChunkPtr& chunk) {
    if (!chunk->conditional()) return;
    const std::lock_guard lock(state_.mutex);
    const auto trim = state_.ledger.lanes[chunk->lane()].trim;
    for (auto each = std::max(chunk->first(), trim); each <= chunk->last(); ++each) {
      change.add(chunk->event(each));
    }
  };
  for (const auto lane : kAllPriorities) {
    if (last[lane] == 0) continue;
    const journal::EventRange range{lane, first[lane], last[lane] + 1};
    HOLDFAST_TRY(journal_->scan(range, [&](model::Record&& record) {
      show(std::get<model::ChunkPtr>(record));
      return true;
    }));
  }
  Status failed;
  HOLDFAST_TRY(journal_->scan(journal::Settlements{parked_of, {}}, [&](model::Record&& record) {
    const auto& settlement = std::get<model::SettlementRecord>(record);
    if (!settlement.is_owed()) return true;
    const auto event = settlement.event;
    auto found = journal_->find(journal::ParkedRef{parked_of, event});
    failed = found.status();
    if (!failed.ok() || !found->has_value()) return failed.ok();
    const std::lock_guard lock(state_.mutex);
    // What is still in its lane has been seen.
    if (event.sequence < state_.ledger.lanes[event.priority].trim) {
      change.add(std::get<model::ParkedEvent>(**found).chunk->event(event.sequence));
    }
    return true;
  }));
  return failed;
}

Request Engine::cancel_request(TokenId id, const std::string& reason,
                               const CancellingPtr& cancelling) {
  const auto members = std::make_shared<std::vector<core::Span>>();
  Request request;
  request.prepare = [this, id, members] { return read_members(id, *members); };
  request.overtakes = true;
  request.decide = [this, id, members, cancelling,
                    reason = std::string(internal::cut(reason, kReasonBytesMax))](
                       core::CommitPlan& plan) -> Status {
    HOLDFAST_ASSIGN(auto cancelled, plan.cancel(id, reason, *members));
    decided(std::move(cancelled), *cancelling);
    state_.look_again();
    return {};
  };
  return request;
}

Result<Request> Engine::cancel_request(const CancelTarget& target, const std::string& reason,
                                       const CancellingPtr& cancelling) {
  HOLDFAST_TRY(check_open());
  const auto* token = std::get_if<TokenId>(&target);
  const auto event = token != nullptr ? core::single_event(*token) : std::get<EventId>(target);
  if (event.has_value()) {
    HOLDFAST_TRY(core::check_event_id(*event));
    return cancel_request(*event, reason, cancelling);
  }
  if (token->value == 0) return Status(StatusCode::invalid_argument, "the token is empty");
  return cancel_request(*token, reason, cancelling);
}

Result<CancelReceipt> Engine::cancel(const CancelTarget& target, const std::string& reason) {
  const auto cancelling = std::make_shared<Cancelling>();
  HOLDFAST_ASSIGN(auto request, cancel_request(target, reason, cancelling));
  HOLDFAST_ASSIGN(const auto committed, run(request));
  cancelling->receipt.commit = committed.commit;
  // The other thread may still be about to tell them.
  signaller_.tell(std::move(cancelling->told));
  return std::move(cancelling->receipt);
}

Status Engine::cancel_async(const CancelTarget& target, const std::string& reason,
                            std::function<void(Result<CancelReceipt>)> done) {
  const auto cancelling = std::make_shared<Cancelling>();
  HOLDFAST_ASSIGN(auto request, cancel_request(target, reason, cancelling));
  request.limited = true;
  request.done = [this, cancelling, done = std::move(done)](Result<Committed> committed) {
    if (!committed.ok()) {
      return tell(log_, done, Result<CancelReceipt>(committed.status()), "a cancel");
    }
    cancelling->receipt.commit = committed->commit;
    tell(log_, done, Result<CancelReceipt>(std::move(cancelling->receipt)), "a cancel");
  };
  return committer_->submit(request, may_block());
}

void Engine::cancel_expired(base::BusTime now) {
  std::vector<TokenId> expired;
  {
    const std::lock_guard lock(state_.mutex);
    expired = state_.ledger.cancellations.take_expired(now);
  }
  for (const auto id : expired) {
    auto request = cancel_request(id, "timed out", std::make_shared<Cancelling>());
    // Nobody is given its outcome, so nobody need be told which events it meant.
    request.prepare = nullptr;
    (void)committer_->submit(request, false);
  }
}

}  // namespace holdfast::runtime
