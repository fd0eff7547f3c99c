// SPDX-License-Identifier: MIT
#include "runtime/recover.h"

#include <utility>

#include "base/status_or.h"
#include "core/recovery.h"

namespace holdfast::runtime {

Status recover(const journal::JournalReader& journal, core::Ledger& ledger) {
  core::Recovery recovery(ledger, journal.state().next, journal.state().trim);
  Status folded;
  const auto fold = [&](model::Record&& record) {
    folded = recovery.add(std::move(record));
    return folded.ok();
  };
  const journal::ScanSpec tables[] = {
      journal::Subscriptions{}, journal::Cursors{},           journal::RetentionMarks{},
      journal::Operations{},    journal::Members{},           journal::DeadLetters{},
      journal::Settlements{},   journal::LostRanges{},        journal::Tokens{},
      journal::Tombstones{},    journal::IdempotencyRanges{}, journal::PausedTypes{}};
  for (const auto& table : tables) {
    HOLDFAST_TRY(journal.scan(table, fold));
    HOLDFAST_TRY(folded);
  }
  for (const auto lane : kAllPriorities) {
    const auto from = recovery.tail_from(lane);
    if (from >= journal.state().next[lane]) continue;
    HOLDFAST_TRY(
        journal.scan(journal::EventRange{.lane = lane, .from = from}, [&](model::Record&& record) {
          recovery.add_chunk(std::get<model::ChunkPtr>(record));
          return true;
        }));
  }
  return recovery.finish();
}

}  // namespace holdfast::runtime
