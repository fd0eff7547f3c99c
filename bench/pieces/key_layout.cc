// SPDX-License-Identifier: MIT
// Which key layout should the journal have? Two of them, in one column family, run in turn:
//
//   A, key per event               'e' lane sequence       -> record
//   B, chunk per lane and commit   'e' lane first-sequence -> header 64 | table 16 each | records
//
// A figure is the median of its repetitions, a ratio the median of B/A over neighbouring runs: the
// speed of a shared machine drifts. Records are opaque bytes here, because encoding, verifying and
// checksumming one costs the same in both. The answer is docs/decisions/0004-key-layout.md.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

namespace {

using rocksdb::Slice;
using rocksdb::WriteBatch;

constexpr uint64_t kChunkEventsMax = 1000;
constexpr size_t kEnvelopeBytes = 112;  // What a record holds beside its payload.
constexpr uint64_t kWriteBufferBytes = 8 << 20;
// Beyond, publishing waits for the sync. What is in flight at a flush goes into a file, so with
// more the bytes written would tell how far the sync lags and not what the layout costs.
constexpr uint64_t kInFlightBytesMax = kWriteBufferBytes / 8;

enum class Layout { per_event, per_chunk };
enum class Mode { unsynced, decoupled, settled };

struct Shape {
  uint64_t group;  // Events in a commit.
  uint32_t chunk_kib_max;
};
constexpr Shape kShapes[] = {{1, 256}, {10, 256}, {100, 256}, {1000, 256}, {1000, 32}};

struct Run {
  Layout layout;
  Shape shape;
  uint64_t lanes;
  uint64_t events;
  const std::vector<std::string>& records;
  std::filesystem::path folder;
};

struct ChunkHeader {
  uint64_t first_sequence;
  uint32_t events, record_bytes;
  char reserved[48];  // Format, commit number, times, checksum.
};
struct TableEntry {
  uint32_t offset, size;
  char reserved[8];  // Index in the commit, checksum.
};
static_assert(sizeof(ChunkHeader) == 64 && sizeof(TableEntry) == 16);

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}
void check(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

// Event `index` of a run lies in lane `index % lanes`, so every position is arithmetic.
uint64_t events_in_lane(uint64_t events, uint64_t lane, uint64_t lanes) {
  return (events + lanes - 1 - lane) / lanes;
}

std::string key_of(uint64_t lane, uint64_t sequence) {
  std::string key{'e', static_cast<char>(lane)};
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(sequence >> shift);
  return key;
}

uint64_t sequence_of(const Slice& key) {
  uint64_t sequence;
  std::memcpy(&sequence, key.data() + 2, sizeof sequence);
  return __builtin_bswap64(sequence);
}

/// About as compressible as small JSON; so many that no compressor's window holds one twice.
std::vector<std::string> make_records(size_t payload_bytes) {
  std::mt19937_64 random(payload_bytes);
  std::vector<std::string> records(1021);
  for (std::string& record : records) {
    while (record.size() < payload_bytes + kEnvelopeBytes)
      record += "{\"path\":\"/src/" + std::to_string(random()) +
                "\",\"time\":" + std::to_string(random());
    record.resize(payload_bytes + kEnvelopeBytes);
  }
  return records;
}

ChunkHeader header_of(const Slice& chunk) {
  ChunkHeader header;
  require(chunk.size() >= sizeof header, "chunk shorter than its header");
  std::memcpy(&header, chunk.data(), sizeof header);
  require(chunk.size() - sizeof header == header.events * sizeof(TableEntry) + header.record_bytes,
          "chunk of another size than its header says");
  return header;
}

Slice record_of(const Slice& chunk, const ChunkHeader& header, uint64_t position) {
  TableEntry entry;
  require(position < header.events, "position behind the chunk");
  std::memcpy(&entry, chunk.data() + sizeof header + position * sizeof entry, sizeof entry);
  require(uint64_t{entry.offset} + entry.size <= header.record_bytes, "record outside its chunk");
  return {chunk.data() + chunk.size() - header.record_bytes + entry.offset, entry.size};
}

/// Appends events to a batch, lane by lane. The records of a chunk are gathered by RocksDB.
struct Writer {
  void append(uint64_t from, uint64_t end, WriteBatch& batch) {
    for (uint64_t start = from; start < std::min(from + run.lanes, end); ++start) {
      for (uint64_t i = start; i < end; i += run.lanes)
        add(start % run.lanes, i / run.lanes + 1, run.records[i % run.records.size()], batch);
      if (header.events > 0) finish_chunk(start % run.lanes, batch);
    }
  }

  void add(uint64_t lane, uint64_t sequence, const Slice& record, WriteBatch& batch) {
    if (run.layout == Layout::per_event) return check(batch.Put(key_of(lane, sequence), record));
    const auto bytes = static_cast<uint32_t>(record.size());
    const bool is_full = header.record_bytes + bytes > run.shape.chunk_kib_max * 1024;
    if (header.events == kChunkEventsMax || is_full) finish_chunk(lane, batch);
    if (header.events++ == 0) header.first_sequence = sequence;
    table.push_back({header.record_bytes, bytes, {}});
    header.record_bytes += bytes;
    parts.push_back(record);
  }

  void finish_chunk(uint64_t lane, WriteBatch& batch) {
    parts[0] = {reinterpret_cast<const char*>(&header), sizeof header};
    parts[1] = {reinterpret_cast<const char*>(table.data()), table.size() * sizeof(TableEntry)};
    const std::string key = key_of(lane, header.first_sequence);
    const Slice key_part = key;
    check(batch.Put({&key_part, 1}, {parts.data(), static_cast<int>(parts.size())}));
    header = {};
    table.clear();
    parts.resize(2);
  }

  const Run& run;
  ChunkHeader header{};
  std::vector<TableEntry> table{};
  std::vector<Slice> parts = std::vector<Slice>(2);
};

/// Drops what lies below the trim point; a chunk goes as a whole, with its last event. It skips,
/// because to remove leaves an engine delete for each key in the file that a flush makes. Event
/// keys are written once, so that skipping cannot uncover an older value.
struct TrimFilter : rocksdb::CompactionFilter {
  TrimFilter(const Run& of, uint64_t events) : run(of), trimmed(events) {}
  const char* Name() const override { return "trim"; }
  Decision FilterV2(int, const Slice& key, ValueType, const Slice& value, std::string*,
                    std::string* skip_until) const override {
    if (key[0] != 'e') return Decision::kKeep;
    const auto lane = static_cast<unsigned char>(key[1]);
    const uint64_t trimmed_last = events_in_lane(trimmed, lane, run.lanes);
    const bool is_chunk = run.layout == Layout::per_chunk;
    const uint64_t last = sequence_of(key) + (is_chunk ? header_of(value).events - 1 : 0);
    if (last > trimmed_last) return Decision::kKeep;
    // No chunk that begins before `whole` can reach the trim point.
    const uint64_t whole =
        trimmed_last + 1 - (is_chunk ? std::min(trimmed_last, kChunkEventsMax) : 0);
    *skip_until = key_of(lane, std::max(last + 1, whole));
    return Decision::kRemoveAndSkipUntil;
  }
  const Run& run;
  const uint64_t trimmed;
};

struct TrimFilterFactory : rocksdb::CompactionFilterFactory {
  explicit TrimFilterFactory(const Run& of) : run(of) {}
  const char* Name() const override { return "trim"; }
  // Also at a flush: what is settled soon never reaches a table file.
  bool ShouldFilterTableFileCreation(rocksdb::TableFileCreationReason) const override {
    return true;
  }
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<TrimFilter>(run, trimmed);
  }
  const Run& run;
  std::atomic<uint64_t> trimmed{0};
};

