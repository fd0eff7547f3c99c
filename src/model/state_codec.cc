// SPDX-License-Identifier: MIT
#include "model/state_codec.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/checksum.h"
#include "base/status_or.h"
#include "commit_generated.h"
#include "model/sealed.h"
#include "state_generated.h"

namespace holdfast::model {

namespace {

using Texts = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;

flatbuffers::Offset<Texts> put_texts(flatbuffers::FlatBufferBuilder& builder,
                                     const std::vector<std::string>& texts) {
  return builder.CreateVectorOfStrings(texts);
}

std::vector<std::string> texts_of(const Texts* texts) {
  std::vector<std::string> out;
  if (texts == nullptr) return out;
  out.reserve(texts->size());
  for (const auto* text : *texts) out.emplace_back(text_of(text));
  return out;
}

template <typename Enum>
std::vector<std::uint8_t> numbers_of(const std::vector<Enum>& values) {
  std::vector<std::uint8_t> out;
  for (const auto value : values) out.push_back(static_cast<std::uint8_t>(value));
  return out;
}

template <typename Enum>
bool read_numbers(const flatbuffers::Vector<std::uint8_t>* values, Enum last,
                  std::vector<Enum>& out) {
  if (values == nullptr) return true;
  for (const auto value : *values) {
    if (value > static_cast<std::uint8_t>(last)) return false;
    out.push_back(static_cast<Enum>(value));
  }
  return true;
}

flatbuffers::Offset<schema::Filter> put_filter(flatbuffers::FlatBufferBuilder& builder,
                                               const FilterRecord& filter) {
  std::vector<flatbuffers::Offset<schema::KeyValue>> pairs;
  for (const auto& [name, value] : filter.match.metadata_equals) {
    const auto name_at = put_text(builder, name);
    pairs.push_back(schema::CreateKeyValue(builder, name_at, put_text(builder, value)));
  }
  const auto metadata = builder.CreateVector(pairs);
  const auto types = put_texts(builder, filter.types);
  const auto priorities = builder.CreateVector(numbers_of(filter.match.priorities));
  const auto kinds = builder.CreateVector(numbers_of(filter.match.source_kinds));
  const auto sources = put_texts(builder, filter.match.source_names);
  return schema::CreateFilter(builder, types, priorities, kinds, sources, metadata);
}

bool read_filter(const schema::Filter& table, FilterRecord& filter) {
  filter.types = texts_of(table.types());
  filter.match.source_names = texts_of(table.source_names());
  if (const auto* pairs = table.metadata_equals(); pairs != nullptr) {
    for (const auto* pair : *pairs) {
      filter.match.metadata_equals.emplace_back(text_of(pair->key()), text_of(pair->value()));
    }
  }
  return read_numbers(table.priorities(), Priority::low, filter.match.priorities) &&
         read_numbers(table.source_kinds(), SourceKind::external, filter.match.source_kinds);
}

// Ascending numbers above `floor`, as LEB128 differences.
std::string pack_ascending(const std::vector<Sequence>& values, Sequence floor) {
  std::string packed;
  auto previous = floor;
  for (const auto value : values) {
    auto rest = value - previous;
    previous = value;
    while (rest >= 0x80) {
      packed += static_cast<char>((rest & 0x7f) | 0x80);
      rest >>= 7U;
    }
    packed += static_cast<char>(rest);
  }
  return packed;
}

bool unpack_ascending(std::string_view packed, Sequence floor, std::vector<Sequence>& values) {
  auto previous = floor;
  std::uint64_t difference = 0;
  unsigned shift = 0;
  for (const char c : packed) {
    const auto byte = static_cast<unsigned char>(c);
    if (shift > 56) return false;
    difference |= std::uint64_t{byte & 0x7fU} << shift;
    shift += 7;
    if ((byte & 0x80U) != 0) continue;
    if (difference == 0 || difference > std::numeric_limits<Sequence>::max() - previous)
      return false;
    previous += difference;
    values.push_back(previous);
    difference = 0;
    shift = 0;
  }
  return shift == 0;
}

bool read_lanes(const flatbuffers::Vector<std::uint64_t>* values, PerLane<Sequence>& out) {
  if (values == nullptr || values->size() != kLaneCount) return false;
  // The verifier looks at where a vector begins, which is its length: the numbers of a forged one
  // may lie where none can be read.
  if (reinterpret_cast<std::uintptr_t>(values->Data()) % alignof(Sequence) != 0) return false;
  std::copy(values->begin(), values->end(), out.begin());
  return true;
}

}  // namespace

std::string encode(const SubscriptionRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  std::vector<flatbuffers::Offset<schema::EarlierFilter>> earlier;
  for (const auto& each : record.earlier) {
    const auto filter = put_filter(builder, each.filter);
    const auto until = builder.CreateVector(each.until.values.data(), kLaneCount);
    earlier.push_back(schema::CreateEarlierFilter(builder, filter, until));
  }
  const auto earlier_at = builder.CreateVector(earlier);
  const auto name = put_text(builder, record.name);
  const auto filter = put_filter(builder, record.filter);
  const auto start = builder.CreateVector(record.start.values.data(), kLaneCount);
  builder.Finish(schema::CreateSubscription(builder, record.id.value, name, filter, earlier_at,
                                            start, record.attempts_max, record.paused,
                                            record.compensates));
  return seal(builder, key);
}

Result<SubscriptionRecord> decode_subscription(std::string_view key, std::string_view value) {
  HOLDFAST_ASSIGN(const auto table,
                  Opened<schema::Subscription>::open("subscription record", key, value));
  SubscriptionRecord record;
  record.id = {table->id()};
  record.name = text_of(table->name());
  record.attempts_max = table->attempts_max();
  record.paused = table->paused();
  record.compensates = table->compensates();
  bool good =
      read_filter(*table->filter(), record.filter) && read_lanes(table->start(), record.start);
  if (const auto* earlier = table->earlier(); earlier != nullptr) {
    for (const auto* each : *earlier) {
      auto& filter = record.earlier.emplace_back();
      good = good && read_filter(*each->filter(), filter.filter) &&
             read_lanes(each->until(), filter.until);
    }
  }
  if (!good) return damaged("subscription record", "holds an impossible value");
  return record;
}

std::string encode(const CursorRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto packed = pack_ascending(record.ahead, record.floor);
  const auto ahead = packed.empty() ? 0 : put_bytes(builder, packed);
  builder.Finish(
      schema::CreateCursor(builder, record.floor, ahead, record.owed, record.parked, record.as_of));
  return seal(builder, key);
}

Result<CursorRecord> decode_cursor(std::string_view key, std::string_view value,
                                   SubscriptionId subscription, Priority lane) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Cursor>::open("cursor", key, value));
  CursorRecord record{.subscription = subscription,
                      .lane = lane,
                      .floor = table->floor(),
                      .ahead = {},
                      .owed = table->owed(),
                      .parked = table->parked(),
                      .as_of = table->as_of()};
  if (!unpack_ascending(text_of(table->ahead()), record.floor, record.ahead)) {
    return damaged("cursor", "its settled-ahead set is malformed");
  }
  return record;
}

