// SPDX-License-Identifier: MIT
#include "runtime/stretch.h"

#include <utility>

#include "base/assert.h"

namespace holdfast::runtime {

void Stretch::start(internal::DeliveryState& run, std::vector<core::Lease>&& leases) {
  run_ = &run;
  leases_ = std::move(leases);
  answers_.resize(leases_.size());
  begun_ = 1;
  answered_ = 0;
  counted_ = 0;
  taken_ = 0;
  recalled_ = false;
  handed_over_ = false;
}

// Between the worker and who recalls there is one question, asked from both sides: either the
// worker finds, after its answer, that it was recalled, and leaves `run` alone; or whoever recalls
// finds the answer, and leaves it alone. So both orders are sequentially consistent.

core::Lease* Stretch::next() noexcept {
  const auto begun = begun_.load();
  return begun < leases_.size() ? &leases_[begun] : nullptr;
}

bool Stretch::begin() noexcept {
  auto begun = answered_.load();
  return begun_.compare_exchange_strong(begun, begun + 1);
}

void Stretch::answer(core::Answer&& answer) noexcept {
  const auto place = answered_.load();
  answers_[place] = std::move(answer);
  answered_ = place + 1;
}

std::span<core::Lease> Stretch::recall() noexcept {
  if (std::exchange(recalled_, true)) return {};
  const auto begun = begun_.fetch_add(kRecalled);
  HOLDFAST_ASSERT(begun > 0 && begun <= leases_.size());
  return std::span(leases_).subspan(begun);
}

std::size_t Stretch::count_answered() noexcept {
  const auto from = std::exchange(counted_, answered_.load());
  return counted_ - from;
}

std::span<core::Answer> Stretch::take_answers() noexcept {
  const auto from = std::exchange(taken_, answered_.load());
  return std::span(answers_).subspan(from, taken_ - from);
}

}  // namespace holdfast::runtime
