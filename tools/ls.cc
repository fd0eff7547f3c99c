// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "holdfast/view.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/text.h"

namespace holdfast::tool {

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

struct LsOptions {
  std::string journal;
  std::vector<std::string> types;
  std::vector<std::string> priorities;
  std::vector<std::string> states;
  std::uint64_t from = 1;
  std::uint64_t to = kNoLimit;
  std::uint64_t limit = kNoLimit;
  std::string subscription;
  bool dead = false;
  bool json = false;
};

// Columns that are as wide as nearly everything in them; a longer cell pushes its row to the right.
// The rows are printed as they are read, so nobody knows the widest.
constexpr std::size_t kIdColumns = 14;
constexpr std::size_t kStateColumns = 9;
constexpr std::size_t kTypeColumns = 24;
constexpr std::size_t kTimeColumns = 23;
constexpr std::size_t kSubscriptionColumns = 16;
constexpr std::size_t kPayloadColumnsMin = 16;

/// What is left of the line for the payload.
std::size_t payload_columns(const Output& out, std::string_view row) {
  const auto used = columns_of(row);
  return std::max(kPayloadColumnsMin, out.columns() > used ? out.columns() - used : 0);
}

void print_event_heading(Output& out) {
  out << out.bold(pad_right("id", kIdColumns) + "  " + pad_right("state", kStateColumns) + "  " +
                  pad_right("type", kTypeColumns) + "  " + pad_right("published", kTimeColumns) +
                  "  payload")
      << "\n";
}

void print_event(Output& out, const EventView& event, EventState state) {
  const auto id = pad_right(to_string(event.id), kIdColumns) + "  ";
  const auto name = pad_right(to_string(state), kStateColumns);
  const auto rest = "  " + pad_right(escape(event.type), kTypeColumns) + "  " +
                    pad_right(local_time(event.published_at), kTimeColumns) + "  ";
  out << id << out.state(name) << rest
      << excerpt(event.payload_text(), payload_columns(out, id + name + rest)) << "\n";
}

void print_letter_heading(Output& out) {
  out << out.bold(pad_right("id", kIdColumns) + "  " +
                  pad_right("subscription", kSubscriptionColumns) + "  " +
                  pad_right("type", kTypeColumns) + "  " + pad_right("died", kTimeColumns) +
                  "  attempts  reason")
      << "\n";
}

void print_letter(Output& out, const DeadLetter& letter) {
  const auto row = pad_right(to_string(letter.id), kIdColumns) + "  " +
                   pad_right(escape(letter.subscription), kSubscriptionColumns) + "  " +
                   pad_right(escape(letter.event.type), kTypeColumns) + "  " +
                   pad_right(local_time(letter.died_at), kTimeColumns) + "  " +
                   pad_left(std::to_string(letter.attempts), 8) + "  ";
  out << row << excerpt(letter.reason, payload_columns(out, row)) << "\n";
}

ExitCode end_of_list(Output& out, const Status& status, std::uint64_t count) {
  if (!status) {
    // What is above the damage stays readable.
    out.flush();
    return complain(status);
  }
  return count == 0 ? ExitCode::nothing : ExitCode::fine;
}

ExitCode list_letters(const LsOptions& options, const JournalView& view, Output& out) {
  DeadLetterFilter filter;
  filter.subscription = options.subscription;
  filter.types = options.types;
  filter.limit = options.limit;
  std::uint64_t count = 0;
  const auto status = view.scan_dead_letters(filter, [&](const DeadLetter& letter) {
    if (options.json) {
      out << to_line(dead_letter_json(letter)) << "\n";
    } else {
      if (count == 0) print_letter_heading(out);
      print_letter(out, letter);
    }
    ++count;
    return out.ok();
  });
  return end_of_list(out, status, count);
}

ScanFilter filter_of(const LsOptions& options) {
  ScanFilter filter;
  filter.types = options.types;
  for (const auto& name : options.priorities) {
    if (const auto priority = parse_priority(name)) filter.priorities.push_back(*priority);
  }
  for (const auto& name : options.states) {
    if (const auto state = parse_event_state(name)) filter.states.push_back(*state);
  }
  filter.from_sequence = options.from;
  filter.to_sequence = options.to;
  filter.limit = options.limit;
  return filter;
}

ExitCode list_events(const LsOptions& options, const JournalView& view, Output& out) {
  std::uint64_t count = 0;
  const auto status = view.scan(filter_of(options), [&](const EventView& event, EventState state) {
    if (options.json) {
      out << to_line(event_json(event, state)) << "\n";
    } else {
      if (count == 0) print_event_heading(out);
      print_event(out, event, state);
    }
    ++count;
    return out.ok();
  });
  return end_of_list(out, status, count);
}

ExitCode run(const LsOptions& options) {
  const auto view = JournalView::open(options.journal);
  if (!view) return complain_of_open(view.status());
  Output out(STDOUT_FILENO);
  const auto code =
      options.dead ? list_letters(options, **view, out) : list_events(options, **view, out);
  return out.finish(code);
}

std::string check_priority(const std::string& name) {
  if (parse_priority(name)) return {};
  return "\"" + name + "\" is no priority; it is critical, high, normal or low";
}

std::string check_state(const std::string& name) {
  if (parse_event_state(name)) return {};
  return "\"" + name +
         "\" is no state; it is leased, scheduled, ready, unclaimed, dead, settled, "
         "cancelled, expired or paused";
}

/// Digits only: what reads numbers takes -1 for the largest there is.
std::string check_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && read == end) return {};
  return "\"" + text + "\" is no number from 0 to 2^64 - 1";
}

}  // namespace

void add_ls(CLI::App& app, ExitCode& result) {
  const auto options = std::make_shared<LsOptions>();
  auto& command =
      add_command<LsOptions>(app, "ls", "Lists events by lane and sequence, or the dead letters",
                             "  holdfast ls /var/lib/app/journal --state ready --priority high\n"
                             "  holdfast ls /var/lib/app/journal --type 'order.>' --limit 20\n"
                             "  holdfast ls /var/lib/app/journal --dead\n"
                             "  holdfast ls /var/lib/app/journal --json | jq -r .payload\n"
                             "Ends with 1 when there is nothing to list.",
                             options, result, run);
  command
      .add_option("--type", options->types,
                  "Only types that match: * is one token, > the rest (may be given again)")
      ->type_name("PATTERN");
  auto* priority =
      command.add_option("--priority", options->priorities, "Only this lane (may be given again)")
          ->type_name("LANE")
          ->check(check_priority);
  auto* state =
      command.add_option("--state", options->states, "Only this state (may be given again)")
          ->type_name("STATE")
          ->check(check_state);
  auto* from = command.add_option("--from", options->from, "From this sequence on, in each lane")
                   ->type_name("SEQUENCE")
                   ->check(check_number);
  auto* to = command.add_option("--to", options->to, "Up to this sequence, in each lane")
                 ->type_name("SEQUENCE")
                 ->check(check_number);
  command.add_option("--limit", options->limit, "At most so many")
      ->type_name("COUNT")
      ->check(check_number);
  auto* dead = command.add_flag("--dead", options->dead, "The dead letters with their reasons");
  for (auto* other : {priority, state, from, to}) dead->excludes(other);
  command
      .add_option("--subscription", options->subscription, "Only dead letters of this subscription")
      ->type_name("NAME")
      ->needs(dead);
  command.add_flag("--json", options->json, "One JSON object a line");
}

}  // namespace holdfast::tool
