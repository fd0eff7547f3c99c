// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"

namespace rocksdb {
class Env;
}

namespace holdfast::journal {

/// What the journal does with files of its own, through the engine's environment, so that tests
/// which take power away or fill the disk meet these as well. Messages name the path.
class Files {
 public:
  explicit Files(rocksdb::Env& env) : env_(env) {}

  [[nodiscard]] rocksdb::Env& env() const { return env_; }
  [[nodiscard]] bool exists(const std::string& path) const;
  /// Names in `folder`; empty when it does not exist.
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& folder) const;
  [[nodiscard]] Result<std::uint64_t> size(const std::string& path) const;
  [[nodiscard]] Result<std::string> read(const std::string& path) const;
  /// Puts `bytes` in place of `path`, all or nothing, also when power is lost, and durable on
  /// return.
  Status replace(const std::string& path, std::string_view bytes) const;
  Status make_folder(const std::string& folder) const;
  /// Makes the names in `folder` durable.
  Status sync_folder(const std::string& folder) const;
  Status rename(const std::string& from, const std::string& to) const;
  Status remove(const std::string& path) const;
  /// `folder` and the files in it; nothing happens when it does not exist.
  Status remove_folder(const std::string& folder) const;
  /// Another name for the file, or a copy of it where there are no hard links.
  Status link_or_copy(const std::string& from, const std::string& to) const;
  /// Of all files in `folder`, not in folders below.
  [[nodiscard]] std::uint64_t folder_bytes(const std::string& folder) const;

 private:
  rocksdb::Env& env_;
};

}  // namespace holdfast::journal
