// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "core/lease.h"
#include "runtime/delivery_state.h"

namespace holdfast::runtime {

/// So many answers are worth a commit of their own.
inline constexpr std::size_t kAnswersEager = 512;

/// What a handler's outcome means, without its tx.
core::Answer to_answer(internal::DeliveryState& delivery, const Outcome& outcome);

/// Of a run that has not answered, and cannot any more, since the bus closes.
core::Answer unanswered_at_close(internal::DeliveryState& delivery);

/// Somebody, or something, waits for it: it does not linger until the next commit.
bool is_urgent(const core::Answer& answer);

}  // namespace holdfast::runtime
