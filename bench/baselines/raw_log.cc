// SPDX-License-Identifier: MIT
#include "baselines/raw_log.h"

#include <fcntl.h>
#include <unistd.h>

#include "support/measure.h"

namespace holdfast::bench {

namespace {

constexpr std::uint64_t kAllocatedAhead = 16U << 20U;

}  // namespace

RawLog::RawLog(const std::filesystem::path& file, Space space)
    : file_(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), space_(space) {
  require(file_ >= 0, "cannot make " + file.string());
}

RawLog::~RawLog() { ::close(file_); }

void RawLog::write(const Load& load, std::uint64_t from, std::uint64_t count) {
  group_.clear();
  for (std::uint64_t i = from; i < from + count; ++i) group_ += load.record(i);
  while (space_ == Space::preallocated && end_ + group_.size() > allocated_) {
    require(::fallocate(file_, 0, static_cast<off_t>(allocated_), kAllocatedAhead) == 0,
            "cannot allocate space for a file");
    allocated_ += kAllocatedAhead;
  }
  const auto written = ::pwrite(file_, group_.data(), group_.size(), static_cast<off_t>(end_));
  require(written == static_cast<ssize_t>(group_.size()), "cannot append to a file");
  end_ += group_.size();
  require(::fdatasync(file_) == 0, "cannot sync a file");
}

}  // namespace holdfast::bench
