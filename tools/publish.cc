// SPDX-License-Identifier: MIT
#include <cstdint>
#include <limits>
#include <memory>
#include <pwd.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include "holdfast/bus.h"
#include "tools/commands.h"
#include "tools/event_line.h"
#include "tools/input.h"
#include "tools/output.h"
#include "tools/publisher.h"
#include "tools/text.h"

namespace holdfast::tool {

namespace {

struct PublishOptions {
  std::string journal;
  std::string file = "-";
  std::string durability = "durable";
  bool batch = false;
  bool strict = false;
  bool no_create = false;
  bool json = false;
};

std::string user_name(uid_t user) {
  // There is one thread yet.
  const auto* entry = ::getpwuid(user);  // NOLINT(concurrency-mt-unsafe)
  const auto number = std::to_string(user);
  return entry != nullptr ? std::string(entry->pw_name) + " (" + number + ")" : number;
}

/// Files that another user than the journal's writes into it would lock its program out.
bool belongs_to_another(const std::string& journal) {
  struct stat facts {};
  if (::stat(journal.c_str(), &facts) != 0 || facts.st_uid == ::geteuid()) return false;
  complain(journal + " belongs to the user " + user_name(facts.st_uid) + ", this is " +
           user_name(::geteuid()) + ": what it writes could lock the journal's program out");
  return true;
}

Options bus_options(const PublishOptions& options) {
  Options bus;
  bus.create_if_missing = !options.no_create;
  bus.limits.payload_bytes_max = kPayloadBytesHardMax;
  bus.workers = Workers::single();
  // How long events stay is for the journal's program to say: nothing goes because of this visit.
  bus.retention = Retention::forever();
  bus.unclaimed_retention = Retention::forever();
  bus.limits.dead_letters_max = kKeepAllDeadLetters;
  bus.limits.idempotency_keys_max = std::numeric_limits<std::uint64_t>::max();
  bus.idempotency_window = kKeepIdempotencyKeys;
  return bus;
}

/// Opening for writing is what recovers a journal, so this may be the only chance to tell.
void tell_recovery(const RecoveryReport& report) {
  if (report.created || report.clean) return;
  auto told = "the journal's last run did not close it: recovered, " +
              plural(report.suspects.size(), "handler") + " had been running";
  if (report.bytes_cut > 0) {
    told += "; " + human_bytes(report.bytes_cut) + " of unsynced data were cut, a copy is in " +
            report.cut_copy;
  }
  complain(told);
  for (const auto& suspect : report.suspects) {
    complain("  " + to_string(suspect.event) + " with " + suspect.subscription + ", attempt " +
             std::to_string(suspect.attempt) + (suspect.dead ? ": now a dead letter" : ""));
  }
  for (const auto& range : report.lost) {
    complain("  lost: " + to_string(EventId{range.priority, range.from}) + " to " +
             to_string(EventId{range.priority, range.to}));
  }
}

ExitCode run(const PublishOptions& options) {
  const auto input = Input::open(options.file, kLineBytesMax);
  if (!input) return complain(input.status());
  if (belongs_to_another(options.journal)) return ExitCode::unavailable;
  Waiter waiter;
  const auto bus = Bus::open(options.journal, bus_options(options));
  if (!bus) return complain_of_open(bus.status());
  tell_recovery((*bus)->recovery());
  if ((*input)->is_terminal()) complain("reading events, one JSON object a line; Ctrl-D ends");
  Publisher publisher(
      **bus, **input, waiter,
      {.json = options.json,
       .strict = options.strict,
       .durability =
           options.durability == to_string(Durability::os) ? Durability::os : Durability::durable});
  return options.batch ? publisher.publish_batch() : publisher.publish_each();
}

std::string check_durability(const std::string& name) {
  if (name == to_string(Durability::durable) || name == to_string(Durability::os)) return {};
  return "\"" + name + "\" is no durability; it is durable or os";
}

}  // namespace

void add_publish(CLI::App& app, ExitCode& result) {
  const auto options = std::make_shared<PublishOptions>();
  auto& command = add_command<PublishOptions>(
      app, "publish", "Publishes events, one JSON object a line",
      "  echo '{\"type\":\"order.placed\",\"payload\":\"42\",\"priority\":\"high\"}' |\n"
      "    holdfast publish /var/lib/app/journal\n"
      "  holdfast publish /var/lib/app/journal events.jsonl --batch\n"
      "  generate | holdfast publish /var/lib/app/journal - --json > receipts.jsonl\n"
      "Fields: type, payload or payload_base64, priority, source, metadata or metadata_base64,\n"
      "content_type, timestamp; all but type may be left out.\n"
      "A line that is refused is reported with its number, and makes it end with 1.",
      options, result, run);
  command.add_option("FILE", options->file,
                     "Where the lines are; - is standard input, the default");
  command.add_flag("--batch", options->batch,
                   "All of them as one atomic commit: one bad line and nothing is written");
  command.add_flag("--strict", options->strict, "Stop at the first bad line");
  command.add_flag("--no-create", options->no_create, "Fail if there is no journal yet");
  command
      .add_option("--durability", options->durability,
                  "durable (the default) survives power loss, os a crash of a process")
      ->type_name("KIND")
      ->check(check_durability);
  command.add_flag("--json", options->json, "A receipt for each event, once it is durable");
}

}  // namespace holdfast::tool
