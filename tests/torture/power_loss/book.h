// SPDX-License-Identifier: MIT
#pragma once

// What a bus was asked for and what it told, over any number of power losses, and the comparison of
// that with what is there after each of them.

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "holdfast/holdfast.h"

namespace holdfast::testing {

/// What an event is in the history. Its type is that name.
enum class EventKind : std::uint32_t {
  work,    ///< Of "count", which answers in a tx, and of "audit".
  drop,    ///< Of "count", after an hour: to be cancelled before.
  step,    ///< Of "count": a member of an operation.
  follow,  ///< Of "follow": what "count" publishes in its tx.
  rare,    ///< Of nobody.
};
const char* type_of(EventKind kind);

/// Its subscriptions.
enum Consumer : std::uint32_t { kCount, kAudit, kFollow, kConsumers };
/// Those that are owed an event of that kind.
[[nodiscard]] std::vector<Consumer> consumers_of(EventKind kind);

/// What a payload begins with.
struct EventBody {
  std::uint64_t key = 0;    ///< No two events have the same.
  std::uint64_t batch = 0;  ///< The key of the first of its batch; 0 = published alone.
  std::uint32_t batch_size = 0;
  EventKind kind = EventKind::work;
  std::uint64_t once = 0;       ///< Its idempotency key; 0 = none.
  std::uint64_t has_state = 0;  ///< 1 = its batch writes user state as well.
};
std::string encode_body(const EventBody& body, std::size_t padding);
/// Nothing when a byte is not what it was.
std::optional<EventBody> decode_body(Bytes payload);

inline constexpr std::uint64_t kFollowBit = std::uint64_t{1} << 63U;
/// Whether the tx of "count" publishes a follow-up to the event with this key, which has
/// `kFollowBit` in its own.
[[nodiscard]] inline bool is_followed(std::uint64_t key) { return key % 4 == 0; }

class PowerBook {
 public:
  struct Figures {
    std::uint64_t events = 0;            ///< Seen in the journal after a power loss.
    std::uint64_t durable_receipts = 0;  ///< Checked after a power loss.
    std::uint64_t os_receipts = 0;
    std::uint64_t os_receipts_lost = 0;
    std::uint64_t settled = 0;  ///< Told by `on_settled`.
    std::uint64_t cancelled = 0;
    std::uint64_t batches = 0;  ///< Found whole, or not at all.
    std::uint64_t duplicates = 0;
    std::uint64_t operations = 0;
    std::uint64_t commits = 0;
    std::uint64_t violations = 0;
  };

  /// Told of everything that must not be.
  explicit PowerBook(std::function<void(const std::string&)> tell) : tell_(std::move(tell)) {}

  // --- What happens; from any thread ---
  void receipt(const EventBody& body, const Receipt& receipt, Durability durability);
  void duplicate(const EventBody& body, const Receipt& receipt);
  void cancel_begins(EventId id);
  void cancelled(const CancelReceipt& receipt);
  void token_made(TokenId id);
  void token_cancel_begins(TokenId id);
  void token_cancelled(TokenId id);
  void operation(const BatchReceipt& receipt);
  void delivered(Consumer consumer, const EventView& event);
  void answered(Consumer consumer, EventId id);
  void settled(Consumer consumer, EventId id, Settled how);
  void violation(const std::string& what);

  // --- Between power losses; with nothing going on ---
  /// Compares it with the journal, in which no handler is at work yet.
  /// `power_was_lost`: since the last time, so that something may be gone.
  void check(Bus& bus, bool power_was_lost);
  /// When everything that could be handled was.
  void check_end(Bus& bus);

  [[nodiscard]] const Figures& figures() const { return figures_; }

 private:
  struct Known {
    EventBody body;
    CommitNumber commit;
    OperationId operation;
    bool is_known = false;  ///< By its body; before that only by its id.
    bool has_receipt = false;
    bool is_durable = false;
    bool was_cancelled = false;  ///< Somebody began to.
    bool is_prevented = false;   ///< And was told so.
    bool is_gone = false;        ///< Trimmed, once it was settled.
    bool is_lost = false;
    std::array<bool, kConsumers> answered{};
    std::array<bool, kConsumers> settled{};
    std::array<bool, kConsumers> acked{};
  };
  struct Found {
    EventBody body;
    CommitNumber commit;
    EventState state = EventState::ready;
  };
  using FoundEvents = std::unordered_map<EventId, Found>;
  struct Once {
    EventId first;
    bool is_known = false;
  };
  struct Token {
    bool may_be_cancelled = false;
    bool is_cancelled = false;
  };
  struct Batch {
    std::uint32_t size = 0;
    std::uint32_t present = 0;
    bool has_state = false;
    bool is_lost = false;
  };

  // Under the lock.
  void violate(const std::string& what);
  Known& know(EventId id, const EventBody& body, CommitNumber commit);
  void note_durable(CommitNumber commit) { durable_ = std::max(durable_, commit); }
  void note_once(const EventBody& body, EventId id);

  FoundEvents scan(Bus& bus);
  void check_recovery(const RecoveryReport& report, bool power_was_lost);
  [[nodiscard]] bool is_in_lost_range(EventId id) const;
  [[nodiscard]] bool may_be_gone(Bus& bus, const Known& known) const;
  void check_live(Bus& bus, const FoundEvents& found);
  void check_lost(EventId id, Known& known, CommitNumber newest);
  void check_found(EventId id, const Known& known, const Found& found);
  void check_batches(Bus& bus);
  void check_tx(Bus& bus);
  void check_tokens(Bus& bus);
  void check_operations(Bus& bus);

  const std::function<void(const std::string&)> tell_;
  mutable std::mutex mutex_;  // guards everything below
  Figures figures_;
  std::unordered_map<EventId, Known> known_;
  std::unordered_map<std::uint64_t, EventId> ids_;    // by key
  std::unordered_set<EventId> live_;                  // neither gone nor lost
  std::unordered_set<EventId> touched_;               // answered by "count" since the last check
  std::unordered_map<std::uint64_t, Batch> batches_;  // of events that have come since then
  std::unordered_map<std::uint64_t, Once> once_;
  std::unordered_map<std::uint64_t, Token> tokens_;
  std::unordered_map<std::uint64_t, std::vector<EventId>> operations_;
  std::unordered_map<std::uint64_t, OperationState> operation_states_;
  std::vector<RecoveryReport::LostRange> lost_;
  CommitNumber durable_;  // some promise rests on it
  CommitNumber newest_;   // anybody has been told of
  CommitNumber floor_;    // what is new now is above it
};

}  // namespace holdfast::testing
