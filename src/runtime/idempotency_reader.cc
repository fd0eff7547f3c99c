// SPDX-License-Identifier: MIT
#include "runtime/idempotency_reader.h"

#include <string>
#include <utility>

#include "base/status_or.h"
#include "model/event_codec.h"

namespace holdfast::runtime {

Status IdempotencyReader::look_up(const model::EncodedEvents& events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto* admission = events.admission(i);
    if (admission == nullptr || admission->idempotency_key == 0) continue;
    ++keys_;
    const auto key = model::read_event(events.record(i)).idempotency_key;
    HOLDFAST_ASSIGN(auto found, journal_.find(journal::IdempotencyRef{std::string(key)}));
    if (!found.has_value()) continue;
    found_.push_back(std::get<model::IdempotencyRecord>(*std::move(found)));
  }
  return {};
}

Status IdempotencyReader::read_oldest(std::uint64_t count, base::BusTime now) {
  const auto& range = window_.range();
  auto to = window_.stored() > count ? range.first + count : range.next;
  HOLDFAST_TRY(
      journal_.scan(journal::IdempotencyUses{range.first, to}, [&](model::Record&& record) {
        const auto& use = oldest_.emplace_back(std::get<model::IdempotencyUse>(std::move(record)));
        if (!window_.holds(use.number, use.used_at, now)) return true;
        to = use.number + 1;
        return false;
      }));
  oldest_to_ = to;
  return {};
}

}  // namespace holdfast::runtime
