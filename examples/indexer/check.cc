// SPDX-License-Identifier: MIT
#include "indexer/check.h"

#include <algorithm>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>

#include "indexer/catalog.h"
#include "indexer/progress.h"
#include "indexer/sha256.h"
#include "indexer/system_tools.h"

namespace indexer {

namespace {

struct Index {
  std::map<std::string, FileEntry> files;
  std::vector<holdfast::DeadLetter> dead_letters;
};

/// Everything is copied and the bus closed again before any other program is started.
Index read_index(const std::string& journal) {
  const auto bus = unwrap(holdfast::Bus::open(journal, {.create_if_missing = false}));
  Index index{read_catalog(*bus), unwrap(bus->dead_letters())};
  unwrap(bus->close());
  return index;
}

void list(std::string_view title, const std::vector<std::string>& paths) {
  constexpr std::size_t kShown = 20;
  if (paths.empty()) return;
  std::cout << title << ":\n";
  for (std::size_t i = 0; i < std::min(paths.size(), kShown); ++i) {
    std::cout << "  " << printable(paths[i]) << '\n';
  }
  if (paths.size() > kShown) std::cout << "  and " << paths.size() - kShown << " more\n";
}

}  // namespace

Findings check(const std::string& journal, const std::string& root,
               const std::vector<std::string>& found_before) {
  auto index = read_index(journal);
  const auto found_after = find_files(root, journal);
  Findings findings;
  std::vector<std::string> files;
  std::set_intersection(found_before.begin(), found_before.end(), found_after.begin(),
                        found_after.end(), std::back_inserter(files));
  std::set_symmetric_difference(found_before.begin(), found_before.end(), found_after.begin(),
                                found_after.end(), std::back_inserter(findings.changed));
  const auto digests = sha256sum(files);

  std::set<std::string_view> dead;
  for (const auto& letter : index.dead_letters) dead.insert(letter.event.payload);
  findings.files = files.size();
  for (const auto& path : files) {
    const auto entry = index.files.find(path);
    const auto digest = digests.find(path);
    const bool is_stored = entry != index.files.end();
    const bool is_readable = digest != digests.end();
    if (is_stored && is_readable && entry->second.digest == digest->second) {
      ++findings.identical;
    } else if (is_stored && change_time(path) != entry->second.changed) {
      findings.changed.push_back(path);
    } else if (is_stored) {
      ++findings.different;
      findings.wrong.push_back(path);
    } else if (is_readable || !dead.contains(path)) {
      ++findings.missing;
      findings.wrong.push_back(path);
    } else {
      ++findings.unreadable;
    }
  }
  for (const auto& [path, entry] : index.files) {
    findings.counted += entry.times;
    if (entry.times > 1) ++findings.counted_twice;
  }
  findings.stored = index.files.size();
  findings.dead_letters = std::move(index.dead_letters);
  return findings;
}

bool Findings::agree() const {
  return changed.empty() && identical + unreadable == files && stored == identical &&
         counted == stored && counted_twice == 0;
}

void Findings::print() const {
  const auto row = [](std::string_view name, std::uint64_t count, std::string_view note = {}) {
    std::cout << "  " << std::left << std::setw(16) << name << std::right << std::setw(9) << count
              << note << '\n';
  };
  std::cout << '\n';
  row("files", files, "  as find says");
  row("identical", identical, "  to what sha256sum says");
  row("unreadable", unreadable, "  dead letters, and sha256sum cannot either");
  row("different", different);
  row("missing", missing);
  row("counted twice", counted_twice);
  row("sum of counts", counted,
      counted == stored ? "  = files hashed" : "  and not the files hashed");
  if (!changed.empty()) row("changed", changed.size(), "  while the demo ran");
  std::cout << '\n';
  list("not as they should be", wrong);
  list(
      "changed, came or went meanwhile: nothing can be said of them, and the demo does not count "
      "as passed",
      changed);

  std::cout << "dead letters: " << dead_letters.size() << '\n';
  for (const auto& letter : dead_letters) {
    std::cout << "  " << letter.subscription << ' ' << to_string(letter.id) << ' '
              << printable(letter.event.payload) << ": " << printable(letter.reason) << '\n';
  }
}

}  // namespace indexer
