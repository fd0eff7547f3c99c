// SPDX-License-Identifier: MIT
#include "torture/kill/life.h"

#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace holdfast::torture {

namespace {

using Kind = Note::Kind;
using std::chrono::milliseconds;

constexpr std::uint64_t kThreadsMax = 8;
constexpr std::uint64_t kCloseEvery = 9;  // rounds
constexpr std::uint64_t kViewEvery = 4;   // rounds
constexpr std::uint64_t kStepsBeforeClose = 4;
constexpr std::size_t kErasedAtOnce = 1'000;

Options journal_options() {
  Options options;
  options.ack_linger = milliseconds(2);
  // One place is kept for each lane, and one of the slow ones may be in it.
  options.workers = {.critical = 2, .high = 1, .normal = 1, .low = 2};
  return options;
}

class Life {
 public:
  Life(Child& child, const Book& book, const Profile& profile)
      : child_(child), book_(book), profile_(profile), teller_(child) {
    for (const auto lane : kAllPriorities) next_[lane_of(lane)] = book.next(lane);
  }

  void run() {
    if (child_.round() % kViewEvery == 0) look_without_opening();
    auto opened = Bus::open(journal(), journal_options());
    if (!teller_.expect_ok(opened.status(), "open")) return;
    bus_ = *std::move(opened);
    tell_recovery();
    find_new();
    if (viewed_.has_value() && *viewed_ != found_) {
      teller_.wrong("4.10: a view of the journal shows other events than the bus does");
    }
    teller_.tell({.kind = Kind::scanned});
    Handlers handlers(*bus_, teller_);
    handlers.subscribe();
    child_.ready();
    if (child_.is_quiet()) {
      finish(handlers);
    } else if (child_.round() % kCloseEvery == 7) {
      publish(kStepsBeforeClose);
      teller_.did(Feature::clean_close);
    } else {
      publish(std::numeric_limits<std::uint64_t>::max());  // until it is killed
    }
    teller_.expect_ok(bus_->close(), "close");
  }

 private:
  [[nodiscard]] std::string journal() const { return child_.folder() + "/journal"; }
  static std::size_t lane_of(Priority lane) { return static_cast<std::size_t>(lane); }

  /// What was visited, to be compared with another visit.
  struct Digest {
    std::uint64_t events = 0;
    std::uint64_t sum = 0;
    void add(const EventView& event) {
      ++events;
      const auto of_event = std::hash<EventId>{}(event.id) * 31 + event.commit.value;
      sum = sum * 1'000'003 + of_event * 31 + std::hash<std::string_view>{}(event.payload_text());
    }
    friend bool operator==(const Digest&, const Digest&) = default;
  };

  /// Reading changes nothing and sees the same, also right after a crash.
  void look_without_opening() {
    const auto view = JournalView::open(journal());
    // Killed before there was one.
    if (!view.ok() && book_.figures().receipts == 0) return;
    if (!teller_.expect_ok(view.status(), "open a view")) return;
    Digest digest;
    for (const auto lane : kAllPriorities) {
      const auto status =
          (*view)->scan({.priorities = {lane}, .from_sequence = next_[lane_of(lane)]},
                        [&](const EventView& event, EventState) {
                          digest.add(event);
                          return true;
                        });
      teller_.expect_ok(status, "scan of a view");
    }
    viewed_ = digest;
  }

  void tell_recovery() {
    const auto& report = bus_->recovery();
    Note note{.kind = Kind::opened,
              .flag = static_cast<std::uint8_t>(report.clean ? 1 : 0),
              .number = report.suspects.size()};
    note.what = report.lost.empty() && report.damage.empty() ? 0 : 1;
    teller_.tell(note);
    for (const auto& suspect : report.suspects) {
      const auto sub = parse_sub(suspect.subscription);
      if (!sub) {
        teller_.wrong("4.9: a suspect of '" + suspect.subscription + "', which there is not");
        continue;
      }
      Note named{.kind = Kind::suspect,
                 .sub = *sub,
                 .flag = static_cast<std::uint8_t>(suspect.dead ? 1 : 0),
                 .attempt = suspect.attempt};
      named.set_id(suspect.event);
      teller_.tell(named);
    }
  }

  /// Tells all that has come since the last time.
  void find_new() {
    for (const auto lane : kAllPriorities) {
      auto& next = next_[lane_of(lane)];
      const auto status = bus_->scan({.priorities = {lane}, .from_sequence = next},
                                     [&](const EventView& event, EventState) {
                                       tell_found(event);
                                       found_.add(event);
                                       next = event.id.sequence + 1;
                                       return true;
                                     });
      teller_.expect_ok(status, "scan");
    }
  }

  void tell_found(const EventView& event) {
    const auto body = decode_body(event.payload_text());
    const bool is_whole = body.has_value() && event.type == name_of(body->type);
    Note note{.kind = Kind::found,
              .type = body.value_or(Body{}).type,
              .flag = static_cast<std::uint8_t>(is_whole ? 0 : 1),
              .size = body.value_or(Body{}).size,
              .key = body.value_or(Body{}).key,
              .commit = event.commit.value,
              .group = body.value_or(Body{}).group,
              .number = event.operation_id.value};
    note.set_id(event.id);
    teller_.tell(note);
  }

