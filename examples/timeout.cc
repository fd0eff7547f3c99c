// SPDX-License-Identifier: MIT
// A handler that takes too long: it is asked to stop, is told to whoever looks after the program,
// keeps nobody else waiting, and has another try; or its event is taken from it.
#include <chrono>
#include <exception>
#include <future>
#include <iostream>
#include <thread>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;
using std::chrono::milliseconds;
using std::chrono::seconds;

int main() try {
  holdfast::Options options;
  options.in_memory = true;  // for this example alone; a program gives `open` a folder
  options.workers = holdfast::Workers::single();
  const auto bus = unwrap(holdfast::Bus::open("", options));

  std::promise<void> over_time;
  std::promise<void> looked_at;
  std::promise<void> line_is_back;
  holdfast::SubscribeOptions slow{.name = "reports", .types = {"report"}};
  slow.timeout = milliseconds(50);
  slow.retry.backoff_first = milliseconds(10);
  auto reports = unwrap(bus->subscribe(slow, [&](holdfast::Delivery& delivery) {
    if (delivery.attempt() > 1) {
      std::cout << "attempt " << delivery.attempt() << ": done\n";
      return holdfast::Outcome::ack();
    }
    delivery.progress(0.5, "page 5 of 10");
    while (!delivery.stop_token().stop_requested()) std::this_thread::sleep_for(milliseconds(1));
    over_time.set_value();
    looked_at.get_future().wait();  // as one that hangs would: it does not stop at once
    const bool late = delivery.stop_reason() == holdfast::StopReason::timed_out;
    std::cout << "attempt 1: " << (late ? "over its time" : "asked to stop") << '\n';
    return holdfast::Outcome::stopped();  // after a time-out: a failed attempt, so it comes again
  }));
  auto mails = unwrap(bus->subscribe({.name = "mails", .types = {"mail"}},
                                     [](holdfast::Delivery& /*delivery*/) {}));

  const auto report = unwrap(bus->publish("report", ""));
  over_time.get_future().wait();
  // This is what a status page shows.
  const auto stats = bus->stats();
  const auto& running = stats.running.at(0);
  std::cout << "running: " << running.subscription << ", " << *running.progress * 100 << " % ("
            << running.note << ")" << (running.timed_out ? ", over its time" : "") << '\n';

  // The only worker is with that handler. Another thread has taken its place in the pool
  // (`Options::replaced_workers_max`), and other subscriptions go on.
  unwrap(bus->wait_settled(unwrap(bus->publish("mail", "")).id, seconds(30)));
  std::cout << "mail: sent meanwhile\n";
  looked_at.set_value();
  unwrap(bus->wait_settled(report.id, seconds(30)));

  // Until here time alone has never run an event twice at once. `abandon_after` does, and so it is
  // for what may run beside itself.
  holdfast::SubscribeOptions hasty{.name = "quotes", .types = {"quote"}};
  hasty.abandon_after = milliseconds(50);
  hasty.retry.backoff_first = milliseconds(1);
  auto quotes = unwrap(bus->subscribe(hasty, [&](holdfast::Delivery& delivery) {
    if (delivery.attempt() > 1) return holdfast::Outcome::ack();
    line_is_back.get_future().wait();
    return holdfast::Outcome::reject("too late: nobody listens to this answer any more");
  }));
  const auto quote = unwrap(bus->publish("quote", "")).id;
  unwrap(bus->wait_settled(quote, seconds(30)));
  std::cout << "quote: " << (bus->stats().running.at(0).abandoned ? "taken from attempt 1, " : "")
            << to_string(unwrap(bus->get(quote))->state) << '\n';
  line_is_back.set_value();
  quotes.end();  // waits for that handler as for any other
  std::cout << "quote: still " << to_string(unwrap(bus->get(quote))->state) << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