std::string encode(const SettlementRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto error = record.last_error.empty() ? 0 : put_text(builder, record.last_error);
  const auto& [key_of, commit, index] = record.place;
  const bool is_after = std::any_of(key_of.after.begin(), key_of.after.end(),
                                    [](Sequence sequence) { return sequence != 0; });
  const auto after = is_after ? builder.CreateVector(key_of.after.values.data(), kLaneCount) : 0;
  builder.Finish(schema::CreateSettlement(builder, record.attempts, record.due, record.suspect,
                                          error, record.started, record.cleanup, key_of.hash,
                                          commit.value, index, after));
  return seal(builder, key);
}

Result<SettlementRecord> decode_settlement(std::string_view key, std::string_view value,
                                           SubscriptionId subscription, EventId event) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Settlement>::open("settlement", key, value));
  SettlementRecord record{
      .subscription = subscription,
      .event = event,
      .attempts = table->attempts(),
      .due = table->due(),
      .suspect = table->suspect(),
      .last_error = std::string(text_of(table->last_error())),
      .started = table->started(),
      .cleanup = table->cleanup(),
      .place = {{.hash = table->key(), .after = {}}, {table->commit()}, table->index()}};
  if (table->after() != nullptr && !read_lanes(table->after(), record.place.key.after)) {
    return damaged("settlement", "has not one value a lane");
  }
  return record;
}

