// SPDX-License-Identifier: MIT
#include "support/state_matrix.h"

#include <algorithm>
#include <iomanip>

namespace holdfast::testing {

namespace {

struct StateName {
  const char* heading;
  const char* meaning;
};

constexpr auto kStateNames = std::to_array<StateName>({
    {"unoffered", "committed, and not offered yet"},
    {"ready", "never tried, could be taken"},
    {"scheduled", "its not_before is still to come"},
    {"expired", "its time is over, and nobody has passed it by yet"},
    {"cancelled", "cancelled, and nobody has passed it by yet"},
    {"key wait", "waits for an earlier one of its ordering key"},
    {"taken", "with a worker that has not asked the gate yet"},
    {"turned", "turned away by the gate, the answer is on its way"},
    {"running", "in its handler"},
    {"in batch", "in its handler, with others"},
    {"signalled", "in its handler, and cancelled meanwhile"},
    {"cleaning", "in on_cancel"},
    {"released", "given back until the next attachment"},
    {"over", "starts over: its tx came too late, or its batch lost a member"},
    {"retry", "tried before, its time is still to come"},
    {"due", "tried before, its time has come"},
    {"clean-up", "cancelled, and on_cancel is owed"},
    {"undo", "was begun, and has to be undone since its operation goes back"},
    {"held", "its type is paused, or was until just now"},
    {"turn", "waits for its turn in its operation"},
    {"suspect", "its handler may have ended the last process"},
    {"answered", "settled, and not durable yet"},
    {"kept", "acked, and kept until its operation has ended"},
    {"settled", "settled for good"},
    {"dead", "a dead letter"},
});
static_assert(kStateNames.size() == kStateCount);

constexpr auto kCommandNames = std::to_array<const char*>({
    "publish again", "cancel event", "cancel token", "token time-out", "ack",        "ack with tx",
    "retry",         "snooze",       "reject",       "skip",           "release",    "abandon",
    "drop",          "postpone",     "hold",         "stale answer",   "give back",  "due",
    "expiry",        "detach",       "attach",       "change filter",  "pause",      "resume",
    "pause types",   "resume types", "put back",     "remove",         "rewind",     "redrive",
    "seal",          "roll back",    "deadline",     "crash",          "power loss", "clean end",
    "housekeeping",
});
static_assert(kCommandNames.size() == kCommandCount);

/// These commands never meet these states.
struct Unreachable {
  std::vector<Command> commands;
  StateSet states;
  const char* why;
};

using enum EventState;

constexpr StateSet kWithHandler{running, in_batch, signalled, cleaning_up};

const std::vector<Unreachable>& unreachable() {
  static const std::vector<Unreachable> kTable = {
      {{Command::ack, Command::ack_with_tx, Command::retry, Command::snooze, Command::reject,
        Command::skip, Command::abandon},
       ~kWithHandler,
       "only who has it in its handler answers so; of others it is a stale answer"},
      {{Command::release},
       ~(kWithHandler | StateSet{taken}),
       "only who has it gives it up; of others it is a stale answer"},
      {{Command::drop, Command::postpone, Command::hold},
       ~StateSet{turned_away},
       "only what the gate has turned away is answered so"},
      {{Command::give_back}, ~StateSet{taken}, "only what has just been taken is given back"},
      {{Command::put_back},
       ~StateSet{held, cancelled, cleanup_owed, suspect},
       "only what is held is put back"},
      {{Command::rewind},
       {turn_wait, undo_owed, kept},
       "its operation needs it, and keeps it from being set back"},
      {{Command::seal, Command::roll_back},
       {cleanup_owed},
       "what a member leaves behind has to be undone"},
      {{Command::deadline},
       {cancelled, signalled, cleaning_up, cleanup_owed, undo_owed, dead},
       "its operation goes back already, or it is of none"},
      {{Command::redrive}, ~StateSet{dead}, "only a dead letter is redriven"},
      {{Command::stale_answer},
       {unoffered},
       "who answers late had been given it, so it was offered"},
      {{Command::due},
       kWithHandler | StateSet{ready, expired, key_wait, released, starts_over, retry_due, held,
                               turn_wait, not_durable, kept, settled, dead},
       "it waits for no time"},
      {{Command::expiry}, {expired}, "it is over already"},
  };
  return kTable;
}

}  // namespace

void StateMatrix::add(const StateMatrix& other) {
  for (std::size_t command = 0; command < kCommandCount; ++command) {
    for (std::size_t state = 0; state < kStateCount; ++state) {
      cells_[command][state] += other.cells_[command][state];
    }
  }
}

const char* StateMatrix::why_not(Command command, EventState state) {
  for (const auto& each : unreachable()) {
    const auto& commands = each.commands;
    if (each.states.contains(state) &&
        std::find(commands.begin(), commands.end(), command) != commands.end()) {
      return each.why;
    }
  }
  return nullptr;
}

std::string StateMatrix::name(Command command, EventState state) {
  return std::string(kCommandNames[static_cast<std::size_t>(command)]) + " x " +
         kStateNames[static_cast<std::size_t>(state)].heading;
}

void StateMatrix::print(std::ostream& out) const {
  constexpr int kFirst = 15;
  constexpr int kColumn = 10;
  out << "How often each command met an event in each state (- = it cannot):\n";
  for (const auto& state : kStateNames) {
    out << "  " << std::left << std::setw(kColumn) << state.heading << state.meaning << '\n';
  }
  out << std::setw(kFirst) << "" << std::right;
  for (const auto& state : kStateNames) out << std::setw(kColumn) << state.heading;
  out << '\n';
  for (std::size_t i = 0; i < kCommandCount; ++i) {
    const auto command = static_cast<Command>(i);
    out << std::left << std::setw(kFirst) << kCommandNames[i] << std::right;
    for (std::size_t j = 0; j < kStateCount; ++j) {
      const auto state = static_cast<EventState>(j);
      out << std::setw(kColumn);
      if (at(command, state) == 0 && why_not(command, state) != nullptr) {
        out << '-';
      } else {
        out << at(command, state);
      }
    }
    out << '\n';
  }
}

std::vector<std::string> StateMatrix::faults(std::uint64_t at_least) const {
  std::vector<std::string> faults;
  for (std::size_t i = 0; i < kCommandCount; ++i) {
    for (std::size_t j = 0; j < kStateCount; ++j) {
      const auto command = static_cast<Command>(i);
      const auto state = static_cast<EventState>(j);
      const auto met = at(command, state);
      const auto* why = why_not(command, state);
      if (why != nullptr && met > 0) {
        faults.push_back(name(command, state) + " was met, though " + why);
      } else if (why == nullptr && met < at_least) {
        faults.push_back(name(command, state) + " was met " + std::to_string(met) + " times, not " +
                         std::to_string(at_least));
      }
    }
  }
  return faults;
}

}  // namespace holdfast::testing
