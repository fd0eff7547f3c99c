// SPDX-License-Identifier: MIT
#include "torture/kill/book.h"

#include <algorithm>
#include <utility>

#include "holdfast/delivery.h"
#include "holdfast/subscription.h"
#include "holdfast/token.h"

namespace holdfast::torture {

namespace {

using Kind = Note::Kind;

constexpr std::array<std::uint32_t, kSubs> kConcurrency = {3, 1, 20, 2, 4, 2, 3,
                                                           2, 2, 1,  1, 1, 1, 1};

constexpr std::size_t kSubscriptionPaused = 0;
constexpr std::size_t kTypePaused = 1;

std::uint32_t concurrency_of(Sub sub) { return kConcurrency[static_cast<std::size_t>(sub)]; }

}  // namespace

// --- Finding and saying -------------------------------------------------------------------------

bool Book::check(std::size_t promise, bool holds, const std::string& what) {
  ++figures_.checks[promise];
  if (!holds) {
    judge_->violation("4." + std::to_string(promise) + ", round " +
                      std::to_string(judge_->round()) + ": " + what);
  }
  return holds;
}

std::string Book::name(std::uint64_t key, const Event& event) const {
  auto text = std::string(name_of(event.type)) + " of round " + std::to_string(round_of(key)) +
              ", key " + std::to_string(key);
  if (event.id.sequence != 0) text += ", " + to_string(event.id);
  return text;
}

Book::Event* Book::find_key(std::uint64_t key, const char* what) {
  const auto found = events_.find(key);
  if (found != events_.end()) return &found->second;
  if (is_over(key)) {
    check(4, false,
          std::string(what) + " of key " + std::to_string(key) +
              ", which was over and done with in round " + std::to_string(quiet_round_));
  } else {
    check(1, false,
          std::string(what) + " of key " + std::to_string(key) + ", which nobody published");
  }
  return nullptr;
}

/// Whether somebody gives up on it.
bool Book::may_die(const Event& event) {
  return event.type == Type::poison || event.type == Type::fussy ||
         (event.type == Type::member && (event.special & kRejects) != 0);
}

Book::Event* Book::find(EventId id) {
  const auto key = keys_.find(id);
  if (key == keys_.end()) return nullptr;
  const auto event = events_.find(key->second);
  return event == events_.end() ? nullptr : &event->second;
}

/// The event of `key` is `id`, as somebody says. All who say so have to agree.
void Book::bind(std::uint64_t key, Event& event, EventId id, std::uint64_t commit) {
  if (event.id.sequence != 0) {
    check(8, event.id == id && (commit == 0 || event.commit == 0 || event.commit == commit),
          name(key, event) + " is now said to be " + to_string(id) + " in commit " +
              std::to_string(commit) + ", not " + std::to_string(event.commit));
    if (event.commit == 0) event.commit = commit;
    return;
  }
  const auto [at, is_new] = keys_.emplace(id, key);
  check(8, is_new,
        to_string(id) + " was given out for key " + std::to_string(at->second) + " and for key " +
            std::to_string(key));
  event.id = id;
  event.commit = commit;
  const auto early = early_.extract(id);
  if (early.empty()) return;
  for (const auto& note : early.mapped()) hear(*judge_, note);
}

bool Book::is_over(std::uint64_t key) const { return round_of(key) <= quiet_round_; }

std::vector<std::uint64_t> Book::unresolved_once() const {
  std::vector<std::uint64_t> keys;
  for (const auto& [key, event] : events_) {
    if (event.type == Type::once && !event.has_receipt) keys.push_back(key);
  }
  return keys;
}

void Book::hear(Judge& judge, const Note& note) {
  judge_ = &judge;
  switch (note.kind) {
    case Kind::opened: return note_opened(note);
    case Kind::suspect: return note_suspect(note);
    case Kind::found: return note_found(note);
    case Kind::scanned: return note_scanned();
    case Kind::intent: return intend(note);
    case Kind::receipt: return confirm(note);
    case Kind::refused: return refuse(note);
    case Kind::asked:
    case Kind::cancelled: return note_cancel(note);
    case Kind::undo: may_undo_.insert(note.group); return;
    case Kind::paused: return note_pause(note, true);
    case Kind::resuming: return note_pause(note, false);
    case Kind::did:
      ++figures_.features[note.what];
      // Told by a handler that has waited for its stop token, and got it.
      if (note.what == static_cast<std::uint8_t>(Feature::time_out)) ++figures_.checks[13];
      return;
    case Kind::memory:
      check(12, note.number <= note.group,
            "memory of " + std::to_string(note.number) + " bytes, over the budget of " +
                std::to_string(note.group));
      return;
    case Kind::delivered: return note_delivered(note);
    case Kind::answered: return note_answered(note);
    case Kind::settled: return note_settled(note);
    case Kind::redriving:
      for (auto& [key, event] : events_) {
        for (auto& side : event.sides) {
          if (event.type != Type::fussy) continue;
          if (side.settled == static_cast<std::int8_t>(Settled::dead)) side.settled = -1;
          side.is_dead = false;
        }
      }
      return;
    case Kind::dead: return note_dead(note);
    case Kind::effect:
    case Kind::undone: return note_count(note);
    case Kind::ended: ended_[note.number] = note.what; return;
    case Kind::quiet: return note_quiet();
  }
}

void Book::end_round(Judge& judge, Ending ending) {
  judge_ = &judge;
  if (ending == Ending::killed && is_scanned_) {
    ++figures_.kills;
    const bool is_running =
        std::any_of(running_.begin(), running_.end(), [](auto count) { return count != 0; });
    figures_.busy_kills += open_intents_ != 0 && is_running ? 1 : 0;
  }
  untold_opens_ += is_scanned_ ? 0 : 1;
  is_scanned_ = false;
  was_closed_ = ending == Ending::returned;
  open_intents_ = 0;
  running_ = {};
  last_ordered_ = {};
  // What was acked and not yet written is given again, and what came behind it once more.
  last_of_key_.clear();
  for (auto& [key, event] : events_) {
    event.is_open = false;
    for (auto& side : event.sides) {
      side.is_running = false;
      // A close writes down what handlers had begun; a kill leaves it to the suspects.
      side.is_begun = side.is_begun || (was_closed_ && side.round == judge.round());
    }
  }
}

// --- Opening ------------------------------------------------------------------------------------

void Book::note_opened(const Note& note) {
  if (was_closed_) {
    check(14, note.flag != 0 && note.number == 0,
          "the bus was closed, and the next open speaks of a crash, with " +
              std::to_string(note.number) + " suspects");
  }
  check(10, note.what == 0, "the open tells of damage, or of sequences that are lost");
}

void Book::note_suspect(const Note& note) {
  auto* event = find(note.id());
  if (event == nullptr) {
    // Killed before anybody was told its key.
    early_[note.id()].push_back(note);
    return;
  }
  ++figures_.suspects;
  auto& side = event->sides[side_of(note.sub)];
  side.is_suspect = true;
  side.is_begun = true;
  ++side.failures;
  check(9, note.flag == 0 || may_die(*event),
        name(keys_[note.id()], *event) + " was innocent, and a crash made it a dead letter of " +
            std::string(name_of(note.sub)));
  // Of a member that was acked the compensation may have been running.
  check(9, side.settled != static_cast<std::int8_t>(Settled::acked) || event->type == Type::member,
        to_string(note.id()) + " was acked by " + std::string(name_of(note.sub)) +
            ", and is suspected");
}

void Book::note_found(const Note& note) {
  ++figures_.found;
  auto& next = next_[note.lane];
  check(8, note.sequence == next,
        "sequence " + std::to_string(note.sequence) + " follows " + std::to_string(next - 1) +
            " in lane " + std::to_string(note.lane));
  next = note.sequence + 1;
  check(10, note.flag == 0, to_string(note.id()) + " is not as it was published");
  auto* event = find_key(note.key, "an event");
  if (event == nullptr) return;
  check(2, !event->is_doomed && !event->is_refused,
        name(note.key, *event) + " was refused, and is there as " + to_string(note.id()));
  check(1, event->type == note.type && event->group == note.group && event->size == note.size,
        name(note.key, *event) + " is not what was published");
  check(8, !event->is_found,
        name(note.key, *event) + " is there twice, also as " + to_string(note.id()));
  event->is_found = true;
  event->operation = note.number;
  bind(note.key, *event, note.id(), note.commit);
}

void Book::note_scanned() {
  is_scanned_ = true;
  std::unordered_map<std::uint64_t, std::pair<std::uint32_t, std::uint32_t>> groups;
  for (auto at = events_.begin(); at != events_.end();) {
    const auto& [key, event] = *at;
    // What this life has published since is not looked for.
    if (event.round == judge_->round() && !event.is_found) {
      ++at;
      continue;
    }
    if (event.is_found) {
      if (event.group != 0 && event.size != 0) {
        auto& [found, size] = groups[event.group];
        ++found;
        size = event.size;
      }
      ++at;
      continue;
    }
    check(1, !event.has_receipt, name(key, event) + " was confirmed, and is not there");
    for (const auto& side : event.sides) {
      check(1, side.settled < 0, name(key, event) + " was settled, and is not there");
    }
    keys_.erase(event.id);
    at = events_.erase(at);
  }
  for (const auto& [group, count] : groups) {
    check(2, count.first == count.second,
          "of batch " + std::to_string(group) + " there are " + std::to_string(count.first) +
              " events of " + std::to_string(count.second));
  }
}

// --- Publishing and cancelling ------------------------------------------------------------------

void Book::intend(const Note& note) {
  ++figures_.intents;
  const auto [at, is_new] = events_.try_emplace(note.key);
  auto& event = at->second;
  if (is_new) {
    event.type = note.type;
    event.special = static_cast<std::uint32_t>(note.number);
    event.group = note.group;
    event.size = note.size;
    event.round = judge_->round();
    event.untold = untold_opens_;
    event.is_doomed = note.flag != 0;
  }
  if (note.type == Type::follow) return;  // no call that returns
  open_intents_ += event.is_open ? 0 : 1;
  event.is_open = true;
}

void Book::confirm(const Note& note) {
  ++figures_.receipts;
  auto* event = find_key(note.key, "a receipt");
  if (event == nullptr) return;
  open_intents_ -= event->is_open ? 1 : 0;
  event->is_open = false;
  check(2, !event->is_doomed, name(note.key, *event) + " was to be refused, and was not");
  event->has_receipt = true;
  bind(note.key, *event, note.id(), note.commit);
}

void Book::refuse(const Note& note) {
  auto* event = find_key(note.key, "a refusal");
  if (event == nullptr) return;
  open_intents_ -= event->is_open ? 1 : 0;
  event->is_open = false;
  event->is_refused = true;
}

void Book::note_cancel(const Note& note) {
  auto* event = find_key(note.key, "a cancel");
  if (event == nullptr) return;
  event->is_cancel_asked = true;
  if (note.kind != Kind::cancelled) return;
  event->cancel = static_cast<std::int8_t>(note.what);
  event->cancel_round = judge_->round();
  for (auto& side : event->sides) {
    side.is_begun = side.is_begun || side.round == judge_->round();
  }
}

void Book::note_pause(const Note& note, bool is_paused) {
  const auto which = note.flag != 0 ? kTypePaused : kSubscriptionPaused;
  is_paused_[which] = is_paused;
  paused_round_[which] = judge_->round();
  after_pause_[which] = 0;
}

// --- Handling -----------------------------------------------------------------------------------

void Book::note_delivered(const Note& note) {
  ++figures_.deliveries;
  auto* event = find_key(note.key, "a delivery");
  if (event == nullptr) return;
  bind(note.key, *event, note.id(), note.commit);
  if (note.sub == Sub::ephemeral) return;
  auto& side = event->sides[side_of(note.sub)];
  ++side.deliveries;
  side.round = judge_->round();
  check_delivery(note, *event, side);
  check_order(note, *event, side);
  if (event->cancel >= 0 && event->cancel_round == judge_->round()) ++side.after_cancel;
  if (!side.is_running) ++running_[static_cast<std::size_t>(note.sub)];
  side.is_running = true;
  if (event->type == Type::poison) {
    // Its attempts, and once more: beside a suspect that is blamed it is not counted.
    check(
        9, side.deliveries <= 4 + untold_opens_ - event->untold,
        name(note.key, *event) + " is run for the " + std::to_string(side.deliveries) + "th time");
  }
}

void Book::check_delivery(const Note& note, const Event& event, const Side& side) {
  const auto who = name(note.key, event) + " is given to " + std::string(name_of(note.sub));
  check(10, note.flag == 0, who + ", and is not as it was published");
  check(2, !event.is_doomed && !event.is_refused, who + ", and was refused");
  check(4, side.settled < 0,
        who + ", which had ended it, attempt " + std::to_string(note.attempt) + ", settled " +
            std::to_string(side.settled));
  if (event.type != Type::slow && event.type != Type::poison) {
    check(9, note.attempt <= 1 + side.failures + untold_opens_ - event.untold,
          who + " as attempt " + std::to_string(note.attempt) + " after " +
              std::to_string(side.failures) + " that failed");
  }
  const bool may_overlap = event.type == Type::slow;
  check(5, may_overlap || !side.is_running, who + ", which has it already");
  check(7,
        may_overlap || side.is_running ||
            running_[static_cast<std::size_t>(note.sub)] < concurrency_of(note.sub),
        who + ", which has its hands full");
  if (event.cancel >= 0 && event.cancel != static_cast<std::int8_t>(CancelOutcome::too_late)) {
    const bool is_prevented = event.cancel == static_cast<std::int8_t>(CancelOutcome::prevented);
    // A handler that was just beginning has been signalled, and tells of itself a moment later.
    const bool was_beginning =
        !is_prevented && event.cancel_round == judge_->round() && side.after_cancel == 0;
    check(3, was_beginning,
          who + ", and its cancel was confirmed in round " + std::to_string(event.cancel_round) +
              " as " + std::string(to_string(static_cast<CancelOutcome>(event.cancel))));
  }
  if (note.sub != Sub::held) return;
  for (std::size_t which = 0; which < 2; ++which) {
    if (!is_paused_[which]) continue;
    // One may just have begun.
    const bool was_beginning =
        paused_round_[which] == judge_->round() && after_pause_[which]++ == 0;
    check(7, was_beginning,
          who + ", and it is paused since round " + std::to_string(paused_round_[which]));
  }
}

void Book::check_order(const Note& note, const Event& event, const Side& side) {
  if (note.sub == Sub::order && note.attempt == 1 && side.deliveries == 1 && !side.is_suspect) {
    auto& last = last_ordered_[note.lane];
    check(7, note.sequence > last,
          name(note.key, event) + " comes after sequence " + std::to_string(last) +
              " to whom wants them in order");
    last = note.sequence;
  }
  if (note.sub == Sub::keyed) {
    auto& last = last_of_key_[note.group];
    const std::pair place{note.commit, note.number};
    check(7, place >= last,
          name(note.key, event) + " at " + std::to_string(place.first) + "." +
              std::to_string(place.second) + " comes after " + std::to_string(last.first) + "." +
              std::to_string(last.second) + " of the same ordering key");
    last = place;
  }
}

void Book::note_answered(const Note& note) {
  auto* event = find(note.id());
  if (event == nullptr) return;
  auto& side = event->sides[side_of(note.sub)];
  if (side.is_running) --running_[static_cast<std::size_t>(note.sub)];
  side.is_running = false;
  const auto kind = static_cast<Outcome::Kind>(note.what);
  if (kind == Outcome::Kind::retry || kind == Outcome::Kind::stopped) ++side.failures;
}

void Book::note_settled(const Note& note) {
  auto* event = find(note.id());
  if (event == nullptr) {
    early_[note.id()].push_back(note);
    return;
  }
  ++figures_.settled;
  auto& side = event->sides[side_of(note.sub)];
  const auto how = static_cast<Settled>(note.what);
  const auto who = name(keys_[note.id()], *event) + " ended for " + std::string(name_of(note.sub)) +
                   " as " + std::to_string(note.what);
  // A member that was acked, and one that was undone, ends twice.
  check(4, side.settled < 0 || event->type == Type::member,
        who + " after it had ended as " + std::to_string(side.settled));
  switch (how) {
    case Settled::acked:
      check(3,
            event->cancel < 0 || event->cancel_round == judge_->round() ||
                event->cancel == static_cast<std::int8_t>(CancelOutcome::too_late),
            who + ", and was cancelled");
      break;
    case Settled::dead: check(9, may_die(*event), who); break;
    case Settled::skipped: check(4, false, who); break;
    case Settled::cancelled:
      check(3, event->is_cancel_asked || event->type == Type::member, who + ", and nobody asked");
      break;
    case Settled::expired: check(8, event->type == Type::expiring, who); break;
  }
  side.settled = static_cast<std::int8_t>(how);
}

}  // namespace holdfast::torture
