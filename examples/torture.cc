// SPDX-License-Identifier: MIT
// Crash-tests a handler: it is killed at random moments, over and over, and its effect on a file of
// its own is looked at afterwards.
//
//     torture FOLDER
//
// The handler appends each event's number to a file, and may do so twice when it is killed between
// that and its ack. So it looks first whether the number is there: leave that out, and the
// violation that is told here is what you would have met in the field.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <holdfast/holdfast.h>
#include <holdfast/torture.h>

namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void append(const std::string& path, const std::string& line) {
  const auto lines = lines_of(path);
  if (std::find(lines.begin(), lines.end(), line) != lines.end()) return;
  // One write, and small: it is there or it is not.
  std::ofstream(path, std::ios::app) << line + "\n" << std::flush;
}

/// Waits until nothing is pending any more.
holdfast::Status work_off(holdfast::Bus& bus) {
  using holdfast::EventState;
  const holdfast::ScanFilter pending{
      .states = {EventState::ready, EventState::leased, EventState::scheduled}, .limit = 1};
  while (true) {
    std::optional<holdfast::EventId> found;
    auto status = bus.scan(pending, [&](const holdfast::EventView& event, EventState) {
      found = event.id;
      return false;
    });
    if (!status.ok() || !found) return status;
    status = bus.wait_settled(*found, std::chrono::minutes(1));
    if (!status.ok()) return status;
  }
}

void live(holdfast::torture::Child& child, const std::vector<std::string>& confirmed) {
  const auto file = child.folder() + "/lines";
  auto bus = holdfast::Bus::open(child.folder() + "/journal");
  if (!bus) return child.violation(bus.status().to_string());
  auto subscription = (*bus)->subscribe({.name = "appending"}, [&](holdfast::Delivery& delivery) {
    append(file, std::string(delivery.event().payload_text()));
  });
  if (!subscription) return child.violation(subscription.status().to_string());
  child.ready();
  const auto round = std::to_string(child.round()) + ".";
  for (int number = 1; !child.is_quiet() || number <= 3; ++number) {
    const auto name = round + std::to_string(number);
    const auto receipt = (*bus)->publish("line.written", name);
    if (!receipt) return child.violation(receipt.status().to_string());
    child.note(name);  // from here on it must not be lost
  }
  // Nobody kills this round: what came before is handled in it, and then looked at.
  const auto status = work_off(**bus);
  if (!status.ok()) return child.violation(status.to_string());
  auto lines = lines_of(file);
  std::sort(lines.begin(), lines.end());
  if (std::adjacent_find(lines.begin(), lines.end()) != lines.end()) {
    child.violation("a line is there twice");
  }
  for (const auto& name : confirmed) {
    if (!std::binary_search(lines.begin(), lines.end(), name))
      child.violation(name + " is missing");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: torture FOLDER\n";
    return 2;
  }
  std::vector<std::string> confirmed;  // in the parent, which nobody kills; each child has a copy
  const holdfast::torture::Workload workload{
      .run = [&](auto& child) { live(child, confirmed); },
      .on_note = [&](auto&, std::string_view note) { confirmed.emplace_back(note); },
  };
  const auto report =
      holdfast::torture::run({.folder = argv[1], .rounds = 10, .notes_max = 100}, workload);
  if (!report) {
    std::cerr << report.status().to_string() << "\n";
    return 2;
  }
  for (const auto& violation : report->first_violations) std::cerr << violation << "\n";
  std::cout << report->kills << " kills, " << confirmed.size() << " events confirmed, "
            << report->violations << " violations\n";
  return report->violations == 0 ? 0 : 1;
}
