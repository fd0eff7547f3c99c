// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "core/idempotency.h"
#include "holdfast/status.h"
#include "journal/journal.h"
#include "model/chunk.h"

namespace holdfast::runtime {

/// Reads what the journal has of idempotency keys, for the commit that is made next: with the
/// commit role, so that nothing is used or forgotten meanwhile, and without the lock. Borrows.
class IdempotencyReader {
 public:
  IdempotencyReader(const journal::JournalReader& journal, const core::IdempotencyWindow& window)
      : journal_(journal), window_(window) {}

  /// Adds what is stored of the keys of `events`, and how many have one.
  Status look_up(const model::EncodedEvents& events);

  /// The oldest uses of keys, `count` at most, up to the first that holds at `now`.
  Status read_oldest(std::uint64_t count, base::BusTime now);

  [[nodiscard]] std::size_t keys() const noexcept { return keys_; }
  [[nodiscard]] std::vector<model::IdempotencyRecord>& found() noexcept { return found_; }
  [[nodiscard]] const std::vector<model::IdempotencyUse>& oldest() const noexcept {
    return oldest_;
  }
  /// `oldest` are all that are stored below this.
  [[nodiscard]] std::uint64_t oldest_to() const noexcept { return oldest_to_; }

 private:
  const journal::JournalReader& journal_;
  const core::IdempotencyWindow& window_;
  std::size_t keys_ = 0;
  std::vector<model::IdempotencyRecord> found_;
  std::vector<model::IdempotencyUse> oldest_;
  std::uint64_t oldest_to_ = 0;
};

}  // namespace holdfast::runtime
