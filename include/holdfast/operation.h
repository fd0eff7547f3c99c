// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/event.h"
#include "holdfast/export.h"
#include "holdfast/options.h"
#include "holdfast/receipt.h"
#include "holdfast/result.h"
#include "holdfast/status.h"
#include "holdfast/types.h"

namespace holdfast {

namespace runtime {
struct EngineLink;
class Engine;
}  // namespace runtime

/// "operation:42"; and back: nothing for any other text, also for number 0.
[[nodiscard]] HOLDFAST_EXPORT std::string to_string(OperationId id);
[[nodiscard]] HOLDFAST_EXPORT std::optional<OperationId> parse_operation_id(
    std::string_view text) noexcept;

/// Where an operation stands:
///
///     open ──► committed
///       └────► rolling_back ──► rolled_back
///                  ▲  └───────► rollback_failed
///                  └── redrive ──────┘
///
/// On disk since format 4; never renumber.
enum class OperationState : std::uint8_t {
  open = 0,             ///< Its members are being worked on, or more may be added.
  committed = 1,        ///< Sealed, and every member is done. Nothing is undone any more.
  rolling_back = 2,     ///< What its members have done is being undone, from the last to the first.
  rolled_back = 3,      ///< All of it is undone.
  rollback_failed = 4,  ///< A compensation has used up its attempts, or was rejected: it is a dead
                        ///< letter, and with `Bus::redrive` rolling back goes on.
};
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(OperationState state) noexcept;

/// Where a member of an operation stands. On disk since format 4; never renumber.
enum class MemberState : std::uint8_t {
  pending = 0,       ///< Not settled yet by every durable subscription that wants it; or by none.
  done = 1,          ///< Acknowledged, or skipped, by all of them.
  compensating = 2,  ///< It is being undone, or a handler that has it has still to return.
  undone = 3,        ///< Nothing of it is left to undo: it was compensated, or never begun.
};
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(MemberState state) noexcept;

/// How an operation is made.
struct OperationOptions {
  /// If it is not committed by then it is rolled back, with the reason "deadline passed". Measured
  /// as `TokenOptions::timeout`. 0 = none; at most 365 days, and not negative. While it is rolled
  /// back no deadline holds.
  std::chrono::nanoseconds deadline = std::chrono::hours(24);
  /// Each member is given out once the one before it is done. False: all at once.
  bool sequential = true;
};

/// An operation as it stands.
struct OperationInfo {
  OperationId id;
  OperationState state = OperationState::open;
  bool sequential = true;
  bool sealed = false;    ///< Nothing can be added any more.
  std::string reason;     ///< Why it is, or was, rolled back, and what has failed then.
  WallTime begun_at = 0;  ///< As the wall clock was then; so are the others.
  WallTime deadline = 0;  ///< As the wall clock will be, if nobody sets it; 0 = none.
  WallTime ended_at = 0;  ///< When it was committed or rolled back, or this failed; 0 = not yet.
  struct Member {
    EventId event;
    MemberState state = MemberState::pending;
    WallTime done_at = 0;    ///< 0 = it never was.
    WallTime undone_at = 0;  ///< 0 = it is not.
  };
  std::vector<Member> members;  ///< In their order.
};

/// A composite that is built step by step, by `Bus::begin_operation`: its members (events) succeed
/// together, or what they have done is undone (docs/operations.md). Found again by its id with
/// `Bus::find_operation`, also after a restart.
///
/// A small value. Copies are the same operation; destroying one changes nothing. May outlive the
/// bus: then its calls fail with `unavailable`. Threads: any. Its calls block for one commit, and
/// may be made inside a handler.
class HOLDFAST_EXPORT Operation {
 public:
  /// No operation: its calls fail with `invalid_argument`.
  Operation() noexcept = default;

  [[nodiscard]] OperationId id() const noexcept { return id_; }
  [[nodiscard]] explicit operator bool() const noexcept { return id_.value != 0; }

  /// Publishes `event` as its next member. As `Bus::publish`; a duplicate
  /// (`Event::idempotency_key`) is no new member. Fails beside that with `conflict` (it is sealed,
  /// or does not stand open any more), `not_found` (forgotten by now), `resource_exhausted`
  /// (`kOperationMembersMax`, `Limits::operation_members_max`); nothing is written then.
  Result<Receipt> add(const Event& event, const PublishOptions& options = {});
  /// Nothing more is added: it is committed once every member is done. Durable when it returns.
  /// Sealing twice is fine. Fails with `conflict` when it is rolled back, `not_found`.
  Status seal();
  /// Undoes it, as when a member had failed. Durable when it returns: that it goes back, not that
  /// it has; see `Bus::wait_settled`. Doing so twice is fine. Fails with `conflict` when it is
  /// committed, `not_found`. `reason` is kept, its first `kReasonBytesMax` bytes.
  Status roll_back(std::string_view reason = {});

  friend bool operator==(const Operation& a, const Operation& b) noexcept { return a.id_ == b.id_; }

 private:
  friend class runtime::Engine;
  Operation(OperationId id, std::shared_ptr<runtime::EngineLink> link) noexcept
      : id_(id), link_(std::move(link)) {}
  OperationId id_;
  std::shared_ptr<runtime::EngineLink> link_;
};

}  // namespace holdfast
