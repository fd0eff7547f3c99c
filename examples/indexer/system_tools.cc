// SPDX-License-Identifier: MIT
#include "indexer/system_tools.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "indexer/child.h"
#include "indexer/progress.h"

namespace indexer {

namespace {

// The kernel takes 2 MiB of arguments, pointers and environment included, unless `ulimit -s` is
// small.
constexpr std::size_t kArgumentBytes = std::size_t{96} << 10U;

/// The parts of `text` that end in NUL: the only separator that no file name can hold.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find('\0');
    if (end == std::string_view::npos) throw std::runtime_error("the last line has no end");
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return parts;
}

}  // namespace

std::vector<std::string> find_files(const std::string& root, const std::string& left_out) {
  // A folder that cannot be read makes it fail, and what it found is still right: the walker meets
  // the same folder and has to say so.
  Child find(
      {"find", root, "-mindepth", "1", "(", "-xtype", "f", "-o", "-xtype", "l", ")", "-print0"},
      Child::Errors::hidden);
  const auto output = find.read_all();
  std::vector<std::string> files;
  for (const auto path : split(output)) {
    if (!path.starts_with(left_out + '/')) files.emplace_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::map<std::string, std::string> sha256sum(const std::vector<std::string>& files) {
  constexpr std::size_t kDigestLength = 64;
  std::map<std::string, std::string> digests;
  Progress progress;
  for (auto next = files.begin(); next != files.end();) {
    // With --zero it writes names as they are, without escapes.
    std::vector<std::string> arguments = {"sha256sum", "--zero", "--"};
    for (std::size_t bytes = 0; next != files.end() && bytes < kArgumentBytes; ++next) {
      bytes += next->size() + sizeof(char*);
      arguments.push_back(*next);
    }
    Child tool(arguments, Child::Errors::hidden);
    const auto output = tool.read_all();
    for (const auto line : split(output)) {
      // 64 digits, a space, a space or a star, the name.
      if (line.size() < kDigestLength + 2) throw std::runtime_error("sha256sum speaks in riddles");
      digests.emplace(line.substr(kDigestLength + 2), line.substr(0, kDigestLength));
    }
    progress.draw(static_cast<std::size_t>(next - files.begin()), files.size(), " by sha256sum");
  }
  return digests;
}

}  // namespace indexer
