// SPDX-License-Identifier: MIT
#pragma once

// The stores that the suite runs over. A new one is added here, and finished when the suite passes.

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "journal/memory/memory_journal.h"
#include "journal/open.h"
#include "journal/rocks/rocks_journal.h"
#include "support/fault_fs.h"
#include "support/journal_writer.h"
#include "support/temp_folder.h"

namespace holdfast::testing {

enum class StoreKind { memory, rocks, rocks_in_memory };

inline std::string name_of(StoreKind kind) {
  switch (kind) {
    case StoreKind::memory: return "Memory";
    case StoreKind::rocks: return "Rocks";
    case StoreKind::rocks_in_memory: return "RocksInMemory";
  }
  return "";
}

/// A place for one journal.
class Store {
 public:
  explicit Store(StoreKind kind)
      : kind_(kind),
        memory_(rocksdb::NewMemEnv(rocksdb::Env::Default())),
        files_(make_memory_fs(memory_.get())),
        env_(make_env(files_)) {}

  [[nodiscard]] bool persists() const { return kind_ != StoreKind::memory; }
  [[nodiscard]] bool is_on_disk() const { return kind_ == StoreKind::rocks; }
  [[nodiscard]] std::string path() const {
    return kind_ == StoreKind::rocks ? folder_.inside("journal") : "/journal";
  }
  [[nodiscard]] std::string other_path() const {
    return kind_ == StoreKind::rocks ? folder_.inside("copy") : "/copy";
  }

  Result<std::unique_ptr<journal::Journal>> open() { return open(path()); }
  Result<std::unique_ptr<journal::Journal>> open(const std::string& path) {
    if (kind_ == StoreKind::memory) return journal::make_memory_journal();
    return journal::open_rocks_journal(path, options());
  }
  Result<std::unique_ptr<journal::JournalReader>> open_reader() {
    return journal::open_rocks_reader(path(), options());
  }

 private:
  [[nodiscard]] journal::RocksOptions options() const {
    journal::RocksOptions options;
    if (kind_ == StoreKind::rocks_in_memory) {
      options.env = env_.get();
      options.is_on_disk = false;
    }
    return options;
  }

  StoreKind kind_;
  TempFolder folder_;
  std::unique_ptr<rocksdb::Env> memory_;
  std::shared_ptr<FaultFs> files_;
  std::unique_ptr<rocksdb::Env> env_;
};

class JournalTest : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override { open(); }

  void open() {
    auto opened = store_.open();
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    journal_ = *std::move(opened);
    writer_ = std::make_unique<JournalWriter>(*journal_);
  }
  /// Closes and opens again; true when this store keeps anything.
  bool reopen() {
    if (!store_.persists()) return false;
    journal_.reset();
    open();
    return journal_ != nullptr;
  }
  void now_and_after_reopening(const std::function<void()>& check) {
    check();
    if (HasFatalFailure() || !store_.persists()) return;
    ASSERT_TRUE(journal_->sync().ok());
    if (reopen()) check();
  }

  Store store_{GetParam()};
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<JournalWriter> writer_;
};

}  // namespace holdfast::testing

/// Makes `suite` run over every store.
#define HOLDFAST_OVER_ALL_STORES(suite)                                   \
  INSTANTIATE_TEST_SUITE_P(                                               \
      Stores, suite,                                                      \
      ::testing::Values(::holdfast::testing::StoreKind::memory,           \
                        ::holdfast::testing::StoreKind::rocks,            \
                        ::holdfast::testing::StoreKind::rocks_in_memory), \
      [](const auto& store) { return ::holdfast::testing::name_of(store.param); })
