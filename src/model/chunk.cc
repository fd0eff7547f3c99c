// SPDX-License-Identifier: MIT
#include "model/chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/checksum.h"
#include "holdfast/options.h"
#include "model/event_codec.h"

namespace holdfast::model {

namespace {

// On disk since format 1: sizes and places are frozen, all integers little-endian.
struct Header {
  std::uint32_t magic;
  std::uint32_t count;
  std::uint64_t first;
  std::uint64_t commit;
  std::int64_t published_at;
  std::uint8_t lane;
  std::uint8_t keyed;  // 1 = ordering keys lie behind the records; since format 3
  std::uint8_t reserved[6];
  std::uint64_t checksum;  // of everything before it and of the table
};
struct TableEntry {
  std::uint32_t length;
  std::uint32_t checksum;
  std::uint32_t index;
  std::uint32_t batch;  // 1 + index of the batch's first event in its commit; 0 = published alone
};
// Since format 3. Behind the entries the sequences that each comes after, in the order of lanes.
struct KeysHeader {
  std::uint32_t count;
  std::uint32_t checksum;  // of what follows
};
struct KeyEntry {
  std::uint64_t hash;
  std::uint32_t position;  // of the event in the chunk
  std::uint32_t lanes;     // a bit for each lane in which it comes after something
};
static_assert(sizeof(Header) == 48 && sizeof(TableEntry) == 16);
static_assert(sizeof(KeysHeader) == 8 && sizeof(KeyEntry) == 16);
static_assert(std::endian::native == std::endian::little, "the journal is little-endian");

constexpr std::uint32_t kMagic = 0x31434648;  // "HFC1"

constexpr std::size_t padded(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

const Header& header_of(const std::byte* data) { return *reinterpret_cast<const Header*>(data); }
const TableEntry* table_of(const std::byte* data) {
  return reinterpret_cast<const TableEntry*>(data + sizeof(Header));
}

std::uint64_t header_checksum(const std::byte* data, std::uint32_t count) {
  const auto* text = reinterpret_cast<const char*>(data);
  const auto head = base::checksum({text, offsetof(Header, checksum)});
  return base::checksum({text + sizeof(Header), count * sizeof(TableEntry)}, head);
}

Status damaged(EventId place, std::string_view what) {
  return {StatusCode::data_loss, "chunk " + to_string(place) + ": " + std::string(what)};
}

using Keys = std::vector<std::pair<std::uint32_t, OrderKey>>;

std::string encode_keys(const Keys& keys) {
  std::string out(sizeof(KeysHeader), '\0');
  const auto put = [&out](const auto& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  for (const auto& [position, key] : keys) {
    std::uint32_t lanes = 0;
    for (std::size_t lane = 0; lane < kLaneCount; ++lane) {
      if (key.after.values[lane] != 0) lanes |= 1U << lane;
    }
    put(KeyEntry{key.hash, position, lanes});
  }
  for (const auto& [position, key] : keys) {
    for (const auto sequence : key.after) {
      if (sequence != 0) put(sequence);
    }
  }
  const KeysHeader header{
      static_cast<std::uint32_t>(keys.size()),
      base::checksum32(std::string_view(out).substr(sizeof(KeysHeader)), keys.size())};
  std::memcpy(out.data(), &header, sizeof(header));
  return out;
}

/// None when `bytes` is no whole key section of a chunk of `count` events.
std::optional<Keys> decode_keys(std::string_view bytes, std::uint32_t count) {
  KeysHeader header{};
  if (bytes.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof(header));
  auto rest = bytes.substr(sizeof(header));
  if (base::checksum32(rest, header.count) != header.checksum || header.count == 0 ||
      header.count > count || header.count > rest.size() / sizeof(KeyEntry)) {
    return std::nullopt;
  }
  auto sequences = rest.substr(header.count * sizeof(KeyEntry));
  Keys keys(header.count);
  std::uint32_t next = 0;
  for (auto& [position, key] : keys) {
    KeyEntry entry{};
    std::memcpy(&entry, rest.data(), sizeof(entry));
    rest.remove_prefix(sizeof(entry));
    if (entry.hash == 0 || entry.position < next || entry.position >= count ||
        entry.lanes >= (1U << kLaneCount)) {
      return std::nullopt;
    }
    position = entry.position;
    next = position + 1;
    key.hash = entry.hash;
    for (std::size_t lane = 0; lane < kLaneCount; ++lane) {
      if ((entry.lanes & (1U << lane)) == 0) continue;
      if (sequences.size() < sizeof(Sequence)) return std::nullopt;
      std::memcpy(&key.after.values[lane], sequences.data(), sizeof(Sequence));
      sequences.remove_prefix(sizeof(Sequence));
    }
  }
  if (!sequences.empty()) return std::nullopt;
  return keys;
}

constexpr unsigned kBatchIndexBits = 20;
static_assert(kBatchEventsMax <= (1U << kBatchIndexBits));

}  // namespace

std::uint64_t hash_key(std::string_view key) noexcept {
  return std::max<std::uint64_t>(base::checksum(key), 1);
}

BatchId make_batch_id(CommitNumber commit, std::uint32_t first_index) {
  return {(commit.value << kBatchIndexBits) | (first_index + 1)};
}

void EncodedEvents::add(const Event& event, WallTime timestamp, OperationId operation) {
  const auto record = encode_event(event, timestamp, operation);
  const auto offset = arena_.size();
  arena_.resize(offset + padded(record.size()));
  std::memcpy(arena_.data() + offset, record.data(), record.size());
  auto& entry = entries_.emplace_back();
  entry.offset = static_cast<std::uint32_t>(offset);
  entry.length = static_cast<std::uint32_t>(record.size());
  entry.checksum = base::checksum32(record);
  entry.lane = event.priority;
  entry.conditional = is_conditional_event(record);
  if (event.token.value != 0 || operation.value != 0 || !event.ordering_key.empty() ||
      !event.idempotency_key.empty()) {
    auto& admission = admissions_.emplace_back();
    admission.token = event.token;
    admission.operation = operation;
    if (!event.ordering_key.empty()) admission.order_key = hash_key(event.ordering_key);
    if (!event.idempotency_key.empty()) {
      admission.idempotency_key = hash_key(event.idempotency_key);
    }
    entry.admission = static_cast<std::uint32_t>(admissions_.size());
  }
}

void EncodedEvents::remove_last() {
  HOLDFAST_ASSERT(!entries_.empty());
  arena_.resize(entries_.back().offset);
  if (entries_.back().admission != 0) admissions_.pop_back();
  entries_.pop_back();
}

void ChunkBuilder::add(std::string_view record, const EncodedEvents::Entry& entry,
                       std::uint32_t index, BatchId batch, const OrderKey& key) {
  if (key.hash != 0) keys_.emplace_back(count(), key);
  entries_.push_back({record, entry.checksum, index, batch});
  conditional_ = conditional_ || entry.conditional;
  record_bytes_ += padded(record.size());
}

ChunkPtr ChunkBuilder::finish(EventId first, CommitNumber commit, WallTime published_at) {
  HOLDFAST_ASSERT(!entries_.empty());
  const auto count = static_cast<std::uint32_t>(entries_.size());
  const auto table_bytes = count * sizeof(TableEntry);
  auto chunk = std::shared_ptr<Chunk>(new Chunk());
  chunk->keys_ = std::exchange(keys_, {});
  const auto keys = chunk->keys_.empty() ? std::string() : encode_keys(chunk->keys_);
  chunk->size_ = sizeof(Header) + table_bytes + record_bytes_ + keys.size();
  chunk->data_ = std::make_unique_for_overwrite<std::byte[]>(chunk->size_);
  auto* data = chunk->data_.get();

  auto* table = reinterpret_cast<TableEntry*>(data + sizeof(Header));
  auto* out = data + sizeof(Header) + table_bytes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& pending = entries_[i];
    const auto length = pending.record.size();
    const auto batch =
        static_cast<std::uint32_t>(pending.batch.value & ((1U << kBatchIndexBits) - 1));
    table[i] = {static_cast<std::uint32_t>(length), pending.checksum, pending.index, batch};
    std::memcpy(out, pending.record.data(), length);
    std::memset(out + length, 0, padded(length) - length);
    out += padded(length);
  }
  std::memcpy(out, keys.data(), keys.size());
  Header header{.magic = kMagic,
                .count = count,
                .first = first.sequence,
                .commit = commit.value,
                .published_at = published_at,
                .lane = static_cast<std::uint8_t>(first.priority),
                .keyed = static_cast<std::uint8_t>(keys.empty() ? 0 : 1),
                .reserved = {},
                .checksum = 0};
  std::memcpy(data, &header, sizeof(header));
  header.checksum = header_checksum(data, count);
  std::memcpy(data, &header, sizeof(header));
  chunk->read_header();
  chunk->conditional_ = std::exchange(conditional_, false);
  entries_.clear();
  record_bytes_ = 0;
  return chunk;
}

void Chunk::read_header() noexcept {
  const auto& header = header_of(data_.get());
  lane_ = static_cast<Priority>(header.lane);
  first_ = header.first;
  count_ = header.count;
  commit_ = {header.commit};
  published_at_ = header.published_at;
  // Offsets are sums of lengths; keeping them saves a walk at each access.
  offsets_.resize(count_ + 1);
  auto offset = sizeof(Header) + count_ * sizeof(TableEntry);
  for (std::uint32_t i = 0; i < count_; ++i) {
    offsets_[i] = static_cast<std::uint32_t>(offset);
    offset += padded(table_of(data_.get())[i].length);
  }
  offsets_[count_] = static_cast<std::uint32_t>(offset);
}

Result<ChunkPtr> Chunk::decode(std::string_view bytes, EventId place) {
  if (bytes.size() < sizeof(Header)) return damaged(place, "too short for its header");
  auto chunk = std::shared_ptr<Chunk>(new Chunk());
  chunk->size_ = bytes.size();
  chunk->data_ = std::make_unique_for_overwrite<std::byte[]>(bytes.size());
  std::memcpy(chunk->data_.get(), bytes.data(), bytes.size());
  const auto* data = chunk->data_.get();
  const auto& header = header_of(data);
  if (header.magic != kMagic) return damaged(place, "does not begin as a chunk");
  if (header.count == 0 || header.count > (bytes.size() - sizeof(Header)) / sizeof(TableEntry)) {
    return damaged(place, "its count does not fit its size");
  }
  // A lookup does not go back further than this from the event that it looks for.
  if (header.count > kChunkEventsMax) return damaged(place, "has more events than a chunk can");
  if (header.checksum != header_checksum(data, header.count)) {
    return damaged(place, "checksum of its header is wrong");
  }
  if (header.lane != static_cast<std::uint8_t>(place.priority) || header.first != place.sequence) {
    return damaged(place, "holds other sequences than its key says");
  }
  if (place.sequence == 0 ||
      header.count - 1 > std::numeric_limits<Sequence>::max() - place.sequence) {
    return damaged(place, "holds sequences that no event has");
  }
  auto offset = sizeof(Header) + header.count * sizeof(TableEntry);
  for (std::uint32_t i = 0; i < header.count; ++i) {
    const auto& entry = table_of(data)[i];
    const EventId id{place.priority, place.sequence + i};
    if (padded(entry.length) > bytes.size() - offset) return damaged(id, "record is cut off");
    if (entry.batch >= 1U << kBatchIndexBits) return damaged(id, "its batch is an impossible one");
    const auto record = bytes.substr(offset, entry.length);
    if (base::checksum32(record) != entry.checksum) return damaged(id, "checksum is wrong");
    const std::string_view own(reinterpret_cast<const char*>(data) + offset, entry.length);
    if (!verify_event(own)) return damaged(id, "record is malformed");
    chunk->conditional_ = chunk->conditional_ || is_conditional_event(own);
    offset += padded(entry.length);
  }
  if (header.keyed != 0) {
    auto keys = decode_keys(bytes.substr(offset), header.count);
    if (!keys.has_value()) return damaged(place, "its ordering keys are malformed");
    chunk->keys_ = *std::move(keys);
  } else if (offset != bytes.size()) {
    return damaged(place, "has bytes behind its last record");
  }
  chunk->read_header();
  return ChunkPtr(std::move(chunk));
}

std::string_view Chunk::record(std::uint32_t position) const noexcept {
  return {reinterpret_cast<const char*>(data_.get()) + offsets_[position],
          table_of(data_.get())[position].length};
}

EventView Chunk::event(Sequence sequence) const noexcept {
  const auto position = static_cast<std::uint32_t>(sequence - first_);
  const auto& entry = table_of(data_.get())[position];
  auto view = read_event(record(position));
  view.id = {lane_, sequence};
  view.commit = commit_;
  view.index = entry.index;
  if (entry.batch != 0) view.batch_id = make_batch_id(commit_, entry.batch - 1);
  view.published_at = published_at_;
  return view;
}

OrderKey Chunk::order_key(Sequence sequence) const noexcept {
  const auto position = static_cast<std::uint32_t>(sequence - first_);
  const auto found =
      std::lower_bound(keys_.begin(), keys_.end(), position,
                       [](const auto& each, std::uint32_t value) { return each.first < value; });
  return found != keys_.end() && found->first == position ? found->second : OrderKey{};
}

std::string_view Chunk::type(Sequence sequence) const noexcept {
  return read_event_type(record(static_cast<std::uint32_t>(sequence - first_)));
}

std::size_t Chunk::record_bytes(Sequence sequence) const noexcept {
  return table_of(data_.get())[sequence - first_].length;
}

ChunkPtr Chunk::extract(Sequence sequence) const {
  if (count_ == 1) return shared_from_this();
  const auto position = static_cast<std::uint32_t>(sequence - first_);
  const auto& entry = table_of(data_.get())[position];
  ChunkBuilder builder;
  EncodedEvents::Entry one;
  one.checksum = entry.checksum;
  one.conditional = conditional_ && is_conditional_event(record(position));
  builder.add(record(position), one, entry.index, {entry.batch}, order_key(sequence));
  return builder.finish({lane_, sequence}, commit_, published_at_);
}

}  // namespace holdfast::model
