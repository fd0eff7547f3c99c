// SPDX-License-Identifier: MIT
// Looking: which events there are, how one of them stands and why, and counts. A view reads the
// journal of any program, also while that has it open, and cannot change it.
#include <chrono>
#include <exception>
#include <iostream>
#include <unistd.h>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::EventState;
using holdfast::Outcome;
using holdfast::unwrap;

int main() try {
  const auto wait = std::chrono::seconds(30);
  const auto bus = unwrap(holdfast::Bus::open("journal"));
  const auto shop = unwrap(
      bus->subscribe({.name = "shop", .types = {"order.*"}}, [](holdfast::Delivery& delivery) {
        const bool known = delivery.event().payload_text() != "a unicorn";
        return known ? Outcome::ack() : Outcome::reject("there are none");
      }));
  const auto kettle = unwrap(bus->publish("order.placed", "a kettle")).id;
  const auto unicorn = unwrap(bus->publish("order.placed", "a unicorn")).id;
  unwrap(bus->wait_settled(kettle, wait));
  unwrap(bus->wait_settled(unicorn, wait));
  unwrap(bus->pause("shop"));
  unwrap(bus->publish(
      {.type = "order.placed", .payload = "a cup", .priority = holdfast::Priority::high}));
  unwrap(bus->publish("mail.sent", "thank you"));

  // Here it is the program's own journal; a monitor does the same from a process of its own.
  const auto view = unwrap(holdfast::JournalView::open("journal"));
  std::cout << "open: " << (view->info().owner_pid == getpid() ? "by us" : "not by us") << '\n';

  // What is not done yet, the most urgent first.
  const holdfast::ScanFilter open_orders{.types = {"order.*"},
                                         .states = {EventState::ready, EventState::dead}};
  unwrap(view->scan(open_orders, [](const holdfast::EventView& event, EventState state) {
    std::cout << to_string(event.id) << ", " << event.payload_text() << ": " << to_string(state)
              << '\n';
    return true;  // go on
  }));

  // One event, with what each subscription has to say that is owed it or gave it up.
  const auto stored = unwrap(view->get(unicorn));
  for (const auto& standing : stored->standings) {
    std::cout << stored->event.payload << " in " << standing.subscription << ": "
              << to_string(standing.state) << " after " << standing.attempts << " attempt, "
              << standing.last_error << '\n';
  }

  // Counts are kept as things happen, and cost the same however much there is.
  const auto stats = unwrap(view->stats());
  for (const auto priority : {holdfast::Priority::high, holdfast::Priority::normal}) {
    const auto& lane = stats.lanes.at(static_cast<std::size_t>(priority));
    std::cout << to_string(priority) << ": " << lane.published << " published, " << lane.owed.ready
              << " ready, " << lane.owed.dead << " dead, " << lane.unclaimed << " unclaimed\n";
  }
  // What is not stored, the live bus alone knows: its numbers since it was opened, who runs now.
  std::cout << "acked in this run: " << bus->stats().subscriptions.at(0).acked << '\n';

  // A view shows the journal as it was when it was opened. Who wants to see more opens another.
  const auto later = unwrap(bus->publish("mail.sent", "a reminder")).id;
  std::cout << "in the view: " << (unwrap(view->get(later)) ? "yes" : "no")
            << ", on the bus: " << to_string(unwrap(bus->get(later))->state) << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
