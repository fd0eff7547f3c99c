// SPDX-License-Identifier: MIT
// State records of operations: the part of state_codec.h that is theirs.
#include <string>

#include "base/status_or.h"
#include "model/sealed.h"
#include "model/state_codec.h"
#include "state_generated.h"

namespace holdfast::model {

std::string encode(const OperationRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  const auto reason = record.reason.empty() ? 0 : put_text(builder, record.reason);
  builder.Finish(schema::CreateOperation(
      builder, static_cast<std::uint8_t>(record.state), record.sequential, record.sealed,
      record.members, record.begun_at, record.ended_at, record.ended_bus, record.deadline, reason));
  return seal(builder, key);
}

Result<OperationRecord> decode_operation(std::string_view key, std::string_view value,
                                         OperationId id) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Operation>::open("operation", key, value));
  if (table->state() > static_cast<std::uint8_t>(OperationState::rollback_failed)) {
    return damaged("operation", "is in no state that there is");
  }
  return OperationRecord{.id = id,
                         .state = static_cast<OperationState>(table->state()),
                         .sequential = table->sequential(),
                         .sealed = table->sealed(),
                         .members = table->members(),
                         .begun_at = table->begun_at(),
                         .ended_at = table->ended_at(),
                         .ended_bus = table->ended_bus(),
                         .deadline = table->deadline(),
                         .reason = std::string(text_of(table->reason()))};
}

std::string encode(const MemberRecord& record, std::string_view key) {
  auto& builder = reused_builder();
  builder.Finish(schema::CreateMember(builder, static_cast<std::uint8_t>(record.event.priority),
                                      record.event.sequence, record.token.value,
                                      static_cast<std::uint8_t>(record.state), record.done_at,
                                      record.undone_at));
  return seal(builder, key);
}

Result<MemberRecord> decode_member(std::string_view key, std::string_view value,
                                   OperationId operation, std::uint32_t index) {
  HOLDFAST_ASSIGN(const auto table, Opened<schema::Member>::open("member", key, value));
  if (table->lane() >= kLaneCount || table->sequence() == 0 ||
      table->state() > static_cast<std::uint8_t>(MemberState::undone)) {
    return damaged("member", "holds an impossible value");
  }
  return MemberRecord{.operation = operation,
                      .index = index,
                      .event = {static_cast<Priority>(table->lane()), table->sequence()},
                      .token = {table->token()},
                      .state = static_cast<MemberState>(table->state()),
                      .done_at = table->done_at(),
                      .undone_at = table->undone_at()};
}

}  // namespace holdfast::model
