// SPDX-License-Identifier: MIT
#include "runtime/answer.h"

#include "holdfast/options.h"

namespace holdfast::runtime {

namespace {

/// "I stopped because I was asked to": what that means depends on why it was.
void stopped(core::Answer& answer) {
  using Kind = core::Answer::Kind;
  switch (answer.stop) {
    case StopReason::none:
      answer.kind = Kind::retry;
      answer.reason = "stopped without having been asked to";
      break;
    case StopReason::timed_out:
      answer.kind = Kind::retry;
      answer.reason = "stopped after its time-out";
      break;
    case StopReason::cancelled:
    case StopReason::shutdown: answer.kind = Kind::release; break;
  }
}

}  // namespace

core::Answer to_answer(internal::DeliveryState& delivery, const Outcome& outcome) {
  using Kind = core::Answer::Kind;
  core::Answer answer;
  answer.lease = delivery.lease;
  answer.stop = delivery.whole().stop.reason();
  answer.reason = internal::cut(outcome.reason(), kReasonBytesMax);
  if (outcome.delay().has_value()) answer.delay = outcome.delay()->count();
  switch (outcome.kind()) {
    case Outcome::Kind::ack: answer.kind = Kind::ack; break;
    case Outcome::Kind::retry: answer.kind = Kind::retry; break;
    case Outcome::Kind::snooze: answer.kind = Kind::snooze; break;
    case Outcome::Kind::reject: answer.kind = Kind::reject; break;
    case Outcome::Kind::stopped: stopped(answer); break;
  }
  return answer;
}

bool is_urgent(const core::Answer& answer) {
  return (answer.tx != nullptr && !answer.tx->empty()) ||
         answer.kind == core::Answer::Kind::retry || answer.kind == core::Answer::Kind::snooze ||
         answer.kind == core::Answer::Kind::reject || answer.kind == core::Answer::Kind::abandon;
}

}  // namespace holdfast::runtime
