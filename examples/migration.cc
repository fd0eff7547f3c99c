// SPDX-License-Identifier: MIT
// From a plain event bus in memory to holdfast: the code of docs/migration.md, which shows each
// part between two marks as it stands here. `before` is the plain bus, `after` is this library.
#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>

using namespace std::chrono_literals;
using holdfast::unwrap;

// What the program does for a living; here it tells what it did.
void told(const std::string& what) { std::cout << what << std::endl; }
std::counting_semaphore mails(0);
void send_mail(std::string_view order) {
  told("mail: " + std::string(order));
  mails.release();
}
void ring_bell(std::string_view where) { told("bell: " + std::string(where)); }

// [plain-bus]
namespace plain {
class Bus {
 public:
  using Handler = std::function<void(const std::string& payload)>;
  void subscribe(const std::string& type, Handler handler) {
    handlers_[type].push_back(std::move(handler));
  }
  void publish(const std::string& type, const std::string& payload) {
    for (auto& handler : handlers_[type]) handler(payload);
  }

 private:
  std::map<std::string, std::vector<Handler>> handlers_;
};
}  // namespace plain
// [/plain-bus]

void calls_before() {
  plain::Bus bus;
  // [calls-before]
  bus.subscribe("order.placed", [](const std::string& payload) { send_mail(payload); });
  bus.publish("order.placed", "one kettle");
  // [/calls-before]
}

void calls_after() {
  while (mails.try_acquire()) {
  }
  // [calls-after]
  auto bus = unwrap(holdfast::Bus::open("journal"));
  auto mailer = unwrap(bus->subscribe("order.placed", [](holdfast::Delivery& delivery) {
    send_mail(delivery.event().payload_text());
  }));
  unwrap(bus->publish("order.placed", "one kettle"));
  // [/calls-after]
  // An ephemeral subscription keeps nothing, so that there is nothing to wait for but its handler.
  mails.acquire();
  // [errors-after]
  auto receipt = bus->publish("order placed", "one kettle");
  if (!receipt) told("not published: " + std::string(to_string(receipt.status().code())));
  // [/errors-after]
}

void priorities_before() {
  plain::Bus bus;
  // [priorities-before]
  bus.subscribe("alarm", [](const std::string& payload) { ring_bell(payload); });
  bus.publish("order.placed", "one kettle");
  bus.publish("alarm", "kitchen");  // waits for whatever the handler of the order does
  // [/priorities-before]
}

void priorities_after(holdfast::Bus& bus) {
  auto bell = unwrap(bus.subscribe({.name = "bell", .types = {"alarm"}}, [](auto& delivery) {
    ring_bell(delivery.event().payload_text());
  }));
  // [priorities-after]
  auto order = unwrap(bus.publish(
      {.type = "order.placed", .payload = "one kettle", .priority = holdfast::Priority::low}));
  auto alarm = unwrap(bus.publish(
      {.type = "alarm", .payload = "kitchen", .priority = holdfast::Priority::critical}));
  // [/priorities-after]
  unwrap(bus.wait_settled(alarm.id, 30s));
  unwrap(bus.cancel(order.id));
}

/// Else it would be owed the events of the parts that follow, and they wait for all who are.
void forget(holdfast::Bus& bus, holdfast::Subscription& subscription) {
  const std::string name = subscription.name();
  subscription.end();
  unwrap(bus.remove_subscription(name));
}

void durable_before() {
  plain::Bus bus;
  // [durable-before]
  bus.publish("order.placed", "two cups");  // nobody is subscribed yet: gone
  bus.subscribe("order.placed", [](const std::string& payload) { send_mail(payload); });
  // [/durable-before]
}

void durable_after(holdfast::Bus& bus) {
  // [durable-after]
  auto order = unwrap(bus.publish("order.placed", "two cups"));  // kept until somebody wants it
  auto mailer = unwrap(bus.subscribe(
      {.name = "mailer", .types = {"order.>"}},
      [](holdfast::Delivery& delivery) { send_mail(delivery.event().payload_text()); }));
  // [/durable-after]
  unwrap(bus.wait_settled(order.id, 30s));
  forget(bus, mailer);
}

