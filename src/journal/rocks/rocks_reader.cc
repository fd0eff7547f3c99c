// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <rocksdb/env.h>

#include "base/clock.h"
#include "base/status_or.h"
#include "journal/rocks/engine_look.h"
#include "journal/rocks/folder_access.h"
#include "journal/rocks/log_check.h"
#include "journal/rocks/log_view.h"
#include "journal/rocks/rocks_store.h"
#include "journal/rocks/status_map.h"

namespace holdfast::journal {

namespace {

// The logs first, then what says which tables there are. The tables may be newer and then hold all
// that is in the logs, but for what was trimmed since (`note_newer_trim`); a log that is newer
// could follow one that was flushed and deleted in between, and with it a hole would be read.
//
// What the logs call durable is read before the engine reads them: it takes a damaged length that
// points behind the end for the place where the writer died, and says nothing.
Status read_engine(OpenedEngine& engine) {
  auto made = make_engine_options(engine.options);
  const auto view = std::make_shared<LogView>(made.options.env->GetFileSystem());
  HOLDFAST_TRY(from_rocks(view->freeze(engine.folder), "reading"));
  engine.env = rocksdb::NewCompositeEnv(view);
  HOLDFAST_ASSIGN(const auto report, check_log(Files(*engine.env), engine.folder, {}));
  engine.watermark.durable = std::max(engine.watermark.durable, report.durable_known);
  // What the writer has begun behind that is no damage, and the engine would take it for such.
  for (const auto& [name, extent] : report.files) {
    if (extent.whole) view->end_at(name, *extent.whole);
  }
  made.options.env = engine.env.get();
  engine.cache = made.cache;
  made.options.create_if_missing = false;
  // All tables at once: the writer may delete one at any time, but not under an open file.
  made.options.max_open_files = -1;
  made.options.skip_stats_update_on_db_open = true;
  HOLDFAST_ASSIGN(engine.db, open_for_reading(made.options, engine.folder));
  return {};
}

Status fill_state(OpenedEngine& engine) {
  const Tail tail;
  const Lookup lookup(*engine.db, tail);
  HOLDFAST_ASSIGN(const auto head, read_head(lookup));
  if (!head.meta) return {StatusCode::data_loss, "the record of the journal itself is missing"};
  if (head.meta->uuid != engine.watermark.uuid) {
    return {StatusCode::data_loss, "the watermark file is that of another journal"};
  }
  auto& state = engine.state;
  state.uuid = head.meta->uuid;
  state.format = head.meta->format;
  state.epoch = std::max(engine.watermark.epoch, head.commit ? head.commit->epoch : 0);
  state.clean = !head.commit || head.commit->clean;
  state.rebooted = engine.watermark.boot_id != base::boot_id();
  if (head.commit) {
    state.last_commit = head.commit->number;
    state.next = head.commit->next;
    state.trim = head.commit->trim;
    state.last_written_at = head.commit->written_at;
  }
  HOLDFAST_ASSIGN(state.lost, read_lost_ranges(lookup));
  engine.end = {.number = state.last_commit,
                .next = state.next,
                .trim = state.trim,
                .lost = std::make_shared<const std::vector<model::LostRange>>(state.lost)};
  if (state.last_commit < engine.watermark.durable) {
    return {StatusCode::data_loss, "commit " + std::to_string(engine.watermark.durable.value) +
                                       " was durable, and the journal ends at commit " +
                                       std::to_string(state.last_commit.value)};
  }
  return {};
}

/// The tables may have dropped what a commit trimmed that is in no table yet, and in a log that is
/// younger than those which were read: that must not look like a hole.
Status note_newer_trim(OpenedEngine& engine, const Files& files,
                       const std::vector<std::string>& logs_read, bool may_be_trimmed) {
  HOLDFAST_ASSIGN(const auto logs, log_files(files, engine.folder));
  if (logs == logs_read) return {};
  HOLDFAST_ASSIGN(const auto report, check_log(files, engine.folder, {}));
  auto trim = engine.state.trim;
  for (const auto lane : kAllPriorities) {
    trim[lane] = std::max(trim[lane], std::min(report.trim[lane], engine.state.next[lane]));
  }
  // Nothing known: that log may have been written into tables as well, younger than those read.
  const bool is_known = report.newest.value != 0;
  if (is_known && trim == engine.state.trim) return {};
  // All that is there is better than what is left of it.
  if (!is_known || !may_be_trimmed) {
    return {StatusCode::unavailable, "the journal went on while it was opened"};
  }
  engine.state.trim = engine.end.trim = trim;
  return {};
}

/// Why there is nothing to read in a folder without a watermark.
Status missing_watermark(const OpenedEngine& engine, const Files& files) {
  if (!files.exists(engine.folder + "/CURRENT")) {
    return {StatusCode::invalid_argument, "there is no journal in this folder"};
  }
  const auto head = look_at_tables(engine.folder, engine.options);
  if (head.ok() && !head->meta) {
    return {StatusCode::invalid_argument, "holds a database, but no journal"};
  }
  return {StatusCode::data_loss, "the watermark file is missing"};
}

/// One attempt. Whatever goes wrong may be so because the writer went on meanwhile.
Status attempt(OpenedEngine& engine, const Files& files, bool may_be_trimmed) {
  HOLDFAST_ASSIGN(const auto watermark, read_watermark(files, engine.folder));
  if (!watermark) return missing_watermark(engine, files);
  if (watermark->epoch == 0) {
    return {
        StatusCode::unavailable,
        "the journal is being made, or that was interrupted and an open for writing begins anew"};
  }
  // What it calls durable was there before the engine's files are read: it has to be found.
  engine.watermark = *watermark;
  HOLDFAST_ASSIGN(const auto logs, log_files(files, engine.folder));
  HOLDFAST_TRY(read_engine(engine));
  HOLDFAST_TRY(fill_state(engine));
  return note_newer_trim(engine, files, logs, may_be_trimmed);
}

/// Whether a writer has it now, or has had it since the watermark was read: who opens it for
/// writing raises the epoch.
bool may_have_changed(const OpenedEngine& engine, const Files& files) {
  if (FolderLock::owner(engine.folder) != 0) return true;
  const auto watermark = read_watermark(files, engine.folder);
  return watermark.ok() && *watermark && (*watermark)->epoch != engine.watermark.epoch;
}

}  // namespace

Result<std::unique_ptr<JournalReader>> open_rocks_reader(const std::filesystem::path& folder,
                                                         const RocksOptions& options) {
  const Files files(options.env != nullptr ? *options.env : *rocksdb::Env::Default());
  if (folder.empty()) return Status(StatusCode::invalid_argument, "the path of a journal is empty");
  const auto path = folder.lexically_normal().string();
  if (options.is_on_disk) {
    const auto readable = check_folder_access(path);
    if (!readable.ok()) return readable.with_context(path);
  } else if (!files.exists(path)) {
    return Status(StatusCode::not_found, path + ": there is no such journal");
  }
  constexpr int kAttempts = 16;
  constexpr int kAttemptsForAll = 3;  // then what has been trimmed meanwhile may be gone
  Status status;
  for (int i = 0; i < kAttempts; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(2 * i));
    OpenedEngine engine;
    engine.folder = path;
    engine.options = options;
    const bool had_writer = FolderLock::owner(path) != 0;
    status = attempt(engine, files, i >= kAttemptsForAll);
    if (status.ok())
      return std::unique_ptr<JournalReader>(std::make_unique<RocksReader>(std::move(engine)));
    if (status == StatusCode::invalid_argument) break;
    if (!had_writer && !may_have_changed(engine, files)) break;
  }
  return status.with_context(path);
}

}  // namespace holdfast::journal
