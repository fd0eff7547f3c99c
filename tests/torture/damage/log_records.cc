// SPDX-License-Identifier: MIT
#include "damage/log_records.h"

#include <rocksdb/env.h>

#include "journal/rocks/keys.h"
#include "journal/rocks/log_file.h"
#include "model/state_codec.h"
#include "support/bus_test.h"
#include "support/journal_image.h"

namespace holdfast::testing {

namespace {

/// What the first operation of a batch puts under the key of commits: sequence number and count of
/// the batch, tag, length and key, length and value.
std::string_view commit_value(std::string_view head) {
  constexpr std::size_t kKeyAt = 12 + 1 + 1;
  const std::string_view key = journal::keys::kCommit;
  if (head.size() <= kKeyAt + key.size() || head.substr(kKeyAt, key.size()) != key) return {};
  auto rest = head.substr(kKeyAt + key.size());
  std::size_t length = 0;
  for (unsigned shift = 0; !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    length |= static_cast<std::size_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) break;
  }
  return rest.substr(0, length);
}

}  // namespace

std::vector<LoggedCommit> commits_in_logs(const std::string& image) {
  std::vector<LoggedCommit> commits;
  const journal::Files files(*rocksdb::Env::Default());
  for (const auto& path : files_in(image, "", ".log")) {
    const journal::LogVisitor visitor{
        .record =
            [&](const journal::LogRecord& record) {
              const auto value = commit_value(record.head);
              if (value.empty()) return;
              const auto commit = must(model::decode_meta(journal::keys::kCommit, value));
              commits.push_back({path.filename().string(), record.begin, record.end, commit.number,
                                 commit.durable_known});
            },
        .damage =
            [](const journal::LogDamage& damage) {
              give_up({StatusCode::internal, "the undamaged log " + damage.why});
            }};
    must(journal::read_log_file(files, path.string(), visitor));
  }
  return commits;
}

}  // namespace holdfast::testing
