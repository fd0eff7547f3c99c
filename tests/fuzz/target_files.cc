// SPDX-License-Identifier: MIT
// Files that an open reads before it trusts anything: the watermark, what was running, the log.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include <rocksdb/env.h>

#include "fuzz/repair.h"
#include "fuzz/targets.h"
#include "journal/rocks/files.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/log_file.h"
#include "journal/rocks/watermark.h"
#include "runtime/running_slots.h"

namespace holdfast::fuzz {

namespace {

void check_watermark(std::string_view bytes) {
  const auto decoded = journal::decode_watermark(bytes);
  if (!decoded.ok()) {
    FUZZ_CHECK(decoded.status() == StatusCode::data_loss ||
               decoded.status() == StatusCode::invalid_argument);
    FUZZ_CHECK(!decoded.status().message().empty());
    return;
  }
  note_accepted();
  FUZZ_CHECK(bytes.size() == 192);
  FUZZ_CHECK(decoded->writer <= journal::Watermark::Writer::failed);
  const auto again = journal::decode_watermark(journal::encode(*decoded));
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->uuid == decoded->uuid && again->epoch == decoded->epoch &&
             again->boot_id == decoded->boot_id && again->writer == decoded->writer &&
             again->durable == decoded->durable && again->next == decoded->next &&
             again->reserved_number == decoded->reserved_number &&
             again->reserved == decoded->reserved);
}

/// A file in memory that has a path.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("slots", MFD_CLOEXEC)) {
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::string& holding(std::string_view bytes) {
    FUZZ_CHECK(ftruncate(descriptor_, 0) == 0);
    FUZZ_CHECK(pwrite(descriptor_, bytes.data(), bytes.size(), 0) ==
               static_cast<ssize_t>(bytes.size()));
    return path_;
  }

 private:
  int descriptor_;
  std::string path_;
};

/// A log that is in memory, and nothing else.
class OneFile final : public rocksdb::EnvWrapper {
 public:
  OneFile() : EnvWrapper(rocksdb::Env::Default()) {}
  [[nodiscard]] const char* Name() const override { return "fuzz.one_file"; }
  rocksdb::Status NewSequentialFile(const std::string&,
                                    std::unique_ptr<rocksdb::SequentialFile>* file,
                                    const rocksdb::EnvOptions&) override {
    *file = std::make_unique<Reader>(bytes);
    return rocksdb::Status::OK();
  }
  std::string_view bytes;

 private:
  class Reader final : public rocksdb::SequentialFile {
   public:
    explicit Reader(std::string_view rest) : rest_(rest) {}
    rocksdb::Status Read(std::size_t size, rocksdb::Slice* out, char* scratch) override {
      // In pieces, as a disk may give them.
      const auto piece = rest_.substr(0, std::min<std::size_t>(size, 1 + rest_.size() / 2));
      std::memcpy(scratch, piece.data(), piece.size());
      rest_.remove_prefix(piece.size());
      *out = {scratch, piece.size()};
      return rocksdb::Status::OK();
    }
    rocksdb::Status Skip(std::uint64_t count) override {
      rest_.remove_prefix(std::min<std::size_t>(count, rest_.size()));
      return rocksdb::Status::OK();
    }

   private:
    std::string_view rest_;
  };
};

/// How many of its records were whole.
std::size_t check_log(std::string_view bytes) {
  static OneFile env;
  env.bytes = bytes;
  const journal::Files files(env);
  std::size_t whole = 0;
  std::uint64_t end = 0;
  const journal::LogVisitor visitor{
      .record =
          [&](const journal::LogRecord& record) {
            ++whole;
            FUZZ_CHECK(record.begin >= end && record.begin < record.end);
            FUZZ_CHECK(record.end <= bytes.size());
            FUZZ_CHECK(record.head.size() <= journal::kLogHeadBytes);
            end = record.end;
          },
      .damage =
          [&](const journal::LogDamage& damage) {
            FUZZ_CHECK(damage.offset < bytes.size() && !damage.why.empty());
          }};
  FUZZ_CHECK(journal::read_log_file(files, "log", visitor).ok());
  return whole;
}

}  // namespace

void run_watermark(std::string_view input) {
  check_watermark(input);
  std::string repaired(input);
  repair_watermark(repaired);
  check_watermark(repaired);
}

void check_slots(const std::string& bytes) {
  static MemoryFile file;
  const auto left = runtime::RunningSlots::left_behind(file.holding(bytes), "boot");
  if (!left.empty()) note_accepted();
  // Each slot of 64 bytes, and each event of 8 behind them, is read at most once a slot that names
  // it: what is found is bounded by the file's size.
  FUZZ_CHECK(left.size() <= (bytes.size() / 64) * (1 + kBatchSizeMax));
  for (const auto& running : left) {
    FUZZ_CHECK(running.event.priority <= Priority::low && running.event.sequence != 0);
    FUZZ_CHECK(!(running.together && running.suspect) || running.event.sequence != 0);
  }
}

void run_slots(std::string_view input) {
  std::string bytes(input);
  check_slots(bytes);
  repair_slots(bytes);
  check_slots(bytes);
}

void run_log(std::string_view input) {
  if (input.empty()) return;
  const auto which = static_cast<std::uint8_t>(input.front());
  std::string log(input.substr(1));
  repair_log(log, which);
  const auto whole = check_log(log);
  if (whole > 0) note_accepted();
  // One record more at its end is found, whatever is before it: damage hides nothing behind it.
  std::string record = std::string(4, '\0') + std::string("\x05\0\x01", 3) + "whole";
  repair_log(record, 1);
  FUZZ_CHECK(check_log(log + record) > whole);
}

}  // namespace holdfast::fuzz
