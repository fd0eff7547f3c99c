// SPDX-License-Identifier: MIT
// Given up on: an event that is rejected, one that fails all its attempts, and one that kills its
// process each time. What their letters say, and how one comes back once its cause is mended.
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::Outcome;
using holdfast::unwrap;
using std::chrono::seconds;

std::atomic<bool> has_paper = true;

holdfast::Subscription start_printer(holdfast::Bus& bus) {
  holdfast::SubscribeOptions options{.name = "printer", .types = {"print"}};
  options.retry = {.attempts_max = 3, .backoff_first = std::chrono::milliseconds(1)};
  return unwrap(bus.subscribe(options, [](holdfast::Delivery& delivery) {
    const auto page = delivery.event().payload_text();
    if (page.empty()) return Outcome::reject("nothing on it");  // and trying again changes nothing
    if (page == "a bomb") std::raise(SIGKILL);                  // a defect, or want of memory
    if (!has_paper) return Outcome::retry("no paper");
    delivery.tx().state().put(page, std::to_string(delivery.attempt()));
    return Outcome::ack();
  }));
}

void tell_letters(const holdfast::Bus& bus) {
  std::cout << "given up:" << std::endl;
  unwrap(bus.scan_dead_letters({.subscription = "printer"}, [](const holdfast::DeadLetter& letter) {
    std::cout << "  " << to_string(letter.id) << " \"" << letter.event.payload
              << "\", attempts: " << letter.attempts << ", " << letter.reason << std::endl;
    return true;  // go on
  }));
}

void tell_printed(const holdfast::Bus& bus, const std::string& page) {
  std::cout << page << ": printed by attempt " << *unwrap(bus.state("printer", page)) << std::endl;
}

/// Another run of the program: prints these two events, or dies of it.
int print(const char* one, const char* other) {
  const auto bus = unwrap(holdfast::Bus::open("journal"));
  // What was with a handler when the process ended.
  for (const auto& suspect : bus->recovery().suspects) {
    if (suspect.attempt == 0) continue;  // it merely ran beside the culprit, and is not blamed
    std::cout << "suspect: " << to_string(suspect.event) << ", attempt " << suspect.attempt
              << (suspect.dead ? ", given up" : "") << std::endl;
  }
  const auto printer = start_printer(*bus);
  for (const auto* id : {one, other}) {
    unwrap(bus->wait_settled(*holdfast::parse_event_id(id), seconds(30)));
  }
  return 0;
}

/// Starts such a run, as a service manager would, and returns whether it was killed.
bool dies_printing(std::string one, std::string other) {
  std::string name = "dead_letters";
  char* const arguments[] = {name.data(), one.data(), other.data(), nullptr};
  pid_t process = -1;
  if (posix_spawn(&process, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0) {
    throw std::runtime_error("cannot start myself");
  }
  int status = 0;
  if (waitpid(process, &status, 0) != process || (WIFEXITED(status) && status != 0)) {
    throw std::runtime_error("it has failed otherwise");
  }
  return WIFSIGNALED(status);
}

int main(int argc, char** argv) try {
  if (argc == 3) return print(argv[1], argv[2]);
  auto bus = unwrap(holdfast::Bus::open("journal"));
  auto printer = start_printer(*bus);
  has_paper = false;
  const auto blank = unwrap(bus->publish("print", "")).id;
  const auto poem = unwrap(bus->publish("print", "a poem")).id;
  // A dead letter is settled: nobody is owed it any more.
  unwrap(bus->wait_settled(blank, seconds(30)));
  unwrap(bus->wait_settled(poem, seconds(30)));
  tell_letters(*bus);

  has_paper = true;
  std::cout << "redriven: " << unwrap(bus->redrive({.id = poem})) << std::endl;
  unwrap(bus->wait_settled(poem, seconds(30)));
  tell_printed(*bus, "a poem");  // its attempts began anew

  // A page that kills whoever prints it. It is tried as often as any other, by one run after the
  // other, and then it is a dead letter as well.
  printer.end();
  const auto bomb = unwrap(bus->publish("print", "a bomb")).id;
  const auto map = unwrap(bus->publish("print", "a map")).id;
  bus.reset();
  while (dies_printing(to_string(bomb), to_string(map))) {
    // Whoever starts it again and again does not have to know why it dies.
  }

  bus = unwrap(holdfast::Bus::open("journal"));
  tell_letters(*bus);
  tell_printed(*bus, "a map");  // the deaths of its neighbour have cost it nothing
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
