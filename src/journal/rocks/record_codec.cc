// SPDX-License-Identifier: MIT
#include "journal/rocks/record_codec.h"

#include <string>
#include <utility>

#include "base/status_or.h"
#include "journal/rocks/keys.h"
#include "model/chunk.h"
#include "model/state_codec.h"

namespace holdfast::journal {

namespace {

std::string printable(std::string_view key) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    text.append(1, kHex[byte >> 4U]).append(1, kHex[byte & 15U]);
  }
  return text;
}

template <typename T>
Result<model::Record> as_record(Result<T> result, std::string_view context) {
  if (!result.ok()) return result.status().with_context(context);
  return model::Record(*std::move(result));
}

Result<model::Record> decode_copy(std::string_view value, model::SubscriptionId subscription,
                                  EventId event) {
  HOLDFAST_ASSIGN(auto chunk, model::Chunk::decode(value, event));
  if (chunk->count() != 1) return Status(StatusCode::data_loss, "holds more than its own event");
  return model::Record(model::ParkedEvent{subscription, event, std::move(chunk)});
}

Result<model::Record> decode_meta_record(std::string_view key, std::string_view value) {
  if (const auto lost = keys::parse_lost_range(key)) {
    HOLDFAST_ASSIGN(const auto range, model::decode_lost_range(key, value, lost->priority));
    if (range.from != lost->sequence || range.to < range.from) {
      return Status(StatusCode::data_loss, "lost range is not what its key says");
    }
    return model::Record(range);
  }
  if (const auto mark = keys::parse_retention_mark(key)) {
    return as_record(model::decode_retention_mark(key, value, mark->priority, mark->sequence),
                     "retention mark " + to_string(*mark));
  }
  if (key == keys::kPausedTypes)
    return as_record(model::decode_paused_types(key, value), "journal");
  return Status(StatusCode::internal, "not a record that can be looked up");
}

Result<model::Record> decode_cancel_record(std::string_view key, std::string_view value) {
  if (const auto token = keys::parse_token(key)) {
    return as_record(model::decode_token(key, value, *token), to_string(*token));
  }
  if (const auto event = keys::parse_tombstone(key)) {
    return as_record(model::decode_tombstone(key, value, *event), "tombstone " + to_string(*event));
  }
  return Status(StatusCode::internal, "not a record that can be looked up");
}

Result<model::Record> decode_idempotency_record(std::string_view key, std::string_view value) {
  if (const auto name = keys::parse_idempotency(key)) {
    return as_record(model::decode_idempotency(key, value, std::string(*name)), "journal");
  }
  if (const auto number = keys::parse_idempotency_use(key)) {
    return as_record(model::decode_idempotency_use(key, value, *number),
                     "use " + std::to_string(*number));
  }
  return as_record(model::decode_idempotency_range(key, value), "journal");
}

Result<model::Record> decode_operation_record(std::string_view key, std::string_view value) {
  if (const auto id = keys::parse_operation(key)) {
    return as_record(model::decode_operation(key, value, *id), to_string(*id));
  }
  if (const auto member = keys::parse_member(key)) {
    const auto [operation, index] = *member;
    return as_record(model::decode_member(key, value, operation, index),
                     to_string(operation) + ", event " + std::to_string(index));
  }
  return Status(StatusCode::internal, "not a record that can be looked up");
}

}  // namespace

Result<model::Record> decode_record(std::string_view key, std::string_view value) {
  const auto parsed = keys::parse(key);
  if (!parsed) {
    return Status(StatusCode::data_loss,
                  "key " + printable(key) + " is none of format " + std::to_string(keys::kFormat));
  }
  const auto id = parsed->subscription;
  const auto of_event =
      " of subscription " + std::to_string(id.value) + ", event " + to_string(parsed->event);
  switch (parsed->table) {
    case keys::Table::event:
      return as_record(model::Chunk::decode(value, parsed->event), "journal");
    case keys::Table::subscription: {
      auto record = model::decode_subscription(key, value);
      if (record.ok() && record->id != id) {
        return Status(StatusCode::data_loss, "subscription is not the one its key says");
      }
      return as_record(std::move(record), "subscription " + std::to_string(id.value));
    }
    case keys::Table::cursor:
      return as_record(model::decode_cursor(key, value, id, parsed->event.priority),
                       "cursor of subscription " + std::to_string(id.value));
    case keys::Table::settlement:
      return as_record(model::decode_settlement(key, value, id, parsed->event),
                       "settlement" + of_event);
    case keys::Table::parked:
      return as_record(decode_copy(value, id, parsed->event), "parked event" + of_event);
    case keys::Table::dead_letter:
      return as_record(model::decode_dead_letter(key, value, id, parsed->event),
                       "dead letter" + of_event);
    case keys::Table::due:
      return as_record(model::decode_due(key, value, id, parsed->event, parsed->due),
                       "due time" + of_event);
    case keys::Table::state:
      return as_record(
          model::decode_state(key, value, std::string(parsed->name), std::string(parsed->key)),
          "user state");
    case keys::Table::ordering_key:
      return as_record(model::decode_ordering_key(key, value, std::string(parsed->key)),
                       "ordering key");
    case keys::Table::idempotency: return decode_idempotency_record(key, value);
    case keys::Table::operation: return decode_operation_record(key, value);
    case keys::Table::cancel: return decode_cancel_record(key, value);
    case keys::Table::meta: return decode_meta_record(key, value);
  }
  return Status(StatusCode::internal, "a table without a decoder");
}

}  // namespace holdfast::journal
