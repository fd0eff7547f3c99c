// SPDX-License-Identifier: MIT
#include "load/load.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "support/bus_test.h"

namespace holdfast::testing {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kKinds = 16;
constexpr std::size_t kShards = 8;
constexpr std::size_t kUserKinds = 8;

std::uint64_t steady_now() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

std::string type_of(std::size_t kind) { return "load.k" + std::to_string(kind); }

// --- Who wants what -----------------------------------------------------------------------------

enum class Wants : std::uint8_t { critical, one_kind, less_urgent, shard, users };

Wants wants_of(std::size_t number) {
  const auto digit = number % 10;
  if (digit == 0) return Wants::critical;
  if (digit <= 5) return Wants::one_kind;
  if (digit <= 7) return Wants::less_urgent;
  return digit == 8 ? Wants::shard : Wants::users;
}

/// By our own reckoning: what the library makes of the filter is compared with this.
bool wants(std::size_t number, const LoadEvent& event) {
  switch (wants_of(number)) {
    case Wants::critical: return event.priority == Priority::critical;
    case Wants::one_kind: return event.kind == number % kKinds;
    case Wants::less_urgent:
      return event.priority >= Priority::normal &&
             (event.kind == number % kKinds || event.kind == (number + 5) % kKinds);
    case Wants::shard: return event.shard == number / 10 % kShards;
    case Wants::users: return event.from_user && event.kind < kUserKinds;
  }
  return false;
}

void set_filter(std::size_t number, SubscribeOptions& options) {
  switch (wants_of(number)) {
    case Wants::critical:
      options.types = {"load.>"};
      options.match.priorities = {Priority::critical};
      return;
    case Wants::one_kind: options.types = {type_of(number % kKinds)}; return;
    case Wants::less_urgent:
      options.types = {type_of(number % kKinds), type_of((number + 5) % kKinds)};
      options.match.priorities = {Priority::normal, Priority::low};
      return;
    case Wants::shard:
      options.types = {"load.*"};
      options.match.metadata_equals = {{"shard", std::to_string(number / 10 % kShards)}};
      return;
    case Wants::users:
      for (std::size_t kind = 0; kind < kUserKinds; ++kind) options.types.push_back(type_of(kind));
      options.match.source_kinds = {SourceKind::user};
      return;
  }
}

Subscribers all_who_want(const LoadEvent& event) {
  Subscribers who;
  for (std::size_t number = 0; number < MixedLoad::kDurable; ++number) {
    who.set(number, wants(number, event));
  }
  return who;
}

// --- How they behave ----------------------------------------------------------------------------

enum class Behaviour : std::uint8_t { quick, slow, failing, rejecting, overrunning, transacting };

Behaviour behaviour_of(std::size_t number) {
  switch (number % 16) {
    case 3: return Behaviour::slow;
    case 5: return Behaviour::transacting;
    case 7: return Behaviour::failing;
    case 11: return Behaviour::rejecting;
    case 15: return Behaviour::overrunning;
    default: return Behaviour::quick;
  }
}

/// A number that depends on the event, the subscription and the attempt alone.
std::uint64_t luck(std::size_t number, const Delivery& delivery) {
  std::seed_seq seed{static_cast<std::uint64_t>(delivery.event().id.priority),
                     delivery.event().id.sequence, std::uint64_t{number},
                     std::uint64_t{delivery.attempt()}};
  std::array<std::uint32_t, 1> drawn{};
  seed.generate(drawn.begin(), drawn.end());
  return drawn[0];
}

constexpr std::uint32_t kAttempts = 3;

LoadEvent any_event(std::mt19937_64& random) {
  const auto urgency = random() % 100;
  return {.kind = random() % kKinds,
          .priority = urgency < 5    ? Priority::critical
                      : urgency < 20 ? Priority::high
                      : urgency < 70 ? Priority::normal
                                     : Priority::low,
          .from_user = random() % 4 == 0,
          .shard = random() % kShards};
}

}  // namespace

MixedLoad::MixedLoad(const LoadOptions& options, const std::string& folder)
    : options_(options), path_(folder), bus_(must(Bus::open(folder, options.bus))) {
  subscribe();
}

MixedLoad::~MixedLoad() {
  end_publishing();
  subscriptions_.clear();
}

std::string MixedLoad::name_of(std::size_t number) const { return "s" + std::to_string(number); }

void MixedLoad::subscribe() {
  for (std::size_t number = 0; number < kDurable; ++number) subscribe_durable(number);
  for (std::size_t number = 0; number < kEphemeral; ++number) {
    subscriptions_.push_back(must(
        bus_->subscribe({.types = {type_of(number % kKinds)},
                         .concurrency = 2,
                         .retry = {.attempts_max = 2, .backoff_first = milliseconds(5)}},
                        [this, number](Delivery& delivery) {
                          ++deliveries_;
                          const bool fails = number % 5 == 0 && luck(number, delivery) % 10 == 0;
                          return fails ? Outcome::retry("ephemeral") : Outcome::ack();
                        })));
  }
}

void MixedLoad::subscribe_durable(std::size_t number) {
  SubscribeOptions options{
      .name = name_of(number),
      .concurrency = 3,
      .retry = {.attempts_max = kAttempts,
                .backoff_first = milliseconds(10),
                .backoff_max = milliseconds(100)},
      .on_settled = [this, number](EventId id, Settled how) { books_.settled(id, number, how); }};
  set_filter(number, options);
  if (behaviour_of(number) == Behaviour::overrunning) options.timeout = milliseconds(20);
  subscriptions_.push_back(
      must(bus_->subscribe(std::move(options), [this, number](Delivery& delivery) {
        return handle(number, delivery);
      })));
}