struct SilentLogger : rocksdb::Logger {
  SilentLogger() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  void Logv(const char*, va_list) override {}
};

/// A database whose folder goes with it.
struct Store {
  // The filters look at our copy of `of`: they live as long as the database does.
  explicit Store(const Run& of) : run(of), trim(std::make_shared<TrimFilterFactory>(run)) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.info_log = std::make_shared<SilentLogger>();
    options.write_buffer_size = kWriteBufferBytes;
    options.max_write_buffer_number = 3;
    // Hints, one per lane, make ascending inserts cheap; they ask for one inserting thread.
    options.allow_concurrent_memtable_write = false;
    options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(2));
    options.compression_per_level = {rocksdb::kNoCompression, rocksdb::kLZ4Compression};
    options.compaction_filter_factory = trim;
    rocksdb::BlockBasedTableOptions table;
    table.block_size = 16 << 10;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(options, run.folder.string(), &opened));
    db.reset(opened);
  }
  ~Store() {
    db.reset();
    std::filesystem::remove_all(run.folder);
  }
  const Run run;
  std::shared_ptr<TrimFilterFactory> trim;
  std::unique_ptr<rocksdb::DB> db;
};

/// Writes a commit per group and, behind it, one that settles what is durable by then. Meanwhile
/// another thread syncs the log over and over.
struct Committer {
  void commit_all(Mode mode) {
    std::jthread syncer;
    if (mode != Mode::unsynced) syncer = std::jthread([this](const auto& stop) { sync(stop); });
    while (published < run.events || (mode != Mode::unsynced && !marks.empty())) {
      if (published < run.events) {
        const uint64_t from = published;
        published = std::min(from + run.shape.group, run.events);
        writer.append(from, published, batch);
        write();
      }
      if (mode == Mode::unsynced) continue;
      const bool waits = published == run.events ||
                         (published - acked) * run.records[0].size() > kInFlightBytesMax;
      for (uint64_t seen = durable; waits && seen < marks.front().commit; seen = durable)
        durable.wait(seen);
      collect();
      if (mode == Mode::settled && settled < acked) settle();
    }
  }