std::string encode(const DueRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  builder.Finish(
      schema::CreateDue(builder, record.attempts, record.suspect, record.started, record.cleanup));
  return seal(builder, key);
}

Result<DueRecord> decode_due(std::string_view key, std::string_view value,
                             SubscriptionId subscription, EventId event, DueTime due) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Due>::open("due time", key, value));
  return DueRecord{.subscription = subscription,
                   .event = event,
                   .due = due,
                   .attempts = table->attempts(),
                   .suspect = table->suspect(),
                   .started = table->started(),
                   .cleanup = table->cleanup()};
}

std::string encode(const DeadLetterRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto chunk = put_aligned_bytes(builder, as_bytes(record.chunk->bytes()));
  const auto reason = put_text(builder, record.reason);
  builder.Finish(schema::CreateDeadLetter(builder, record.attempts, reason, record.died_at, chunk,
                                          record.cleanup, record.started));
  return seal(builder, key);
}

Result<DeadLetterRecord> decode_dead_letter(std::string_view key, std::string_view value,
                                            SubscriptionId subscription, EventId event) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::DeadLetter>::open("dead letter", key, value));
  HOLDFAST_ASSIGN(auto chunk, Chunk::decode(text_of(table->chunk()), event));
  return DeadLetterRecord{.subscription = subscription,
                          .event = event,
                          .attempts = table->attempts(),
                          .reason = std::string(text_of(table->reason())),
                          .died_at = table->died_at(),
                          .chunk = std::move(chunk),
                          .cleanup = table->cleanup(),
                          .started = table->started()};
}

std::string encode(const RetentionMark& mark, std::string_view key) {
  auto& builder = reused_builder();
  builder.Finish(schema::CreateRetentionMark(builder, mark.published_at, mark.bytes_before,
                                             mark.unclaimed, mark.published_bus, mark.counted_to,
                                             mark.claims_forgotten));
  return seal(builder, key);
}

Result<RetentionMark> decode_retention_mark(std::string_view key, std::string_view value,
                                            Priority lane, Sequence sequence) {
  HOLDFAST_ASSIGN(const auto table,
                  Opened<schema::RetentionMark>::open("retention mark", key, value));
  return RetentionMark{.lane = lane,
                       .sequence = sequence,
                       .published_at = table->published_at(),
                       .published_bus = table->published_bus(),
                       .bytes_before = table->bytes_before(),
                       .unclaimed = table->unclaimed(),
                       .counted_to = table->counted_to(),
                       .claims_forgotten = table->claims_forgotten()};
}

std::string encode(const LostRange& range, std::string_view key) {
  auto& builder = reused_builder();
  builder.Finish(schema::CreateLostRange(builder, range.from, range.to));
  return seal(builder, key);
}

Result<LostRange> decode_lost_range(std::string_view key, std::string_view value, Priority lane) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::LostRange>::open("lost range", key, value));
  return LostRange{.lane = lane, .from = table->from(), .to = table->to()};
}

std::string encode(const TokenRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto reason = record.reason.empty() ? 0 : put_text(builder, record.reason);
  const auto first = builder.CreateVector(record.first.values.data(), kLaneCount);
  const auto last = builder.CreateVector(record.last.values.data(), kLaneCount);
  builder.Finish(schema::CreateToken(builder, record.made_at, record.used_at, record.deadline,
                                     first, last, record.published, record.ended,
                                     record.cancelled_in.value, record.cancelled_at, reason));
  return seal(builder, key);
}

