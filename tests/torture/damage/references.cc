// SPDX-License-Identifier: MIT
#include "damage/references.h"

#include <algorithm>
#include <filesystem>

#include "journal/rocks/watermark.h"
#include "support/bus_test.h"
#include "support/journal_image.h"

namespace holdfast::testing {

namespace {

CommitNumber durable_in(const std::string& watermark) {
  return must(journal::decode_watermark(watermark)).durable;
}

std::string shortened(const std::string& line) {
  return line.size() <= 160 ? line : line.substr(0, 160) + "...";
}

/// The first line of `lines` that is not in its place in `whole`, both in order.
std::string first_strange(const std::vector<std::string>& lines,
                          const std::vector<std::string>& whole) {
  auto at = whole.begin();
  for (const auto& line : lines) {
    at = std::find(at, whole.end(), line);
    if (at == whole.end()) return line;
    ++at;
  }
  return {};
}

std::string difference_of(const Section& section, const Section& whole) {
  const auto strange = first_strange(section.lines, whole.lines);
  if (!strange.empty()) return section.name + ": not so before: " + shortened(strange);
  if (!section.status.ok() || section.lines.size() == whole.lines.size()) return {};
  return section.name +
         ": silently missing: " + shortened(first_strange(whole.lines, section.lines));
}

}  // namespace

std::string difference_of(const Dump& dump, const Dump& whole) {
  for (const auto& section : dump) {
    const auto same = std::find_if(whole.begin(), whole.end(),
                                   [&](const Section& each) { return each.name == section.name; });
    if (same == whole.end()) return section.name + ": was not there before";
    auto difference = difference_of(section, *same);
    if (!difference.empty()) return difference;
  }
  return {};
}

Subject::Subject(const std::string& made, std::string scratch)
    : scratch_(std::move(scratch)),
      image_(read_image(made + "/image")),
      stale_watermark_(read_bytes(made + "/stale-watermark")),
      facts_(Facts::load(made + "/facts")),
      commits_(commits_in_logs(made + "/image")),
      durable_(durable_in(image_.at("watermark"))),
      stale_durable_(durable_in(stale_watermark_)) {
  const auto logs = std::count_if(image_.begin(), image_.end(), [](const auto& each) {
    return class_of(each.first) == "log" && each.first.find('/') == std::string::npos;
  });
  if (logs != 1) give_up({StatusCode::internal, "the journal to damage has not one log"});
}

Image Subject::image(bool stale) const {
  auto image = image_;
  if (stale) image["watermark"] = stale_watermark_;
  return image;
}

std::string Subject::lay_out(const Image& image, const std::string& name) const {
  auto folder = scratch_ + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  for (const auto& [file, bytes] : image) {
    const auto path = std::filesystem::path(folder) / file;
    std::filesystem::create_directories(path.parent_path());
    write_bytes(path, bytes);
  }
  return folder;
}

const Dump& References::at(bool stale, std::size_t commits) {
  const auto found = made_.find({stale, commits});
  if (found != made_.end()) return found->second;
  auto image = subject_.image(stale);
  const auto& all = subject_.commits();
  // What is cut cleanly between two commits lacks nothing else.
  if (commits < all.size()) {
    image.at(all.front().file).resize(commits == 0 ? 0 : all[commits - 1].end);
  }
  auto dump = read_(subject_.lay_out(image, "reference"));
  for (const auto& section : dump) {
    if (!section.status.ok()) {
      give_up(section.status.with_context("the undamaged journal, " + section.name));
    }
  }
  return made_.emplace(std::pair(stale, commits), std::move(dump)).first->second;
}

References::Match References::match(const Dump& dump, const Damage& damage) {
  Match match;
  match.had_error = std::any_of(dump.begin(), dump.end(),
                                [](const Section& section) { return !section.status.ok(); });
  const auto& commits = subject_.commits();
  const auto known = std::max(known_durable(damage, commits), subject_.watermark(damage.stale));
  const auto likely = static_cast<std::size_t>(
      std::count_if(commits.begin(), commits.end(), [&](const LoggedCommit& commit) {
        return commit.file == damage.file && commit.end <= damage.offset;
      }));
  const auto is_found = [&](std::size_t count) {
    const auto difference = difference_of(dump, at(damage.stale, count));
    if (count == commits.size() || count == likely) {
      match.difference +=
          " [of the first " + std::to_string(count) + " commits: " + difference + ']';
    }
    match.found = difference.empty();
    match.is_whole = match.found && count == commits.size();
    return match.found;
  };
  const auto is_allowed = [&](std::size_t count) {
    // The first commit of the log was durable before any watermark there is was written.
    return count > 0 && commits[count - 1].number >= known;
  };
  // All of it, or where the damage is; and then any.
  if (is_found(commits.size())) return match;
  if (is_allowed(likely) && is_found(likely)) return match;
  for (auto count = commits.size(); count > 0 && is_allowed(count - 1); --count) {
    if (is_found(count - 1)) return match;
  }
  return match;
}

}  // namespace holdfast::testing
