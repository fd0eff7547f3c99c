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

#include "holdfast/export.h"
#include "holdfast/types.h"

namespace holdfast {

namespace runtime {
struct EngineLink;
class Engine;
}  // namespace runtime

/// The number of a cancellation token: it can be kept anywhere and outlives the process. 0 = none.
using TokenId = StrongNumber<struct TokenIdTag>;

/// "token:42"; and back: nothing for any other text, also for number 0.
[[nodiscard]] HOLDFAST_EXPORT std::string to_string(TokenId id);
[[nodiscard]] HOLDFAST_EXPORT std::optional<TokenId> parse_token_id(std::string_view text) noexcept;

/// One handle over one or many events: `Bus::cancel` cancels all that was published under it, and
/// refuses what comes later. Made by `Bus::make_token` for any number of events, or by
/// `Bus::publish_cancellable` for a single one; found again by its id with `Bus::token`, also after
/// a restart.
///
/// A small value. Copies are the same token; destroying one changes nothing. May outlive the bus.
/// Threads: any.
class HOLDFAST_EXPORT CancellationToken {
 public:
  /// No token: nothing can be cancelled with it.
  CancellationToken() noexcept = default;

  [[nodiscard]] TokenId id() const noexcept { return id_; }
  /// For `Event::token`.
  operator TokenId() const noexcept { return id_; }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] explicit operator bool() const noexcept { return id_.value != 0; }
  /// Whether it is cancelled, by a commit that may still be on its way to the disk. False for no
  /// token, for one that is forgotten by now, and once the bus is closed. Does not block.
  [[nodiscard]] bool cancelled() const;

  friend bool operator==(const CancellationToken& a, const CancellationToken& b) noexcept {
    return a.id_ == b.id_;
  }

 private:
  friend class runtime::Engine;
  CancellationToken(TokenId id, std::shared_ptr<runtime::EngineLink> link) noexcept
      : id_(id), link_(std::move(link)) {}
  TokenId id_;
  std::shared_ptr<runtime::EngineLink> link_;
};

[[nodiscard]] inline std::string to_string(const CancellationToken& token) {
  return to_string(token.id());
}

/// How a token is made.
struct TokenOptions {
  /// After so long it cancels itself, with the reason "timed out". Measured in the journal's own
  /// time, which goes on while the process is down and which setting the clock does not move. 0 =
  /// never; at most 365 days, and not negative. It cancels soon after that, not at the nanosecond:
  /// what is published under it in between is cancelled with the rest.
  std::chrono::nanoseconds timeout{0};
};

/// What a cancel meant for an event, decided in the order of commits.
enum class CancelOutcome : std::uint8_t {
  prevented = 0,  ///< No handler has it, and none will start on it any more.
  signalled = 1,  ///< Some handler has it: it is asked to stop, and its answer will be refused.
                  ///< Handlers of other subscriptions will not start on it.
  too_late = 2,   ///< Everyone who was owed it had ended it before. Nothing is changed by it.
};
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(CancelOutcome outcome) noexcept;

/// Single events in a `CancelReceipt` at most.
inline constexpr std::size_t kCancelEventsListed = 1'000;

struct CancelReceipt {
  /// Over all its events: signalled if any is, else prevented if any is, else too late. Of a token
  /// without events: prevented.
  CancelOutcome outcome = CancelOutcome::prevented;
  CommitNumber commit;             ///< The deciding one; durable. Of a cancel that changed
                                   ///< nothing: the newest before it.
  bool already_cancelled = false;  ///< By an earlier cancel or time-out; nothing was changed.
  std::uint64_t prevented = 0;     ///< Events, as the next two.
  std::uint64_t signalled = 0;
  std::uint64_t too_late = 0;

  struct Event {
    EventId id;
    CancelOutcome outcome = CancelOutcome::prevented;
  };
  /// Single events, at most `kCancelEventsListed`: all that were signalled, and the others of a
  /// token as far as its events lie close together (4,096 sequences and 4 MiB). `Bus::scan` finds
  /// the rest.
  std::vector<Event> events;
};

}  // namespace holdfast
