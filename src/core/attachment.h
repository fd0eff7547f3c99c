// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "core/ledger.h"
#include "core/scheduler.h"
#include "holdfast/subscription.h"
#include "model/records.h"

namespace holdfast::core {

/// What a handler brings along.
struct Attachment {
  std::uint32_t concurrency = 1;
  RetryPolicy retry;
  bool has_on_cancel = false;
  std::uint32_t batch_size = 1;
  base::BusTime batch_linger = 0;
  bool takes_stretches = false;  ///< One event after the other, without a time limit for each.
};

/// A handler comes to a subscription, known or new. Its parked events are read again.
/// Whatever an earlier handler still holds is stale from now on, and is delivered again.
void attach(Ledger& ledger, Scheduler& scheduler, SubscriptionState& subscription,
            const Attachment& attachment, const base::Now& now);

/// The handler goes. What it was given and has not answered may still be answered.
void detach(Ledger& ledger, SubscriptionState& subscription);

/// `CommitPlan::set_paused` has paused it: its backlog need take no memory any more. What handlers
/// have goes on.
void pause(SubscriptionState& subscription);
/// It is paused no longer.
void resume(Scheduler& scheduler, SubscriptionState& subscription, const base::Now& now);

/// `record` as it becomes when its filter changes while the lanes stand at `next`; earlier filters
/// that nothing owed is old enough for, and no pending member of an operation (`floor`), are
/// forgotten: without them it looks as if it had claimed what it never wanted.
model::SubscriptionRecord with_filter(const model::SubscriptionRecord& record,
                                      model::FilterRecord filter, const PerLane<Sequence>& floor,
                                      const PerLane<Sequence>& next);

}  // namespace holdfast::core