  void sync(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const uint64_t target = written;
      check(store.db->SyncWAL());
      durable = target;
      durable.notify_one();
    }
  }

  void settle() {
    settled = acked;
    for (uint64_t lane = 0; lane < run.lanes; ++lane) {
      const uint64_t cursor[3] = {events_in_lane(settled, lane, run.lanes) + 1, 0, 0};
      check(batch.Put(std::string{'c', 0, 0, 0, 1, static_cast<char>(lane)},
                      {reinterpret_cast<const char*>(cursor), sizeof cursor}));
    }
    write();
  }

  void write() {
    check(store.db->Write({}, &batch));
    log_bytes += static_cast<double>(batch.GetDataSize());
    batch.Clear();
    marks.push_back({++commit, published, settled});
    written = commit;
  }

  // Only a cursor that is itself durable moves the trim point.
  void collect() {
    for (; !marks.empty() && marks.front().commit <= durable; marks.pop_front()) {
      acked = marks.front().published;
      store.trim->trimmed = marks.front().settled;
    }
  }

  struct Mark {
    uint64_t commit, published, settled;
  };
  Store& store;
  const Run& run = store.run;
  Writer writer{run};
  WriteBatch batch{};
  std::deque<Mark> marks{};
  std::atomic<uint64_t> written{0}, durable{0};
  uint64_t commit = 0, published = 0, acked = 0, settled = 0;
  double log_bytes = 0;
};

double wall_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double written_bytes() {
  std::ifstream io("/proc/self/io");
  double value = 0;
  for (std::string name; name != "wchar:" && io >> name >> value;) continue;
  return value;
}

using Sample = std::vector<double>;

Sample measure_write(const Run& run, Mode mode) {
  const auto events = static_cast<double>(run.events);
  Store store(run);
  Committer committer{store};
  const double start = wall_seconds(), cpu = cpu_seconds(), bytes = written_bytes();
  committer.commit_all(mode);
  const double rate = events / (wall_seconds() - start) / 1000;
  if (mode != Mode::settled) return {rate};
  check(store.db->Flush({}));
  const double written = (written_bytes() - bytes) / events;
  const double unlogged = written - committer.log_bytes / events;
  return {rate, (cpu_seconds() - cpu) / events * 1e6, written, unlogged};
}

/// Fills a store and compacts it: what an open, a replay or a listing of a backlog reads.
void fill(const Store& store) {
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  Writer writer{store.run};
  WriteBatch batch;
  for (uint64_t i = 0; i < store.run.events; i += store.run.shape.group) {
    writer.append(i, std::min(i + store.run.shape.group, store.run.events), batch);
    check(store.db->Write(unlogged, &batch));
    batch.Clear();
  }
  check(store.db->CompactRange({}, nullptr, nullptr));
}

void scan(const Store& store) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(store.db->NewIterator(options));
  uint64_t events = 0, braces = 0;
  for (it->Seek(key_of(0, 0)); it->Valid(); it->Next()) {
    const bool is_chunk = store.run.layout == Layout::per_chunk;
    const ChunkHeader header = is_chunk ? header_of(it->value()) : ChunkHeader{0, 1, 0, {}};
    for (uint64_t i = 0; i < header.events; ++i, ++events)
      braces += (is_chunk ? record_of(it->value(), header, i) : it->value())[0] == '{';
  }
  check(it->status());
  require(events == store.run.events && braces == events, "the scan missed an event");
}

void get(const Store& store, uint64_t index) {
  const uint64_t lane = index % store.run.lanes, sequence = index / store.run.lanes + 1;
  const Slice expected = store.run.records[index % store.run.records.size()];
  if (store.run.layout == Layout::per_event) {
    rocksdb::PinnableSlice value;
    check(store.db->Get({}, store.db->DefaultColumnFamily(), key_of(lane, sequence), &value));
    return require(value == expected, "another record than was written");
  }
  const std::unique_ptr<rocksdb::Iterator> it(store.db->NewIterator({}));
  it->SeekForPrev(key_of(lane, sequence));
  require(it->Valid() && it->key()[1] == static_cast<char>(lane), "no chunk holds the event");
  const uint64_t position = sequence - sequence_of(it->key());
  require(record_of(it->value(), header_of(it->value()), position) == expected, "another record");
}

