// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "holdfast/types.h"
#include "model/records.h"

namespace holdfast::core {

/// How long an idempotency key holds: until it is too old, or too many were used after it.
struct IdempotencyRule {
  std::uint64_t keys_max = 1'000'000;
  base::BusTime window = std::int64_t{24} * 3'600 * 1'000'000'000;
};

/// Which uses of keys count. The keys themselves are on disk alone: uses are numbered, so that the
/// number of a use and the time of it tell whether it still counts, and arithmetic how many there
/// are.
class IdempotencyWindow {
 public:
  explicit IdempotencyWindow(const IdempotencyRule& rule) : rule_(rule) {}

  void restore(const model::IdempotencyRange& range) { range_ = range; }
  [[nodiscard]] const model::IdempotencyRange& range() const noexcept { return range_; }

  /// Whether publishing under its key at `now` would be a duplicate.
  [[nodiscard]] bool holds(std::uint64_t use, base::BusTime used_at,
                           base::BusTime now) const noexcept {
    return holds(use, used_at, now, range_.next);
  }
  /// The same for one of several that are published together, of which the first would have been
  /// use `next`: what was let in as a duplicate is not made new by others of them.
  [[nodiscard]] bool holds(std::uint64_t use, base::BusTime used_at, base::BusTime now,
                           std::uint64_t next) const noexcept {
    const auto used_since = use < next ? next - use : 1;
    return use < range_.next && used_since <= rule_.keys_max && now - used_at < rule_.window;
  }
  /// Uses that are stored, at most.
  [[nodiscard]] std::uint64_t stored() const noexcept { return range_.next - range_.first; }
  /// More are stored than could count.
  [[nodiscard]] bool is_over() const noexcept { return stored() > rule_.keys_max; }

  std::uint64_t use() noexcept { return range_.next++; }
  /// Nothing below `first` is stored any more.
  void forget_below(std::uint64_t first) noexcept { range_.first = first; }

 private:
  const IdempotencyRule rule_;
  model::IdempotencyRange range_;
};

/// What a commit knows of keys: of those it publishes under, what was in the journal before, and
/// what it has used itself.
class IdempotencyKeys {
 public:
  void know(model::IdempotencyRecord record);
  /// Null when the key was never used, as far as is known.
  [[nodiscard]] const model::IdempotencyRecord* find(std::string_view key) const;

 private:
  std::map<std::string, model::IdempotencyRecord, std::less<>> records_;
};

/// An event that was not published, because one with its key had been before.
struct Duplicate {
  std::size_t index = 0;  ///< Its place among those that were to be published.
  CommitNumber commit;    ///< Of the first, as what follows.
  BatchId batch;
  TokenId token;
};

}  // namespace holdfast::core
