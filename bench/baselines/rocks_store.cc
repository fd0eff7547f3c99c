// SPDX-License-Identifier: MIT
#include "baselines/rocks_store.h"

#include <array>
#include <atomic>
#include <thread>

#include <rocksdb/write_batch.h>

#include "holdfast/options.h"
#include "support/measure.h"

namespace holdfast::bench {

namespace {

void check(const rocksdb::Status& status) { require(status.ok(), status.ToString()); }

struct SilentLogger : rocksdb::Logger {
  SilentLogger() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  void Logv(const char*, va_list) override {}
};

/// 'e', the lane, the sequence: what the bus has for a key, too.
struct Key {
  explicit Key(std::uint64_t sequence) {
    bytes[0] = 'e';
    bytes[1] = 2;
    for (unsigned i = 0; i < 8; ++i) bytes[2 + i] = static_cast<char>(sequence >> (56 - 8 * i));
  }
  [[nodiscard]] rocksdb::Slice slice() const { return {bytes.data(), bytes.size()}; }
  std::array<char, 10> bytes{};
};

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

rocksdb::WriteOptions write_options(bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  return options;
}

}  // namespace

RocksStore::RocksStore(const std::filesystem::path& folder, Setup setup) {
  if (setup == Setup::as_the_bus) {
    engine_ = journal::make_engine_options({.memory_bytes = Options().memory_budget / 2});
  }
  engine_.options.create_if_missing = true;
  engine_.options.info_log = std::make_shared<SilentLogger>();
  rocksdb::DB* opened = nullptr;
  check(rocksdb::DB::Open(engine_.options, folder.string(), &opened));
  db_.reset(opened);
}

void RocksStore::put(const Load& load, std::uint64_t index, bool sync) {
  check(db_->Put(write_options(sync), Key(index + 1).slice(), slice(load.record(index))));
}

void RocksStore::write(const Load& load, std::uint64_t from, std::uint64_t count, bool sync) {
  rocksdb::WriteBatch batch;
  for (std::uint64_t i = from; i < from + count; ++i) {
    check(batch.Put(Key(i + 1).slice(), slice(load.record(i))));
  }
  check(db_->Write(write_options(sync), &batch));
}

void RocksStore::sync() { check(db_->SyncWAL()); }

void RocksStore::write_decoupled(const Load& load, std::uint64_t events, std::uint64_t group,
                                 std::uint64_t unsynced_max) {
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> durable{0};
  std::thread syncer([&] {
    while (durable < events) {
      written.wait(durable);
      const std::uint64_t target = written;
      sync();
      durable = target;
      durable.notify_one();
    }
  });
  while (written < events) {
    for (auto known = durable.load(); written - known > unsynced_max * group; known = durable) {
      durable.wait(known);
    }
    const auto count = std::min(group, events - written);
    group == 1 ? put(load, written, false) : write(load, written, count, false);
    written += count;
    written.notify_one();
  }
  syncer.join();
}

void RocksStore::read_and_delete(std::uint64_t events, std::uint64_t group, bool with_state) {
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
  rocksdb::WriteBatch batch;
  std::uint64_t read = 0;
  std::size_t bytes = 0;
  for (at->Seek(Key(1).slice()); at->Valid() && read < events; at->Next()) {
    bytes += at->value().size();
    check(batch.Delete(at->key()));
    if (with_state) check(batch.Put("u" + std::to_string(read), "done"));
    if (++read % group != 0 && read != events) continue;
    check(db_->Write(write_options(true), &batch));
    batch.Clear();
  }
  check(at->status());
  require(read == events && bytes > 0, "events are missing");
}

std::string RocksStore::first() {
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
  at->Seek(Key(1).slice());
  require(at->Valid(), "the store is empty");
  return at->value().ToString();
}

}  // namespace holdfast::bench
