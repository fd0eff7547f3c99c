// SPDX-License-Identifier: MIT
// Pauses of subscriptions and of event types.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status_or.h"
#include "core/attachment.h"
#include "core/filter.h"
#include "runtime/engine.h"

namespace holdfast::runtime {

Status Engine::set_paused(std::string_view name, bool paused) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(internal::check_may_wait());
  // Who subscribes is about to write the record as it was.
  const std::lock_guard one(subscribe_mutex_);
  Request request;
  request.change = [&](core::CommitPlan& plan) -> Status {
    auto* subscription = state_.ledger.find(name);
    if (subscription == nullptr) {
      return {StatusCode::not_found,
              "there is no subscription named \"" + std::string(name) + "\""};
    }
    if (subscription->record.paused == paused) return {};
    plan.set_paused(*subscription, paused);
    if (paused) {
      core::pause(*subscription);
    } else {
      core::resume(state_.scheduler, *subscription, clock_.now());
    }
    return {};
  };
  HOLDFAST_TRY(run(request).status());
  workers_->wake();
  return {};
}

// --- Event types --------------------------------------------------------------------------------

Status Engine::pause_types(std::string_view pattern) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(core::check_pattern(pattern));
  Request request;
  request.change = [&](core::CommitPlan& plan) { return plan.pause_types(pattern); };
  return run(request).status();
}

Status Engine::resume_types(std::string_view pattern) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(core::check_pattern(pattern));
  Request request;
  request.change = [&](core::CommitPlan& plan) { return plan.resume_types(pattern); };
  HOLDFAST_TRY(run(request).status());
  wake_upkeep(clock_.now().bus);
  return {};
}

// --- What is held -------------------------------------------------------------------------------

/// A part of what is held, as it is in the journal.
struct Engine::Held {
  core::HeldRelease::Part part;
  model::DueTime last = 0;
  std::vector<model::DueRecord> released{};  ///< Nothing pauses these any more.
  std::optional<core::ParkedWindow::Key> reached{};
};

Status Engine::read_held(Held& held) const {
  const auto& part = held.part;
  const auto now = clock_.now().wall;
  std::vector<model::DueRecord> found;
  HOLDFAST_TRY(journal_->scan(
      journal::DueTimes{part.subscription, part.lane, part.from.due, part.from.sequence, held.last},
      [&](model::Record&& record) {
        const auto& due = std::get<model::DueRecord>(record);
        if (found.size() == core::HeldRelease::kReleasedAtOnce) {
          held.reached = {due.due, due.event.sequence};
          return false;
        }
        found.push_back(due);
        return true;
      }));
  for (const auto& due : found) {
    const auto copy = journal_->find(journal::ParkedRef{due.subscription, due.event});
    // Of one that cannot be read its delivery will tell.
    bool paused = false;
    if (copy.ok() && copy->has_value()) {
      const auto& chunk = std::get<model::ParkedEvent>(**copy).chunk;
      const auto event = chunk->event(due.event.sequence);
      const bool expired = event.expires_at != 0 && event.expires_at <= now;
      const std::lock_guard lock(state_.mutex);
      paused = !expired && state_.ledger.paused_types.matches(event.type);
    }
    if (!paused) held.released.push_back(due);
  }
  return {};
}

/// Of `part` what is held until `last` at most. Returns whether it could be read and written.
bool Engine::release(core::HeldRelease& pass, const core::HeldRelease::Part& part,
                     model::DueTime last) {
  Held held{part, last};
  Request request;
  request.durability = Durability::os;
  request.prepare = [&] { return read_held(held); };
  request.change = [&](core::CommitPlan& plan) -> Status {
    auto* subscription = state_.ledger.find(part.subscription);
    if (subscription == nullptr) return {};
    for (const auto& due : held.released) plan.release(*subscription, due);
    return {};
  };
  const auto status = committer_->submit_and_wait(request, true).status();
  pass.done(held.reached);
  if (!status.ok() && !std::exchange(told_of_held_, true)) {
    log_.error("holdfast: what was paused in lane " + std::string(to_string(part.lane)) +
               " of a subscription cannot be handed out: " + status.to_string());
  }
  return status.ok();
}

bool Engine::release_held() {
  if (!committer_->health().ok()) return false;
  std::optional<core::HeldRelease::Part> part;
  {
    const std::lock_guard lock(state_.mutex);
    if (!state_.ledger.paused_types.record().releasing) return false;
    part = held_release_.next(state_.ledger);
  }
  if (part.has_value()) {
    if (release(held_release_, *part, model::kWallDueBegin - 1)) return true;
    held_release_.restart();
    return false;
  }
  Request request;
  request.durability = Durability::os;
  request.change = [this](core::CommitPlan& plan) -> Status {
    // Another pause may have ended just now.
    if (!held_release_.next(state_.ledger).has_value()) plan.end_release();
    return {};
  };
  (void)committer_->submit_and_wait(request, true);
  return false;
}

/// What has expired while it is held ends.
void Engine::release_expired() {
  const auto last = model::paused_due(clock_.now().wall) - 1;
  core::HeldRelease pass;
  while (true) {
    std::optional<core::HeldRelease::Part> part;
    {
      const std::lock_guard lock(state_.mutex);
      part = pass.next(state_.ledger);
    }
    if (!part.has_value()) return;
    bool any = false;
    const journal::DueTimes expired{part->subscription, part->lane, part->from.due,
                                    part->from.sequence, last};
    (void)journal_->scan(expired, [&](model::Record&&) {
      any = true;
      return false;
    });
    if (!any) {
      pass.done({});
    } else if (!release(pass, *part, last)) {
      return;
    }
  }
}

}  // namespace holdfast::runtime
