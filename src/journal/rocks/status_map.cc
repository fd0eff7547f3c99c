// SPDX-License-Identifier: MIT
#include "journal/rocks/status_map.h"

#include <string>

namespace holdfast::journal {

namespace {

/// The engine takes a file that it cannot open for a wrong option: it tries to find out whether the
/// file system can do what no option of ours asks for, or has the reason behind its own words.
bool is_failed_read(const rocksdb::Status& status) {
  const auto text = status.ToString();
  return text.find(": IO error: ") != std::string::npos ||
         text.find("Direct I/O is not supported") != std::string::npos ||
         text.find("options incompatible with filesystem") != std::string::npos;
}

StatusCode code_of(const rocksdb::Status& status) {
  switch (status.code()) {
    case rocksdb::Status::kCorruption:
    case rocksdb::Status::kNotFound:
    case rocksdb::Status::kTryAgain: return StatusCode::data_loss;
    case rocksdb::Status::kIOError:
      // A file that the engine knows of is not there: that is damage, not a disk that is busy.
      return status.IsPathNotFound() ? StatusCode::data_loss : StatusCode::unavailable;
    case rocksdb::Status::kInvalidArgument:
      return is_failed_read(status) ? StatusCode::unavailable : StatusCode::invalid_argument;
    case rocksdb::Status::kNotSupported: return StatusCode::unimplemented;
    case rocksdb::Status::kBusy: return StatusCode::locked;
    case rocksdb::Status::kTimedOut:
    case rocksdb::Status::kShutdownInProgress:
    case rocksdb::Status::kAborted:
    case rocksdb::Status::kIncomplete: return StatusCode::unavailable;
    default: return StatusCode::internal;
  }
}

}  // namespace

Status from_rocks(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return {};
  return {code_of(status), std::string(doing) + ": " + status.ToString()};
}

}  // namespace holdfast::journal
