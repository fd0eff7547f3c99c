// SPDX-License-Identifier: MIT
// Nobody waits: publishing and cancelling with a callback, a future or a coroutine, and a handler
// whose answer comes later, from another thread.
#include <atomic>
#include <chrono>
#include <coroutine>
#include <exception>
#include <future>
#include <iostream>
#include <latch>
#include <thread>
#include <utility>

#include <holdfast/awaitable.h>  // not part of holdfast.h
#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;

/// The least that a coroutine needs: it begins at once, and nobody waits for it.
struct Task {
  struct promise_type {
    Task get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

using CancelResult = holdfast::Result<holdfast::CancelReceipt>;

/// After each `co_await` it goes on inside a callback of the bus: it has to be quick, and must not
/// wait for a commit, but it may await another one.
Task publish_and_cancel(holdfast::Bus& bus, std::promise<CancelResult>& end) {
  const holdfast::Event vase{.type = "made", .payload = "a vase"};
  const auto receipt = co_await bus.publish_awaitable(vase);
  if (!receipt) co_return end.set_value(receipt.status());
  end.set_value(co_await bus.cancel_awaitable(receipt->id, "broken"));
}

int main() try {
  // What callbacks refer to has to outlive the bus.
  std::latch answered(3);
  std::atomic<int> stored = 0;
  std::promise<CancelResult> jug_cancelled;
  std::promise<CancelResult> vase_cancelled;
  std::promise<holdfast::Deferred> owed;
  const auto bus = unwrap(holdfast::Bus::open("journal"));

  // All on their way at once, and so often in one commit, with one fsync.
  for (const auto* cup : {"a cup", "a mug", "a bowl"}) {
    unwrap(bus->publish_async({.type = "made", .payload = cup},
                              [&](const holdfast::Result<holdfast::Receipt>& receipt) {
                                if (receipt) ++stored;
                                answered.count_down();
                              }));
  }
  // What is known at once is returned at once, and not called back.
  const auto refused = bus->publish_async({.type = "no type"}, {});
  std::cout << "refused: " << to_string(refused.code()) << '\n';
  answered.wait();
  std::cout << "stored: " << stored << '\n';

  auto future = bus->publish_future({.type = "made", .payload = "a jug"});
  const auto jug = unwrap(future.get());
  unwrap(bus->cancel_async(
      jug.id, "cracked", [&](CancelResult result) { jug_cancelled.set_value(std::move(result)); }));
  std::cout << "jug: " << to_string(unwrap(jug_cancelled.get_future().get()).outcome) << '\n';

  publish_and_cancel(*bus, vase_cancelled);
  std::cout << "vase: " << to_string(unwrap(vase_cancelled.get_future().get()).outcome) << '\n';

  // The handler returns at once and its worker is free, while the event stays with the `Deferred`.
  // Destroyed without an answer it is a failed attempt.
  const auto kiln =
      unwrap(bus->subscribe({.name = "kiln", .types = {"fire"}}, [&](holdfast::Delivery& delivery) {
        owed.set_value(delivery.defer());
      }));
  const auto plate = unwrap(bus->publish("fire", "a plate"));
  const std::jthread firing([answer = owed.get_future().get()]() mutable {
    answer.tx().state().put("last", answer.event().payload_text());
    const auto status = answer.settle(holdfast::Outcome::ack());
    if (!status) std::cerr << status.to_string() << '\n';
  });
  unwrap(bus->wait_settled(plate.id, std::chrono::seconds(30)));
  std::cout << "fired: " << *unwrap(bus->state("kiln", "last")) << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
