// SPDX-License-Identifier: MIT
#include "support/lost_pages.h"

#include <algorithm>

namespace holdfast::testing {

namespace {

constexpr std::uint64_t kPage = 4'096;
constexpr std::uint64_t kSector = 512;

void lose(std::string& content, std::uint64_t begin, std::uint64_t end, std::mt19937_64& random) {
  const bool is_noise = random() % 8 == 0;
  for (auto at = begin; at < end; ++at) content[at] = is_noise ? static_cast<char>(random()) : '\0';
}

}  // namespace

std::uint64_t lose_pages(std::string& content, std::uint64_t synced, std::mt19937_64* random) {
  if (synced >= content.size()) return 0;
  if (random == nullptr || (*random)() % 4 == 0) {
    content.resize(synced);
    return 0;
  }
  auto& next = *random;
  // How long the file is says nothing of what is in it.
  if (next() % 4 != 0) content.resize(synced + next() % (content.size() - synced + 1));
  const auto odds = next() % 4;
  if (odds == 0) return 0;  // a plain prefix
  const auto lost_of_8 = odds == 1 ? 1U : odds == 2 ? 4U : 7U;
  std::uint64_t holes = 0;
  bool in_hole = false;
  for (auto begin = synced; begin < content.size();) {
    const auto end = std::min<std::uint64_t>((begin / kPage + 1) * kPage, content.size());
    const bool is_lost = next() % 8 < lost_of_8;
    if (is_lost) {
      lose(content, begin, end, next);
    } else if (in_hole) {
      ++holes;
    }
    in_hole = is_lost;
    begin = end;
  }
  // The last page in the middle of being written: some of its sectors.
  if (content.size() > synced && next() % 2 == 0) {
    const auto page = std::max(synced, (content.size() - 1) / kPage * kPage);
    const auto torn = page + next() % (content.size() - page + 1) / kSector * kSector;
    if (torn < content.size()) lose(content, std::max(torn, synced), content.size(), next);
  }
  return holes;
}

}  // namespace holdfast::testing