bool try_to_send(std::string_view order, std::uint32_t attempt) {
  if (attempt > 1) send_mail(order);
  return attempt > 1;
}

void acks_before() {
  plain::Bus bus;
  // [acks-before]
  bus.subscribe("order.placed", [](const std::string& payload) {
    for (std::uint32_t attempt = 1; attempt <= 5; ++attempt) {
      if (try_to_send(payload, attempt)) return;
      std::this_thread::sleep_for(200ms);  // and everybody waits
    }
    std::cerr << "given up: " << payload << '\n';  // somebody may read it
  });
  // [/acks-before]
  bus.publish("order.placed", "three spoons");
}

void acks_after(holdfast::Bus& bus) {
  // [acks-after]
  holdfast::SubscribeOptions options{.name = "sender", .types = {"order.placed"}};
  options.start = holdfast::Start::new_only();
  options.retry = {.attempts_max = 5, .backoff_first = 200ms};
  auto sender = unwrap(bus.subscribe(options, [](holdfast::Delivery& delivery) {
    const auto& event = delivery.event();
    if (event.payload.empty()) return holdfast::Outcome::reject("an order of nothing");
    if (try_to_send(event.payload_text(), delivery.attempt())) return holdfast::Outcome::ack();
    return holdfast::Outcome::retry("the mail server does not answer");
  }));
  // [/acks-after]
  auto order = unwrap(bus.publish("order.placed", "three spoons"));
  auto nothing = unwrap(bus.publish("order.placed", ""));
  unwrap(bus.wait_settled(order.id, 30s));
  unwrap(bus.wait_settled(nothing.id, 30s));
  // [dead-letters-after]
  for (const auto& letter : unwrap(bus.dead_letters({.subscription = "sender"}))) {
    told("given up: " + to_string(letter.id) + ", " + letter.reason);
  }
  // [/dead-letters-after]
  forget(bus, sender);
}

// [tx-before]
void count_orders(plain::Bus& bus, std::map<std::string, int>& totals) {
  bus.subscribe("order.placed", [&](const std::string&) {
    ++totals["orders"];  // lost with the process; and where it is stored, counted twice by a crash
    bus.publish("invoice.due", "");
  });
}
// [/tx-before]

void tx_before() {
  plain::Bus bus;
  std::map<std::string, int> totals;
  count_orders(bus, totals);
  bus.publish("order.placed", "four forks");
  told("orders: " + std::to_string(totals["orders"]));
}

void tx_after(holdfast::Bus& bus) {
  // [tx-after]
  auto counter = unwrap(bus.subscribe(
      {.name = "counter", .types = {"order.placed"}, .start = holdfast::Start::new_only()},
      [](holdfast::Delivery& delivery) {
        auto tx = delivery.tx();
        auto totals = tx.state();
        const auto orders = unwrap(totals.get("orders"));
        totals.put("orders", std::to_string(std::stoi(orders.value_or("0")) + 1));
        tx.publish({.type = "invoice.due"});
      }));  // it returns nothing: that is an ack, and all of this is one commit with it
  // [/tx-after]
  auto order = unwrap(bus.publish("order.placed", "four forks"));
  unwrap(bus.wait_settled(order.id, 30s));
  told("orders: " + *unwrap(bus.state("counter", "orders")));
  forget(bus, counter);
}

void tokens_before() {
  plain::Bus bus;
  // [tokens-before]
  bool trip_is_off = false;
  bus.subscribe("book", [&](const std::string& payload) {
    if (!trip_is_off) told("book: " + payload);
  });
  bus.publish("book", "flight");  // and what of those that were given out already?
  trip_is_off = true;
  // [/tokens-before]
}

