// SPDX-License-Identifier: MIT
// What a quiet round says: nobody is owed anything, so every event has exactly the effect that it
// has to have.

#include "holdfast/operation.h"
#include "holdfast/subscription.h"
#include "holdfast/token.h"
#include "torture/kill/book.h"

namespace holdfast::torture {

void Book::note_dead(const Note& note) {
  auto* event = find(note.id());
  if (event == nullptr) {
    check(9, false,
          to_string(note.id()) + " is a dead letter of " + std::string(name_of(note.sub)) +
              ", and nobody published it");
    return;
  }
  event->sides[side_of(note.sub)].is_dead = true;
  check(9, may_die(*event), name(keys_[note.id()], *event) + " is a dead letter");
}

void Book::note_count(const Note& note) {
  auto* event = find_key(note.key, note.kind == Note::Kind::effect ? "an effect" : "a clean-up");
  if (event == nullptr) return;
  auto& side = event->sides[side_of(note.sub)];
  (note.kind == Note::Kind::effect ? side.effects : side.undone) = note.number;
  check(2, note.number == 1,
        name(note.key, *event) + " had its effect on " + std::string(name_of(note.sub)) + " " +
            std::to_string(note.number) + " times");
}

void Book::note_quiet() {
  ++figures_.quiet;
  for (const auto& [key, event] : events_) {
    if (event.is_refused || event.is_doomed) continue;
    if (!check(1, event.is_found, name(key, event) + " is nowhere")) continue;
    switch (event.type) {
      case Type::cancellable: check_cancelled(key, event); break;
      case Type::fussy: check_fussy(key, event); break;
      case Type::poison:
        check(9, event.sides[0].is_dead && event.sides[0].effects == 0,
              name(key, event) + " ends the process, and is no dead letter");
        break;
      case Type::member: break;  // by operation
      default: check_settled(key, event);
    }
  }
  check_groups();
  events_.clear();
  keys_.clear();
  early_.clear();
  ended_.clear();
  may_undo_.clear();
  quiet_round_ = judge_->round();
}

void Book::check_settled(std::uint64_t key, const Event& event) {
  for (std::size_t i = 0; i < sides_of(event.type); ++i) {
    const auto& side = event.sides[i];
    const auto who = name(key, event) + ", subscription " + std::to_string(i) + ": ";
    if (event.type == Type::expiring) {
      check(8, side.settled != static_cast<std::int8_t>(Settled::expired) || side.effects == 0,
            who + "it has expired, and had its effect");
      check(4, side.settled != static_cast<std::int8_t>(Settled::acked) || side.effects == 1,
            who + "it was acked, and had no effect");
      continue;
    }
    check(1, side.effects == 1, who + "it never had its effect");
    check(2, side.undone == 0, who + "it was undone");
    check(9, !side.is_dead, who + "it is dead");
  }
  if (event.type == Type::work && key % kFollowEvery == 0) {
    const auto follow = events_.find(key | kFollowBit);
    check(2, follow != events_.end() && follow->second.is_found,
          name(key, event) + ": its follow-up is missing");
  }
}

void Book::check_cancelled(std::uint64_t key, const Event& event) {
  const auto& side = event.sides[0];
  const auto who = name(key, event) + " (effects " + std::to_string(side.effects) + ", undone " +
                   std::to_string(side.undone) + ", deliveries " + std::to_string(side.deliveries) +
                   ", special " + std::to_string(event.special) + ", cancel " +
                   std::to_string(event.cancel) + " in round " +
                   std::to_string(event.cancel_round) + (side.is_suspect ? ", suspected" : "") +
                   "): ";
  check(3, side.effects + side.undone <= 1, who + "it is done, and was cleaned up");
  if (!event.is_cancel_asked) {
    check(3, side.effects == 1, who + "nobody cancelled it, and it had no effect");
    return;
  }
  if (event.cancel == static_cast<std::int8_t>(CancelOutcome::too_late)) {
    check(3, side.effects == 1 && side.undone == 0, who + "it was too late to cancel it");
  } else if (event.cancel >= 0) {
    check(3, side.effects == 0, who + "it was cancelled, and had its effect");
  }
  if (side.is_begun && side.effects == 0) {
    check(3, side.undone == 1, who + "it was begun and cancelled, and nobody cleaned up");
  }
}

void Book::check_fussy(std::uint64_t key, const Event& event) {
  const auto& side = event.sides[0];
  check(9, side.effects == 1 && !side.is_dead,
        name(key, event) + " was redriven, and did not have its effect");
}

void Book::check_groups() {
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> operations;
  for (const auto& [key, event] : events_) {
    if (event.type == Type::member && event.is_found) operations[event.operation].push_back(key);
  }
  for (const auto& [id, members] : operations) check_operation(id, members);
}

void Book::check_operation(std::uint64_t id, const std::vector<std::uint64_t>& members) {
  bool is_all_done = true;
  bool is_all_undone = true;
  bool has_to_fail = false;
  std::string who = "operation " + std::to_string(id) + ":";
  for (const auto key : members) {
    const auto& event = events_.at(key);
    const auto& side = event.sides[0];
    is_all_done = is_all_done && side.effects == 1 && side.undone == 0;
    is_all_undone = is_all_undone && (side.effects == 0 || side.undone == 1);
    has_to_fail = has_to_fail || (event.special & kRejects) != 0;
    who += " [" + name(key, event) + ", effects " + std::to_string(side.effects) + ", undone " +
           std::to_string(side.undone) + "]";
  }
  check(6, is_all_done || is_all_undone, who + " is between done and undone");
  check(6, !has_to_fail || is_all_undone, who + " has a member that was rejected, and is done");
  const auto& first = events_.at(members.front());
  check(6, is_all_done || has_to_fail || may_undo_.contains(first.group),
        who + " was undone, and nobody asked");
  const auto state = ended_.find(id);
  if (state == ended_.end()) return;
  const auto ended = static_cast<OperationState>(state->second);
  check(6,
        (ended == OperationState::committed && is_all_done) ||
            (ended == OperationState::rolled_back && is_all_undone),
        who + " is told to be " + std::string(to_string(ended)));
}

}  // namespace holdfast::torture
