// SPDX-License-Identifier: MIT
#include "holdfast/batch_delivery.h"

#include <utility>

#include "base/assert.h"
#include "runtime/batch_run.h"

namespace holdfast {

const EventView& BatchMember::event() const { return state_->view; }
std::uint32_t BatchMember::attempt() const { return state_->lease.attempt; }
void BatchMember::answer(Outcome outcome) { state_->outcome = std::move(outcome); }

std::size_t BatchDelivery::size() const noexcept { return run_->members.size(); }

BatchMember BatchDelivery::operator[](std::size_t index) const {
  HOLDFAST_ASSERT(index < run_->members.size());
  return BatchMember(run_->members[index].get());
}

std::string_view BatchDelivery::subscription() const {
  return run_->common->handle->options().name;
}
std::stop_token BatchDelivery::stop_token() const { return run_->common->stop.token(); }
StopReason BatchDelivery::stop_reason() const noexcept { return run_->common->stop.reason(); }
void BatchDelivery::progress(double fraction, std::string_view note) {
  run_->common->progress.tell(fraction, note);
}
Tx BatchDelivery::tx() { return Tx(run_->common.get()); }

}  // namespace holdfast
