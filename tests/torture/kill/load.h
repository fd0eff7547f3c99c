// SPDX-License-Identifier: MIT
#pragma once

// What the driver does between two kills: publishers that use everything the bus has, and handlers
// that answer in every way. All of it is told to the judge.

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/torture.h"
#include "torture/kill/note.h"

namespace holdfast::torture {

/// What publishers do how often: see `find_profile`.
struct Profile {
  std::string_view name;
  unsigned plain;       ///< Single events, of all types.
  unsigned batches;     ///< Of all kinds.
  unsigned cancels;     ///< Cancels, tokens.
  unsigned operations;  ///< Operations and composites.
  unsigned order;       ///< Ordering keys, `expect_last`, idempotency keys.
};
inline constexpr std::array<Profile, 5> kProfiles = {{
    {"mixed", 40, 20, 15, 10, 15},
    {"batches", 10, 70, 5, 5, 10},
    {"cancels", 20, 5, 60, 5, 10},
    {"operations", 15, 5, 10, 60, 10},
    {"order", 20, 5, 5, 5, 65},
}};
[[nodiscard]] const Profile* find_profile(std::string_view name);

/// Gives notes; any thread.
class Teller {
 public:
  explicit Teller(const Child& child) : child_(child) {}
  void tell(const Note& note) const {
    child_.note({reinterpret_cast<const char*>(&note), sizeof(note)});
  }
  void did(Feature feature) const {
    tell({.kind = Note::Kind::did, .what = static_cast<std::uint8_t>(feature)});
  }
  void wrong(const std::string& what) const { child_.violation(what); }
  /// Whether `status` is ok; anything else nobody had reckoned with.
  bool expect_ok(const Status& status, const char* what) const {
    if (!status.ok()) wrong(std::string(what) + ": " + status.to_string());
    return status.ok();
  }
  [[nodiscard]] const Child& child() const { return child_; }

 private:
  const Child& child_;
};

/// Waits for `duration`, or until it is asked to stop.
void rest(std::chrono::microseconds duration, const std::stop_token& stop = {});

/// Subscribes everybody (load_handlers.cc).
class Handlers {
 public:
  Handlers(Bus& bus, const Teller& teller) : bus_(bus), teller_(teller) {}
  ~Handlers();
  void subscribe();
  /// From now on who was fussy takes everything.
  void accept_everything() { accepts_everything_ = true; }

 private:
  using Handle = std::function<Outcome(Delivery&, const Body&)>;
  /// A durable subscription of `sub`, whose handler is told of to the judge.
  void add(Sub sub, std::vector<std::string> types, SubscribeOptions options, Handle handle);
  void add_ephemeral();
  void add_batched();
  void add_cancellable();
  void add_member();
  void add_slow();
  void add_fussy();

  void tell_delivered(Sub sub, const EventView& event, std::uint32_t attempt,
                      const std::optional<Body>& body) const;
  [[nodiscard]] std::function<void(EventId, Settled)> telling(Sub sub) const;
  void tell_answered(Sub sub, EventId id, Outcome::Kind kind) const;
  /// Counts in the tx what has to happen once.
  void count(Tx tx, char what, std::uint64_t key) const;
  bool is_first_time(std::uint64_t key);
  Outcome handle_work(Delivery& delivery, const Body& body);
  Outcome handle_cancellable(Delivery& delivery, const Body& body);
  Outcome undo(Delivery& delivery, const Body& body, Feature feature) const;

  Bus& bus_;
  const Teller& teller_;
  std::atomic<bool> accepts_everything_{false};
  std::mutex mutex_;
  std::unordered_set<std::uint64_t> snoozed_;  // guarded by mutex_
  std::vector<std::jthread> deferring_;        // guarded by mutex_
  std::vector<Subscription> subscriptions_;
};

/// One thread that publishes (load.cc).
class Publisher {
 public:
  Publisher(Bus& bus, const Teller& teller, const Profile& profile, std::uint64_t thread);
  /// Until `steps` are done.
  void run(std::uint64_t steps);
  /// The same, whatever the profile, with plain events alone and without a pause, so that a kill
  /// finds it at that.
  void run_steadily(std::uint64_t steps);
  /// Publishes again those with an idempotency key of which nobody knows whether they are there.
  void publish_again(const std::vector<std::uint64_t>& keys);

 private:
  struct Made {
    Body body;
    std::string payload;
    Event event;
  };
  [[nodiscard]] std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  [[nodiscard]] bool draws(unsigned percent) { return draw(100) < percent; }
  [[nodiscard]] Durability any_durability() {
    return draws(60) ? Durability::durable : Durability::os;
  }
  [[nodiscard]] Priority any_lane() { return kAllPriorities[draw(kLaneCount)]; }

  Body make_body(Type type, std::uint64_t group = 0, std::uint32_t size = 0);
  [[nodiscard]] std::size_t any_padding();
  void make(Made& made, Type type, std::uint32_t special = 0);
  void intend(const Body& body, bool is_doomed = false) const;
  void confirm(std::uint64_t key, const Receipt& receipt, Durability durability) const;
  void refuse(std::uint64_t key, StatusCode code) const;
  /// Publishes, and tells before and after. `otherwise`: a refusal that is in order.
  bool publish(const Made& made, StatusCode otherwise = StatusCode::ok,
               const std::optional<EventId>& expect_last = {});

  void step();
  /// `slow`: so many of a hundred more than usual keep a handler for long.
  void make_plain(Made& made, unsigned slow = 0);
  void publish_plain();
  void publish_async(const Made& made, Durability durability,
                     const std::function<void()>& before_told, const std::function<void()>& told);
  void publish_some_async();
  void publish_timed();
  void publish_batch();
  void publish_bad_batch();
  void publish_independent();
  void cancel_single();
  void cancel_many();
  void time_out_token();
  void publish_operation();
  void compose_operation();
  void publish_keyed();
  void publish_expecting();
  void publish_once();
  void change_pause();
  void publish_poison();
  void tell_memory() const;
  void wait_for_handlers() const;
  void tell_cancel(const CancelReceipt& receipt,
                   const std::vector<std::pair<EventId, Body>>& events) const;

  Bus& bus_;
  const Teller& teller_;
  const Profile& profile_;
  const std::uint64_t thread_;
  std::mt19937_64 random_;
  std::uint64_t next_key_;
  std::uint64_t step_ = 0;
  EventId last_own_{Priority::normal, 0};  // of its own ordering key
  EventId first_own_{Priority::normal, 0};
  bool may_be_paused_[2] = {true, true};
};

}  // namespace holdfast::torture
