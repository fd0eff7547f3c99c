// SPDX-License-Identifier: MIT
#pragma once

// The judge of a driver that is killed. It hears what the driver intended, what it was promised and
// what its handlers saw, over all its lives, and what each of them found in the journal; and says
// where that breaks a promise. It knows nothing of how the bus works.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "holdfast/torture.h"
#include "torture/kill/note.h"

namespace holdfast::torture {

/// Promises by their number in docs/durability.md, 1 to 14.
inline constexpr std::size_t kPromises = 14;

class Book {
 public:
  void hear(Judge& judge, const Note& note);
  void end_round(Judge& judge, Ending ending);

  // What the next life has to know.
  /// From where on the journal has not been looked at.
  [[nodiscard]] std::uint64_t next(Priority lane) const {
    return next_[static_cast<std::size_t>(lane)];
  }
  /// Of events with an idempotency key: those of which nobody knows whether they are there.
  [[nodiscard]] std::vector<std::uint64_t> unresolved_once() const;

  /// A quiet round has seen the end of it.
  [[nodiscard]] bool is_over(std::uint64_t key) const;

  struct Figures {
    std::uint64_t intents = 0;
    std::uint64_t receipts = 0;
    std::uint64_t found = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t settled = 0;
    std::uint64_t suspects = 0;
    std::uint64_t quiet = 0;       ///< Rounds at whose end everything was compared.
    std::uint64_t kills = 0;       ///< Once the work had begun.
    std::uint64_t busy_kills = 0;  ///< Of them with publishes unresolved and handlers running.
    std::array<std::uint64_t, kFeatures> features{};
    std::array<std::uint64_t, kPromises + 1> checks{};  ///< By promise.
  };
  [[nodiscard]] const Figures& figures() const noexcept { return figures_; }

 private:
  /// How an event stands with one subscription.
  struct Side {
    std::uint32_t deliveries = 0;
    std::uint32_t failures = 0;  ///< Answers that count as a failed attempt, and suspicions.
    std::int8_t settled = -1;    ///< The last that `on_settled` told; -1 = nothing.
    bool is_running = false;
    bool is_suspect = false;
    bool is_dead = false;
    bool is_begun = false;           ///< The bus has to know that a handler has begun on it.
    std::uint64_t round = 0;         ///< Of the last delivery.
    std::uint32_t after_cancel = 0;  ///< Deliveries in the round of its cancel, after it.
    std::uint64_t effects = 0;
    std::uint64_t undone = 0;
  };
  struct Event {
    Type type = Type::work;
    std::uint32_t special = 0;
    std::uint64_t group = 0;
    std::uint32_t size = 1;
    std::uint64_t round = 0;
    std::uint64_t untold = 0;  ///< `untold_opens_` at its beginning.
    bool is_doomed = false;    ///< It has to be refused.
    bool is_refused = false;
    bool has_receipt = false;
    bool is_found = false;
    bool is_open = false;  ///< Asked for in this life, and not answered.
    EventId id{Priority::normal, 0};
    std::uint64_t commit = 0;
    std::uint64_t operation = 0;
    bool is_cancel_asked = false;
    std::int8_t cancel = -1;         ///< The `CancelOutcome`; -1 = none known.
    std::uint64_t cancel_round = 0;  ///< In which that was told.
    std::array<Side, kSidesMax> sides{};
  };
  using Events = std::unordered_map<std::uint64_t, Event>;

  /// Counts a check of `promise`, and reports what breaks it.
  bool check(std::size_t promise, bool holds, const std::string& what);
  [[nodiscard]] std::string name(std::uint64_t key, const Event& event) const;
  [[nodiscard]] static bool may_die(const Event& event);
  Event* find(EventId id);
  Event* find_key(std::uint64_t key, const char* what);
  void bind(std::uint64_t key, Event& event, EventId id, std::uint64_t commit);

  void intend(const Note& note);
  void confirm(const Note& note);
  void refuse(const Note& note);
  void note_cancel(const Note& note);
  void note_opened(const Note& note);
  void note_suspect(const Note& note);
  void note_found(const Note& note);
  void note_scanned();
  void note_pause(const Note& note, bool is_paused);
  void note_delivered(const Note& note);
  void check_delivery(const Note& note, const Event& event, const Side& side);
  void check_order(const Note& note, const Event& event, const Side& side);
  void note_answered(const Note& note);
  void note_settled(const Note& note);

  // At the end of a quiet round (book_quiet.cc).
  void note_dead(const Note& note);
  void note_count(const Note& note);
  void note_quiet();
  void check_settled(std::uint64_t key, const Event& event);
  void check_cancelled(std::uint64_t key, const Event& event);
  void check_fussy(std::uint64_t key, const Event& event);
  void check_groups();
  void check_operation(std::uint64_t group, const std::vector<std::uint64_t>& members);

  Judge* judge_ = nullptr;  // of the note that is being heard
  Figures figures_;
  Events events_;  // since the last quiet round
  std::unordered_map<EventId, std::uint64_t> keys_;
  std::unordered_map<EventId, std::vector<Note>> early_;  // told of before its key was
  std::array<std::uint64_t, kLaneCount> next_{{1, 1, 1, 1}};
  std::unordered_map<std::uint64_t, std::uint8_t> ended_;  // operation -> its state
  std::unordered_set<std::uint64_t> may_undo_;             // groups told to roll back
  std::uint64_t quiet_round_ = 0;  // what was intended up to here is over and done with

  // Opens that were killed before they could tell whom they suspect, and count.
  std::uint64_t untold_opens_ = 0;

  // Of the life that goes on.
  bool is_scanned_ = false;  // suspects and all that is there were told
  std::uint64_t open_intents_ = 0;
  std::array<std::uint32_t, kSubs> running_{};
  std::array<std::uint64_t, kLaneCount> last_ordered_{};
  std::array<bool, 2> is_paused_{};  // the subscription, the type
  std::array<std::uint64_t, 2> paused_round_{};
  std::array<std::uint32_t, 2> after_pause_{};
  std::unordered_map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> last_of_key_;
  bool was_closed_ = false;  // the life before
};

}  // namespace holdfast::torture
