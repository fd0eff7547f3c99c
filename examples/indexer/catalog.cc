// SPDX-License-Identifier: MIT
#include "indexer/catalog.h"

#include <charconv>
#include <stdexcept>
#include <utility>

#include <holdfast/throwing.h>

#include "indexer/events.h"
#include "indexer/sha256.h"

namespace indexer {

namespace {

/// Takes the text up to the next space from the front of `rest`.
std::string_view next_field(std::string_view& rest) {
  const auto end = rest.find(' ');
  const auto field = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return field;
}

template <typename Number>
bool parse(std::string_view field, Number& number) {
  const auto* end = field.data() + field.size();
  return std::from_chars(field.data(), end, number) == std::from_chars_result{end, std::errc()};
}

}  // namespace

std::string FileEntry::encode() const {
  // The path last: it is the only field that may hold a space.
  return std::to_string(times) + ' ' + digest + ' ' + std::to_string(size) + ' ' +
         std::to_string(changed) + ' ' + path;
}

std::optional<FileEntry> FileEntry::decode(std::string_view text) {
  FileEntry entry;
  if (!parse(next_field(text), entry.times)) return std::nullopt;
  entry.digest = next_field(text);
  if (!parse(next_field(text), entry.size)) return std::nullopt;
  if (!parse(next_field(text), entry.changed)) return std::nullopt;
  entry.path = text;
  return entry;
}

std::string entry_key(std::string_view path) {
  Sha256 hash;
  hash.add(holdfast::as_bytes(path));
  return hash.hex();
}

std::map<std::string, FileEntry> read_catalog(const holdfast::Bus& bus) {
  std::map<std::string, FileEntry> catalog;
  std::string unreadable;
  unwrap(bus.scan_state(kHasherName, "", [&](std::string_view key, std::string_view value) {
    auto entry = FileEntry::decode(value);
    if (!entry) {
      unreadable = key;
      return false;
    }
    catalog.emplace(entry->path, *entry);
    return true;
  }));
  if (!unreadable.empty()) throw std::runtime_error("the entry " + unreadable + " is unreadable");
  return catalog;
}

}  // namespace indexer
