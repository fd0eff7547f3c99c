// SPDX-License-Identifier: MIT
// The strict open. Everything that could be a reason to refuse is looked at before the engine is
// let at the files, since opening it for writing replays the log and deletes it:
//
//     lock -> watermark -> tables alone -> log against both -> cut what may be cut -> open -> go on
//
// docs/journal-format.md says what is found damaged, and what is a torn end that was never
// promised.

#include <algorithm>
#include <cerrno>
#include <random>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include <rocksdb/write_batch.h>

#include "base/clock.h"
#include "base/status_or.h"
#include "journal/rocks/commit_batch.h"
#include "journal/rocks/engine_look.h"
#include "journal/rocks/folder_access.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/log_check.h"
#include "journal/rocks/rocks_store.h"
#include "journal/rocks/status_map.h"
#include "model/chunk.h"

namespace holdfast::journal {

namespace {

constexpr const char* kEvidence = "/wal-evidence";

model::Uuid random_uuid() {
  std::random_device random;
  model::Uuid uuid{};
  for (auto& byte : uuid) byte = static_cast<std::byte>(random());
  return uuid;
}

base::Now now_after(const base::Now& last, bool rebooted) {
  auto now = base::system_clock().now();
  now.bus = now.boot + base::bus_offset(last, now, rebooted);
  return now;
}

std::string number(CommitNumber commit) { return std::to_string(commit.value); }

/// One attempt to open a journal for writing; each step may refuse.
class Opening {
 public:
  Opening(std::string folder, const RocksOptions& options)
      : options_(options),
        files_(options.env != nullptr ? *options.env : *rocksdb::Env::Default()),
        boot_id_(options.boot_id.empty() ? base::boot_id() : options.boot_id) {
    engine_.folder = std::move(folder);
    engine_.options = options;
  }

  Result<std::unique_ptr<Journal>> run() {
    HOLDFAST_TRY(take_folder());
    HOLDFAST_TRY(take_watermark());
    if (engine_.watermark.epoch != 0) HOLDFAST_TRY(check_files());
    HOLDFAST_TRY(open_engine());
    HOLDFAST_TRY(read_state());
    HOLDFAST_TRY(go_on());
    return std::unique_ptr<Journal>(std::make_unique<RocksJournal>(std::move(engine_)));
  }

 private:
  Status take_folder();
  Status take_watermark();
  Status adopt_without_watermark();
  Status check_files();
  Status judge(const LogReport& report);
  Status give_up(const std::string& what);
  Status keep_evidence();
  void drop_redundant_evidence() const;
  Status open_engine();
  Status create_head();
  Status read_state();
  Status go_on();
  [[nodiscard]] bool may_have_lost_numbers() const;
  Status skip_numbers(model::Commit& commit);
  Result<std::vector<model::LostRange>> lost_heads(const model::Commit& commit) const;

  [[nodiscard]] const std::string& folder() const { return engine_.folder; }
  Status refuse(StatusCode code, const std::string& what) const {
    return {code, folder() + ": " + what};
  }

