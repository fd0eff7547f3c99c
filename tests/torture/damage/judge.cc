// SPDX-License-Identifier: MIT
#include "damage/judge.h"

#include <algorithm>
#include <sstream>

#include <nlohmann/json.hpp>

#include "support/bus_test.h"
#include "support/command.h"
#include "support/journal_image.h"

namespace holdfast::testing {

namespace {

Judgement violation(std::string why) { return {DamageOutcome::violation, std::move(why)}; }

/// An error that an open may have for damaged files. What would blame holdfast itself, or leave
/// open what happened, is none.
Judgement of_refusal(const Status& status) {
  if (status.message().empty()) return violation("an error without a word: " + status.to_string());
  switch (status.code()) {
    case StatusCode::data_loss: return {DamageOutcome::loss_at_open, status.to_string()};
    case StatusCode::invalid_argument:
    case StatusCode::unavailable: return {DamageOutcome::refused, status.to_string()};
    default: return violation("opening: " + status.to_string());
  }
}

std::string errors_of(const Dump& dump) {
  std::string errors;
  for (const auto& section : dump) {
    if (!section.status.ok()) errors += section.name + ": " + section.status.to_string() + "; ";
  }
  return errors;
}

const Section* without_data_loss(const Dump& dump) {
  const auto found = std::find_if(dump.begin(), dump.end(), [](const Section& section) {
    return !section.status.ok() && !(section.status == StatusCode::data_loss);
  });
  return found == dump.end() ? nullptr : &*found;
}

Dump dump_of_view(const std::string& folder, const Facts& facts) {
  return dump_of(*must(JournalView::open(folder)), facts);
}

/// What was running is a help to tell who is to blame for a crash: a damaged slot says nothing, so
/// that attempts may go uncounted. Nothing else may be different.
bool touches_slots(const Damage& damage) {
  return damage.file == "running.slots" || damage.other == "running.slots";
}

/// What carries nothing of the journal is read whole only now and then.
Depth depth_for(const Damage& damage) {
  const auto kind = class_of(damage.file);
  const bool is_beside = kind == "options" || kind == "running.slots" || kind == "others";
  const bool is_byte = damage.kind == DamageKind::flip || damage.kind == DamageKind::set;
  return is_beside && is_byte && damage.offset % 16 != 0 ? Depth::light : Depth::whole;
}

void forget_attempts(Dump& dump) {
  for (auto& section : dump) {
    // What may have been running comes again by itself, and waits for that.
    if (section.name == "subscriptions") {
      std::erase_if(section.lines, [](const auto& line) { return line.starts_with("mailer"); });
    }
    for (auto& line : section.lines) {
      if (section.name == "get") line.resize(std::min(line.find(" ["), line.size()));
      if (section.name != "deliveries") continue;
      const auto attempt = line.find(' ', line.find(' ') + 1) + 1;
      line.erase(attempt, line.find(' ', attempt) + 1 - attempt);
    }
  }
}

Dump dump_of_bus(const std::string& folder, const Facts& facts) {
  return dump_of(*must(Bus::open(folder, damage_options())), facts);
}

}  // namespace

std::string_view name_of(DamageOutcome outcome) {
  switch (outcome) {
    case DamageOutcome::fine: return "fine";
    case DamageOutcome::prefix: return "prefix";
    case DamageOutcome::loss_at_open: return "loss_at_open";
    case DamageOutcome::loss_at_read: return "loss_at_read";
    case DamageOutcome::refused: return "refused";
    case DamageOutcome::violation: return "violation";
  }
  return "";
}

Judge::Judge(const Subject& subject)
    : subject_(subject),
      views_(subject, [&](const auto& folder) { return dump_of_view(folder, subject.facts()); }),
      buses_(subject, [&](const auto& folder) { return dump_of_bus(folder, subject.facts()); }),
      buses_without_attempts_(subject, [&](const auto& folder) {
        auto dump = dump_of_bus(folder, subject.facts());
        forget_attempts(dump);
        return dump;
      }) {}

Image Judge::damaged(const Damage& damage) const {
  auto image = subject_.image(damage.stale);
  apply(damage, image);
  return image;
}

Judgement Judge::judge(const Dump& dump, const Damage& damage, References& references) const {
  if (const auto* section = without_data_loss(dump); section != nullptr) {
    return violation(section->name + ": " + section->status.to_string());
  }
  const auto match = references.match(dump, damage);
  if (!match.found) {
    return violation(match.difference + (match.had_error ? " (with " + errors_of(dump) + ")" : ""));
  }
  if (match.had_error) return {DamageOutcome::loss_at_read, errors_of(dump)};
  return {match.is_whole ? DamageOutcome::fine : DamageOutcome::prefix, {}};
}

Judgement Judge::view(const Damage& damage) {
  const auto before = damaged(damage);
  const auto folder = subject_.lay_out(before);
  Judgement judgement;
  {
    const auto view = JournalView::open(folder);
    judgement = view.ok()
                    ? judge(dump_of(**view, subject_.facts(), depth_for(damage)), damage, views_)
                    : of_refusal(view.status());
  }
  const auto changed = difference(before, read_image(folder));
  if (!changed.empty()) return violation("a view has changed files:" + changed);
  return judgement;
}

/// What a refused open must not have done: the tables are untouched, and so is the whole folder
/// when damage was found before the engine was let at it.
std::string Judge::wrongly_changed(const Image& before, const std::string& folder,
                                   const Status& refusal) const {
  auto after = read_image(folder);
  const bool by_the_check =
      refusal.message().find("was durable, and the journal ends") != std::string::npos &&
      refusal.message().find("the engine") == std::string::npos;
  std::string wrong;
  for (const auto& [name, bytes] : before) {
    const auto at = after.find(name);
    const bool is_same = at != after.end() && at->second == bytes;
    const bool must_be = by_the_check ? name != "owner" : class_of(name) == "table";
    if (must_be && !is_same) wrong += ' ' + name;
    // A log that has gone is kept under its second name, or is a table by now.
  }
  return wrong;
}

Judgement Judge::judge_open_bus(Bus& bus, const Damage& damage) {
  const auto& report = bus.recovery();
  if (report.created) return violation("an open has made a new journal in the folder");
  const bool has_report = report.bytes_cut > 0 || !report.damage.empty();
  auto dump = dump_of(bus, subject_.facts(), depth_for(damage));
  must(bus.close());
  const bool loose = touches_slots(damage);
  if (loose) forget_attempts(dump);
  auto judgement = judge(dump, damage, loose ? buses_without_attempts_ : buses_);
  if (judgement.outcome == DamageOutcome::prefix && !has_report) {
    // A log that ends between two commits has nothing that could be told from one that ended there.
    const bool is_clean_cut = damage.kind == DamageKind::cut || damage.kind == DamageKind::empty ||
                              damage.kind == DamageKind::remove;
    if (!is_clean_cut) return violation("commits are gone, and the report does not say so");
  }
  return judgement;
}

Judgement Judge::bus(const Damage& damage, bool again) {
  const auto before = damaged(damage);
  const auto folder = subject_.lay_out(before);
  auto opened = Bus::open(folder, damage_options());
  if (opened.ok()) return judge_open_bus(**opened, damage);
  auto judgement = of_refusal(opened.status());
  if (judgement.outcome == DamageOutcome::violation) return judgement;
  if (const auto wrong = wrongly_changed(before, folder, opened.status()); !wrong.empty()) {
    return violation("refused (" + judgement.why + "), and these are not as before:" + wrong);
  }
  return again ? second_open(folder, damage, judgement) : judgement;
}

/// Who tries again must not be told that all is well with less in it.
Judgement Judge::second_open(const std::string& folder, const Damage& damage,
                             const Judgement& first) {
  auto opened = Bus::open(folder, damage_options());
  const auto second = opened.ok() ? judge_open_bus(**opened, damage) : of_refusal(opened.status());
  if (second.outcome != DamageOutcome::violation) return first;
  return violation("refused (" + first.why + "), and at the second time: " + second.why);
}

// --- The command --------------------------------------------------------------------------------

namespace {

constexpr int kFine = 0;
constexpr int kUsage = 2;
constexpr int kDamaged = 3;
constexpr int kUnavailable = 5;

CommandResult run_tool(const std::string& command, const std::string& folder, const Facts& facts) {
  std::vector<std::string> arguments = {HOLDFAST_TOOL};
  CommandOptions options;
  if (command == "ls --dead") {
    arguments.insert(arguments.end(), {"ls", folder, "--dead", "--json"});
  } else if (command == "show") {
    const auto& each = facts.events[facts.events.size() / 2];
    arguments.insert(arguments.end(), {"show", folder, to_string(each.id), "--json"});
  } else if (command == "publish") {
    arguments.insert(arguments.end(), {"publish", folder, "--no-create"});
    options.input = R"({"type":"probe"})";
  } else {
    arguments.insert(arguments.end(), {command, folder, "--json"});
  }
  return run_command(arguments, options);
}

/// Its lines without what changes from one moment to the next.
Section section_of(const std::string& command, const CommandResult& result) {
  Section section{command, {}, {}};
  std::istringstream in(result.out);
  for (std::string line; std::getline(in, line);) {
    auto json = nlohmann::ordered_json::parse(line, nullptr, false);
    for (const char* field : {"journal", "disk_bytes", "disk_free_bytes", "why"}) json.erase(field);
    if (json.contains("standings")) {
      for (auto& each : json["standings"]) each.erase("next_try");
    }
    section.lines.push_back(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  if (result.exit_code == kDamaged) section.status = Status(StatusCode::data_loss, result.err);
  return section;
}

/// After `publish` what was there is there, whatever has become of it meanwhile.
Section events_of(const std::string& folder) {
  Section section{"ls after publish", {}, {}};
  const auto view = JournalView::open(folder);
  section.status = view.status();
  if (!view.ok()) return section;
  section.status = (*view)->scan({}, [&](const EventView& event, EventState) {
    if (event.type != "probe") {
      section.lines.push_back(to_string(event.id) + ' ' + content_of(event.to_owned()));
    }
    return true;
  });
  return section;
}

}  // namespace

const std::vector<std::string>& tool_commands() {
  static const std::vector<std::string> all = {"stat", "ls", "ls --dead", "show", "publish"};
  return all;
}

References& Judge::tool_references(const std::string& command) {
  const auto read = [this, command](const std::string& folder) -> Dump {
    const auto result = run_tool(command, folder, subject_.facts());
    if (result.exit_code != kFine) give_up({StatusCode::internal, command + ": " + result.err});
    return {command == "publish" ? events_of(folder) : section_of(command, result)};
  };
  return tools_.try_emplace(command, subject_, read).first->second;
}

Judgement Judge::tool(const Damage& damage, const std::string& command) {
  const auto folder = subject_.lay_out(damaged(damage));
  const auto result = run_tool(command, folder, subject_.facts());
  if (result.exit_code == kUsage || result.exit_code == kUnavailable) {
    if (result.err.empty()) return violation(command + " says nothing");
    return {DamageOutcome::refused, result.err};
  }
  if (result.exit_code != kFine && result.exit_code != kDamaged) {
    return violation(command + " ended with " + std::to_string(result.exit_code) + ": " +
                     result.err);
  }
  if (result.exit_code == kDamaged && (result.err.empty() || command == "publish")) {
    if (result.err.empty()) return violation(command + " found damage and says nothing");
    return {DamageOutcome::loss_at_open, result.err};
  }
  auto section = command == "publish" ? events_of(folder) : section_of(command, result);
  const bool at_open = !section.status.ok() && section.lines.empty();
  auto judgement = judge({std::move(section)}, damage, tool_references(command));
  if (judgement.outcome == DamageOutcome::violation)
    return violation(command + ": " + judgement.why);
  if (at_open) judgement.outcome = DamageOutcome::loss_at_open;
  return judgement;
}

}  // namespace holdfast::testing
