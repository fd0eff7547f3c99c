// SPDX-License-Identifier: MIT
#include "damage/journal_content.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <rocksdb/env.h>

#include "damage/journal_kinds.h"
#include "journal/rocks/files.h"
#include "journal/rocks/watermark.h"
#include "support/bus_test.h"
#include "support/journal_image.h"
#include "support/waiting.h"

namespace holdfast::testing {

namespace {

using namespace std::chrono_literals;

constexpr int kSessions = 6;
// Longer than any run of the torture: what waits for it still waits.
constexpr auto kLong = 24h * 20;

std::string hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text.append(1, kDigits[byte >> 4U]).append(1, kDigits[byte & 15U]);
  }
  return text;
}

/// Not compressible, so that each byte of a table has a meaning, and never the same twice.
std::string noise(std::uint64_t seed, std::size_t bytes) {
  std::string text;
  auto state = seed * 0x9e3779b97f4a7c15U + 1;
  while (text.size() < bytes) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    text.append(reinterpret_cast<const char*>(&state), sizeof(state));
  }
  text.resize(bytes);
  return text;
}

void require(bool holds, const std::string& what) {
  if (!holds) give_up({StatusCode::internal, "the journal to damage: " + what});
}

WallTime in_a_month() {
  const auto now = std::chrono::system_clock::now() + 24h * 30;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

/// One run of the program whose journal it is, up to the moment at which it is killed.
class Session {
 public:
  Session(Bus& bus, int number, Facts& facts) : bus_(bus), number_(number), facts_(facts) {}
  ~Session() { release_.set(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void run() {
    subscribe();
    hold_one();
    publish_plain();
    publish_conditional();
    publish_keyed();
    use_tokens();
    run_operations();
    put_state();
    must(bus_.wait_durable(bus_.stats().commit));
  }
  /// What no sync has made durable yet.
  void publish_tail() {
    for (int i = 0; i < 3; ++i) {
      publish({.type = kTailType, .payload = noise(++seed_, 30), .priority = Priority::low},
              Durability::os);
    }
  }

 private:
  void subscribe();
  void hold_one();
  void publish_plain();
  void publish_conditional();
  void publish_keyed();
  void use_tokens();
  void run_operations();
  void put_state();

  Outcome mail(Delivery& delivery);
  Outcome step(Delivery& delivery, bool undo);

  [[nodiscard]] std::string name(std::string_view what) const {
    return std::string(what) + "-" + std::to_string(number_);
  }
  Receipt publish(const OwnedEvent& event, Durability durability = Durability::durable);
  void note(EventId id, const OwnedEvent& event) {
    facts_.events.push_back({id, content_of(event)});
  }
  OwnedEvent make(std::string type, Priority priority = Priority::normal) {
    ++seed_;
    return {.type = std::move(type),
            .payload = std::to_string(number_) + noise(seed_ + 1000U * number_, 8 + seed_ % 24),
            .priority = priority};
  }
  OperationId operation(const std::vector<std::string>& types, OperationState until);
  [[nodiscard]] SubscriptionStats stats_of(std::string_view subscription) const;

  Bus& bus_;
  const int number_;
  Facts& facts_;
  std::uint64_t seed_ = 0;
  Signal held_;
  Signal release_;
  std::vector<Subscription> subscriptions_;  // ends before what its handlers refer to
};

Outcome Session::mail(Delivery& delivery) {
  const auto& event = delivery.event();
  if (event.type == "order.hold" && event.payload_text() == name("hold")) {
    held_.set();
    release_.wait();
  }
  if (event.type == "order.retry") return Outcome::retry_after(kLong, "no answer yet");
  if (event.type == "order.snooze") return Outcome::snooze(kLong);
  if (event.type == "order.dead") return Outcome::reject("nobody lives there");
  if (event.type == "order.tx") {
    auto tx = delivery.tx();
    tx.state(kStateName).put("tx-" + to_string(event.id), event.payload_text());
    tx.publish({.type = "note.sent", .payload = event.payload_text(), .priority = Priority::low});
  }
  return Outcome::ack();
}

Outcome Session::step(Delivery& delivery, bool undo) {
  const auto type = delivery.event().type;
  if (!undo) return type == "step.never" ? Outcome::reject("cannot be done") : Outcome::ack();
  if (type == "step.slow") return Outcome::retry_after(kLong, "cannot be undone yet");
  return type == "step.stuck" ? Outcome::reject("cannot be undone") : Outcome::ack();
}

void Session::subscribe() {
  auto mailer = mailer_options();
  mailer.concurrency = 3;  // one is held, and one is for critical events alone
  mailer.on_cancel = [](Delivery&) { return Outcome::retry_after(kLong, "not cleaned up yet"); };
  subscriptions_.push_back(
      must(bus_.subscribe(mailer, [this](Delivery& delivery) { return mail(delivery); })));
  auto steps = steps_options();
  steps.compensate = [this](Delivery& delivery) { return step(delivery, true); };
  subscriptions_.push_back(
      must(bus_.subscribe(steps, [this](Delivery& delivery) { return step(delivery, false); })));
  if (number_ > 1) {
    // What else is there once is there again in each run, so that the log has it as well.
    must(bus_.subscribe({.name = name("reader"), .types = {"note.>"}}, [](Delivery&) {})).end();
    must(bus_.pause(TypePattern{name("paused") + ".>"}));
  }
  if (number_ > 2) return;
  // Owed everything from here on; with another filter after the first run, which remembers both.
  SubscribeOptions sleeper{.name = "sleeper", .types = {"order.>"}};
  sleeper.match.priorities = {Priority::normal, Priority::critical};
  sleeper.match.metadata_equals = {{"tenant", "acme"}};
  if (number_ == 2) sleeper.types.emplace_back("note.>");
  if (number_ == 1) {
    must(bus_.subscribe(sleeper, [](Delivery&) {})).end();
    must(bus_.pause("sleeper"));
    must(bus_.pause(TypePattern{"paused.>"}));
    return;
  }
  must(bus_.subscribe(sleeper, [](Delivery&) {})).end();
}

/// A handler has it when the process is killed, and keeps the floor of its lane: what is
/// acknowledged behind it is settled ahead.
void Session::hold_one() {
  publish({.type = "order.hold", .payload = name("hold")});
  require(held_.wait(), "the handler that is held was not called");
}

void Session::publish_plain() {
  const auto before = stats_of("mailer");
  const auto scheduled = [](const SubscriptionStats& stats) {
    std::uint64_t sum = 0;
    for (const auto& lane : stats.lanes) sum += lane.scheduled;
    return sum;
  };
  // In every lane one that is acknowledged, one that is tried again, and one of the others.
  const char* others[kLaneCount] = {"order.tx", "order.dead", "order.snooze", "lone.event"};
  for (const auto lane : kAllPriorities) {
    for (const char* type : {"order.ok", "order.retry", others[static_cast<std::size_t>(lane)]}) {
      auto event = make(type, lane);
      event.content_type = "text/plain";
      event.source_kind = SourceKind::plugin;
      event.source_name = "shop";
      event.metadata = {{"tenant", "acme"}, {"trace", hex(noise(++seed_, 4))}};
      publish(event);
    }
  }
  std::vector<OwnedEvent> batch;
  for (int i = 0; i < 4; ++i) batch.push_back(make("lone.batch", Priority::high));
  const auto receipt = must(bus_.publish_batch(batch));
  for (std::size_t i = 0; i < batch.size(); ++i) note(receipt.receipts[i].id, batch[i]);
  require(eventually([&] {
            const auto now = stats_of("mailer");
            return now.acked - before.acked >= 5 && now.rejected - before.rejected >= 1 &&
                   scheduled(now) - scheduled(before) >= 5;
          }),
          "the mailer did not get through its events");
}

void Session::publish_conditional() {
  auto later = make("order.ok");
  later.not_before = in_a_month();
  publish(later);
  auto soon_over = make("lone.event");
  soon_over.expires_at = in_a_month();
  publish(soon_over);
  publish(make("paused.event"));
  publish(make("paused.event", Priority::high));
}

void Session::publish_keyed() {
  for (int i = 0; i < 3; ++i) {
    auto event = make("lone.event", kAllPriorities[static_cast<std::size_t>(i)]);
    event.idempotency_key = name("once") + "-" + std::to_string(i);
    facts_.idempotency_keys.emplace_back(event.idempotency_key, publish(event).id);
  }
  // The first of each run under a key that every run uses.
  for (const auto& key : {std::string("cart"), name("cart"), name("cart")}) {
    auto event = make("order.retry", key == "cart" ? Priority::high : Priority::normal);
    event.ordering_key = key;
    const auto id = publish(event).id;
    std::erase_if(facts_.ordering_keys, [&](const auto& each) { return each.first == key; });
    facts_.ordering_keys.emplace_back(key, id);
  }
}

void Session::use_tokens() {
  const auto lasting = must(bus_.make_token({.timeout = kLong}));
  const auto cancelled = must(bus_.make_token());
  for (const auto& token : {lasting, cancelled}) {
    auto event = make("lone.event");
    event.token = token.id();
    publish(event);
    facts_.tokens.push_back(token.id());
  }
  static_cast<void>(must(bus_.cancel(cancelled.id(), "nobody wants it any more")));
  const auto alone = publish(make("lone.event")).id;
  static_cast<void>(must(bus_.cancel(alone, "a mistake")));
  // One that a handler had begun: its clean-up is owed.
  const auto before = stats_of("mailer").lanes[1].scheduled;
  const auto begun = publish(make("order.retry", Priority::high)).id;
  require(eventually([&] { return stats_of("mailer").lanes[1].scheduled > before; }),
          "what is cancelled later was not tried");
  static_cast<void>(must(bus_.cancel(begun, "too late to be undone by itself")));
}

OperationId Session::operation(const std::vector<std::string>& types, OperationState until) {
  std::vector<OwnedEvent> members;
  for (const auto& type : types) members.push_back(make(type));
  const auto receipt =
      must(bus_.publish_batch(members, {.operation = OperationOptions{.deadline = kLong}}));
  for (std::size_t i = 0; i < members.size(); ++i) note(receipt.receipts[i].id, members[i]);
  const auto id = receipt.operation_id;
  require(eventually([&] { return must(bus_.operation(id)).state == until; }),
          "an operation did not become " + std::string(to_string(until)));
  return id;
}

void Session::run_operations() {
  operation({"step.fast", "step.fast"}, OperationState::committed);
  operation({"step.fast", "step.never"}, OperationState::rolled_back);
  operation({"step.stuck", "step.never"}, OperationState::rollback_failed);
  const auto slow = operation({"step.slow", "step.never"}, OperationState::rolling_back);
  require(eventually([&] {
            return must(bus_.operation(slow)).members.front().state == MemberState::compensating &&
                   stats_of("steps").lanes[2].scheduled >= static_cast<unsigned>(number_);
          }),
          "the operation that cannot be undone yet was not tried");
  auto open = must(bus_.begin_operation({.deadline = kLong}));
  const auto member = make("lone.member");
  const auto added = open.add({.type = member.type, .payload = member.payload});
  note(must(added).id, member);
}

void Session::put_state() {
  auto batch = bus_.batch();
  const auto event = make("lone.event", Priority::low);
  batch.add({.type = event.type, .payload = event.payload, .priority = event.priority});
  auto state = batch.state(kStateName);
  for (int i = 0; i < 4; ++i) state.put(name("key") + std::to_string(i), noise(++seed_, 20));
  state.put("total", std::to_string(number_));
  if (number_ > 1) state.erase("key-" + std::to_string(number_ - 1) + "0");
  note(must(batch.commit()).receipts.front().id, event);
}

Receipt Session::publish(const OwnedEvent& event, Durability durability) {
  std::vector<MetadataPair> metadata(event.metadata.begin(), event.metadata.end());
  const auto receipt = must(bus_.publish({.type = event.type,
                                          .payload = event.payload,
                                          .content_type = event.content_type,
                                          .priority = event.priority,
                                          .source = {event.source_kind, event.source_name},
                                          .metadata = metadata,
                                          .not_before = event.not_before,
                                          .expires_at = event.expires_at,
                                          .token = event.token,
                                          .ordering_key = event.ordering_key,
                                          .idempotency_key = event.idempotency_key},
                                         {.durability = durability}));
  note(receipt.id, event);
  return receipt;
}

SubscriptionStats Session::stats_of(std::string_view subscription) const {
  for (const auto& each : bus_.stats().subscriptions) {
    if (each.name == subscription) return each;
  }
  return {};
}

CommitNumber durable_in(const std::string& image) {
  const journal::Files files(*rocksdb::Env::Default());
  const auto read = journal::read_watermark(files, image);
  return read.ok() && *read ? (*read)->durable : CommitNumber{};
}

}  // namespace

std::string content_of(const OwnedEvent& event) {
  std::ostringstream out;
  out << event.type << ' ' << to_string(event.priority) << ' ' << hex(event.payload) << " \""
      << event.content_type << "\" " << static_cast<int>(event.source_kind) << " \""
      << event.source_name << "\" nb=" << event.not_before << " ex=" << event.expires_at
      << " token=" << event.token.value << " order=" << event.ordering_key
      << " once=" << event.idempotency_key;
  for (const auto& [key, value] : event.metadata) out << " {" << key << '=' << value << '}';
  return out.str();
}

Options damage_options() {
  Options options;
  // Two threads, and so two slots in the file of what is running.
  options.workers = {.critical = 0, .high = 0, .normal = 0, .low = 2};
  options.replaced_workers_max = 0;
  options.retention = Retention::forever();
  options.unclaimed_retention = Retention::forever();
  options.idempotency_window = kKeepIdempotencyKeys;
  options.ack_linger = 0ms;
  return options;
}

SubscribeOptions mailer_options() {
  return {.name = "mailer",
          .types = {"order.>", "paused.>"},
          // Being killed over and over is no reason to give up on an event here.
          .retry = {.attempts_max = 1000}};
}

SubscribeOptions steps_options() { return {.name = "steps", .types = {"step.>"}}; }

void make_damage_journal(const std::string& folder) {
  std::filesystem::create_directories(folder);
  auto live = folder + "/run-1";
  Facts facts;
  for (int number = 1; number <= kSessions; ++number) {
    // Each open makes a table of the log before it; the fourth has the engine compact them.
    auto bus = must(Bus::open(live, damage_options()));
    const auto next =
        number == kSessions ? folder + "/image" : folder + "/run-" + std::to_string(number + 1);
    if (number == kSessions) {
      write_bytes(folder + "/stale-watermark", read_bytes(live + "/watermark"));
    }
    {
      Session session(*bus, number, facts);
      session.run();
      require(eventually([&] { return durable_in(live) >= bus->stats().commit; }),
              "the watermark is not renewed");
      const auto watermark = read_bytes(live + "/watermark");
      if (number == kSessions) session.publish_tail();
      copy_image(live, next);
      // What the last second brought is not in the watermark.
      if (number == kSessions) write_bytes(next + "/watermark", watermark);
    }
    // A machine that went down leaves ranges that are lost: once in a table, once in the log.
    if (number == 2 || number == kSessions - 1) pretend_reboot(next);
    must(bus->close());
    bus.reset();
    std::filesystem::remove_all(live);
    live = next;
  }
  facts.save(folder + "/facts");
  check_kinds(folder + "/image");
}

void Facts::save(const std::string& file) const {
  std::ofstream out(file);
  for (const auto& [id, content] : events) {
    out << "event " << to_string(id) << ' ' << content << '\n';
  }
  for (const auto& [key, id] : idempotency_keys)
    out << "once " << to_string(id) << ' ' << key << '\n';
  for (const auto& [key, id] : ordering_keys)
    out << "order " << to_string(id) << ' ' << key << '\n';
  for (const auto token : tokens) out << "token " << to_string(token) << " -\n";
}

Facts Facts::load(const std::string& file) {
  Facts facts;
  std::ifstream in(file);
  std::string what;
  std::string id;
  std::string rest;
  while (in >> what >> id && in.get() == ' ' && std::getline(in, rest)) {
    if (what == "token") {
      facts.tokens.push_back(parse_token_id(id).value());
      continue;
    }
    const auto event = parse_event_id(id).value();
    if (what == "event") facts.events.push_back({event, rest});
    if (what == "once") facts.idempotency_keys.emplace_back(rest, event);
    if (what == "order") facts.ordering_keys.emplace_back(rest, event);
  }
  return facts;
}

}  // namespace holdfast::testing
