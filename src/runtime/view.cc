// SPDX-License-Identifier: MIT
#include "holdfast/view.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/status_or.h"
#include "core/ledger.h"
#include "journal/open.h"
#include "runtime/bus_impl.h"
#include "runtime/event_reader.h"
#include "runtime/recover.h"
#include "runtime/replay.h"

namespace holdfast {

struct JournalView::Impl : runtime::ReplayAccess {
  explicit Impl(std::unique_ptr<journal::JournalReader> opened)
      : journal(std::move(opened)),
        ledger(core::LedgerSettings{}),
        reader(*journal, ledger, mutex, clock) {
    const auto& state = journal->state();
    clock.set_offset(base::bus_offset(state.last_written_at, clock.now(), state.rebooted));
  }

  // A view does not change, so there is nothing to pin.
  [[nodiscard]] End end() const override {
    return {journal->state().last_commit, journal->state().next};
  }
  [[nodiscard]] model::Sequence trim(Priority lane) const override {
    return journal->state().trim[lane];
  }
  Status read(Priority lane, model::Sequence from, const Read& read) const override {
    return read(*journal, std::max(from, trim(lane)));
  }

  std::unique_ptr<journal::JournalReader> journal;
  mutable std::mutex mutex;
  core::Ledger ledger;
  base::BusClock clock{base::system_clock()};
  runtime::EventReader reader;
  JournalInfo info;
};

JournalView::JournalView(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JournalView::~JournalView() = default;

Result<std::unique_ptr<JournalView>> JournalView::open(const std::string& path) {
  HOLDFAST_ASSIGN(auto journal, journal::open_journal_reader(path, {}));
  auto impl = std::make_unique<Impl>(std::move(journal));
  HOLDFAST_TRY(runtime::recover(*impl->journal, impl->ledger));
  const auto& state = impl->journal->state();
  auto& info = impl->info;
  info.uuid = model::to_string(state.uuid);
  info.format = state.format;
  info.epoch = state.epoch;
  info.clean = state.clean;
  info.owner_pid = journal::journal_owner(path);
  for (const auto& range : state.lost) info.lost.push_back({range.lane, range.from, range.to});
  return std::unique_ptr<JournalView>(new JournalView(std::move(impl)));
}

const JournalInfo& JournalView::info() const noexcept { return impl_->info; }

Result<Stats> JournalView::stats() const {
  Stats stats;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ledger.fill(stats);
  }
  stats.commit = impl_->journal->state().last_commit;
  const auto engine = impl_->journal->stats();
  stats.engine_bytes = engine.memory_bytes;
  stats.disk_bytes = engine.disk_bytes;
  stats.disk_free_bytes = engine.disk_free_bytes;
  return stats;
}

Status JournalView::scan(const ScanFilter& filter, const ScanVisitor& visitor) const {
  return impl_->reader.scan(filter, visitor);
}

Result<std::optional<StoredEvent>> JournalView::get(EventId id) const {
  return impl_->reader.get(id);
}

Status JournalView::scan_dead_letters(const DeadLetterFilter& filter,
                                      const DeadLetterVisitor& visitor) const {
  return impl_->reader.scan_dead_letters(filter, visitor);
}

Result<std::vector<DeadLetter>> JournalView::dead_letters(const DeadLetterFilter& filter) const {
  return impl_->reader.dead_letters(filter);
}

Result<ReplayReceipt> JournalView::replay(const ReplayOptions& options,
                                          const ReplayHandler& handler) const {
  return runtime::replay(*impl_, options, {}, handler);
}

Result<ReplayReceipt> JournalView::replay(const ReplayOptions& options, Bus& into) const {
  return runtime::replay(*impl_, options, {}, *into.impl_->engine);
}

Result<OperationInfo> JournalView::operation(OperationId id) const {
  return impl_->reader.operation(id);
}

std::vector<OperationInfo> JournalView::operations() const { return impl_->reader.operations(); }

Result<std::optional<std::string>> JournalView::state(std::string_view name,
                                                      std::string_view key) const {
  return impl_->reader.state(name, key);
}

}  // namespace holdfast
