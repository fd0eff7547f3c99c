// SPDX-License-Identifier: MIT
#pragma once

// What commands come upon: how often each of them met an event in each state. A run of the model is
// only worth what it has met, so it counts, and says which of the cells it cannot reach, and why.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

namespace holdfast::testing {

/// Of an event as one subscription is owed it. Named and explained in `kStateNames`.
enum class EventState : std::uint8_t {
  unoffered,
  ready,
  scheduled,
  expired,
  cancelled,
  key_wait,
  taken,
  turned_away,
  running,
  in_batch,
  signalled,
  cleaning_up,
  released,
  starts_over,
  retry_wait,
  retry_due,
  cleanup_owed,
  undo_owed,
  held,
  turn_wait,
  suspect,
  not_durable,
  kept,
  settled,
  dead,
  count
};

/// Named in `kCommandNames`.
enum class Command : std::uint8_t {
  publish_again,
  cancel_event,
  cancel_token,
  token_timeout,
  ack,
  ack_with_tx,
  retry,
  snooze,
  reject,
  skip,
  release,
  abandon,
  drop,
  postpone,
  hold,
  stale_answer,
  give_back,
  due,
  expiry,
  detach,
  attach,
  change_filter,
  pause,
  resume,
  pause_types,
  resume_types,
  put_back,
  remove,
  rewind,
  redrive,
  seal,
  roll_back,
  deadline,
  crash,
  power_loss,
  clean_end,
  housekeeping,
  count
};

inline constexpr auto kStateCount = static_cast<std::size_t>(EventState::count);
inline constexpr auto kCommandCount = static_cast<std::size_t>(Command::count);

constexpr bool ends_process(Command command) {
  return command == Command::crash || command == Command::power_loss ||
         command == Command::clean_end;
}

/// Some of the states.
class StateSet {
 public:
  constexpr StateSet() = default;
  constexpr StateSet(std::initializer_list<EventState> states) {
    for (const auto state : states) add(state);
  }
  constexpr void add(EventState state) { bits_ |= bit(state); }
  [[nodiscard]] constexpr bool contains(EventState state) const {
    return (bits_ & bit(state)) != 0;
  }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  [[nodiscard]] constexpr StateSet operator|(StateSet other) const {
    StateSet either;
    either.bits_ = bits_ | other.bits_;
    return either;
  }
  [[nodiscard]] constexpr StateSet operator&(StateSet other) const {
    StateSet both;
    both.bits_ = bits_ & other.bits_;
    return both;
  }
  [[nodiscard]] constexpr StateSet operator~() const {
    StateSet others;
    others.bits_ = ~bits_ & (bit(EventState::count) - 1);
    return others;
  }

 private:
  static constexpr std::uint64_t bit(EventState state) {
    return std::uint64_t{1} << static_cast<unsigned>(state);
  }
  std::uint64_t bits_ = 0;
};

/// Events are in these for a moment, or come to be in them seldom.
inline constexpr StateSet kRareStates{EventState::taken, EventState::turned_away,
                                      EventState::released, EventState::turn_wait,
                                      EventState::kept};
inline constexpr StateSet kRarestStates{EventState::signalled,   EventState::cleaning_up,
                                        EventState::starts_over, EventState::cleanup_owed,
                                        EventState::undo_owed,   EventState::suspect};

class StateMatrix {
 public:
  void count(Command command, EventState state) { ++cell(command, state); }
  void add(const StateMatrix& other);
  [[nodiscard]] std::uint64_t at(Command command, EventState state) const {
    return cells_[static_cast<std::size_t>(command)][static_cast<std::size_t>(state)];
  }
  /// Why `command` cannot meet `state`; null = it can.
  [[nodiscard]] static const char* why_not(Command command, EventState state);
  [[nodiscard]] static std::string name(Command command, EventState state);

  void print(std::ostream& out) const;
  /// One line for each cell that was met less often than it should be, or met though it cannot be.
  [[nodiscard]] std::vector<std::string> faults(std::uint64_t at_least) const;

 private:
  std::uint64_t& cell(Command command, EventState state) {
    return cells_[static_cast<std::size_t>(command)][static_cast<std::size_t>(state)];
  }
  std::array<std::array<std::uint64_t, kStateCount>, kCommandCount> cells_{};
};

}  // namespace holdfast::testing