bool MixedLoad::wait(std::stop_token stop, microseconds time) {
  std::unique_lock lock(mutex_);
  return nothing_.wait_for(lock, std::move(stop), time, [] { return false; });
}

Outcome MixedLoad::handle(std::size_t number, Delivery& delivery) {
  const auto delivered = ++deliveries_;
  if (number == 0) {
    std::uint64_t begun = 0;
    std::memcpy(&begun, delivery.event().payload.data(), sizeof(begun));
    if (delivery.attempt() == 1) {
      const std::lock_guard lock(mutex_);
      latencies_.add(steady_now() - begun);
    }
    return Outcome::ack();
  }
  if (delivery.attempt() > 1) ++retries_;
  const auto drawn = luck(number, delivery) % 1'000;
  switch (behaviour_of(number)) {
    case Behaviour::quick: return Outcome::ack();
    case Behaviour::slow:
      if (drawn < 125) wait(delivery.stop_token(), microseconds(500 + drawn * 20));
      return Outcome::ack();
    case Behaviour::failing:
      if (drawn < 60) return Outcome::retry("failing");
      if (drawn < 70) throw std::runtime_error("thrown");
      // The same attempt comes again then: not for ever.
      return drawn < 80 && delivered % 2 == 0 ? Outcome::snooze(milliseconds(30)) : Outcome::ack();
    case Behaviour::rejecting: return drawn < 2 ? Outcome::reject("rejected") : Outcome::ack();
    case Behaviour::overrunning:
      if (drawn > 0) return Outcome::ack();
      wait(delivery.stop_token(), std::chrono::seconds(10));
      ++time_outs_;
      return Outcome::stopped();
    case Behaviour::transacting:
      delivery.tx().state().put(std::to_string(delivery.event().id.sequence % 1'000),
                                to_string(delivery.event().id));
      return Outcome::ack();
  }
  return Outcome::ack();
}

// --- Publishing ---------------------------------------------------------------------------------

void MixedLoad::begin_publishing() {
  for (std::size_t i = 0; i < kPublishers; ++i) {
    publishers_.emplace_back([this, i](std::stop_token stop) { publish_for_a_while(i, stop); });
  }
}

void MixedLoad::end_publishing() {
  for (auto& publisher : publishers_) publisher.request_stop();
  publishers_.clear();
}

void MixedLoad::publish_for_a_while(std::size_t number, const std::stop_token& stop) {
  std::mt19937_64 random(options_.seed * 1'000'003 + number);
  const auto begun = std::chrono::steady_clock::now();
  std::uint64_t mine = 0;
  while (!stop.stop_requested()) {
    const auto count = random() % 10 == 0 ? 2 + random() % 30 : 1;
    publish(random, count);
    mine += count;
    while (books_.open() > options_.backlog_max && !stop.stop_requested()) {
      wait(stop, milliseconds(5));
    }
    const auto due =
        begun + std::chrono::nanoseconds(mine * kPublishers * 1'000'000'000 / options_.rate);
    const auto early = due - std::chrono::steady_clock::now();
    if (early.count() > 0) wait(stop, std::chrono::duration_cast<microseconds>(early));
  }
}

void MixedLoad::publish(std::mt19937_64& random, std::size_t count) {
  std::vector<LoadEvent> like;
  std::vector<OwnedEvent> events;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& event = like.emplace_back(any_event(random));
    const auto now = steady_now();
    std::string payload(sizeof(now) + random() % (2 * options_.payload_bytes), '\0');
    // Such that it cannot be compressed.
    std::generate(payload.begin(), payload.end(), [&] { return static_cast<char>(random()); });
    std::memcpy(payload.data(), &now, sizeof(now));
    events.push_back({.type = type_of(event.kind),
                      .payload = std::move(payload),
                      .priority = event.priority,
                      .source_kind = event.from_user ? SourceKind::user : SourceKind::system,
                      .metadata = {{"shard", std::to_string(event.shard)}}});
  }
  const auto receipt = must(bus_->publish_batch(events));
  for (std::size_t i = 0; i < count; ++i) {
    books_.published(receipt.receipts[i].id, all_who_want(like[i]));
  }
}

// --- The end ------------------------------------------------------------------------------------

void MixedLoad::finish() {
  (void)eventually([this] { return books_.open() == 0; });
}

void MixedLoad::check_what_is_left() {
  // Who is told of an end is told before the next commit but one is durable.
  must(bus_->drain());
  for (int i = 0; i < 2; ++i) must(bus_->make_token());
  subscriptions_.clear();
  must(bus_->close());
  bus_.reset();
  bus_ = must(Bus::open(path_, options_.bus));
  if (!bus_->recovery().lost.empty()) books_.violate("sequences are lost");
  std::vector<std::string> missing;
  books_.each_open([&](EventId id, const Subscribers& owed) {
    const auto stored = must(bus_->get(id));
    for (std::size_t number = 0; number < kDurable; ++number) {
      if (!owed[number]) continue;
      const auto is_owed = [&](const StoredEvent::Standing& standing) {
        return standing.subscription == name_of(number) && standing.state != EventState::dead;
      };
      if (stored.has_value() &&
          std::any_of(stored->standings.begin(), stored->standings.end(), is_owed)) {
        continue;
      }
      missing.push_back(to_string(id) + " is neither settled by " + name_of(number) +
                        " nor owed to it");
    }
  });
  for (const auto& what : missing) books_.violate(what);
}

Latencies MixedLoad::take_latencies() {
  const std::lock_guard lock(mutex_);
  return std::exchange(latencies_, {});
}

}  // namespace holdfast::testing