Sample measure_read(const Store& store) {
  const auto events = static_cast<double>(store.run.events);
  const double start = wall_seconds();
  scan(store);
  const double scanned = wall_seconds();
  constexpr uint64_t kGets = 500;
  for (uint64_t i = 1; i <= kGets; ++i) get(store, i * 2'654'435'761 % store.run.events);
  const double got = wall_seconds();
  uint64_t bytes = 0;
  require(store.db->GetIntProperty("rocksdb.total-sst-files-size", &bytes), "no such property");
  return {(scanned - start) / events * 1e9, (got - scanned) / kGets * 1e6,
          static_cast<double>(bytes) / events};
}

double median(Sample values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Runs A B A B ... and appends, for each figure `measure` returns, the medians of A, B and B/A.
template <typename Measure>
void compare(std::vector<Sample>& column, const Measure& measure) {
  constexpr int kRepetitions = 5;
  std::vector<std::vector<Sample>> figures;
  for (int i = 0; i < kRepetitions; ++i) {
    const Sample a = measure(Layout::per_event), b = measure(Layout::per_chunk);
    figures.resize(a.size(), std::vector<Sample>(3));
    for (size_t k = 0; k < a.size(); ++k) {
      figures[k][0].push_back(a[k]);
      figures[k][1].push_back(b[k]);
      figures[k][2].push_back(b[k] / a[k]);
    }
  }
  for (const auto& of : figures) column.push_back({median(of[0]), median(of[1]), median(of[2])});
}

constexpr const char* kFigures[] = {
    "write, not synced    k events/s", "write, synced beside k events/s",
    "publish and settle   k events/s", "  its CPU            us/event",
    "  its bytes written  B/event",    "  of these not log   B/event",
    "scan and unpack      ns/event",   "get one event        us",
    "compacted size       B/event"};

void run_section(size_t payload_bytes, uint64_t lanes, bool is_quick,
                 const std::filesystem::path& root) {
  const std::vector<std::string> records = make_records(payload_bytes);
  const uint64_t scale = (payload_bytes > 512 ? 4UL : 1UL) * (is_quick ? 10 : 1);
  const Store a({Layout::per_event, kShapes[3], lanes, 1'000'000 / scale, records, root / "a"});
  fill(a);
  std::vector<std::vector<Sample>> columns;
  for (const Shape& shape : kShapes) {
    const uint64_t events = (shape.group == 1 ? 40'000 : 120'000) / scale;
    std::vector<Sample>& column = columns.emplace_back();
    for (const Mode mode : {Mode::unsynced, Mode::decoupled, Mode::settled})
      compare(column, [&](Layout layout) {
        return measure_write({layout, shape, lanes, events, records, root / "write"}, mode);
      });
    const Store b({Layout::per_chunk, shape, lanes, a.run.events, records, root / "b"});
    fill(b);
    compare(column, [&](Layout of) { return measure_read(of == Layout::per_event ? a : b); });
  }
  std::printf("\npayload %zu B, %lu lane(s)\n%-32s", payload_bytes, lanes,
              "A, B, B/A in groups of");
  for (const Shape& shape : kShapes)
    std::printf("| %12lu (%3u KiB) ", shape.group, shape.chunk_kib_max);
  for (size_t figure = 0; figure < std::size(kFigures); ++figure) {
    std::printf("\n%-32s", kFigures[figure]);
    for (const auto& column : columns)
      std::printf("| %7.1f %7.1f %5.2f ", column[figure][0], column[figure][1], column[figure][2]);
  }
  std::puts("");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_quick = argc == 2 && std::string(argv[1]) == "--quick";
  const char* temp = std::getenv("TMPDIR");
  std::string root = std::string(temp ? temp : "/tmp") + "/holdfast-key-layout-XXXXXX";
  int exit_code = 0;
  try {
    require(mkdtemp(root.data()) != nullptr, "cannot make a temp folder");
    for (const size_t payload_bytes : {128, 1024})
      for (const uint64_t lanes : {1, 4})
        if (!is_quick || lanes == 4) run_section(payload_bytes, lanes, is_quick, root);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "key_layout: %s\n", error.what());
    exit_code = 1;
  }
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);
  return exit_code;
}
