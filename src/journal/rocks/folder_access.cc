// SPDX-License-Identifier: MIT
#include "journal/rocks/folder_access.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace holdfast::journal {

namespace {

Status forbidden() {
  return {StatusCode::unavailable, "cannot be read: " + std::generic_category().message(errno)};
}

}  // namespace

Status check_folder_access(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    return errno == ENOENT || errno == ENOTDIR
               ? Status(StatusCode::not_found, "there is no such journal")
               : forbidden();
  }
  if (!S_ISDIR(found.st_mode)) {
    return {StatusCode::invalid_argument, "is not a folder, as a journal is"};
  }
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return forbidden();
  // To have the names is not yet to get at the files.
  const bool can_be_entered = ::fstatat(folder, ".", &found, 0) == 0;
  const auto status = can_be_entered ? Status() : forbidden();
  ::close(folder);
  return status;
}

}  // namespace holdfast::journal
