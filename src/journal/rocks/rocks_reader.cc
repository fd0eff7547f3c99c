// SPDX-License-Identifier: MIT
#include <chrono>
#include <thread>
#include <utility>

#include <rocksdb/env.h>

#include "base/clock.h"
#include "base/status_or.h"
#include "journal/rocks/engine_look.h"
#include "journal/rocks/log_view.h"
#include "journal/rocks/rocks_store.h"
#include "journal/rocks/status_map.h"

namespace holdfast::journal {

namespace {

// The logs first, then what says which tables there are. The tables may be newer and then hold all
// that is in the logs; a log that is newer could follow one that was flushed and deleted in
// between, and with it a hole would be read.
Status read_engine(OpenedEngine& engine) {
  auto made = make_engine_options(engine.options);
  const auto view = std::make_shared<LogView>(made.options.env->GetFileSystem());
  HOLDFAST_TRY(from_rocks(view->freeze(engine.folder), "reading"));
  engine.env = rocksdb::NewCompositeEnv(view);
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

/// One attempt. Whatever goes wrong may be so because the writer went on meanwhile.
Status attempt(OpenedEngine& engine, const Files& files) {
  HOLDFAST_ASSIGN(const auto watermark, read_watermark(files, engine.folder));
  if (!watermark) {
    return files.exists(engine.folder + "/CURRENT")
               ? Status(StatusCode::data_loss, "the watermark file is missing")
               : Status(StatusCode::invalid_argument, "there is no journal in this folder");
  }
  // What it calls durable was there before the engine's files are read: it has to be found.
  engine.watermark = *watermark;
  HOLDFAST_TRY(read_engine(engine));
  return fill_state(engine);
}

}  // namespace

Result<std::unique_ptr<JournalReader>> open_rocks_reader(const std::filesystem::path& folder,
                                                         const RocksOptions& options) {
  const Files files(options.env != nullptr ? *options.env : *rocksdb::Env::Default());
  const auto path = folder.lexically_normal().string();
  if (!files.exists(path))
    return Status(StatusCode::not_found, path + ": there is no such journal");
  constexpr int kAttempts = 10;
  Status status;
  for (int i = 0; i < kAttempts; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(2 * i));
    OpenedEngine engine;
    engine.folder = path;
    engine.options = options;
    status = attempt(engine, files);
    if (status.ok())
      return std::unique_ptr<JournalReader>(std::make_unique<RocksReader>(std::move(engine)));
    if (status == StatusCode::invalid_argument) break;
  }
  return status.with_context(path);
}

}  // namespace holdfast::journal
