// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "model/commit.h"
#include "model/records.h"

namespace holdfast::model {

// State records as bytes: a FlatBuffer (schemas/state.fbs, commit.fbs), padded to a multiple of 8,
// and the checksum of it seeded with the checksum of its key, so that a record that turns up under
// another key is found out. What is part of the key (subscription, event, name) is not repeated in
// the value; the decoders take it from the caller, who has read the key.
//
// Decoding verifies everything and fails with `data_loss`. Encoders return a string that the store
// keeps.

[[nodiscard]] std::string encode(const SubscriptionRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const CursorRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const SettlementRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const DueRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const DeadLetterRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const RetentionMark& mark, std::string_view key);
[[nodiscard]] std::string encode(const LostRange& range, std::string_view key);
[[nodiscard]] std::string encode(const TokenRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const TombstoneRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const OrderingKeyRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const IdempotencyRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const IdempotencyUse& use, std::string_view key);
[[nodiscard]] std::string encode(const IdempotencyRange& range, std::string_view key);
[[nodiscard]] std::string encode(const OperationRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const MemberRecord& record, std::string_view key);
[[nodiscard]] std::string encode(const PausedTypesRecord& record, std::string_view key);
[[nodiscard]] std::string encode_state(std::string_view value, CommitNumber version,
                                       std::string_view key);

Result<SubscriptionRecord> decode_subscription(std::string_view key, std::string_view value);
Result<CursorRecord> decode_cursor(std::string_view key, std::string_view value,
                                   SubscriptionId subscription, Priority lane);
Result<SettlementRecord> decode_settlement(std::string_view key, std::string_view value,
                                           SubscriptionId subscription, EventId event);
Result<DueRecord> decode_due(std::string_view key, std::string_view value,
                             SubscriptionId subscription, EventId event, DueTime due);
Result<DeadLetterRecord> decode_dead_letter(std::string_view key, std::string_view value,
                                            SubscriptionId subscription, EventId event);
Result<RetentionMark> decode_retention_mark(std::string_view key, std::string_view value,
                                            Priority lane, Sequence sequence);
Result<LostRange> decode_lost_range(std::string_view key, std::string_view value, Priority lane);
Result<TokenRecord> decode_token(std::string_view key, std::string_view value, TokenId id);
Result<TombstoneRecord> decode_tombstone(std::string_view key, std::string_view value,
                                         EventId event);
Result<OrderingKeyRecord> decode_ordering_key(std::string_view key, std::string_view value,
                                              std::string ordering_key);
Result<IdempotencyRecord> decode_idempotency(std::string_view key, std::string_view value,
                                             std::string idempotency_key);
Result<IdempotencyUse> decode_idempotency_use(std::string_view key, std::string_view value,
                                              std::uint64_t number);
Result<IdempotencyRange> decode_idempotency_range(std::string_view key, std::string_view value);
Result<OperationRecord> decode_operation(std::string_view key, std::string_view value,
                                         OperationId id);
Result<MemberRecord> decode_member(std::string_view key, std::string_view value,
                                   OperationId operation, std::uint32_t index);
Result<PausedTypesRecord> decode_paused_types(std::string_view key, std::string_view value);
Result<StateRecord> decode_state(std::string_view key, std::string_view value, std::string name,
                                 std::string state_key);

/// What each commit says of itself: everything of a `Commit` but its operations.
[[nodiscard]] std::string encode_meta(const Commit& commit, std::string_view key);
Result<Commit> decode_meta(std::string_view key, std::string_view value);

using Uuid = std::array<std::byte, 16>;
[[nodiscard]] std::string to_string(const Uuid& uuid);

/// What a journal says of itself, once.
struct JournalMeta {
  std::uint32_t format = 0;
  Uuid uuid{};
  WallTime created_at = 0;
};
[[nodiscard]] std::string encode(const JournalMeta& meta, std::string_view key);
Result<JournalMeta> decode_journal_meta(std::string_view key, std::string_view value);

}  // namespace holdfast::model
