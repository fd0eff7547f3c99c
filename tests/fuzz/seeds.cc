// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "fuzz/repair.h"
#include "fuzz/targets.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/watermark.h"
#include "model/chunk.h"
#include "model/event_codec.h"
#include "model/state_codec.h"
#include "support/chunks.h"

namespace holdfast::fuzz {

namespace {

namespace keys = journal::keys;

constexpr EventId kEvent{Priority::high, 7};
constexpr model::SubscriptionId kSubscription{3};

std::vector<Event> some_events() {
  static const std::vector<MetadataPair> kMetadata = {{"tenant", "acme"}, {"trace", ""}};
  return {{.type = "a"},
          {.type = "order.placed",
           .payload = "one kettle",
           .content_type = "text/plain",
           .priority = Priority::high,
           .source = Source::plugin("shop"),
           .metadata = kMetadata,
           .timestamp = 1'700'000'000'000'000'000},
          {.type = "order.later",
           .priority = Priority::high,
           .source = Source::external(),
           .not_before = 1,
           .expires_at = 2,
           .token = {5},
           .ordering_key = "cart",
           .idempotency_key = "once"}};
}

model::ChunkPtr some_chunk(bool keyed) {
  model::EncodedEvents events;
  for (const auto& event : some_events()) events.add(event, 1'000, {keyed ? 9U : 0U});
  model::ChunkBuilder builder;
  for (std::size_t i = 0; i < events.size(); ++i) {
    model::OrderKey key;
    if (keyed && i > 0) key = {.hash = 42 + i, .after = {{0, i, 0, 3}}};
    builder.add(events.record(i), events.entry(i), static_cast<std::uint32_t>(i),
                model::make_batch_id({4}, 0), key);
  }
  return builder.finish(kEvent, {4}, 2'000);
}

std::vector<std::string> chunk_seeds() {
  return {std::string(some_chunk(false)->bytes()), std::string(some_chunk(true)->bytes()),
          std::string(testing::make_chunk({Priority::critical, 1}, {"a.b"})->bytes())};
}

std::vector<std::string> event_seeds() {
  std::vector<std::string> seeds;
  for (const auto& event : some_events()) seeds.emplace_back(model::encode_event(event, 3));
  return seeds;
}

std::vector<std::string> key_seeds() {
  return {keys::event(kEvent),
          keys::cursor(kSubscription, Priority::low),
          keys::settlement(kSubscription, kEvent),
          keys::parked(kSubscription, kEvent),
          keys::dead_letter(kSubscription, kEvent),
          keys::due(kSubscription, kEvent, -5),
          keys::subscription(kSubscription),
          keys::state("mailer", "total"),
          std::string(keys::kJournal),
          std::string(keys::kCommit),
          std::string(keys::kResumed),
          std::string(keys::kPausedTypes),
          keys::lost_range(Priority::low, 9),
          keys::retention_mark(Priority::low, 9),
          keys::token({77}),
          keys::tombstone(kEvent),
          keys::ordering_key("cart"),
          keys::idempotency("once"),
          keys::idempotency_use(12),
          std::string(keys::kIdempotencyRange),
          keys::operation({88}),
          keys::member({88}, 2)};
}

class RecordSeeds {
 public:
  template <typename Record>
  void add(const std::string& key, const Record& record) {
    add_value(key, model::encode(record, key));
  }
  /// Without its checksum: that is put there by the target.
  void add_value(const std::string& key, std::string value) {
    value.resize(value.size() - sizeof(std::uint64_t));
    add_whole(key, value);
  }
  void add_whole(const std::string& key, std::string_view value) {
    seeds_.push_back(std::string(1, static_cast<char>(key.size())) + key + std::string(value));
  }
  std::vector<std::string> take() { return std::move(seeds_); }

 private:
  std::vector<std::string> seeds_;
};

void add_subscription_seeds(RecordSeeds& seeds) {
  model::SubscriptionRecord subscription{.id = kSubscription, .name = "mailer"};
  subscription.filter.types = {"order.>", "note.*"};
  subscription.filter.match = {.priorities = {Priority::low},
                               .source_kinds = {SourceKind::plugin},
                               .source_names = {"shop"},
                               .metadata_equals = {{"tenant", "acme"}}};
  subscription.earlier.push_back({.filter = {.types = {"order.*"}, .match = {}}});
  seeds.add(keys::subscription(kSubscription), subscription);
  seeds.add(keys::cursor(kSubscription, Priority::low),
            model::CursorRecord{.subscription = kSubscription,
                                .lane = Priority::low,
                                .floor = 5,
                                .ahead = {6, 9, 1000},
                                .owed = 3,
                                .parked = 1,
                                .as_of = 1001});
  seeds.add(keys::settlement(kSubscription, kEvent),
            model::SettlementRecord{.attempts = 2,
                                    .due = 99,
                                    .suspect = true,
                                    .last_error = "no answer",
                                    .started = true,
                                    .place = {{.hash = 4, .after = {{1, 0, 0, 0}}}, {8}, 1}});
  seeds.add(keys::due(kSubscription, kEvent, 99), model::DueRecord{.attempts = 2, .cleanup = true});
  const auto one = testing::make_chunk(kEvent, {"a.b"});
  seeds.add_whole(keys::parked(kSubscription, kEvent), one->bytes());
  seeds.add(keys::dead_letter(kSubscription, kEvent),
            model::DeadLetterRecord{.attempts = 5, .reason = "gone", .died_at = 1, .chunk = one});
}

void add_journal_seeds(RecordSeeds& seeds) {
  model::Commit commit{.epoch = 2, .number = {9}, .durable_known = {8}, .written_at = {1, 2, 3}};
  for (const auto key : {keys::kCommit, keys::kResumed}) {
    seeds.add_value(std::string(key), model::encode_meta(commit, key));
  }
  seeds.add(std::string(keys::kJournal), model::JournalMeta{.format = 5, .created_at = 6});
  seeds.add(std::string(keys::kPausedTypes),
            model::PausedTypesRecord{.patterns = {"a.>", "b.*"}, .releasing = true});
  seeds.add(keys::lost_range(Priority::low, 9),
            model::LostRange{.lane = Priority::low, .from = 9, .to = 12});
  seeds.add(keys::retention_mark(Priority::low, 9),
            model::RetentionMark{.published_at = 5, .bytes_before = 6, .unclaimed = 7});
  const auto state = keys::state("mailer", "total");
  seeds.add_value(state, model::encode_state("12", {3}, state));
}

std::vector<std::string> record_seeds() {
  RecordSeeds seeds;
  seeds.add_whole(keys::event(kEvent), some_chunk(true)->bytes());
  add_subscription_seeds(seeds);
  add_journal_seeds(seeds);
  model::TokenRecord token{.id = {77}, .made_at = 1, .deadline = 2, .published = 3, .ended = 1};
  token.first[Priority::low] = 4;
  token.reason = "not wanted";
  seeds.add(keys::token({77}), token);
  seeds.add(keys::tombstone(kEvent), model::TombstoneRecord{.cancelled_at = 3, .reason = "wrong"});
  seeds.add(keys::ordering_key("cart"),
            model::OrderingKeyRecord{.key = "cart", .last = {{1, 2, 3, 4}}, .newest = kEvent});
  seeds.add(keys::idempotency("once"), model::IdempotencyRecord{.key = "once",
                                                                .use = 12,
                                                                .event = kEvent,
                                                                .commit = {4},
                                                                .batch = {5},
                                                                .token = {6},
                                                                .used_at = 7});
  seeds.add(keys::idempotency_use(12),
            model::IdempotencyUse{.number = 12, .used_at = 7, .key = "once"});
  seeds.add(std::string(keys::kIdempotencyRange), model::IdempotencyRange{.first = 3, .next = 13});
  seeds.add(keys::operation({88}), model::OperationRecord{.state = OperationState::rolling_back,
                                                          .sealed = true,
                                                          .members = 2,
                                                          .begun_at = 1,
                                                          .deadline = 9,
                                                          .reason = "too late"});
  seeds.add(keys::member({88}, 2),
            model::MemberRecord{
                .event = kEvent, .token = {77}, .state = MemberState::done, .done_at = 4});
  return seeds.take();
}

std::vector<std::string> watermark_seeds() {
  journal::Watermark watermark{.epoch = 3, .boot_id = "boot", .durable = {9}};
  auto closed = watermark;
  closed.writer = journal::Watermark::Writer::closed;
  return {journal::encode(watermark), journal::encode(closed)};
}

/// Two slots, the first with two more events of its batch.
std::vector<std::string> slot_seeds() {
  std::string file(64 + 2 * 64 + 2 * 8, '\0');
  file[48] = 2;
  for (const std::size_t slot : {64, 128}) {
    file[slot] = 1;
    file[slot + 4] = 3;
    file[slot + 8] = 7;
    file[slot + 16] = 1;
  }
  file[64 + 18] = 2;
  file[192] = 0x15;
  file[200] = 0x19;
  repair_slots(file);
  return {file, file.substr(0, 150)};
}

std::string log_record(char type, const std::string& bytes) {
  std::string record(4, '\0');
  record += static_cast<char>(bytes.size() & 0xff);
  record += static_cast<char>(bytes.size() >> 8U);
  return record + type + bytes;
}

std::vector<std::string> log_seeds() {
  const auto whole = log_record(1, "a whole record");
  const auto pieces = log_record(2, "in ") + log_record(3, "three ") + log_record(4, "pieces");
  return {"\xff" + whole + pieces + whole, "\xfd" + whole + whole + pieces,
          "\xff" + whole + pieces.substr(0, 20), "\xff" + whole + std::string(40, '\0') + whole};
}

std::vector<std::string> line_seeds() {
  return {
      R"({"type":"order.placed","payload":"42","priority":"high"})",
      R"-({"type":"a","payload_base64":"/w==","source":"plugin(shop)","timestamp":12})-",
      R"({"type":"a","metadata":{"k":"v","l":""},"content_type":"text/plain"})",
      R"({"type":"a","metadata":[["k","v"],["k","\u00e4"]],"timestamp":"2026-05-01T02:40:11.5Z"})",
      R"({"type":"a","metadata_base64":[["aw==","/w=="]],"source":"user"})",
      R"({"type":12,"payload":{"a":[null,true,1.5e3]}})"};
}

}  // namespace

std::vector<std::string> seeds(std::string_view target) {
  if (target == "chunk") return chunk_seeds();
  if (target == "event") return event_seeds();
  if (target == "key") return key_seeds();
  if (target == "record") return record_seeds();
  if (target == "watermark") return watermark_seeds();
  if (target == "slots") return slot_seeds();
  if (target == "log") return log_seeds();
  if (target == "event_line") return line_seeds();
  if (target == "lines")
    return {
        "\x03"
        "one\ntwo\r\n\nthree",
        "\x10"
        "a line that is too long\nb\n"};
  if (target == "text") {
    return {"2026-05-01T02:40:11.123456789+02:00", "high:1042", "plugin(shop)", "token:12",
            "b\xc3\xa4\x1b[0m\xe2\x80\xae\\",      "aGk="};
  }
  fail("the target has seeds", __FILE__, __LINE__);
}

}  // namespace holdfast::fuzz
