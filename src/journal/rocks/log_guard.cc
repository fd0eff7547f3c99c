// SPDX-License-Identifier: MIT
#include "journal/rocks/log_guard.h"

#include "journal/rocks/status_map.h"

namespace holdfast::journal {

void LogGuard::OnIOError(const rocksdb::IOErrorInfo& info) {
  if (info.operation != rocksdb::FileOperationType::kAppend ||
      !std::string_view(info.file_path).ends_with(".log")) {
    return;
  }
  const std::unique_lock lock(mutex_);
  if (failure_.ok()) failure_ = from_rocks(info.io_status, "writing");
}

}  // namespace holdfast::journal
