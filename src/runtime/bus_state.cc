// SPDX-License-Identifier: MIT
#include "runtime/bus_state.h"

#include <algorithm>
#include <iterator>

namespace holdfast::runtime {

void BusState::recall(Stretch& stretch) {
  if (stretch.is_recalled()) return;
  const auto left = stretch.recall();
  scheduler.recall_stretch(stretch.first(), left);
  scheduler.finish_some(stretch.first(), stretch.count_answered());
  // From here on it is a run like any other.
  if (stretch.is_with_handler()) outstanding.add(stretch.run());
}

void BusState::recall_all() {
  for (auto* stretch : stretches) recall(*stretch);
}

void BusState::recall_overtaken() {
  for (const auto id : scheduler.take_overtaken()) {
    for (auto* stretch : stretches) {
      if (stretch->first().subscription == id) recall(*stretch);
    }
  }
}

std::optional<base::BootTime> BusState::next_slow() const {
  std::optional<base::BootTime> next;
  for (const auto* stretch : stretches) {
    if (stretch->is_recalled() && !stretch->has_answers()) continue;
    const auto slow = stretch->run().place.since + Stretch::kSlowAfter;
    next = std::min(next.value_or(slow), slow);
  }
  return next;
}

std::size_t BusState::collect_answers() {
  std::size_t count = 0;
  for (auto* stretch : stretches) count += collect_answers(*stretch);
  return count;
}

std::size_t BusState::collect_answers(Stretch& stretch) {
  const auto given = stretch.take_answers();
  if (given.empty()) return 0;
  answers.insert(answers.end(), std::make_move_iterator(given.begin()),
                 std::make_move_iterator(given.end()));
  scheduler.finish_some(stretch.first(), stretch.count_answered());
  return given.size();
}

}  // namespace holdfast::runtime