Result<TokenRecord> decode_token(std::string_view key, std::string_view value, TokenId id) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Token>::open("token", key, value));
  TokenRecord record{.id = id,
                     .made_at = table->made_at(),
                     .used_at = table->used_at(),
                     .deadline = table->deadline(),
                     .first = {},
                     .last = {},
                     .published = table->published(),
                     .ended = table->ended(),
                     .cancelled_in = {table->cancelled_in()},
                     .cancelled_at = table->cancelled_at(),
                     .reason = std::string(text_of(table->reason()))};
  if (!read_lanes(table->first(), record.first) || !read_lanes(table->last(), record.last)) {
    return damaged("token", "has not one value a lane");
  }
  return record;
}

std::string encode(const TombstoneRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto reason = record.reason.empty() ? 0 : put_text(builder, record.reason);
  builder.Finish(schema::CreateTombstone(builder, record.cancelled_at, reason));
  return seal(builder, key);
}

Result<TombstoneRecord> decode_tombstone(std::string_view key, std::string_view value,
                                         EventId event) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Tombstone>::open("tombstone", key, value));
  return TombstoneRecord{.event = event,
                         .cancelled_at = table->cancelled_at(),
                         .reason = std::string(text_of(table->reason()))};
}

std::string encode(const OrderingKeyRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto last = builder.CreateVector(record.last.values.data(), kLaneCount);
  builder.Finish(schema::CreateOrderingKey(
      builder, last, static_cast<std::uint8_t>(record.newest.priority), record.newest.sequence));
  return seal(builder, key);
}

Result<OrderingKeyRecord> decode_ordering_key(std::string_view key, std::string_view value,
                                              std::string ordering_key) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::OrderingKey>::open("ordering key", key, value));
  OrderingKeyRecord record{
      .key = std::move(ordering_key),
      .last = {},
      .newest = {static_cast<Priority>(table->newest_lane()), table->newest()}};
  if (table->newest_lane() >= kLaneCount || !read_lanes(table->last(), record.last)) {
    return damaged("ordering key", "has not one value a lane");
  }
  return record;
}

std::string encode(const IdempotencyRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  builder.Finish(schema::CreateIdempotency(
      builder, record.use, static_cast<std::uint8_t>(record.event.priority), record.event.sequence,
      record.commit.value, record.batch.value, record.token.value, record.used_at));
  return seal(builder, key);
}

Result<IdempotencyRecord> decode_idempotency(std::string_view key, std::string_view value,
                                             std::string idempotency_key) {
  HOLDFAST_ASSIGN(const auto table,
                  Opened<schema::Idempotency>::open("idempotency key", key, value));
  if (table->lane() >= kLaneCount) return damaged("idempotency key", "names an unknown lane");
  return IdempotencyRecord{.key = std::move(idempotency_key),
                           .use = table->use(),
                           .event = {static_cast<Priority>(table->lane()), table->sequence()},
                           .commit = {table->commit()},
                           .batch = {table->batch()},
                           .token = {table->token()},
                           .used_at = table->used_at()};
}

std::string encode(const IdempotencyUse& use, std::string_view key) {
  auto& builder = reused_builder();
  const auto text = put_text(builder, use.key);
  builder.Finish(schema::CreateIdempotencyUse(builder, use.used_at, text));
  return seal(builder, key);
}

Result<IdempotencyUse> decode_idempotency_use(std::string_view key, std::string_view value,
                                              std::uint64_t number) {
  HOLDFAST_ASSIGN(const auto table,
                  Opened<schema::IdempotencyUse>::open("use of an idempotency key", key, value));
  return IdempotencyUse{
      .number = number, .used_at = table->used_at(), .key = std::string(text_of(table->key()))};
}

std::string encode(const IdempotencyRange& range, std::string_view key) {
  auto& builder = reused_builder();
  builder.Finish(schema::CreateIdempotencyRange(builder, range.first, range.next));
  return seal(builder, key);
}

