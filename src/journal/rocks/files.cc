// SPDX-License-Identifier: MIT
#include "journal/rocks/files.h"

#include <memory>
#include <utility>

#include <rocksdb/env.h>

#include "base/status_or.h"
#include "journal/rocks/status_map.h"

namespace holdfast::journal {

namespace {

Status mapped(const rocksdb::Status& status, std::string_view verb, const std::string& path) {
  return from_rocks(status, std::string(verb) + " " + path);
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

bool Files::exists(const std::string& path) const { return env_.FileExists(path).ok(); }

Result<std::vector<std::string>> Files::list(const std::string& folder) const {
  std::vector<std::string> all;
  const auto status = env_.GetChildren(folder, &all);
  if (status.IsNotFound() || status.IsPathNotFound()) return std::vector<std::string>();
  if (!status.ok()) return mapped(status, "listing", folder);
  std::vector<std::string> names;
  for (auto& name : all) {
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

Result<std::uint64_t> Files::size(const std::string& path) const {
  std::uint64_t bytes = 0;
  HOLDFAST_TRY(mapped(env_.GetFileSize(path, &bytes), "looking at", path));
  return bytes;
}

Result<std::string> Files::read(const std::string& path) const {
  std::string bytes;
  HOLDFAST_TRY(mapped(rocksdb::ReadFileToString(&env_, path, &bytes), "reading", path));
  return bytes;
}

Status Files::replace(const std::string& path, std::string_view bytes) const {
  const auto temporary = path + ".new";
  std::unique_ptr<rocksdb::WritableFile> file;
  rocksdb::EnvOptions options;
  options.use_mmap_writes = false;
  HOLDFAST_TRY(mapped(env_.NewWritableFile(temporary, &file, options), "creating", temporary));
  auto status = file->Append({bytes.data(), bytes.size()});
  if (status.ok()) status = file->Fsync();
  if (status.ok()) status = file->Close();
  HOLDFAST_TRY(mapped(status, "writing", temporary));
  HOLDFAST_TRY(rename(temporary, path));
  return sync_folder(parent_of(path));
}

Status Files::make_folder(const std::string& folder) const {
  return mapped(env_.CreateDirIfMissing(folder), "creating", folder);
}

Status Files::sync_folder(const std::string& folder) const {
  std::unique_ptr<rocksdb::Directory> directory;
  HOLDFAST_TRY(mapped(env_.NewDirectory(folder, &directory), "opening", folder));
  return mapped(directory->Fsync(), "syncing", folder);
}

Status Files::rename(const std::string& from, const std::string& to) const {
  return mapped(env_.RenameFile(from, to), "renaming", from);
}

Status Files::remove(const std::string& path) const {
  return mapped(env_.DeleteFile(path), "removing", path);
}

Status Files::remove_folder(const std::string& folder) const {
  if (!exists(folder)) return {};
  HOLDFAST_ASSIGN(const auto names, list(folder));
  for (const auto& name : names) HOLDFAST_TRY(remove(folder + "/" + name));
  return mapped(env_.DeleteDir(folder), "removing", folder);
}

Status Files::link_or_copy(const std::string& from, const std::string& to) const {
  if (env_.LinkFile(from, to).ok()) return {};
  HOLDFAST_ASSIGN(const auto bytes, read(from));
  return replace(to, bytes);
}

std::uint64_t Files::folder_bytes(const std::string& folder) const {
  std::uint64_t sum = 0;
  const auto names = list(folder);
  if (!names.ok()) return 0;
  for (const auto& name : *names) {
    std::uint64_t bytes = 0;
    // Files come and go meanwhile: what is gone counts nothing.
    if (env_.GetFileSize(folder + "/" + name, &bytes).ok()) sum += bytes;
  }
  return sum;
}

}  // namespace holdfast::journal
