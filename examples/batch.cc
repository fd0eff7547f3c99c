// SPDX-License-Identifier: MIT
// All or nothing: several events, and what the program remembers, in one commit.
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;

std::uint64_t events_in(const holdfast::Bus& bus) {
  std::uint64_t count = 0;
  unwrap(bus.scan({}, [&](const holdfast::EventView&, holdfast::EventState) {
    ++count;
    return true;  // go on
  }));
  return count;
}

int main() try {
  const auto bus = unwrap(holdfast::Bus::open("journal"));

  // One bad event, and nothing is written; the error says which, and why.
  std::vector<holdfast::OwnedEvent> order{{.type = "pick.kettle"}, {.type = "pick a cup"}};
  const auto refused = bus->publish_batch(order);
  std::cout << refused.status().to_string() << '\n' << events_in(*bus) << " events\n";

  // A good one is there as a whole once this returns, and after a crash meanwhile it is there as a
  // whole or not at all. One commit, and one fsync for all of it: also the quick way to publish.
  order[1].type = "pick.cup";
  const auto picked = unwrap(bus->publish_batch(order));
  std::cout << events_in(*bus) << " events, " << picked.receipts.size() << " receipts\n";

  // Built step by step, with state of the program's own beside the events: whoever sees the event
  // sees the new stock as well.
  auto batch = bus->batch();
  batch.state("stock").put("kettle", "6").put("cup", "11");
  batch.add({.type = "stock.changed", .priority = holdfast::Priority::low});
  const auto changed = unwrap(batch.commit());
  std::cout << "kettles: " << *unwrap(bus->state("stock", "kettle")) << '\n';

  {
    auto forgotten = bus->batch();
    forgotten.state("stock").put("kettle", "0");
    forgotten.add({.type = "stock.empty"});
  }  // destroyed without `commit`: it never was
  std::cout << "kettles: " << *unwrap(bus->state("stock", "kettle")) << '\n';

  // A handler's `tx` is the same on the other side: what it publishes and remembers is one commit
  // with its ack, and so it happens once, however often the handler has to run.
  auto ledger = unwrap(
      bus->subscribe({.name = "ledger", .types = {"pick.*"}}, [](holdfast::Delivery& delivery) {
        auto tx = delivery.tx();
        auto state = tx.state();
        const auto count = unwrap(state.get("picked"));  // what it throws is a failed attempt
        state.put("picked", std::to_string(std::stoi(count.value_or("0")) + 1));
      }));
  unwrap(bus->wait_settled(picked, std::chrono::seconds(30)));
  std::cout << "picked: " << *unwrap(bus->state("ledger", "picked")) << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