Result<IdempotencyRange> decode_idempotency_range(std::string_view key, std::string_view value) {
  HOLDFAST_ASSIGN(const auto table,
                  Opened<schema::IdempotencyRange>::open("range of idempotency keys", key, value));
  if (table->first() > table->next()) {
    return damaged("range of idempotency keys", "ends before it begins");
  }
  return IdempotencyRange{.first = table->first(), .next = table->next()};
}

std::string encode(const PausedTypesRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto patterns = put_texts(builder, record.patterns);
  builder.Finish(schema::CreatePausedTypes(builder, patterns, record.releasing));
  return seal(builder, key);
}

Result<PausedTypesRecord> decode_paused_types(std::string_view key, std::string_view value) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::PausedTypes>::open("paused types", key, value));
  PausedTypesRecord record{texts_of(table->patterns()), table->releasing()};
  const auto& patterns = record.patterns;
  if (std::adjacent_find(patterns.begin(), patterns.end(), std::greater_equal<>()) !=
      patterns.end()) {
    return damaged("paused types", "are not in their order");
  }
  return record;
}

std::string encode_state(std::string_view value, CommitNumber version, std::string_view key) {
  auto& builder = reused_builder();
  const auto bytes = put_bytes(builder, value);
  builder.Finish(schema::CreateStateValue(builder, version.value, bytes));
  return seal(builder, key);
}

Result<StateRecord> decode_state(std::string_view key, std::string_view value, std::string name,
                                 std::string state_key) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::StateValue>::open("state value", key, value));
  return StateRecord{.name = std::move(name),
                     .key = std::move(state_key),
                     .value = std::string(text_of(table->value())),
                     .version = {table->version()}};
}

std::string encode_meta(const Commit& commit, std::string_view key) {
  auto& builder = reused_builder();
  const auto next = builder.CreateVector(commit.next.values.data(), kLaneCount);
  const auto trim = builder.CreateVector(commit.trim.values.data(), kLaneCount);
  builder.Finish(schema::CreateCommitMeta(builder, commit.epoch, commit.number.value,
                                          commit.durable_known.value, commit.written_at.wall, next,
                                          trim, commit.clean, commit.written_at.boot,
                                          commit.written_at.bus));
  return seal(builder, key);
}

Result<Commit> decode_meta(std::string_view key, std::string_view value) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::CommitMeta>::open("commit record", key, value));
  Commit commit;
  commit.epoch = table->epoch();
  commit.number = {table->number()};
  commit.durable_known = {table->durable_known()};
  commit.written_at = {table->written_at(), table->written_boot(), table->written_bus()};
  commit.clean = table->clean();
  if (!read_lanes(table->next(), commit.next) || !read_lanes(table->trim(), commit.trim)) {
    return damaged("commit record", "has not one value a lane");
  }
  return commit;
}

std::string encode(const JournalMeta& meta, std::string_view key) {
  auto& builder = reused_builder();
  const auto uuid =
      put_bytes(builder, {reinterpret_cast<const char*>(meta.uuid.data()), meta.uuid.size()});
  builder.Finish(schema::CreateJournalMeta(builder, meta.format, uuid, meta.created_at));
  return seal(builder, key);
}

Result<JournalMeta> decode_journal_meta(std::string_view key, std::string_view value) {
  HOLDFAST_ASSIGN(const auto table,
                  Opened<schema::JournalMeta>::open("journal record", key, value));
  JournalMeta meta;
  meta.format = table->format();
  meta.created_at = table->created_at();
  if (table->uuid() == nullptr || table->uuid()->size() != meta.uuid.size()) {
    return damaged("journal record", "has no proper uuid");
  }
  std::memcpy(meta.uuid.data(), table->uuid()->data(), meta.uuid.size());
  return meta;
}

std::string to_string(const Uuid& uuid) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = std::to_integer<unsigned>(uuid[i]);
    text.append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
  }
  return text;
}

}  // namespace holdfast::model
