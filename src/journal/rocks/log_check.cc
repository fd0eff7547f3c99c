// SPDX-License-Identifier: MIT
#include "journal/rocks/log_check.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/status_or.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/log_file.h"
#include "model/state_codec.h"

namespace holdfast::journal {

namespace {

// A batch in the engine's log: its sequence number 8, its count 4, then its operations; a put is
// its tag 1, and key and value, each with its length before it.
constexpr std::size_t kBatchHeaderBytes = 12;
constexpr char kPutTag = 1;

std::optional<std::string_view> take_text(std::string_view& rest) {
  std::size_t length = 0;
  for (unsigned shift = 0; shift < 35 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    length |= static_cast<std::size_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) != 0) continue;
    if (length > rest.size()) return std::nullopt;
    const auto text = rest.substr(0, length);
    rest.remove_prefix(length);
    return text;
  }
  return std::nullopt;
}

/// The value of `key` when the next operation puts one; `rest` is then behind it.
std::optional<std::string_view> take_put(std::string_view& rest, std::string_view key) {
  auto after = rest;
  if (after.empty() || after.front() != kPutTag) return std::nullopt;
  after.remove_prefix(1);
  if (take_text(after) != key) return std::nullopt;
  const auto value = take_text(after);
  if (value) rest = after;
  return value;
}

struct LoggedCommit {
  CommitNumber number;
  CommitNumber durable_known;
  model::PerLane<model::Sequence> trim;
  /// The commit that it goes on from, when its open skipped numbers.
  std::optional<CommitNumber> resumed;
};

/// Nothing for a batch that is not a commit, as the first one of a journal.
std::optional<LoggedCommit> commit_in(std::string_view head) {
  if (head.size() < kBatchHeaderBytes) return std::nullopt;
  head.remove_prefix(kBatchHeaderBytes);
  const auto value = take_put(head, keys::kCommit);
  if (!value) return std::nullopt;
  const auto commit = model::decode_meta(keys::kCommit, *value);
  if (!commit.ok()) return std::nullopt;
  LoggedCommit logged{commit->number, commit->durable_known, commit->trim, {}};
  if (const auto resumed = take_put(head, keys::kResumed)) {
    const auto before = model::decode_meta(keys::kResumed, *resumed);
    if (before.ok()) logged.resumed = before->number;
  }
  return logged;
}

/// Follows commits through the files of a log.
class Follower {
 public:
  explicit Follower(CommitNumber tables_end) { report_.end = tables_end; }

  void record(const std::string& file, const LogRecord& record) {
    const auto commit = commit_in(record.head);
    if (!commit) return;
    report_.durable_known = std::max(report_.durable_known, commit->durable_known);
    report_.newest = std::max(report_.newest, commit->number);
    for (const auto lane : kAllPriorities) {
      report_.trim[lane] = std::max(report_.trim[lane], commit->trim[lane]);
    }
    if (report_.hole) return;
    if (commit->number <= report_.end) {
      // In the tables already. Damage before it, if any, was among what is in the tables, too.
      damage_.reset();
      return;
    }
    if (commit->number.value == report_.end.value + 1 || commit->resumed == report_.end) {
      // Nothing is missing here, whatever the bytes in between were.
      damage_.reset();
      report_.end = commit->number;
      return;
    }
    report_.hole = damage_
                       ? *damage_
                       : LogReport::Hole{
                             file, record.begin, "does not follow the commit before it", {}, false};
    report_.hole->behind = commit->number;
    report_.hole->is_torn_end = false;
  }

  void damage(const std::string& file, const LogDamage& damage) {
    if (damage_ || report_.hole) return;
    damage_ = LogReport::Hole{file, damage.offset, damage.why, {}, damage.runs_past_end};
  }

  void end_file(const std::string& file, const LogExtent& extent) {
    report_.files.emplace(file, extent);
  }

  LogReport finish() {
    if (!report_.hole) report_.hole = std::move(damage_);
    return std::move(report_);
  }

 private:
  LogReport report_;
  std::optional<LogReport::Hole> damage_;  // the first since the last commit that was in its place
};

std::string utc_name() {
  const auto seconds = base::system_clock().now().wall / 1'000'000'000;
  return std::to_string(seconds);
}

}  // namespace

Result<std::vector<std::string>> log_files(const Files& files, const std::string& folder) {
  HOLDFAST_ASSIGN(const auto all, files.list(folder));
  std::vector<std::string> names;
  for (const auto& name : all) {
    const std::string_view text(name);
    if (!text.ends_with(".log") || text.size() <= 4) continue;
    const auto number = text.substr(0, text.size() - 4);
    if (std::all_of(number.begin(), number.end(),
                    [](unsigned char c) { return std::isdigit(c) != 0; })) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return names;
}

Result<LogReport> check_log(const Files& files, const std::string& folder,
                            CommitNumber tables_end) {
  HOLDFAST_ASSIGN(const auto names, log_files(files, folder));
  Follower follower(tables_end);
  for (const auto& name : names) {
    const LogVisitor visitor{
        .record = [&](const LogRecord& record) { follower.record(name, record); },
        .damage = [&](const LogDamage& damage) { follower.damage(name, damage); }};
    HOLDFAST_ASSIGN(const auto extent, read_log_file(files, folder + "/" + name, visitor));
    follower.end_file(name, extent);
  }
  return follower.finish();
}

Result<LogCut> cut_log(const Files& files, const std::string& folder, const LogReport& report) {
  const auto& hole = *report.hole;
  HOLDFAST_ASSIGN(auto names, log_files(files, folder));
  names.erase(names.begin(), std::find(names.begin(), names.end(), hole.file));
  LogCut cut;
  HOLDFAST_TRY(files.make_folder(folder + "/cut"));
  cut.copy = folder + "/cut/" + utc_name();
  for (int i = 1; files.exists(cut.copy); ++i) {
    cut.copy = folder + "/cut/" + utc_name() + "-" + std::to_string(i);
  }
  HOLDFAST_TRY(files.make_folder(cut.copy));
  for (const auto& name : names) {
    HOLDFAST_TRY(files.link_or_copy(folder + "/" + name, cut.copy + "/" + name));
    cut.bytes += report.files.at(name).written - (name == hole.file ? hole.offset : 0);
  }
  HOLDFAST_TRY(files.sync_folder(cut.copy));
  HOLDFAST_TRY(files.sync_folder(folder + "/cut"));
  // The newest first: whenever this is interrupted, what is left has its hole at the same place.
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const auto path = folder + "/" + *name;
    if (*name != hole.file || hole.offset == 0) {
      HOLDFAST_TRY(files.remove(path));
      continue;
    }
    // Replaced and not shortened: the copy may be another name of the same file.
    HOLDFAST_ASSIGN(const auto bytes, files.read(path));
    HOLDFAST_TRY(files.replace(path, std::string_view(bytes).substr(0, hole.offset)));
  }
  HOLDFAST_TRY(files.sync_folder(folder));
  return cut;
}

}  // namespace holdfast::journal
