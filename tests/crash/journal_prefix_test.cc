// SPDX-License-Identifier: MIT
// Goal: whatever prefix of the log is left, an open has exactly the commits that are whole in it,
// or is refused where something that is known to have been durable is missing.
// Method: a bus writes a log of more than 64 KiB with every kind of record, of which the folder is
// kept; then the log is cut at one byte after the other, and goes on with zeros or ends there. What
// has to be there is what the engine alone reads of a log that ends with the same commit.
//
// HOLDFAST_PREFIX_STEP=1 is the long form: each byte.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include "journal/rocks/keys.h"
#include "journal/rocks/rocks_journal.h"
#include "journal/rocks/watermark.h"
#include "model/state_codec.h"
#include "support/bus_test.h"
#include "support/environment.h"
#include "torture/power_loss/load.h"

namespace holdfast::testing {
namespace {

constexpr std::size_t kLogBytes = std::size_t{64} << 10U;
const std::string kFolder = PowerMachine::kFolder;

/// The files of a folder, by name.
using Image = std::map<std::string, std::string>;
/// What the engine has, by key.
using Records = std::map<std::string, std::string>;

Image read_image(rocksdb::Env& env) {
  Image image;
  std::vector<std::string> names;
  EXPECT_TRUE(env.GetChildren(kFolder, &names).ok());
  for (const auto& name : names) {
    std::string bytes;
    if (rocksdb::ReadFileToString(&env, kFolder + "/" + name, &bytes).ok()) image[name] = bytes;
  }
  return image;
}

std::unique_ptr<rocksdb::Env> disk_with(const Image& image) {
  std::unique_ptr<rocksdb::Env> env(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  EXPECT_TRUE(env->CreateDir(kFolder).ok());
  for (const auto& [name, bytes] : image) {
    EXPECT_TRUE(rocksdb::WriteStringToFile(env.get(), bytes, kFolder + "/" + name).ok());
  }
  return env;
}

Records read_records(rocksdb::Env& env) {
  rocksdb::Options options;
  options.env = &env;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, kFolder, &raw);
  EXPECT_TRUE(status.ok()) << status.ToString();
  const std::unique_ptr<rocksdb::DB> db(raw);
  Records records;
  if (db == nullptr) return records;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    records[at->key().ToString()] = at->value().ToString();
  }
  return records;
}

/// Without what an open itself writes when it skips numbers: its commit, and what is lost by it.
Records without_head(Records records) {
  std::erase_if(records, [](const auto& record) {
    return record.first == journal::keys::kCommit || record.first == journal::keys::kResumed ||
           record.first.starts_with("ml");
  });
  return records;
}

CommitNumber newest_commit(const Records& records) {
  const auto head = records.find(std::string(journal::keys::kCommit));
  if (head == records.end()) return {};
  const auto commit = model::decode_meta(journal::keys::kCommit, head->second);
  EXPECT_TRUE(commit.ok());
  return commit.ok() ? commit->number : CommitNumber{};
}

class JournalPrefix : public ::testing::Test {
 protected:
  void SetUp() override {
    // What is lost here is recorded by the next open, as another kind of record.
    work(1);
    machine_.files().restore_synced_only();
    machine_.boot();
    work(20);
    image_ = read_image(machine_.disk());
    for (const auto& [name, bytes] : image_) {
      if (name.ends_with(".log") && bytes.size() > image_[log_].size()) log_ = name;
    }
    ASSERT_GE(image_[log_].size(), kLogBytes);
    ends_ = {0, image_[log_].size()};
    ends_.insert(ends_seen_.begin(), ends_seen_.end());
  }

  /// Works until the log is large enough, and goes down.
  void work(int bursts) {
    Options options;
    options.durability = Durability::os;
    options.ack_linger = std::chrono::milliseconds(0);
    const auto bus = must(machine_.open_bus(options));
    old_watermark_ = read_image(machine_.disk())["watermark"];
    follow_log();
    const auto late = must(bus->subscribe({.name = "late", .types = {"late"}}, [](Delivery&) {
      return Outcome::retry_after(std::chrono::hours(1), "later");
    }));
    PowerLoad load(
        *bus, machine_, book_,
        {.number = ++session_, .seed = session_, .publishers = 1, .calls = 15, .padding_max = 300});
    ASSERT_TRUE(load.subscribe().ok());
    must(bus->pause(TypePattern{"held"}));
    must(must(bus->begin_operation()).roll_back("why not"));
    for (int i = 0; i < bursts && log_bytes() < kLogBytes; ++i) {
      const auto body = encode_body({.key = session_ << 40U | static_cast<unsigned>(i)}, 0);
      for (const auto* type : {"late", "held"}) {
        must(bus->publish({.type = type, .payload = body}));
      }
      must(bus->publish({.type = "keyed", .payload = body, .ordering_key = "order"}));
      load.publish();
      load.wait_handled();
    }
    must(bus->wait_durable(must(bus->publish("late", "")).commit));
    machine_.cut("the end");
  }

