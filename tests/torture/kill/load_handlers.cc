// SPDX-License-Identifier: MIT
#include <charconv>
#include <csignal>
#include <optional>
#include <unistd.h>
#include <utility>

#include "torture/kill/load.h"

namespace holdfast::torture {

namespace {

using Kind = Note::Kind;
using std::chrono::milliseconds;

constexpr milliseconds kTimeout{3};
constexpr milliseconds kAbandonAfter{15};
constexpr milliseconds kBeyondAbandon{25};
/// A handler that waits so long for its stop token has waited in vain.
constexpr milliseconds kStopWithin{20'000};
constexpr std::uint32_t kAttemptsOfFew = 3;

RetryPolicy retry_at_once(std::uint32_t attempts_max) {
  return {.attempts_max = attempts_max,
          .backoff_first = milliseconds(1),
          .backoff_max = milliseconds(1),
          .jitter = 0};
}
// Being killed over and over is an everyday matter here, and no reason to give up on an event.
RetryPolicy for_ever() { return retry_at_once(1'000'000); }

WallTime wall_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void rest(std::chrono::microseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
}

Handlers::~Handlers() {
  std::vector<std::jthread> deferring;
  {
    const std::lock_guard lock(mutex_);
    deferring = std::move(deferring_);
  }
  deferring.clear();
  subscriptions_.clear();
}

void Handlers::tell_delivered(Sub sub, const EventView& event, std::uint32_t attempt,
                              const std::optional<Body>& body) const {
  Note note{.kind = Kind::delivered,
            .sub = sub,
            .flag = static_cast<std::uint8_t>(body.has_value() ? 0 : 1),
            .attempt = attempt,
            .key = body.has_value() ? body->key : 0,
            .commit = event.commit.value,
            .group = std::hash<std::string_view>{}(event.ordering_key),
            .number = event.index};
  note.set_id(event.id);
  teller_.tell(note);
}

void Handlers::tell_answered(Sub sub, EventId id, Outcome::Kind kind) const {
  Note note{.kind = Kind::answered, .sub = sub, .what = static_cast<std::uint8_t>(kind)};
  note.set_id(id);
  teller_.tell(note);
}

std::function<void(EventId, Settled)> Handlers::telling(Sub sub) const {
  // With a listener each event goes to its handler by itself.
  if (!teller_.child().is_quiet() && teller_.child().round() % 2 == 0) {
    teller_.did(Feature::in_stretches);
    return nullptr;
  }
  return [this, sub](EventId id, Settled how) {
    Note note{.kind = Kind::settled, .sub = sub, .what = static_cast<std::uint8_t>(how)};
    note.set_id(id);
    teller_.tell(note);
  };
}

void Handlers::count(Tx tx, char what, std::uint64_t key) const {
  auto state = tx.state();
  const auto name = what + ("/" + std::to_string(key));
  const auto value = state.get(name);
  if (!value.ok()) return;  // the tx fails the ack with it
  unsigned number = 0;
  if (value->has_value()) {
    std::from_chars((*value)->data(), (*value)->data() + (*value)->size(), number);
  }
  state.put(name, std::to_string(number + 1));
  teller_.did(Feature::tx);
}

bool Handlers::is_first_time(std::uint64_t key) {
  const std::lock_guard lock(mutex_);
  return snoozed_.insert(key).second;
}

void Handlers::add(Sub sub, std::vector<std::string> types, SubscribeOptions options,
                   Handle handle) {
  options.name = name_of(sub);
  options.types = std::move(types);
  options.on_settled = telling(sub);
  auto subscription = bus_.subscribe(
      std::move(options), [this, sub, handle = std::move(handle)](Delivery& delivery) {
        const auto id = delivery.event().id;
        const auto body = decode_body(delivery.event().payload_text());
        tell_delivered(sub, delivery.event(), delivery.attempt(), body);
        auto outcome = handle(delivery, body.value_or(Body{}));
        if (outcome.kind() == Outcome::Kind::retry) teller_.did(Feature::retry);
        if (outcome.kind() == Outcome::Kind::snooze) teller_.did(Feature::snooze);
        if (outcome.kind() == Outcome::Kind::reject) teller_.did(Feature::reject);
        tell_answered(sub, id, outcome.kind());
        return outcome;
      });
  if (teller_.expect_ok(subscription.status(), "subscribe")) {
    subscriptions_.push_back(std::move(*subscription));
  }
}

void Handlers::subscribe() {
  const auto just_count = [this](Delivery& delivery, const Body& body) {
    count(delivery.tx(), 'e', body.key);
    return Outcome::ack();
  };
  add(Sub::count, {"work.*"}, {.concurrency = 3, .retry = for_ever()},
      [this](Delivery& delivery, const Body& body) { return handle_work(delivery, body); });
  add(Sub::order, {"work.>"}, {.retry = for_ever()}, just_count);
  add(Sub::follow, {"follow.up"}, {.concurrency = 2, .retry = for_ever()}, just_count);
  add(Sub::keyed, {"keyed.*"}, {.concurrency = 4, .retry = for_ever()},
      [this](Delivery& delivery, const Body& body) {
        if (delivery.attempt() == 1 && body.key % 5 == 2) return Outcome::retry("first");
        rest(std::chrono::microseconds(body.key % 3 * 300));
        count(delivery.tx(), 'e', body.key);
        return Outcome::ack();
      });
  add(Sub::later, {"later.>"}, {.concurrency = 2, .retry = for_ever()},
      [this](Delivery& delivery, const Body& body) {
        if (wall_now() < delivery.event().not_before) teller_.wrong("4.8: given before its time");
        count(delivery.tx(), 'e', body.key);
        return Outcome::ack();
      });
  add(Sub::poison, {"poison.*"}, {.retry = retry_at_once(kAttemptsOfFew)},
      [this](Delivery&, const Body&) {
        // A quiet round has to come to its end.
        if (teller_.child().is_quiet()) return Outcome::reject("it would kill");
        teller_.did(Feature::poison);
        kill(getpid(), SIGKILL);
        return Outcome::ack();
      });
  add(Sub::held, {"held.*"}, {.retry = for_ever()}, just_count);
  add(Sub::once, {"once.*"}, {.retry = for_ever()}, just_count);
  add_batched();
  add_cancellable();
  add_member();
  add_slow();
  add_fussy();
  add_ephemeral();
}

Outcome Handlers::handle_work(Delivery& delivery, const Body& body) {
  if (delivery.attempt() == 1 && body.key % 7 == 3) {
    return Outcome::retry_after(milliseconds(1), "first");
  }
  if (body.key % 11 == 5 && is_first_time(body.key)) return Outcome::snooze(milliseconds(2));
  rest(std::chrono::microseconds(body.key % 4 * 500));
  auto tx = delivery.tx();
  count(tx, 'e', body.key);
  if (body.key % kFollowEvery == 0) {
    const Body follow{.key = body.key | kFollowBit, .type = Type::follow};
    teller_.tell({.kind = Kind::intent, .type = Type::follow, .key = follow.key});
    teller_.did(Feature::follow_up);
    tx.publish({.type = name_of(Type::follow),
                .payload = encode_body(follow, 10),
                .priority = Priority::high});
  }
  return Outcome::ack();
}

void Handlers::add_ephemeral() {
  auto subscription = bus_.subscribe({.types = {"work.>"}}, [this](Delivery& delivery) {
    tell_delivered(Sub::ephemeral, delivery.event(), delivery.attempt(),
                   decode_body(delivery.event().payload_text()));
    teller_.did(Feature::ephemeral);
  });
  if (teller_.expect_ok(subscription.status(), "subscribe an ephemeral one")) {
    subscriptions_.push_back(std::move(*subscription));
  }
}

void Handlers::add_batched() {
  SubscribeOptions options{.name = std::string(name_of(Sub::batched)),
                           .types = {"work.*"},
                           .batch_size = 20,
                           .batch_linger = milliseconds(2),
                           .retry = for_ever()};
  options.on_settled = telling(Sub::batched);
  auto subscription = bus_.subscribe_batch(std::move(options), [this](BatchDelivery& batch) {
    std::vector<std::pair<EventId, Outcome::Kind>> answers;
    auto tx = batch.tx();
    for (auto member : batch) {
      const auto body = decode_body(member.event().payload_text());
      tell_delivered(Sub::batched, member.event(), member.attempt(), body);
      const auto key = body.value_or(Body{}).key;
      if (member.attempt() == 1 && key % 13 == 4) {
        member.answer(Outcome::retry("first"));
        answers.emplace_back(member.event().id, Outcome::Kind::retry);
        continue;
      }
      count(tx, 'e', key);
      answers.emplace_back(member.event().id, Outcome::Kind::ack);
    }
    teller_.did(Feature::batch_delivery);
    for (const auto& [id, kind] : answers) tell_answered(Sub::batched, id, kind);
    return Outcome::ack();
  });
  if (teller_.expect_ok(subscription.status(), "subscribe_batch")) {
    subscriptions_.push_back(std::move(*subscription));
  }
}

Outcome Handlers::handle_cancellable(Delivery& delivery, const Body& body) {
  if (delivery.attempt() == 1 && body.key % 4 == 1) {
    return Outcome::retry_after(milliseconds(4), "first");
  }
  if ((body.special & kIsDeferred) != 0) {
    teller_.did(Feature::deferred);
    // It may be answered, and its slot with somebody else, before this returns.
    tell_answered(Sub::cancellable, delivery.event().id, Outcome::Kind::ack);
    auto deferred = delivery.defer();
    const std::lock_guard lock(mutex_);
    deferring_.emplace_back([this, deferred = std::move(deferred), key = body.key]() mutable {
      rest(std::chrono::microseconds(key % 5 * 1'000), deferred.stop_token());
      count(deferred.tx(), 'e', key);
      // Cancelled meanwhile, or the bus has closed: then the answer is refused, which is in order.
      static_cast<void>(deferred.settle(Outcome::ack()));
    });
    return Outcome::ack();  // means nothing: the Deferred answers
  }
  rest(std::chrono::microseconds(body.key % 6 * 1'000), delivery.stop_token());
  if (delivery.stop_token().stop_requested()) return Outcome::stopped();
  count(delivery.tx(), 'e', body.key);
  return Outcome::ack();
}

Outcome Handlers::undo(Delivery& delivery, const Body& body, Feature feature) const {
  if (delivery.attempt() == 1 && body.key % 9 == 2) return Outcome::retry("first");
  teller_.did(feature);
  count(delivery.tx(), 'u', body.key);
  return Outcome::ack();
}

void Handlers::add_cancellable() {
  const auto clean_up = [this](Delivery& delivery) {
    return undo(delivery, decode_body(delivery.event().payload_text()).value_or(Body{}),
                Feature::on_cancel);
  };
  add(Sub::cancellable, {"cancel.job"},
      {.concurrency = 3, .retry = for_ever(), .on_cancel = clean_up},
      [this](Delivery& delivery, const Body& body) { return handle_cancellable(delivery, body); });
}

void Handlers::add_member() {
  const auto compensate = [this](Delivery& delivery) {
    return undo(delivery, decode_body(delivery.event().payload_text()).value_or(Body{}),
                Feature::compensate);
  };
  add(Sub::member, {"op.member"}, {.concurrency = 2, .retry = for_ever(), .compensate = compensate},
      [this](Delivery& delivery, const Body& body) {
        if ((body.special & kRejects) != 0) return Outcome::reject("no");
        if (delivery.attempt() == 1 && body.key % 6 == 1) return Outcome::retry("first");
        rest(std::chrono::microseconds(body.key % 3 * 700), delivery.stop_token());
        if (delivery.stop_token().stop_requested()) return Outcome::stopped();
        count(delivery.tx(), 'e', body.key);
        return Outcome::ack();
      });
}

void Handlers::add_slow() {
  add(Sub::slow, {"slow.*"},
      {.concurrency = 2, .retry = for_ever(), .timeout = kTimeout, .abandon_after = kAbandonAfter},
      [this](Delivery& delivery, const Body& body) {
        if (delivery.attempt() % 2 == 1 && (body.special & kIsAbandoned) != 0) {
          teller_.did(Feature::abandon);
          rest(kBeyondAbandon);
        } else if (delivery.attempt() % 2 == 1) {
          rest(kStopWithin, delivery.stop_token());
          if (!delivery.stop_token().stop_requested())
            teller_.wrong("4.13: nobody asked it to stop");
          teller_.did(Feature::time_out);
          return Outcome::stopped();
        }
        count(delivery.tx(), 'e', body.key);
        return Outcome::ack();
      });
}

void Handlers::add_fussy() {
  add(Sub::fussy, {"fussy.*"}, {.retry = retry_at_once(kAttemptsOfFew)},
      [this](Delivery& delivery, const Body& body) {
        if (!accepts_everything_) {
          if ((body.special & kRejects) != 0) return Outcome::reject("not that");
          if ((body.special & kGivesUp) != 0) return Outcome::retry("never");
        }
        count(delivery.tx(), 'e', body.key);
        return Outcome::ack();
      });
}

}  // namespace holdfast::torture