  void publish(std::uint64_t steps) {
    const auto threads = 1 + child_.seed() % kThreadsMax;
    std::vector<std::jthread> publishers;
    for (std::uint64_t thread = 0; thread < threads; ++thread) {
      publishers.emplace_back([this, thread, threads, steps] {
        Publisher publisher(*bus_, teller_, profile_, thread);
        if (thread == 0) publisher.publish_again(book_.unresolved_once());
        thread + 1 == threads ? publisher.run_steadily(steps) : publisher.run(steps);
      });
    }
  }

  // --- A quiet round ----------------------------------------------------------------------------

  void finish(Handlers& handlers) {
    teller_.tell({.kind = Kind::resuming, .flag = 0});
    static_cast<void>(bus_->resume(name_of(Sub::held)));
    teller_.tell({.kind = Kind::resuming, .flag = 1});
    static_cast<void>(bus_->resume(TypePattern{"held.*"}));
    roll_back_what_was_left();
    wait_until_nothing_is_owed();
    handlers.accept_everything();
    teller_.tell({.kind = Kind::redriving});
    const auto redriven = bus_->redrive({.subscription = std::string(name_of(Sub::fussy))});
    if (teller_.expect_ok(redriven.status(), "redrive") && *redriven > 0) {
      teller_.did(Feature::redrive);
    }
    wait_until_nothing_is_owed();
    find_new();
    tell_dead_letters();
    for (const auto& operation : bus_->operations()) {
      teller_.tell({.kind = Kind::ended,
                    .what = static_cast<std::uint8_t>(operation.state),
                    .number = operation.id.value});
    }
    for (std::size_t i = 0; i + 1 < kSubs; ++i) tell_effects(static_cast<Sub>(i));
    if (bus_->recovery().lost.empty()) teller_.tell({.kind = Kind::quiet});
  }

  /// Composites whose life ended before they were sealed.
  void roll_back_what_was_left() {
    for (const auto& info : bus_->operations()) {
      if (info.state != OperationState::open || info.sealed) continue;
      for (const auto& member : info.members) {
        const auto stored = bus_->get(member.event);
        if (!stored.ok() || !stored->has_value()) continue;
        const auto body = decode_body((*stored)->event.payload);
        if (body) teller_.tell({.kind = Kind::undo, .group = body->group});
      }
      auto operation = bus_->find_operation(info.id);
      if (!teller_.expect_ok(operation.status(), "find_operation")) continue;
      teller_.expect_ok(operation->roll_back("its process has gone"), "roll_back");
    }
  }

  void wait_until_nothing_is_owed() {
    for (unsigned seen = 0; seen < 2;) {
      const auto stats = bus_->stats();
      std::uint64_t owed = stats.operations.open + stats.operations.rolling_back;
      for (const auto& lane : stats.lanes) {
        owed += lane.owed.ready + lane.owed.leased + lane.owed.scheduled + lane.owed.paused;
      }
      seen = owed == 0 ? seen + 1 : 0;
      rest(milliseconds(5));
    }
  }

  void tell_dead_letters() {
    const auto letters = bus_->dead_letters();
    if (!teller_.expect_ok(letters.status(), "dead_letters")) return;
    for (const auto& letter : *letters) {
      // Those of earlier quiet rounds stay where they are.
      const auto body = decode_body(letter.event.payload);
      if (!body || book_.is_over(body->key)) continue;
      Note note{.kind = Kind::dead, .sub = parse_sub(letter.subscription).value_or(Sub::count)};
      note.set_id(letter.id);
      teller_.tell(note);
    }
  }

  /// Tells what the tx of `sub` have counted, and forgets it: the next quiet round is about others.
  void tell_effects(Sub sub) {
    std::vector<std::string> names;
    const auto status =
        bus_->scan_state(name_of(sub), {}, [&](std::string_view name, std::string_view value) {
          Note note{.kind = name.front() == 'e' ? Kind::effect : Kind::undone, .sub = sub};
          std::from_chars(name.data() + 2, name.data() + name.size(), note.key);
          std::from_chars(value.data(), value.data() + value.size(), note.number);
          teller_.tell(note);
          names.emplace_back(name);
          return true;
        });
    teller_.expect_ok(status, "scan_state");
    for (std::size_t at = 0; at < names.size();) {
      auto batch = bus_->batch();
      auto state = batch.state(name_of(sub));
      for (std::size_t i = 0; i < kErasedAtOnce && at < names.size(); ++i, ++at) {
        state.erase(names[at]);
      }
      teller_.expect_ok(batch.commit().status(), "erase state");
    }
  }

  Child& child_;
  const Book& book_;
  const Profile& profile_;
  Teller teller_;
  std::unique_ptr<Bus> bus_;
  std::array<std::uint64_t, kLaneCount> next_{};
  Digest found_;
  std::optional<Digest> viewed_;
};

}  // namespace

void live(Child& child, const Book& book, const Profile& profile) {
  Life(child, book, profile).run();
}

}  // namespace holdfast::torture