  const RocksOptions& options_;
  Files files_;
  const std::string boot_id_;
  OpenedEngine engine_;
  std::optional<LogReport> report_;    // when there was any reason to read the log
  std::optional<model::Commit> last_;  // the newest that was recovered
  bool has_cut_ = false;
};

Status Opening::take_folder() {
  if (!options_.is_on_disk) return files_.make_folder(folder());
  if (const auto access = check_folder_access(folder()); !access.ok()) {
    if (!(access == StatusCode::not_found) || !options_.create_if_missing) {
      return refuse(access.code(), access.message());
    }
    // What it holds is nobody else's business, whatever the umask.
    if (::mkdir(folder().c_str(), 0700) != 0) {
      return refuse(StatusCode::unavailable,
                    "cannot be created: " + std::generic_category().message(errno));
    }
    HOLDFAST_TRY(files_.sync_folder(std::filesystem::absolute(folder()).parent_path().string()));
  }
  // Looked at before the lock puts its file there: somebody else's folder is left as it is.
  HOLDFAST_ASSIGN(const auto names, files_.list(folder()));
  if (!files_.exists(watermark_path(folder())) && !files_.exists(folder() + "/CURRENT") &&
      std::any_of(names.begin(), names.end(),
                  [](const std::string& name) { return name != FolderLock::kOwnerFile; })) {
    return refuse(StatusCode::invalid_argument, "holds files, and none of a journal");
  }
  HOLDFAST_ASSIGN(engine_.lock, FolderLock::acquire(folder()));
  return {};
}

Status Opening::take_watermark() {
  auto found = read_watermark(files_, folder());
  const bool has_engine = files_.exists(folder() + "/CURRENT");
  if (found.ok() && *found) {
    engine_.watermark = **found;
    if (engine_.watermark.epoch != 0 && !has_engine) {
      return refuse(StatusCode::data_loss, "the file CURRENT is missing, and with it all tables");
    }
    return {};
  }
  if (!found.ok()) {
    if (!(found.status() == StatusCode::data_loss) ||
        options_.on_damage != DamagePolicy::keep_good_prefix) {
      return found.status();
    }
    engine_.state.damage = found.status().message();
    return adopt_without_watermark();
  }
  if (has_engine) return adopt_without_watermark();

  if (!options_.create_if_missing) {
    return refuse(StatusCode::not_found, "there is no journal in this folder");
  }
  // With epoch 0 it says that a journal is being made here: whatever the engine's files are,
  // nothing was in them yet. It is replaced once there is something to lose.
  engine_.watermark.uuid = random_uuid();
  engine_.watermark.boot_id = boot_id_;
  return write_watermark(files_, folder(), engine_.watermark);
}

// Without its watermark a journal may have lost its end, and nothing would tell.
Status Opening::adopt_without_watermark() {
  HOLDFAST_ASSIGN(const auto head, look_at_tables(folder(), options_));
  if (!head.meta) return refuse(StatusCode::invalid_argument, "holds a database, but no journal");
  if (engine_.state.damage.empty()) {
    const std::string what = "the watermark file is missing: what was durable cannot be checked";
    if (options_.on_damage != DamagePolicy::keep_good_prefix) {
      return refuse(StatusCode::data_loss, what);
    }
    engine_.state.damage = what;
  }
  engine_.watermark.uuid = head.meta->uuid;
  engine_.watermark.epoch = head.commit ? std::max<std::uint64_t>(head.commit->epoch, 1) : 1;
  return {};
}

Status Opening::check_files() {
  HOLDFAST_ASSIGN(const auto logs, log_files(files_, folder()));
  std::uint64_t log_bytes = 0;
  for (const auto& name : logs) {
    HOLDFAST_ASSIGN(const auto bytes, files_.size(folder() + "/" + name));
    log_bytes += bytes;
  }
  // A proper close leaves an empty log. Then opening changes nothing that a later look would need.
  if (log_bytes == 0 && engine_.watermark.writer == Watermark::Writer::closed) {
    return {};
  }
  HOLDFAST_ASSIGN(const auto head, look_at_tables(folder(), options_));
  if (head.meta && head.meta->uuid != engine_.watermark.uuid) {
    return refuse(StatusCode::data_loss, "the watermark file is that of another journal");
  }
  HOLDFAST_ASSIGN(auto report,
                  check_log(files_, folder(), head.commit ? head.commit->number : CommitNumber{}));
  HOLDFAST_TRY(judge(report));
  report_ = std::move(report);
  return keep_evidence();
}

Status Opening::judge(const LogReport& report) {
  const auto durable = std::max(engine_.watermark.durable, report.durable_known);
  const auto first_missing = CommitNumber{report.end.value + 1};
  if (report.end < durable) {
    std::string what = "commit " + number(durable) +
                       " was durable, and the journal ends at commit " + number(report.end);
    if (report.hole) {
      what += ": " + report.hole->file + " at offset " + std::to_string(report.hole->offset) + " " +
              report.hole->why;
    } else {
      what += ": its newest log is missing or cut";
    }
    HOLDFAST_TRY(give_up(what));
  }
  if (!report.hole) return {};
  HOLDFAST_ASSIGN(auto cut, cut_log(files_, folder(), report));
  has_cut_ = true;
  engine_.state.bytes_cut = cut.bytes;
  engine_.state.cut_copy = std::move(cut.copy);
  options_.log.warn(folder() + ": the log is damaged from commit " + number(first_missing) +
                    " on (" + report.hole->file + " at offset " +
                    std::to_string(report.hole->offset) + " " + report.hole->why +
                    "), behind what was durable; cut, copy in " + engine_.state.cut_copy);
  return {};
}

/// Under `keep_good_prefix` goes on and remembers; otherwise that is it.
Status Opening::give_up(const std::string& what) {
  if (options_.on_damage != DamagePolicy::keep_good_prefix) {
    return refuse(StatusCode::data_loss, what);
  }
  options_.log.error(folder() + ": " + what + "; going on with what is before it, as asked");
  auto& damage = engine_.state.damage;
  damage += (damage.empty() ? "" : "; ") + what;
  return {};
}

// The engine deletes a log once it has replayed it. Until it is certain that it took in what was in
// there, the files have a second name.
Status Opening::keep_evidence() {
  HOLDFAST_ASSIGN(const auto logs, log_files(files_, folder()));
  const auto evidence = folder() + kEvidence;
  HOLDFAST_TRY(files_.make_folder(evidence));
  for (const auto& name : logs) {
    if (files_.exists(evidence + "/" + name)) continue;  // of an open that was interrupted
    HOLDFAST_TRY(files_.link_or_copy(folder() + "/" + name, evidence + "/" + name));
  }
  return {};
}

void Opening::drop_redundant_evidence() const {
  const auto evidence = folder() + kEvidence;
  const auto names = files_.list(evidence);
  if (!names.ok()) return;
  for (const auto& name : *names) {
    if (!files_.exists(folder() + "/" + name)) return;
  }
  static_cast<void>(files_.remove_folder(evidence));
}

Status Opening::open_engine() {
  auto engine = make_engine_options(options_);
  engine_.env = std::move(engine.env);
  engine_.cache = engine.cache;
  engine_.trims = std::make_shared<DurableTrims>();
  engine_.log_guard = std::make_shared<LogGuard>();
  engine.options.listeners.push_back(engine_.log_guard);
  engine.options.compaction_filter_factory = make_reclaim_filter(engine_.trims);
  engine.options.create_if_missing = engine_.watermark.epoch == 0;
  if (engine_.watermark.epoch == 0) {
    // What an open left that was interrupted while it made the journal. It had not returned, so
    // nothing is in it, and the engine may not be able to go on from half of its first files.
    HOLDFAST_TRY(from_rocks(rocksdb::DestroyDB(folder(), engine.options), "creating"));
  }
  rocksdb::DB* raw = nullptr;
  auto opened = from_rocks(rocksdb::DB::Open(engine.options, folder(), &raw), "opening");
  engine_.db.reset(raw);
  if (!opened.ok()) {
    drop_redundant_evidence();
    return refuse(opened.code(), opened.message());
  }
  return {};
}

Status Opening::create_head() {
  const model::JournalMeta meta{.format = keys::kFormat,
                                .uuid = engine_.watermark.uuid,
                                .created_at = base::system_clock().now().wall};
  HOLDFAST_TRY(from_rocks(
      engine_.db->Put({}, std::string(keys::kJournal), model::encode(meta, keys::kJournal)),
      "creating"));
  // Into a table: what the log may lose must not make it look like no journal at all.
  HOLDFAST_TRY(from_rocks(engine_.db->Flush({}), "creating"));
  engine_.state.created = true;
  return {};
}

Status Opening::read_state() {
  const Tail tail;
  const Lookup lookup(*engine_.db, tail);
  auto& watermark = engine_.watermark;
  if (watermark.epoch == 0) HOLDFAST_TRY(create_head());
  const auto read = read_head(lookup);
  if (!read.ok()) return read.status().with_context(folder());
  const auto& head = *read;
  if (!head.meta) {
    return refuse(StatusCode::data_loss, "the record of the journal itself is missing");
  }
  if (head.meta->uuid != watermark.uuid) {
    return refuse(StatusCode::data_loss, "the watermark file is that of another journal");
  }
  last_ = head.commit;
  const auto end = last_ ? last_->number : CommitNumber{};
  if (report_ && report_->end != end) {
    return refuse(StatusCode::data_loss, "the log goes up to commit " + number(report_->end) +
                                             ", and the engine recovered up to " + number(end));
  }
  if (!report_ && end < watermark.durable) {
    HOLDFAST_TRY(give_up("commit " + number(watermark.durable) +
                         " was durable, and the journal ends at commit " + number(end)));
  }
  auto& state = engine_.state;
  state.uuid = head.meta->uuid;
  state.format = head.meta->format;
  state.epoch = std::max(watermark.epoch, last_ ? last_->epoch : 0) + 1;
  state.clean = !last_ || last_->clean;
  state.rebooted = !state.created && (boot_id_.empty() || watermark.boot_id != boot_id_);
  return {};
}

/// Chunks that were reclaimed under a trim which a commit said that is lost now: they were settled,
/// and must not look like a hole.
Result<std::vector<model::LostRange>> Opening::lost_heads(const model::Commit& commit) const {
  std::vector<model::LostRange> lost;
  Tail tail;
  const Lookup lookup(*engine_.db, tail);
  for (const auto lane : kAllPriorities) {
    const auto trim = commit.trim[lane];
    if (trim >= commit.next[lane]) continue;
    HOLDFAST_ASSIGN(const auto first, lookup.first_chunk_reaching({lane, trim}));
    const auto begin = first ? (*first)->first() : commit.next[lane];
    if (begin > trim) lost.push_back({.lane = lane, .from = trim, .to = begin - 1});
  }
  return lost;
}

/// Goes on behind everything that may have been given out, and records what that skips. The reserve
/// in the watermark bounds it; without one, what a reserve can be at most.
Status Opening::skip_numbers(model::Commit& commit) {
  const auto& watermark = engine_.watermark;
  const Tail tail;
  HOLDFAST_ASSIGN(auto lost, lost_heads(commit));
  HOLDFAST_ASSIGN(const auto known, read_lost_ranges(Lookup(*engine_.db, tail)));
  std::erase_if(lost, [&](const model::LostRange& range) {
    return std::any_of(known.begin(), known.end(), [&](const model::LostRange& one) {
      return one.lane == range.lane && one.from <= range.from && range.to <= one.to;
    });
  });
  const bool is_reserve_known = watermark.reserved_number.value > 1;
  for (const auto lane : kAllPriorities) {
    const auto reserved =
        is_reserve_known ? watermark.reserved[lane] : commit.next[lane] + options_.reserve;
    if (reserved <= commit.next[lane]) continue;
    lost.push_back({.lane = lane, .from = commit.next[lane], .to = reserved - 1});
    commit.next[lane] = reserved;
  }
  commit.number = {std::max(commit.number.value, is_reserve_known
                                                     ? watermark.reserved_number.value
                                                     : commit.number.value + options_.reserve)};
  for (const auto& range : lost) commit.operations.emplace_back(model::PutLostRange{range});
  return {};
}

/// Whether somebody may know the number of a commit or an event that is not there.
bool Opening::may_have_lost_numbers() const {
  using Writer = Watermark::Writer;
  const auto writer = engine_.watermark.writer;
  if (!engine_.state.damage.empty() || writer == Writer::failed) return true;
  if (engine_.state.rebooted && writer != Writer::closed) return true;
  // The process was killed while it wrote: what the torn record held, nobody was told of.
  return has_cut_ && !report_->hole->is_torn_end;
}

Status Opening::go_on() {
  auto& state = engine_.state;
  auto& end = engine_.end;
  auto& watermark = engine_.watermark;
  if (last_) {
    end = {.number = last_->number, .next = last_->next, .trim = last_->trim, .lost = {}};
    state.last_written_at = last_->written_at;
  }
  if (may_have_lost_numbers()) {
    state.clean = false;
    const auto before = last_.value_or(model::Commit{});
    model::Commit commit{.epoch = state.epoch,
                         .number = {before.number.value + 1},
                         .durable_known = before.number,
                         .written_at = now_after(before.written_at, state.rebooted),
                         .next = end.next,
                         .trim = end.trim};
    HOLDFAST_TRY(skip_numbers(commit));
    rocksdb::WriteBatch batch;
    encode_resuming_commit(commit, before, batch);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    HOLDFAST_TRY(from_rocks(engine_.db->Write(synced, &batch), "opening"));
    end = {.number = commit.number, .next = commit.next, .trim = commit.trim, .lost = {}};
    state.last_written_at = commit.written_at;
  }
  const Tail tail;
  HOLDFAST_ASSIGN(state.lost, read_lost_ranges(Lookup(*engine_.db, tail)));
  end.lost = std::make_shared<const std::vector<model::LostRange>>(state.lost);
  state.last_commit = end.number;
  state.next = end.next;
  state.trim = end.trim;

  watermark.epoch = state.epoch;
  watermark.boot_id = boot_id_;
  watermark.writer = Watermark::Writer::open;
  watermark.durable = end.number;
  watermark.next = end.next;
  watermark.reserved_number = {
      std::max(watermark.reserved_number.value, end.number.value + 1 + options_.reserve)};
  for (const auto lane : kAllPriorities) {
    watermark.reserved[lane] =
        std::max(watermark.reserved[lane], end.next[lane] + options_.reserve);
  }
  HOLDFAST_TRY(write_watermark(files_, folder(), watermark));
  return files_.remove_folder(folder() + kEvidence);
}

}  // namespace

Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& folder,
                                                    const RocksOptions& options) {
  if (folder.empty()) return Status(StatusCode::invalid_argument, "the path of a journal is empty");
  auto path = folder.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // it ended with a slash
  return Opening(path.string(), options).run();
}

int rocks_journal_owner(const std::filesystem::path& folder) {
  return FolderLock::owner(folder.string());
}

}  // namespace holdfast::journal
