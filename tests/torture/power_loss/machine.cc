// SPDX-License-Identifier: MIT
#include "torture/power_loss/machine.h"

#include <array>
#include <string_view>
#include <utility>

#include "runtime/bus_impl.h"

namespace holdfast::testing {

namespace {

std::string_view kind_of_file(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  const auto begins = [name](std::string_view with) { return name.substr(0, with.size()) == with; };
  if (name.ends_with(".log")) return "log";
  if (name.ends_with(".sst")) return "table";
  if (begins("MANIFEST")) return "manifest";
  if (begins("watermark")) return "watermark";
  if (begins("CURRENT") || name.ends_with(".dbtmp")) return "current";
  if (begins("OPTIONS")) return "options";
  return "other";
}

struct Target {
  const char* kind;
  std::uint64_t within;  // one of the first so many
};

// Rare ones by name, so that each of them is met.
constexpr std::array kTargets = {
    Target{"append log", 120},      Target{"sync log", 60},       Target{"append table", 12},
    Target{"sync table", 6},        Target{"create table", 6},    Target{"create log", 3},
    Target{"append manifest", 12},  Target{"sync manifest", 12},  Target{"rename current", 3},
    Target{"rename watermark", 10}, Target{"sync watermark", 10}, Target{"append watermark", 10},
    Target{"delete log", 4},        Target{"delete table", 6},    Target{"delete manifest", 2},
    Target{"sync folder", 30},      Target{"create manifest", 2}, Target{"create watermark", 10},
    Target{"link log", 2},          Target{"make folder", 3},     Target{"remove folder", 2},
};

}  // namespace

std::string kind_of_operation(const std::string& operation, const std::string& path) {
  if (operation.ends_with("folder")) return operation;
  return operation + " " + std::string(kind_of_file(path));
}

PowerMachine::PowerMachine(std::uint64_t seed)
    : random_(seed),
      memory_(rocksdb::NewMemEnv(rocksdb::Env::Default())),
      files_(make_memory_fs(memory_.get())),
      env_(make_env(files_)) {
  files_->set_hook([this](const std::string& operation, const std::string& path) {
    return before(operation, path);
  });
}

rocksdb::IOStatus PowerMachine::before(const std::string& operation, const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (operation == failing_ && (fail_left_ > 0 ? --fail_left_ == 0 : fails_for_ever_)) {
    has_failed_ = true;
    return error_;
  }
  if (left_ == 0) return rocksdb::IOStatus::OK();
  const auto kind = kind_of_operation(operation, path);
  if (!kind_.empty() && kind != kind_) return rocksdb::IOStatus::OK();
  if (--left_ == 0) {
    files_->cut_power();
    cut_at_ = kind;
  }
  return rocksdb::IOStatus::OK();
}

void PowerMachine::fail(const std::string& operation, std::uint64_t count, rocksdb::IOStatus error,
                        bool for_ever) {
  const std::lock_guard lock(mutex_);
  failing_ = operation;
  fail_left_ = count;
  error_ = std::move(error);
  fails_for_ever_ = for_ever;
}

void PowerMachine::fail_read(std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  reads_left_ = count;
  files_->set_read_hook([this](const std::string&, const std::string&) {
    const std::lock_guard own(mutex_);
    if (reads_left_ == 0 || --reads_left_ > 0) return rocksdb::IOStatus::OK();
    has_failed_ = true;
    return rocksdb::IOStatus::IOError("input/output error");
  });
}

PowerMachine::~PowerMachine() = default;

Result<std::unique_ptr<journal::Journal>> PowerMachine::open_journal() {
  journal::RocksOptions options;
  options.env = env_.get();
  options.is_on_disk = false;
  options.boot_id = "boot-" + std::to_string(boot_);
  options.watermark_age_max = std::chrono::milliseconds(random_() % 20);
  // Small, so that the log is replaced, and tables are written and compacted, all the time.
  options.memory_bytes = std::size_t{5} << 20U;
  options.reserve = 2'000;
  options.reclaim_bytes_min = 1U << 16U;
  options.reclaim_pause = std::chrono::milliseconds(1);
  return journal::open_rocks_journal(kFolder, options);
}

Result<std::unique_ptr<Bus>> PowerMachine::open_bus(const Options& options) {
  auto journal = open_journal();
  if (!journal.ok()) return journal.status();
  auto engine = runtime::Engine::open(*std::move(journal), {}, options);
  if (!engine.ok()) return engine.status();
  return internal::BusMaker::make(*std::move(engine));
}

void PowerMachine::arm(const std::string& kind, std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  kind_ = kind;
  left_ = count;
  cut_at_.clear();
}

void PowerMachine::disarm() {
  arm({}, 0);
  fail({}, 0, {}, false);
  files_->set_read_hook({});
  has_failed_ = false;
}

void PowerMachine::arm_somewhere() {
  if (random_() % 5 < 2) {
    // As often among the first ten operations as among the first thousand.
    std::uint64_t within = 10;
    for (auto more = random_() % 8; more > 0; --more) within *= 2;
    arm({}, 1 + random_() % within);
    return;
  }
  const auto& target = kTargets[random_() % kTargets.size()];
  arm(target.kind, 1 + random_() % target.within);
}

void PowerMachine::cut(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (files_->is_off()) return;
  files_->cut_power();
  left_ = 0;
  cut_at_ = why;
}

std::string PowerMachine::cut_at() const {
  const std::lock_guard lock(mutex_);
  return cut_at_;
}

FaultFs::Losses PowerMachine::boot() {
  disarm();
  ++boot_;
  return files_->restore(random_);
}

}  // namespace holdfast::testing
