// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "holdfast/result.h"

namespace holdfast::journal {

/// Keeps a journal's folder to one opener, also within a process. Our own, because the engine's
/// lock is on a file that can be deleted under it. Given up by the destructor or by the end of the
/// process.
class FolderLock {
 public:
  /// Fails with `locked`, naming the owner's pid.
  static Result<std::unique_ptr<FolderLock>> acquire(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// The process that holds the lock now; 0 = none. Takes no lock itself, so it disturbs nobody.
  static int owner(const std::string& folder);

  /// Of the file that names the owner, in the folder.
  static constexpr const char* kOwnerFile = "owner";

 private:
  FolderLock(int folder, int owner) : folder_(folder), owner_(owner) {}
  int folder_;
  int owner_;
};

}  // namespace holdfast::journal
