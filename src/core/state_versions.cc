// SPDX-License-Identifier: MIT
#include "core/state_versions.h"

#include <algorithm>

namespace holdfast::core {

std::string StateVersions::full_key(std::string_view name, std::string_view key) {
  std::string full;
  full.reserve(name.size() + 1 + key.size());
  full.append(name).append(1, '\0').append(key);
  return full;
}

void StateVersions::note_write(std::string_view name, std::string_view key, CommitNumber commit) {
  if (writes_.size() >= kWritesMax) {
    for (const auto& [written, version] : writes_) {
      newest_forgotten_ = std::max(newest_forgotten_, version);
    }
    writes_.clear();
  }
  writes_[full_key(name, key)] = commit;
}

bool StateVersions::changed_since(const StateReads& reads) const {
  return std::any_of(reads.reads.begin(), reads.reads.end(), [&](const StateReads::Read& read) {
    if (read.visible < newest_forgotten_) return true;
    for (auto it = writes_.lower_bound(read.key); it != writes_.end(); ++it) {
      const bool same = read.prefix ? it->first.starts_with(read.key) : it->first == read.key;
      if (!same) return false;
      if (it->second > read.visible) return true;
    }
    return false;
  });
}

}  // namespace holdfast::core
