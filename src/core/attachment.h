// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "core/ledger.h"
#include "core/scheduler.h"
#include "holdfast/subscription.h"
#include "model/records.h"

namespace holdfast::core {

/// A handler comes to a subscription, known or new. `parked` are its settlements as they are stored.
/// Whatever an earlier handler still holds is stale from now on, and is delivered again.
/// `rebooted`: stored boot times are of another boot, so that only the wall clock tells.
void attach(Ledger& ledger, Scheduler& scheduler, SubscriptionState& subscription,
            std::uint32_t concurrency, const RetryPolicy& retry,
            const std::vector<model::SettlementRecord>& parked, base::Now now, bool rebooted);

/// The handler goes. What it was given and has not answered may still be answered.
void detach(Ledger& ledger, SubscriptionState& subscription);

/// Parked events that had no room in memory: takes in those of `parked` that are due first.
void reload_parked(Ledger& ledger, Scheduler& scheduler, SubscriptionState& subscription,
                   std::vector<model::SettlementRecord> parked, base::Now now, bool rebooted);
/// Whether `reload_parked` should be called.
bool wants_reload(const SubscriptionState& subscription);

/// When a parked event is due. A clock that jumped can neither skip its delay nor prolong it: what is
/// left is between nothing and the delay as it was drawn.
base::BootTime due_time(const model::SettlementRecord& record, base::Now now, bool rebooted);

/// `record` as it becomes when its filter changes while the lanes stand at `next`; earlier filters that
/// no owed event is old enough for (`floor`) are forgotten.
model::SubscriptionRecord with_filter(const model::SubscriptionRecord& record,
                                      model::FilterRecord filter, const PerLane<Sequence>& floor,
                                      const PerLane<Sequence>& next);

}  // namespace holdfast::core
