// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/types.h"

namespace holdfast::core {

/// What one handler run has read of user state, and the newest commit that was visible before it
/// did.
struct StateReads {
  struct Read {
    std::string key;  ///< full_key(...)
    bool prefix = false;
    CommitNumber visible;
  };
  std::vector<Read> reads;
};

/// Tells whether user state that was read has been written since: optimistic concurrency control as
/// in Kung and Robinson (1981), validated by the one committer.
///
/// Remembers a bounded number of recent writes. What it forgot counts as changed: the tx is then
/// refused and run again, which is always safe.
class StateVersions {
 public:
  static std::string full_key(std::string_view name, std::string_view key);

  void note_write(std::string_view name, std::string_view key, CommitNumber commit);
  [[nodiscard]] bool changed_since(const StateReads& reads) const;
  [[nodiscard]] std::size_t size() const noexcept { return writes_.size(); }

 private:
  static constexpr std::size_t kWritesMax = 65'536;
  std::map<std::string, CommitNumber, std::less<>> writes_;
  CommitNumber newest_forgotten_;
};

}  // namespace holdfast::core
