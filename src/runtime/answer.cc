// SPDX-License-Identifier: MIT
#include "runtime/answer.h"

#include "holdfast/options.h"

namespace holdfast::runtime {

namespace {

/// Not counted. That a handler has begun on it is written down: were it cancelled before anybody
/// has it again, `on_cancel` or `compensate` would be owed.
void at_shutdown(const internal::DeliveryState& delivery, core::Answer& answer) {
  const bool durable = !delivery.handle->options().name.empty();
  answer.kind = durable ? core::Answer::Kind::snooze : core::Answer::Kind::release;
  answer.delay = 0;
}

/// "I stopped because I was asked to": what that means depends on why it was.
void stopped(const internal::DeliveryState& delivery, core::Answer& answer) {
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
    case StopReason::cancelled: answer.kind = Kind::release; break;
    case StopReason::shutdown: at_shutdown(delivery, answer); break;
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
    case Outcome::Kind::stopped: stopped(delivery, answer); break;
  }
  return answer;
}

core::Answer unanswered_at_close(internal::DeliveryState& delivery) {
  core::Answer answer;
  answer.lease = delivery.lease;
  answer.stop = StopReason::shutdown;
  at_shutdown(delivery, answer);
  return answer;
}

bool is_urgent(const core::Answer& answer) {
  return (answer.tx != nullptr && !answer.tx->empty()) ||
         answer.kind == core::Answer::Kind::retry || answer.kind == core::Answer::Kind::snooze ||
         answer.kind == core::Answer::Kind::reject || answer.kind == core::Answer::Kind::abandon;
}

}  // namespace holdfast::runtime
