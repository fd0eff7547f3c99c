// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/export.h"
#include "holdfast/operation.h"
#include "holdfast/query.h"
#include "holdfast/replay.h"
#include "holdfast/result.h"
#include "holdfast/stats.h"

namespace holdfast {

class Bus;

/// Facts about the journal as a whole.
struct JournalInfo {
  std::string uuid;
  std::uint32_t format = 0;
  std::uint64_t epoch = 0;  ///< How often it was opened for writing.
  bool clean = true;        ///< Closed properly (false too while a bus has it open).
  int owner_pid = 0;        ///< Process that has it open now; 0 = none.
  std::vector<RecoveryReport::LostRange> lost;
};

/// A journal, read as it was when it was opened here: also while a bus has it open elsewhere (what
/// that trims meanwhile may be gone). Cannot write, by type, and changes no byte of what is stored.
///
/// Opening replays the journal's log in memory (up to about a second for 100 MB). What only the
/// live bus knows (leases, stuck handlers) is not in it. While it is open it keeps its tables open,
/// so the space of those that the bus has replaced is not given back, and the log in memory, which
/// `Options::memory_budget` does not bound. Threads: const methods from any, concurrently; they
/// read the disk and may block.
class HOLDFAST_EXPORT JournalView {
 public:
  /// Fails with `not_found` (no such folder), `invalid_argument` (a file, a folder that is not a
  /// journal, a newer format), `data_loss` (damaged; names what and where), `unavailable` (no
  /// permission, with the system's reason; or still being made, or changing too fast to be read
  /// just now: try again).
  static Result<std::unique_ptr<JournalView>> open(const std::string& path);
  ~JournalView();

  [[nodiscard]] const JournalInfo& info() const noexcept;
  /// Counts by lane and subscription. Fields that only a live bus has stay zero.
  [[nodiscard]] Result<Stats> stats() const;
  /// Visits by lane, most urgent first, then sequence. Errors and memory as for `Bus::scan`.
  Status scan(const ScanFilter& filter, const ScanVisitor& visitor) const;
  /// Nothing when it was never published or is no longer kept. Errors as for `Bus::get`.
  [[nodiscard]] Result<std::optional<StoredEvent>> get(EventId id) const;
  /// As `Bus::operation` and `Bus::operations`, as of when it was opened. With their members, so it
  /// can be large.
  [[nodiscard]] Result<OperationInfo> operation(OperationId id) const;
  [[nodiscard]] std::vector<OperationInfo> operations() const;
  /// Visits dead letters, one in memory at a time.
  /// Fails with `not_found` (no subscription of that name), `invalid_argument` (a pattern, an empty
  /// visitor, or one that threw); stops with `data_loss` at a damaged record, after those before
  /// it.
  Status scan_dead_letters(const DeadLetterFilter& filter, const DeadLetterVisitor& visitor) const;
  /// The same as a list, which has up to `DeadLetterFilter::limit` whole events in memory. With an
  /// error there is none.
  [[nodiscard]] Result<std::vector<DeadLetter>> dead_letters(
      const DeadLetterFilter& filter = {}) const;
  /// A value that handlers keep; see `TxState`. Errors as for `Bus::state`.
  [[nodiscard]] Result<std::optional<std::string>> state(std::string_view name,
                                                         std::string_view key) const;
  /// Runs the events again that were there when it was opened, as `Bus::replay` does, with its
  /// errors. Nothing is ever missed: a view keeps what it sees.
  Result<ReplayReceipt> replay(const ReplayOptions& options, const ReplayHandler& handler) const;
  /// Publishes them into a bus. One that has this very journal open gets them once more.
  Result<ReplayReceipt> replay(const ReplayOptions& options, Bus& into) const;

 private:
  struct Impl;
  explicit JournalView(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast
