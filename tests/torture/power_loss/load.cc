// SPDX-License-Identifier: MIT
#include "torture/power_loss/load.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "support/waiting.h"

namespace holdfast::testing {

namespace {

using std::chrono::milliseconds;

constexpr auto kHour = std::chrono::hours(1);

WallTime in_an_hour() {
  const auto at = std::chrono::system_clock::now() + kHour;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

RetryPolicy patient() {
  return {.attempts_max = 1'000'000,
          .backoff_first = milliseconds(0),
          .backoff_max = milliseconds(1),
          .jitter = 0};
}

}  // namespace

// --- Handlers -----------------------------------------------------------------------------------

Status PowerLoad::subscribe() {
  const auto add = [this](Consumer consumer, SubscribeOptions options,
                          Outcome (PowerLoad::*handler)(Delivery&)) {
    options.retry = patient();
    // With a listener each event goes to its handler by itself.
    if (plan_.has_listeners) {
      options.on_settled = [this, consumer](EventId id, Settled how) {
        book_.settled(consumer, id, how);
      };
    }
    auto made = bus_.subscribe(std::move(options), [this, consumer, handler](Delivery& delivery) {
      book_.delivered(consumer, delivery.event());
      const auto id = delivery.event().id;
      auto outcome = (this->*handler)(delivery);
      const auto kind = outcome.kind();
      if (kind == Outcome::Kind::ack || kind == Outcome::Kind::reject) book_.answered(consumer, id);
      return outcome;
    });
    if (made.ok()) subscriptions_.push_back(*std::move(made));
    return made.status();
  };
  auto status = add(kCount,
                    {.name = "count",
                     .types = {"work", "drop", "step"},
                     .concurrency = 3,
                     .compensate = [this](Delivery& delivery) { return compensate(delivery); }},
                    &PowerLoad::count);
  if (status.ok()) status = add(kAudit, {.name = "audit", .types = {"work"}}, &PowerLoad::audit);
  if (status.ok()) {
    status =
        add(kFollow, {.name = "follow", .types = {"follow"}, .concurrency = 2}, &PowerLoad::plain);
  }
  return status;
}

Outcome PowerLoad::count(Delivery& delivery) {
  const auto body = decode_body(delivery.event().payload).value_or(EventBody{});
  if (delivery.attempt() == 1 && body.key % 7 == 3) {
    return Outcome::retry_after(milliseconds(1), "once more");
  }
  if (body.kind == EventKind::step && body.key % 11 == 5) return Outcome::reject("a step fails");
  auto state = delivery.tx().state();
  const auto name = std::to_string(body.key);
  const auto before = state.get(name);
  if (!before.ok()) return Outcome::retry(before.status().to_string());
  state.put(name, std::to_string(std::stoi(before->value_or("0")) + 1));
  if (is_followed(body.key)) {
    const auto payload =
        encode_body({.key = body.key | kFollowBit, .kind = EventKind::follow}, body.key % 50);
    delivery.tx().publish({.type = "follow", .payload = payload, .priority = Priority::high});
  }
  return Outcome::ack();
}

Outcome PowerLoad::compensate(Delivery& delivery) {
  const auto body = decode_body(delivery.event().payload).value_or(EventBody{});
  const auto name = std::to_string(body.key);
  const auto done = delivery.tx().state("count").get(name);
  auto undone = delivery.tx().state("undo");
  const auto before = undone.get(name);
  if (!done.ok() || !before.ok()) return Outcome::retry("cannot be read");
  if (done->has_value()) undone.put(name, std::to_string(std::stoi(before->value_or("0")) + 1));
  return Outcome::ack();
}

Outcome PowerLoad::audit(Delivery& delivery) {
  const auto body = decode_body(delivery.event().payload).value_or(EventBody{});
  return body.key % 31 == 7 ? Outcome::reject("not this one") : Outcome::ack();
}

Outcome PowerLoad::plain(Delivery& /*delivery*/) { return Outcome::ack(); }

// --- Publishers ---------------------------------------------------------------------------------

class PowerLoad::Publisher {
 public:
  Publisher(PowerLoad& load, std::uint64_t thread)
      : bus_(load.bus_),
        machine_(load.machine_),
        book_(load.book_),
        plan_(load.plan_),
        random_(plan_.seed * 31 + thread),
        key_((plan_.number << 24U) | (thread << 20U)) {}

  void run() {
    for (std::uint32_t call = 0; call < plan_.calls && !machine_.has_failed(); ++call) one_call();
    // Whatever happens, each is told.
    if (!eventually([this] { return untold_ == 0; })) book_.violation("a publish is never told of");
  }

 private:
  void one_call() {
    const auto choice = random_() % (plan_.is_quiet ? 78 : 100);
    if (choice < 50) return single(EventKind::work, 0);
    if (choice < 53) return single(EventKind::rare, 0);
    if (choice < 58) return single(EventKind::work, 1 + random_() % 200);
    if (choice < 66) return async();
    if (choice < 78) return batch();
    if (choice < 86) return cancel_one();
    if (choice < 95) return cancel_token();
    return operation();
  }

  Durability durability() {
    return random_() % 8 < plan_.durable_of_8 ? Durability::durable : Durability::os;
  }

  /// What may be said once power is off or something has failed, and nothing before.
  bool is_fine(const Status& status, const char* doing) {
    if (status.ok()) return true;
    const bool is_expected = machine_.has_failed() &&
                             (status == StatusCode::indeterminate ||
                              status == StatusCode::poisoned || status == StatusCode::unavailable);
    if (!is_expected) book_.violation(std::string(doing) + ": " + status.to_string());
    return false;
  }

  EventBody next_body(EventKind kind) { return {.key = ++key_, .kind = kind}; }
  Priority lane() { return kAllPriorities[random_() % kLaneCount]; }
  OwnedEvent event_of(const EventBody& body) {
    return {.type = type_of(body.kind),
            .payload = encode_body(body, random_() % (plan_.padding_max + 1)),
            .priority = lane()};
  }
  static Event borrowed(const OwnedEvent& event) {
    return {.type = event.type,
            .payload = event.payload,
            .priority = event.priority,
            .not_before = event.not_before,
            .token = event.token,
            .idempotency_key = event.idempotency_key};
  }

  void note(const EventBody& body, const Receipt& receipt, Durability how) {
    if (receipt.duplicate) return book_.duplicate(body, receipt);
    book_.receipt(body, receipt, how);
  }

  void single(EventKind kind, std::uint64_t once) {
    auto body = next_body(kind);
    body.once = once;
    auto event = event_of(body);
    if (once != 0) event.idempotency_key = "once-" + std::to_string(once);
    const auto how = durability();
    const auto receipt = bus_.publish(borrowed(event), {.durability = how});
    if (is_fine(receipt.status(), "publish")) note(body, *receipt, how);
  }

  void async() {
    const auto body = next_body(EventKind::work);
    const auto event = event_of(body);
    const auto how = durability();
    ++untold_;
    const auto status = bus_.publish_async(borrowed(event),
                                           [this, body, how](Result<Receipt> receipt) {
                                             if (is_fine(receipt.status(), "publish_async"))
                                               note(body, *receipt, how);
                                             --untold_;
                                           },
                                           {.durability = how});
    if (!is_fine(status, "publish_async")) --untold_;
  }

  std::vector<OwnedEvent> some(std::vector<EventBody>& bodies, EventKind kind, std::uint32_t size,
                               bool has_state) {
    std::vector<OwnedEvent> events;
    const auto first = key_ + 1;
    for (std::uint32_t i = 0; i < size; ++i) {
      auto body = next_body(kind);
      body.batch = first;
      body.batch_size = size;
      body.has_state = has_state ? 1 : 0;
      bodies.push_back(body);
      events.push_back(event_of(body));
    }
    return events;
  }

  void batch() {
    const bool has_state = random_() % 3 == 0;
    std::vector<EventBody> bodies;
    const auto events =
        some(bodies, EventKind::work, static_cast<std::uint32_t>(2 + random_() % 20), has_state);
    const auto how = durability();
    auto builder = bus_.batch();
    for (const auto& event : events) builder.add(borrowed(event));
    if (has_state) builder.state("batches").put(std::to_string(bodies.front().key), "there");
    const auto receipt = has_state ? builder.commit({.durability = how})
                                   : bus_.publish_batch(events, {.durability = how});
    if (!is_fine(receipt.status(), "publish_batch")) return;
    for (std::size_t i = 0; i < bodies.size(); ++i) note(bodies[i], receipt->receipts[i], how);
  }

  void cancel_one() {
    const auto body = next_body(EventKind::drop);
    auto event = event_of(body);
    event.not_before = in_an_hour();
    const auto how = durability();
    const auto made = bus_.publish_cancellable(borrowed(event), {.durability = how});
    if (!is_fine(made.status(), "publish_cancellable")) return;
    note(body, made->receipt, how);
    book_.cancel_begins(made->receipt.id);
    const auto cancelled = bus_.cancel(made->receipt.id, "changed my mind");
    if (is_fine(cancelled.status(), "cancel")) book_.cancelled(*cancelled);
  }

  void cancel_token() {
    const auto token = bus_.make_token();
    if (!is_fine(token.status(), "make_token")) return;
    book_.token_made(token->id());
    std::vector<EventId> members;
    for (auto left = 1 + random_() % 4; left > 0; --left) {
      const auto body = next_body(EventKind::drop);
      auto event = event_of(body);
      event.not_before = in_an_hour();
      event.token = token->id();
      const auto how = durability();
      const auto receipt = bus_.publish(borrowed(event), {.durability = how});
      if (!is_fine(receipt.status(), "publish with a token")) return;
      note(body, *receipt, how);
      members.push_back(receipt->id);
    }
    if (random_() % 8 == 0) return;
    book_.token_cancel_begins(token->id());
    for (const auto id : members) book_.cancel_begins(id);
    const auto cancelled = bus_.cancel(token->id(), "all of them");
    if (!is_fine(cancelled.status(), "cancel a token")) return;
    book_.cancelled(*cancelled);
    book_.token_cancelled(token->id());
  }

  void operation() {
    std::vector<EventBody> bodies;
    const auto events =
        some(bodies, EventKind::step, static_cast<std::uint32_t>(2 + random_() % 4), false);
    const auto receipt = bus_.publish_batch(
        events, {.durability = Durability::durable, .operation = OperationOptions{}});
    if (!is_fine(receipt.status(), "publish_batch of an operation")) return;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      note(bodies[i], receipt->receipts[i], Durability::durable);
    }
    book_.operation(*receipt);
  }

  Bus& bus_;
  PowerMachine& machine_;
  PowerBook& book_;
  const PowerLoadPlan& plan_;
  std::mt19937_64 random_;
  std::uint64_t key_;
  std::atomic<int> untold_ = 0;
};

void PowerLoad::publish() {
  std::vector<std::unique_ptr<Publisher>> publishers;
  for (std::uint64_t i = 0; i < plan_.publishers; ++i) {
    publishers.push_back(std::make_unique<Publisher>(*this, ++threads_));
  }
  {
    std::vector<std::jthread> threads;
    for (auto& publisher : publishers) threads.emplace_back([&publisher] { publisher->run(); });
  }
}

bool PowerLoad::is_handled() const {
  std::uint64_t owed = 0;
  for (const auto& lane : bus_.stats().lanes) owed += lane.owed.ready + lane.owed.leased;
  return owed == 0;
}

/// Those that wait are counted by what they are: what was cancelled under a token stays put off.
bool PowerLoad::is_at_rest() const {
  if (!is_handled()) return false;
  bool is_owed = false;
  const auto scanned =
      bus_.scan({.states = {EventState::ready, EventState::leased, EventState::scheduled}},
                [&](const EventView&, EventState) {
                  is_owed = true;
                  return false;
                });
  if (!scanned.ok()) book_.violation("scanning: " + scanned.to_string());
  const auto operations = bus_.operations();
  return !is_owed &&
         std::none_of(operations.begin(), operations.end(), [](const OperationInfo& info) {
           return info.state == OperationState::open || info.state == OperationState::rolling_back;
         });
}

void PowerLoad::wait_trimmed() {
  const auto trimmed = [this] {
    std::uint64_t sum = 0;
    for (const auto& lane : bus_.stats().lanes) sum += lane.trimmed;
    return sum;
  };
  const auto before = trimmed();
  // With little to trim it may be that nothing comes.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  static_cast<void>(eventually([&] {
    return machine_.has_failed() || trimmed() > before || std::chrono::steady_clock::now() > end;
  }));
}

std::string PowerLoad::what_is_owed() const {
  std::string text;
  for (const auto& subscription : bus_.stats().subscriptions) {
    for (const auto& lane : subscription.lanes) {
      if (lane.ready + lane.leased + lane.scheduled == 0) continue;
      text += ", " + subscription.name + " is owed " + std::to_string(lane.ready) + " and runs " +
              std::to_string(lane.leased) + " and waits for " + std::to_string(lane.scheduled);
    }
  }
  for (const auto& operation : bus_.operations()) {
    if (operation.ended_at != 0) continue;
    text += ", " + to_string(operation.id) + " is " + std::string(to_string(operation.state));
    for (const auto& member : operation.members) {
      text += " " + to_string(member.event) + " " + std::string(to_string(member.state));
    }
  }
  return text;
}

void PowerLoad::wait_handled() {
  if (!eventually([this] { return machine_.has_failed() || is_handled(); })) {
    book_.violation("what is owed is not handled");
  }
}

void PowerLoad::finish() {
  std::vector<EventId> left;
  const auto scanned =
      bus_.scan({.types = {"drop"}, .states = {EventState::scheduled, EventState::ready}},
                [&](const EventView& event, EventState) {
                  left.push_back(event.id);
                  return true;
                });
  if (!scanned.ok()) book_.violation("scanning: " + scanned.to_string());
  for (const auto id : left) {
    book_.cancel_begins(id);
    const auto cancelled = bus_.cancel(id, "the end");
    if (cancelled.ok()) {
      book_.cancelled(*cancelled);
    } else {
      book_.violation("cancel: " + cancelled.status().to_string());
    }
  }
  if (!eventually([this] { return is_at_rest(); })) {
    book_.violation("what is owed is not handled in the end" + what_is_owed());
  }
}

}  // namespace holdfast::testing
