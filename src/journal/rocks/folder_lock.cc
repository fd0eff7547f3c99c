// SPDX-License-Identifier: MIT
#include "journal/rocks/folder_lock.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace holdfast::journal {

namespace {

// Two locks. The one on the folder itself decides: nobody can delete it away. The one on the file
// that names the owner can be asked about without being taken.

Status failed(const std::string& what) {
  return {StatusCode::unavailable, what + ": " + std::generic_category().message(errno)};
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

int read_pid(int file) {
  std::array<char, 32> text{};
  const auto bytes = ::pread(file, text.data(), text.size(), 0);
  int pid = 0;
  if (bytes > 0) std::from_chars(text.data(), text.data() + bytes, pid);
  return pid;
}

}  // namespace

Result<std::unique_ptr<FolderLock>> FolderLock::acquire(const std::string& folder) {
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return failed("opening " + folder);
  std::unique_ptr<FolderLock> lock(new FolderLock(directory, -1));
  if (::flock(directory, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("locking " + folder);
    const auto pid = owner(folder);
    return Status(StatusCode::locked,
                  folder + " is open in " +
                      (pid != 0 ? "process " + std::to_string(pid) : "another process"));
  }
  lock->owner_ = ::openat(directory, kOwnerFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock->owner_ < 0) return failed("creating " + folder + "/" + kOwnerFile);
  const auto pid = std::to_string(::getpid()) + "\n";
  const auto bytes = static_cast<ssize_t>(pid.size());
  if (::ftruncate(lock->owner_, 0) != 0 ||
      ::pwrite(lock->owner_, pid.data(), pid.size(), 0) != bytes) {
    return failed("writing " + folder + "/" + kOwnerFile);
  }
  auto whole = whole_file();
  if (::fcntl(lock->owner_, F_OFD_SETLK, &whole) != 0) {
    return failed("locking " + folder + "/" + kOwnerFile);
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (owner_ >= 0) ::close(owner_);
  ::close(folder_);
}

int FolderLock::owner(const std::string& folder) {
  const int file = ::open((folder + "/" + kOwnerFile).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  auto whole = whole_file();
  const bool is_held = ::fcntl(file, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
  const int pid = is_held ? read_pid(file) : 0;
  ::close(file);
  return pid;
}

}  // namespace holdfast::journal
