// SPDX-License-Identifier: MIT
#include "damage/plan.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

#include "support/bus_test.h"
#include "support/journal_image.h"

namespace holdfast::testing {

namespace {

constexpr std::size_t kZeros = 512;

constexpr std::array<std::pair<DamageKind, std::string_view>, 8> kNames = {{
    {DamageKind::flip, "flip"},
    {DamageKind::set, "set"},
    {DamageKind::zeros, "zeros"},
    {DamageKind::cut, "cut"},
    {DamageKind::append, "append"},
    {DamageKind::empty, "empty"},
    {DamageKind::remove, "remove"},
    {DamageKind::swap, "swap"},
}};

// The same for the same place, so that it can be done again.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

bool is_log(std::string_view file) { return file.ends_with(".log"); }

/// Whether `commit`, all of it, is still to be found.
bool survives(const LoggedCommit& commit, const Damage& damage) {
  const bool is_here = commit.file == damage.file;
  switch (damage.kind) {
    case DamageKind::flip:
    case DamageKind::set:
      return !is_here || damage.offset < commit.begin || damage.offset >= commit.end;
    case DamageKind::zeros:
      return !is_here || damage.offset + kZeros <= commit.begin || damage.offset >= commit.end;
    case DamageKind::cut: return !is_here || commit.end <= damage.offset;
    case DamageKind::append: return true;
    case DamageKind::empty:
    case DamageKind::remove: return !is_here;
    case DamageKind::swap: return !is_here && commit.file != damage.other;
  }
  return false;
}

}  // namespace

std::optional<DamageKind> kind_of(std::string_view name) {
  for (const auto& [kind, each] : kNames) {
    if (each == name) return kind;
  }
  return std::nullopt;
}

std::string_view name_of(DamageKind kind) { return kNames[static_cast<std::size_t>(kind)].second; }

Image read_image(const std::string& folder) {
  Image image;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    image[std::filesystem::relative(entry.path(), folder).string()] = read_bytes(entry.path());
  }
  return image;
}

std::string Damage::to_line() const {
  return std::string(name_of(kind)) + (stale ? " stale " : " fresh ") + std::to_string(offset) +
         ' ' + file + ' ' + (other.empty() ? "-" : other);
}

Damage Damage::parse(const std::string& line) {
  std::istringstream in(line);
  Damage damage;
  std::string kind;
  std::string watermark;
  in >> kind >> watermark >> damage.offset >> damage.file >> damage.other;
  damage.kind = kind_of(kind).value();
  damage.stale = watermark == "stale";
  if (damage.other == "-") damage.other.clear();
  return damage;
}

void apply(const Damage& damage, Image& image) {
  auto& bytes = image.at(damage.file);
  const auto at = damage.offset;
  switch (damage.kind) {
    case DamageKind::flip:
      bytes.at(at) = static_cast<char>(bytes.at(at) ^ (1 << (mixed(at) % 8)));
      break;
    case DamageKind::set: bytes.at(at) = bytes.at(at) == 0 ? '\xff' : '\0'; break;
    case DamageKind::zeros:
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                  std::min(kZeros, bytes.size() - at), '\0');
      break;
    case DamageKind::cut: bytes.resize(at); break;
    case DamageKind::append:
      for (std::uint64_t i = 0; i < at; ++i) bytes += static_cast<char>(mixed(i + at));
      break;
    case DamageKind::empty: bytes.clear(); break;
    case DamageKind::remove: image.erase(damage.file); break;
    case DamageKind::swap: std::swap(bytes, image.at(damage.other)); break;
  }
}

CommitNumber known_durable(const Damage& damage, const std::vector<LoggedCommit>& commits) {
  CommitNumber known;
  for (const auto& commit : commits) {
    if (survives(commit, damage)) known = std::max(known, commit.durable_known);
  }
  return known;
}

std::string_view class_of(std::string_view file) {
  if (file.ends_with(".sst")) return "table";
  if (is_log(file)) return "log";
  if (file.starts_with("MANIFEST")) return "manifest";
  if (file.starts_with("OPTIONS")) return "options";
  if (file == "CURRENT" || file == "watermark" || file == "running.slots") return file;
  return "others";  // IDENTITY, LOCK, owner, and what is kept below cut/
}

std::vector<Damage> make_plan(const Image& image, const PlanOptions& options) {
  std::vector<Damage> plan;
  const auto strided = [&](const std::string& file, std::size_t bytes, DamageKind kind,
                           std::uint64_t stride, bool stale) {
    if (stride == 0) return;
    const auto begin = mixed(options.seed + std::hash<std::string>{}(file)) % stride;
    for (auto at = begin; at < bytes; at += stride) plan.push_back({kind, stale, file, at, {}});
  };
  for (const auto& [file, bytes] : image) {
    if (!options.only.empty() && class_of(file) != options.only) continue;
    // With the older watermark only what is in the logs can be told otherwise.
    for (const bool stale : {false, true}) {
      if (stale && !is_log(file)) continue;
      // Some are enough there: each byte is damaged once.
      strided(file, bytes.size(), DamageKind::flip, options.flip_stride * (stale ? 4 : 1), stale);
      strided(file, bytes.size(), DamageKind::set, options.set_stride, stale);
      strided(file, bytes.size(), DamageKind::zeros, options.zeros_stride, stale);
      strided(file, bytes.size(), DamageKind::cut, options.cut_stride, stale);
      for (const std::uint64_t more : {1, 7, 100, 5000}) {
        plan.push_back({DamageKind::append, stale, file, more, {}});
      }
      if (!bytes.empty()) plan.push_back({DamageKind::empty, stale, file, 0, {}});
      plan.push_back({DamageKind::remove, stale, file, 0, {}});
    }
  }
  for (auto one = image.begin(); one != image.end(); ++one) {
    for (auto two = std::next(one); two != image.end(); ++two) {
      const bool is_wanted = options.only.empty() || class_of(one->first) == options.only ||
                             class_of(two->first) == options.only;
      if (is_wanted && one->second != two->second) {
        plan.push_back({DamageKind::swap, false, one->first, 0, two->first});
      }
    }
  }
  return plan;
}

}  // namespace holdfast::testing
