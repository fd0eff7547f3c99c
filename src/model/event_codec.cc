// SPDX-License-Identifier: MIT
#include "model/event_codec.h"

#include <flatbuffers/flatbuffers.h>

#include "event_generated.h"
#include "model/flatbuffer.h"

namespace holdfast {

/// Lets the codec make what only reads here.
struct EventViewAccess {
  static MetadataView metadata(const schema::Event* event) noexcept { return MetadataView(event); }
};

namespace {

const schema::Event* event_of(const void* record) {
  return static_cast<const schema::Event*>(record);
}

}  // namespace

std::size_t MetadataView::size() const noexcept {
  if (record_ == nullptr) return 0;
  const auto* entries = event_of(record_)->metadata();
  return entries == nullptr ? 0 : entries->size();
}

MetadataPair MetadataView::operator[](std::size_t index) const noexcept {
  const auto* entry =
      event_of(record_)->metadata()->Get(static_cast<flatbuffers::uoffset_t>(index));
  return {model::text_of(entry->key()), model::text_of(entry->value())};
}

std::optional<std::string_view> MetadataView::find(std::string_view key) const noexcept {
  for (std::size_t i = 0; i < size(); ++i) {
    const auto entry = (*this)[i];
    if (entry.first == key) return entry.second;
  }
  return std::nullopt;
}

OwnedEvent EventView::to_owned() const {
  OwnedEvent owned{.type = std::string(type),
                   .payload = std::string(payload_text()),
                   .content_type = std::string(content_type),
                   .priority = id.priority,
                   .source_kind = source.kind,
                   .source_name = std::string(source.name),
                   .metadata = {},
                   .timestamp = timestamp,
                   .not_before = not_before,
                   .expires_at = expires_at,
                   .token = token,
                   .ordering_key = std::string(ordering_key),
                   .idempotency_key = std::string(idempotency_key)};
  owned.metadata.reserve(metadata.size());
  for (std::size_t i = 0; i < metadata.size(); ++i) owned.metadata.emplace_back(metadata[i]);
  return owned;
}

namespace model {

std::string_view encode_event(const Event& event, WallTime timestamp, OperationId operation) {
  auto& builder = reused_builder();
  std::vector<flatbuffers::Offset<schema::KeyValue>> pairs;
  pairs.reserve(event.metadata.size());
  for (const auto& [key, value] : event.metadata) {
    const auto key_at = put_text(builder, key);
    const auto value_at = put_text(builder, value);
    pairs.push_back(schema::CreateKeyValue(builder, key_at, value_at));
  }
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<schema::KeyValue>>> metadata;
  if (!pairs.empty()) metadata = builder.CreateVector(pairs);
  const auto content_type = event.content_type.empty() ? 0 : put_text(builder, event.content_type);
  const auto source_name = event.source.name.empty() ? 0 : put_text(builder, event.source.name);
  const auto ordering_key = event.ordering_key.empty() ? 0 : put_text(builder, event.ordering_key);
  const auto idempotency_key =
      event.idempotency_key.empty() ? 0 : put_text(builder, event.idempotency_key);
  const auto type = put_text(builder, event.type);
  const auto payload = put_aligned_bytes(builder, event.payload.bytes);

  schema::EventBuilder out(builder);
  out.add_timestamp(event.timestamp != 0 ? event.timestamp : timestamp);
  out.add_type(type);
  out.add_payload(payload);
  if (!event.content_type.empty()) out.add_content_type(content_type);
  if (!event.source.name.empty()) out.add_source_name(source_name);
  if (!pairs.empty()) out.add_metadata(metadata);
  out.add_source_kind(static_cast<std::uint8_t>(event.source.kind));
  // What is left at its default is not stored.
  out.add_not_before(event.not_before);
  out.add_expires_at(event.expires_at);
  out.add_token(event.token.value);
  if (!event.ordering_key.empty()) out.add_ordering_key(ordering_key);
  if (!event.idempotency_key.empty()) out.add_idempotency_key(idempotency_key);
  out.add_operation(operation.value);
  builder.Finish(out.Finish());
  return finished(builder);
}

bool verify_event(std::string_view record) {
  auto verifier = verifier_of(record);
  if (!verifier.VerifyBuffer<schema::Event>(nullptr)) return false;
  const auto* event = flatbuffers::GetRoot<schema::Event>(record.data());
  return event->type()->size() > 0 &&
         event->source_kind() <= static_cast<std::uint8_t>(SourceKind::external);
}

EventView read_event(std::string_view record) noexcept {
  const auto* event = flatbuffers::GetRoot<schema::Event>(record.data());
  EventView view;
  view.type = text_of(event->type());
  if (const auto* payload = event->payload(); payload != nullptr) {
    view.payload = {reinterpret_cast<const std::byte*>(payload->data()), payload->size()};
  }
  view.timestamp = event->timestamp();
  view.content_type = text_of(event->content_type());
  view.source = {static_cast<SourceKind>(event->source_kind()), text_of(event->source_name())};
  view.metadata = EventViewAccess::metadata(event);
  view.not_before = event->not_before();
  view.expires_at = event->expires_at();
  view.token = {event->token()};
  view.ordering_key = text_of(event->ordering_key());
  view.idempotency_key = text_of(event->idempotency_key());
  view.operation_id = {event->operation()};
  return view;
}

std::string_view read_event_type(std::string_view record) noexcept {
  return text_of(flatbuffers::GetRoot<schema::Event>(record.data())->type());
}

bool is_conditional_event(std::string_view record) noexcept {
  const auto* event = flatbuffers::GetRoot<schema::Event>(record.data());
  return event->not_before() != 0 || event->expires_at() != 0 || event->token() != 0 ||
         event->operation() != 0;
}

}  // namespace model
}  // namespace holdfast
