// SPDX-License-Identifier: MIT
#include "indexer/walker.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <holdfast/throwing.h>

#include "indexer/events.h"

namespace indexer {

namespace fs = std::filesystem;
using holdfast::Delivery;
using holdfast::Outcome;

namespace {

// A tx takes 10,000 writes and 16 MiB. A path has at most 4 KiB, so that a page always fits in
// both.
constexpr std::size_t kPageEntries = 2'000;

struct Entry {
  std::string name;
  bool is_folder = false;
};

/// The entries that come after `page.after`, by name: a folder that changes between two pages can
/// then make no entry come twice.
std::vector<Entry> read_folder(const FolderPage& page, std::error_code& error) {
  std::vector<Entry> entries;
  for (auto it = fs::directory_iterator(page.path, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    auto name = it->path().filename().string();
    if (name <= page.after) continue;
    // What cannot even be looked at is taken for a file: the hasher will find out and say so.
    std::error_code ignored;
    const auto type = it->symlink_status(ignored).type();
    if (type == fs::file_type::symlink && it->is_directory(ignored)) continue;
    entries.push_back({std::move(name), type == fs::file_type::directory});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

Outcome walk(Delivery& delivery, const std::string& left_out) {
  const auto page = FolderPage::decode(delivery.event().payload_text());
  std::error_code error;
  auto entries = read_folder(page, error);
  if (error) return Outcome::reject(error.message());

  auto tx = delivery.tx();
  const bool more = entries.size() > kPageEntries;
  if (more) {
    entries.resize(kPageEntries);
    const auto rest = FolderPage{page.path, entries.back().name}.encode();
    tx.publish(
        {.type = kFolderType, .payload = rest, .priority = kFolderPriority, .source = kWalker});
  }
  for (const auto& [name, is_folder] : entries) {
    const auto path = page.path.ends_with('/') ? page.path + name : page.path + '/' + name;
    if (path == left_out) continue;
    tx.publish({.type = is_folder ? kFolderType : kFileType,
                .payload = path,
                .priority = is_folder ? kFolderPriority : kFilePriority,
                .source = kWalker});
  }
  return Outcome::ack();
}

}  // namespace

holdfast::Subscription start_walker(holdfast::Bus& bus, std::string left_out) {
  return unwrap(bus.subscribe(
      {.name = kWalkerName,
       .types = {std::string(kFolderType)},
       .concurrency = 2,
       .retry = kPatient},
      [left_out = std::move(left_out)](Delivery& delivery) { return walk(delivery, left_out); }));
}

void plant_root(holdfast::Bus& bus, const std::string& root) {
  if (const auto planted = unwrap(bus.state(kHostState, "root"))) {
    if (*planted == root) return;
    throw std::runtime_error("this journal is the index of " + *planted);
  }
  // The event and the note that it was published are one commit: a crash leaves both or neither.
  auto batch = bus.batch();
  batch.add({.type = kFolderType, .payload = root, .priority = kFolderPriority, .source = kWalker});
  batch.state(kHostState).put("root", root);
  unwrap(batch.commit());
}

}  // namespace indexer
