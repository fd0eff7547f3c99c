// SPDX-License-Identifier: MIT
#include <string>

#include "base/status_or.h"
#include "core/attachment.h"
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

}  // namespace holdfast::runtime
