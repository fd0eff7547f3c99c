// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/result.h"
#include "holdfast/types.h"
#include "journal/rocks/files.h"
#include "journal/rocks/log_file.h"
#include "model/records.h"

namespace holdfast::journal {

/// Names of the engine's log files in `folder`, oldest first.
Result<std::vector<std::string>> log_files(const Files& files, const std::string& folder);

/// What the log holds behind the tables, found out by reading it.
///
///     tables ... | commits that follow one another | hole | commits that lead nowhere
///                                                ^ end
struct LogReport {
  CommitNumber end;  ///< The newest commit that everything before it is there of.
  // Of any intact commit, before or behind a hole:
  CommitNumber newest;                   ///< 0 = there is none.
  CommitNumber durable_known;            ///< The newest that one of them calls durable.
  model::PerLane<model::Sequence> trim;  ///< As far as one of them has trimmed.
  struct Hole {
    std::string file;  ///< Where it begins: name and offset.
    std::uint64_t offset = 0;
    std::string why;
    CommitNumber behind;  ///< First intact commit behind it; 0 = none.
    /// The log simply ends in the middle of a record, as it does when the process is killed while
    /// it writes.
    bool is_torn_end = false;
  };
  std::optional<Hole> hole;
  std::map<std::string, LogExtent> files;  ///< All there are, by name.
};

/// Follows the commits of the log on from `tables_end`, the newest commit in the tables. An error
/// is one of reading; damage is in the report.
Result<LogReport> check_log(const Files& files, const std::string& folder, CommitNumber tables_end);

struct LogCut {
  std::uint64_t bytes = 0;
  std::string copy;  ///< The folder with the log files as they were.
};
/// Takes everything from the hole, which it must have, on out of the log that `report` is of, after
/// putting a copy under `<folder>/cut`.
Result<LogCut> cut_log(const Files& files, const std::string& folder, const LogReport& report);

}  // namespace holdfast::journal