void tokens_after(holdfast::Bus& bus) {
  // [tokens-after]
  const auto trip = unwrap(bus.make_token({.timeout = 24h}));
  unwrap(bus.publish({.type = "book", .payload = "flight", .token = trip}));
  unwrap(bus.publish({.type = "book", .payload = "hotel", .token = trip}));
  const auto receipt = unwrap(bus.cancel(trip, "the trip is off"));
  told("trip: " + std::to_string(receipt.prevented) + " prevented, " +
       std::to_string(receipt.signalled) + " asked to stop, " + std::to_string(receipt.too_late) +
       " too late");
  // [/tokens-after]
  // [cancel-one-after]
  const auto order = unwrap(bus.publish("order.placed", "one kettle"));
  unwrap(bus.cancel(order.id, "changed my mind"));
  // [/cancel-one-after]
}

void batches_before() {
  plain::Bus bus;
  // [batches-before]
  bus.publish("pick", "kettle");
  bus.publish("pick", "cup");  // what if the process ends before this line?
  // [/batches-before]
}

void batches_after(holdfast::Bus& bus) {
  // [batches-after]
  auto batch = bus.batch();
  batch.add({.type = "pick", .payload = "kettle"}).add({.type = "pick", .payload = "cup"});
  batch.state("stock").put("kettle", "6").put("cup", "11");
  const auto picked = unwrap(batch.commit());
  // [/batches-after]
  told("picked: " + std::to_string(picked.receipts.size()));
}

void schedules_before() {
  plain::Bus bus;
  bus.subscribe("remind", [](const std::string& payload) { told("remind: " + payload); });
  // [schedules-before]
  std::thread timer([&bus] {
    std::this_thread::sleep_for(50ms);
    bus.publish("remind", "tea");
  });
  // [/schedules-before]
  timer.join();
}

void schedules_after(holdfast::Bus& bus) {
  auto reminder =
      unwrap(bus.subscribe({.name = "reminder", .types = {"remind"}}, [](auto& delivery) {
        told("remind: " + std::string(delivery.event().payload_text()));
      }));
  // [schedules-after]
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const holdfast::WallTime when = std::chrono::nanoseconds(now + 50ms).count();
  const holdfast::WallTime too_late = std::chrono::nanoseconds(now + 1h).count();
  auto tea = unwrap(bus.publish(
      {.type = "remind", .payload = "tea", .not_before = when, .expires_at = too_late}));
  // [/schedules-after]
  unwrap(bus.wait_settled(tea.id, 30s));
}

void timeouts_before() {
  plain::Bus bus;
  // [timeouts-before]
  bus.subscribe("sync", [](const std::string&) {
    const auto end = std::chrono::steady_clock::now() + 50ms;
    while (std::chrono::steady_clock::now() < end) {
      // a step; if one hangs, so does the program
    }
  });
  // [/timeouts-before]
  bus.publish("sync", "");
}

void timeouts_after(holdfast::Bus& bus) {
  // [timeouts-after]
  holdfast::SubscribeOptions options{.name = "syncer", .types = {"sync"}};
  options.timeout = 50ms;
  options.retry.backoff_first = 10ms;
  auto syncer = unwrap(bus.subscribe(options, [](holdfast::Delivery& delivery) {
    const int steps = delivery.attempt() == 1 ? 1'000'000 : 1;  // the first time it takes too long
    for (int step = 0; step < steps; ++step) {
      if (delivery.stop_token().stop_requested()) return holdfast::Outcome::stopped();
      delivery.progress(double(step) / steps, "step " + std::to_string(step));
      std::this_thread::sleep_for(1ms);
    }
    return holdfast::Outcome::ack();
  }));
  // [/timeouts-after]
  auto sync = unwrap(bus.publish("sync", ""));
  unwrap(bus.wait_settled(sync.id, 30s));
  told("sync: done");
}

void before() {
  calls_before();
  priorities_before();
  durable_before();
  acks_before();
  tx_before();
  tokens_before();
  batches_before();
  schedules_before();
  timeouts_before();
}

void after() {
  calls_after();
  const auto bus = unwrap(holdfast::Bus::open("journal"));
  priorities_after(*bus);
  durable_after(*bus);
  acks_after(*bus);
  tx_after(*bus);
  tokens_after(*bus);
  batches_after(*bus);
  schedules_after(*bus);
  timeouts_after(*bus);
}

int main() try {
  before();
  told("--");
  after();
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
