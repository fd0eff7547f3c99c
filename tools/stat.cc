// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
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

struct StatOptions {
  std::string journal;
  bool json = false;
};

/// A subscription's counts over all lanes.
struct Owed {
  std::uint64_t owed = 0;
  std::uint64_t scheduled = 0;
  std::uint64_t dead = 0;
};

Owed owed_of(const SubscriptionStats& subscription) {
  Owed sum;
  for (const auto& lane : subscription.lanes) {
    sum.owed += lane.ready + lane.leased;
    sum.scheduled += lane.scheduled;
    sum.dead += lane.dead;
  }
  return sum;
}

bool is_open(const JournalInfo& info) { return info.owner_pid != 0; }

std::string_view condition_of(const JournalInfo& info) {
  return is_open(info) ? "open" : info.clean ? "clean" : "crashed";
}

Json lanes_json(const JournalInfo& info, const Stats& stats) {
  auto lanes = Json::array();
  for (const auto priority : kAllPriorities) {
    const auto& lane = stats.lanes[static_cast<std::size_t>(priority)];
    Json json;
    json["priority"] = to_string(priority);
    json["ready"] = lane.owed.ready;
    // What a live bus has handed out is known to it alone; a journal nobody has open has nothing
    // out.
    json["leased"] = is_open(info) ? Json() : Json(lane.owed.leased);
    json["scheduled"] = lane.owed.scheduled;
    json["paused"] = lane.owed.paused;
    json["dead"] = lane.owed.dead;
    json["unclaimed"] = lane.unclaimed;
    json["published"] = lane.published;
    json["newest"] = lane.newest;
    json["trimmed"] = lane.trimmed;
    lanes.push_back(std::move(json));
  }
  return lanes;
}

Json subscriptions_json(const Stats& stats) {
  auto subscriptions = Json::array();
  for (const auto& subscription : stats.subscriptions) {
    const auto sum = owed_of(subscription);
    Json json;
    json["name"] = subscription.name;
    json["owed"] = sum.owed;
    json["scheduled"] = sum.scheduled;
    json["dead"] = sum.dead;
    json["paused"] = subscription.paused;
    subscriptions.push_back(std::move(json));
  }
  return subscriptions;
}

Json lost_json(const JournalInfo& info) {
  auto lost = Json::array();
  for (const auto& range : info.lost) {
    Json json;
    json["priority"] = to_string(range.priority);
    json["from"] = range.from;
    json["to"] = range.to;
    lost.push_back(std::move(json));
  }
  return lost;
}

void print_json(Output& out, const StatOptions& options, const JournalInfo& info,
                const Stats& stats) {
  Json json;
  json["journal"] = options.journal;
  json["uuid"] = info.uuid;
  json["format"] = info.format;
  json["epoch"] = info.epoch;
  json["condition"] = condition_of(info);
  json["owner_pid"] = is_open(info) ? Json(info.owner_pid) : Json();
  json["commit"] = stats.commit.value;
  json["disk_bytes"] = stats.disk_bytes;
  json["disk_free_bytes"] = stats.disk_free_bytes;
  json["lanes"] = lanes_json(info, stats);
  json["subscriptions"] = subscriptions_json(stats);
  json["paused_types"] = stats.paused_types;
  json["lost"] = lost_json(info);
  out << to_line(json) << "\n";
}

/// Rows of cells: the first column is text, the others are numbers. The first row is the heading.
void print_table(Output& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], columns_of(row[i]));
    }
  }
  for (const auto& row : rows) {
    auto line = pad_right(row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) {
      line.append("  ").append(pad_left(row[i], widths[i]));
    }
    out << (&row == &rows.front() ? out.bold(line) : line) << "\n";
  }
}

void print_lanes(Output& out, const JournalInfo& info, const Stats& stats) {
  std::vector<std::vector<std::string>> rows = {
      {"lane", "ready", "leased", "scheduled", "dead", "unclaimed", "published"}};
  for (const auto priority : kAllPriorities) {
    const auto& lane = stats.lanes[static_cast<std::size_t>(priority)];
    rows.push_back({std::string(to_string(priority)), with_thousands(lane.owed.ready),
                    is_open(info) ? "?" : with_thousands(lane.owed.leased),
                    with_thousands(lane.owed.scheduled), with_thousands(lane.owed.dead),
                    with_thousands(lane.unclaimed), with_thousands(lane.published)});
  }
  print_table(out, rows);
}

void print_subscriptions(Output& out, const Stats& stats) {
  if (stats.subscriptions.empty()) {
    out << "no durable subscription\n";
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"subscription", "owed", "scheduled", "dead"}};
  for (const auto& subscription : stats.subscriptions) {
    const auto sum = owed_of(subscription);
    rows.push_back({escape(subscription.name) + (subscription.paused ? " (paused)" : ""),
                    with_thousands(sum.owed), with_thousands(sum.scheduled),
                    with_thousands(sum.dead)});
  }
  print_table(out, rows);
}

void print_paused_types(Output& out, const Stats& stats) {
  if (stats.paused_types.empty()) return;
  std::uint64_t held = 0;
  for (const auto& lane : stats.lanes) held += lane.owed.paused;
  std::string patterns;
  for (const auto& pattern : stats.paused_types) {
    patterns += (patterns.empty() ? "" : ", ") + escape(pattern);
  }
  out << "\npaused types: " << patterns << " (" << with_thousands(held) << " held)\n";
}

void print_text(Output& out, const JournalInfo& info, const Stats& stats) {
  if (is_open(info)) {
    out << "open in process " << std::to_string(info.owner_pid)
        << " (what its handlers hold counts as ready)";
  } else if (info.clean) {
    out << "not open, closed properly";
  } else {
    out << out.state("crashed") << ": its last run did not close it, the next one recovers it";
  }
  out << "\n\n";
  print_lanes(out, info, stats);
  out << "\n";
  print_subscriptions(out, stats);
  print_paused_types(out, stats);
  for (const auto& range : info.lost) {
    out << "\nlost, and never used again: " << to_string(range.priority) << ":"
        << std::to_string(range.from) << " to " << to_string(range.priority) << ":"
        << std::to_string(range.to);
  }
  if (!info.lost.empty()) out << "\n";
  out << "\ncommit " << with_thousands(stats.commit.value) << " · " << human_bytes(stats.disk_bytes)
      << " on disk, " << human_bytes(stats.disk_free_bytes) << " free · format "
      << std::to_string(info.format) << " · epoch " << with_thousands(info.epoch) << " · "
      << escape(info.uuid) << "\n";
}

ExitCode run(const StatOptions& options) {
  const auto view = JournalView::open(options.journal);
  if (!view) return complain_of_open(view.status());
  const auto stats = (*view)->stats();
  if (!stats) return complain(stats.status());
  Output out(STDOUT_FILENO);
  if (options.json) {
    print_json(out, options, (*view)->info(), *stats);
  } else {
    print_text(out, (*view)->info(), *stats);
  }
  return out.finish(ExitCode::fine);
}

}  // namespace

void add_stat(CLI::App& app, ExitCode& result) {
  const auto options = std::make_shared<StatOptions>();
  auto& command = add_command<StatOptions>(
      app, "stat", "Counts by lane and subscription, and the condition of the journal",
      "  holdfast stat /var/lib/app/journal\n"
      "  holdfast stat /var/lib/app/journal --json | jq '.lanes[] | select(.dead > 0)'",
      options, result, run);
  command.add_flag("--json", options->json, "One JSON object");
}

}  // namespace holdfast::tool
