// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include "holdfast/view.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/text.h"

namespace holdfast::tool {

namespace {

struct ShowOptions {
  std::string journal;
  std::string id;
  bool json = false;
};

// A payload is shown up to here for people; `--json` has all of it.
constexpr std::size_t kPayloadColumnsMax = 4'096;

WallTime now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// "in 3.0 s" or "3.0 s ago".
std::string from_now(WallTime time) {
  const auto distance = time - now();
  const auto text = human_duration(std::chrono::nanoseconds(std::abs(distance)));
  return distance >= 0 ? "in " + text : text + " ago";
}

using Standing = StoredEvent::Standing;

std::vector<const Standing*> standings_in(const StoredEvent& event, EventState state) {
  std::vector<const Standing*> found;
  for (const auto& standing : event.standings) {
    if (standing.state == state) found.push_back(&standing);
  }
  return found;
}

std::string in_quotes(std::string_view name) { return "\"" + std::string(name) + "\""; }

/// "a", "a" and "b", or "a" and 4 more.
std::string names_of(const std::vector<const Standing*>& standings) {
  auto names = in_quotes(standings.front()->subscription);
  if (standings.size() == 2) names += " and " + in_quotes(standings[1]->subscription);
  if (standings.size() > 2) names += " and " + std::to_string(standings.size() - 1) + " more";
  return names;
}

std::string after_attempts(const Standing& standing) {
  auto text = " after " + plural(standing.attempts, "attempt");
  if (!standing.last_error.empty()) text += ", the last ended with: " + standing.last_error;
  return text;
}

std::string why_ready(const StoredEvent& event, const std::vector<const Standing*>& ready,
                      const JournalInfo& info) {
  auto text = "not done: " + names_of(ready) + (ready.size() == 1 ? " has" : " have") +
              " not ended it yet; ";
  if (info.owner_pid == 0) return text + "no process has the journal open, so nobody works on it";
  return text + "process " + std::to_string(info.owner_pid) +
         " has the journal open: it waits for a " + "worker in the lane " +
         std::string(to_string(event.id.priority)) +
         ", or a handler holds it, or nobody subscribes by that name now";
}

/// One sentence: why the event is not done yet, or that it is.
std::string why_of(const StoredEvent& event, const JournalInfo& info) {
  // As the state of the whole event is: what will still happen comes first.
  if (const auto held = standings_in(event, EventState::leased); !held.empty()) {
    return "not done: a handler of " + names_of(held) + " holds it";
  }
  if (const auto waiting = standings_in(event, EventState::scheduled); !waiting.empty()) {
    const auto& first =
        **std::min_element(waiting.begin(), waiting.end(),
                           [](const auto* a, const auto* b) { return a->next_try < b->next_try; });
    return "not done: " + in_quotes(first.subscription) + " tries again " +
           from_now(first.next_try) + after_attempts(first);
  }
  if (const auto ready = standings_in(event, EventState::ready); !ready.empty()) {
    return why_ready(event, ready, info);
  }
  if (const auto held = standings_in(event, EventState::paused); !held.empty()) {
    return "not done: its type is paused, so " + names_of(held) +
           (held.size() == 1 ? " is" : " are") + " not given it until it is resumed";
  }
  if (const auto dead = standings_in(event, EventState::dead); !dead.empty()) {
    const auto& first = *dead.front();
    return "not done: " + names_of(dead) + " gave up on it" + after_attempts(first);
  }
  if (event.state == EventState::unclaimed) {
    return "not done: no durable subscription has matched it yet; it is kept for one that does";
  }
  return "done: every durable subscription that wanted it has ended it";
}

void print_field(Output& out, std::string_view name, std::string_view value) {
  out << "  " << pad_right(name, 13) << escape(value) << "\n";
}

void print_standings(Output& out, const StoredEvent& event) {
  for (const auto& standing : event.standings) {
    out << "  " << pad_right(escape(standing.subscription), 16) << "  "
        << out.state(pad_right(to_string(standing.state), 9)) << "  "
        << plural(standing.attempts, "attempt");
    if (standing.next_try != 0) {
      out << ", next try " << local_time(standing.next_try) << " (" << from_now(standing.next_try)
          << ")";
    }
    if (!standing.last_error.empty()) out << ", last error: " << escape(standing.last_error);
    out << "\n";
  }
}

void print_text(Output& out, const StoredEvent& stored, const JournalInfo& info) {
  const auto& event = stored.event;
  out << out.bold(to_string(stored.id)) << "  " << escape(event.type) << "  "
      << out.state(to_string(stored.state)) << "\n"
      << escape(why_of(stored, info)) << "\n\n";
  print_field(out, "published",
              local_time(stored.published_at) + " (" + from_now(stored.published_at) + ") by " +
                  to_string(Source{event.source_kind, event.source_name}));
  if (event.timestamp != stored.published_at) {
    print_field(out, "happened", local_time(event.timestamp));
  }
  auto commit = with_thousands(stored.commit.value);
  if (stored.batch_id.value != 0) commit += ", batch " + with_thousands(stored.batch_id.value);
  print_field(out, "commit", commit);
  if (!event.content_type.empty()) print_field(out, "content type", event.content_type);
  if (!event.metadata.empty()) out << "\n" << out.bold("metadata") << "\n";
  for (const auto& [key, value] : event.metadata) {
    out << "  " << escape(key) << ": " << escape(value) << "\n";
  }
  if (!stored.standings.empty()) out << "\n" << out.bold("subscriptions") << "\n";
  print_standings(out, stored);
  out << "\n" << out.bold("payload") << " (" << human_bytes(event.payload.size()) << ")\n";
  if (!event.payload.empty()) out << excerpt(event.payload, kPayloadColumnsMax) << "\n";
}

/// Nothing is kept under this id: says what became of it.
std::string why_missing(EventId id, const JournalView& view) {
  auto text = "there is no event " + to_string(id);
  for (const auto& range : view.info().lost) {
    if (range.priority == id.priority && range.from <= id.sequence && id.sequence <= range.to) {
      return text + ": it was lost to damage of the journal";
    }
  }
  const auto stats = view.stats();
  if (!stats) return text;
  const auto newest = stats->lanes[static_cast<std::size_t>(id.priority)].newest;
  if (id.sequence <= newest)
    return text + " any more: it was settled, or nobody claimed it in time";
  if (newest == 0) return text + ": nothing was ever published in this lane";
  return text + ": the newest in its lane is " + to_string(EventId{id.priority, newest});
}

ExitCode run(const ShowOptions& options) {
  const auto id = parse_event_id(options.id);
  const auto view = JournalView::open(options.journal);
  if (!view) return complain_of_open(view.status());
  const auto found = (*view)->get(*id);
  if (!found) return complain(found.status());
  if (!found->has_value()) {
    complain(why_missing(*id, **view));
    return ExitCode::nothing;
  }
  const auto& stored = **found;
  Output out(STDOUT_FILENO);
  if (options.json) {
    auto json = event_json(stored);
    json["why"] = why_of(stored, (*view)->info());
    out << to_line(json) << "\n";
  } else {
    print_text(out, stored, (*view)->info());
  }
  return out.finish(ExitCode::fine);
}

std::string check_id(const std::string& text) {
  if (parse_event_id(text)) return {};
  return "\"" + text + "\" is no event id; one looks like normal:1042";
}

}  // namespace

void add_show(CLI::App& app, ExitCode& result) {
  const auto options = std::make_shared<ShowOptions>();
  auto& command = add_command<ShowOptions>(
      app, "show", "Everything about one event, and why it is not done yet",
      "  holdfast show /var/lib/app/journal normal:90233\n"
      "  holdfast show /var/lib/app/journal high:17 --json | jq .standings\n"
      "Ends with 1 when there is no such event.",
      options, result, run);
  command.add_option("ID", options->id, "Lane and sequence, as ls prints them")
      ->required()
      ->check(check_id);
  command.add_flag("--json", options->json, "One JSON object");
}

}  // namespace holdfast::tool