  /// Notes where each write to the newest log ends.
  void follow_log() {
    machine_.files().set_hook([this](const std::string& operation, const std::string& path) {
      const std::lock_guard lock(mutex_);
      if (operation != "append" || !path.ends_with(".log")) return rocksdb::IOStatus::OK();
      if (path != path_) ends_seen_.clear();
      path_ = path;
      ends_seen_.insert(size_of_log());
      return rocksdb::IOStatus::OK();
    });
  }
  [[nodiscard]] std::size_t size_of_log() {
    std::uint64_t bytes = 0;
    return machine_.disk().GetFileSize(path_, &bytes).ok() ? bytes : 0;
  }
  [[nodiscard]] std::size_t log_bytes() {
    const std::lock_guard lock(mutex_);
    return size_of_log();
  }

  [[nodiscard]] Image cut(std::size_t bytes, std::size_t space = 0) const {
    auto image = image_;
    image[log_].resize(bytes);
    image[log_].resize(bytes + space);
    return image;
  }
  /// The last `bytes` of a record may be no others than the zeros behind them.
  [[nodiscard]] std::size_t reached_with_zeros(std::size_t bytes) const {
    const auto end = *ends_.lower_bound(bytes);
    const auto& log = image_.at(log_);
    return log.find_first_not_of('\0', bytes) < end ? bytes : end;
  }

  PowerMachine machine_{1};
  PowerBook book_{[](const std::string& what) { ADD_FAILURE() << what; }};
  std::uint64_t session_ = 0;
  std::mutex mutex_;  // guards the next two
  std::string path_;
  std::set<std::size_t> ends_seen_;
  Image image_;
  std::string old_watermark_;  // as the open has written it
  std::string log_;
  std::set<std::size_t> ends_;  // where records of the log end, and 0
};

std::size_t step() {
  return std::max<std::size_t>(from_environment("HOLDFAST_PREFIX_STEP", 997), 1);
}

TEST_F(JournalPrefix, OfTheLogHasExactlyTheCommitsThatAreWholeInIt) {
  // What is there after each record, and the places to cut at.
  std::map<std::size_t, Records> after;
  std::set<std::size_t> places;
  const auto whole = image_[log_].size();
  for (const auto end : ends_) {
    after[end] = read_records(*disk_with(cut(end)));
    for (std::size_t at = end < 2 ? 0 : end - 2; at <= std::min(end + 2, whole); ++at) {
      places.insert(at);
    }
  }
  for (std::size_t at = 0; at <= whole; at += step()) places.insert(at);
  std::set<std::string> kinds;
  for (const auto& [key, value] : after.rbegin()->second) {
    kinds.insert(key.substr(0, std::string("mtko").find(key[0]) != std::string::npos ? 2 : 1));
  }
  const std::set<std::string> all{"c",  "d",  "e", "kk", "kr", "ku", "l", "mc", "mj", "ml", "mo",
                                  "mp", "mr", "n", "oh", "om", "p",  "s", "te", "tt", "u",  "w"};
  EXPECT_EQ(kinds, all);

  std::size_t opened = 0;
  std::size_t refused = 0;
  constexpr std::size_t kSpace = 40'000;
  // By the watermark of the open nothing is known to be durable but what it wrote itself.
  const std::vector<std::pair<std::string, std::size_t>> variants = {
      {old_watermark_, 0}, {image_["watermark"], 0}, {old_watermark_, kSpace}};
  for (const auto& [bytes, space] : variants) {
    const auto watermark = journal::decode_watermark(bytes);
    ASSERT_TRUE(watermark.ok());
    for (const auto at : places) {
      auto image = cut(at, space);
      image["watermark"] = bytes;
      const auto env = disk_with(image);
      const auto reached = space == 0 ? at : reached_with_zeros(at);
      const auto& expected = std::prev(after.upper_bound(reached))->second;
      journal::RocksOptions options;
      options.env = env.get();
      options.is_on_disk = false;
      options.boot_id = "boot-9";
      auto journal = journal::open_rocks_journal(kFolder, options);
      if (newest_commit(expected) < watermark->durable) {
        ++refused;
        ASSERT_EQ(journal.status(), StatusCode::data_loss)
            << at << " bytes: " << journal.status().to_string();
        continue;
      }
      ++opened;
      ASSERT_TRUE(journal.ok()) << at << " bytes: " << journal.status().to_string();
      EXPECT_EQ((*journal)->state().damage, "");
      journal->reset();
      ASSERT_TRUE(without_head(read_records(*env)) == without_head(expected)) << at << " bytes";
    }
  }
  std::cout << "a log of " << whole << " bytes and " << ends_.size() - 1 << " records, cut at "
            << places.size() << " places: " << opened << " opened, " << refused << " refused"
            << std::endl;
  EXPECT_GT(opened, 0U);
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace holdfast::testing
