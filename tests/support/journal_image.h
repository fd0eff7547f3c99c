// SPDX-License-Identifier: MIT
#pragma once

// A journal's folder as a killed process would leave it, and ways to damage it.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "base/checksum.h"
#include "journal/rocks/log_file.h"

namespace holdfast::testing {

/// False when the engine has made or deleted a file meanwhile: then it is no image of one moment.
inline bool try_copy_image(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  const auto names = [&] {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(from)) {
      // What is about to replace a file counts for nothing yet.
      const auto name = entry.path().filename().string();
      if (!name.ends_with(".new")) found.insert(name);
    }
    return found;
  };
  fs::remove_all(to);
  fs::create_directory(to);
  const auto before = names();
  for (const auto& name : before) {
    std::error_code error;
    fs::copy(fs::path(from) / name, fs::path(to) / name, fs::copy_options::recursive, error);
    // Gone, or a log that was closed: then it is shorter than it was.
    if (error == std::errc::no_such_file_or_directory || error == std::errc::io_error) return false;
    if (error) throw fs::filesystem_error("copying " + name, error);
  }
  return names() == before;
}

/// Takes what is allocated ahead from the logs of `folder`: then they end where they were written
/// to, as after a proper close, and on file systems that allocate nothing.
inline void drop_log_space(const std::string& folder) {
  const journal::Files files(*rocksdb::Env::Default());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".log") continue;
    const journal::LogVisitor nobody{.record = [](const auto&) {}, .damage = [](const auto&) {}};
    const auto extent = journal::read_log_file(files, entry.path().string(), nobody);
    // One that is damaged is left as it is.
    if (extent.ok() && extent->whole) std::filesystem::resize_file(entry.path(), *extent->whole);
  }
}

enum class LogSpaceKept : bool { no, yes };

/// What a SIGKILL now would leave of the folder of an open journal: everything that was written;
/// and, when wanted, the space behind that in its logs.
inline void copy_image(const std::string& from, const std::string& to,
                       LogSpaceKept space = LogSpaceKept::no) {
  while (!try_copy_image(from, to)) {
  }
  if (space == LogSpaceKept::no) drop_log_space(to);
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void flip_bit(const std::filesystem::path& path, std::uint64_t offset) {
  auto bytes = read_bytes(path);
  ASSERT_LT(offset, bytes.size());
  bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
  write_bytes(path, bytes);
}

/// Makes the journal that of a machine which has been booted since: its watermark names another
/// boot.
inline void pretend_reboot(const std::string& folder) {
  constexpr std::size_t kBootId = 40;  // docs/journal-format.md
  auto bytes = read_bytes(folder + "/watermark");
  ASSERT_GT(bytes.size(), kBootId + sizeof(std::uint64_t));
  bytes[kBootId] = bytes[kBootId] == 'x' ? 'y' : 'x';
  const auto rest = bytes.size() - sizeof(std::uint64_t);
  const auto sum = base::checksum(std::string_view(bytes).substr(0, rest));
  std::memcpy(bytes.data() + rest, &sum, sizeof(sum));
  write_bytes(folder + "/watermark", bytes);
}

/// Files of `folder` whose names begin and end so, by name.
inline std::vector<std::filesystem::path> files_in(const std::string& folder,
                                                   const std::string& begin,
                                                   const std::string& end) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(begin) && name.ends_with(end)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

inline std::filesystem::path newest_log(const std::string& folder) {
  const auto logs = files_in(folder, "", ".log");
  return logs.empty() ? std::filesystem::path() : logs.back();
}

/// The content of every file below `folder` but the one that names the lock's owner.
inline std::map<std::string, std::string> contents_of(const std::string& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const auto name = std::filesystem::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && name != "owner") contents[name] = read_bytes(entry.path());
  }
  return contents;
}

/// The names of files whose content differs, for a message.
inline std::string difference(const std::map<std::string, std::string>& before,
                              const std::map<std::string, std::string>& after) {
  std::string names;
  for (const auto& [name, content] : before) {
    const auto at = after.find(name);
    if (at == after.end()) names += " -" + name;
    if (at != after.end() && at->second != content) names += " ~" + name;
  }
  for (const auto& [name, content] : after) {
    if (!before.contains(name)) names += " +" + name;
  }
  return names;
}

}  // namespace holdfast::testing
