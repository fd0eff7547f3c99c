// SPDX-License-Identifier: MIT

// An index of every file of a tree with its SHA-256, made by two parts that know nothing of each
// other but the events between them: the walker and the hasher. Begin reading at worker.cc, the
// host.

#include <charconv>
#include <exception>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "indexer/child.h"
#include "indexer/demo.h"
#include "indexer/progress.h"
#include "indexer/worker.h"

namespace {

constexpr int kUsageError = 2;
constexpr int kInterrupted = 130;

int usage() {
  std::cerr << "usage: indexer demo [--seed N] [--keep] [DIR]    index DIR (/usr/include) while "
               "being killed\n"
               "       indexer work JOURNAL DIR [MICROSECONDS]   index DIR, or go on with it\n";
  return kUsageError;
}

bool parse(std::string_view text, std::uint64_t& number) {
  const auto* end = text.data() + text.size();
  return std::from_chars(text.data(), end, number) == std::from_chars_result{end, std::errc()};
}

/// Without links and relative parts, so that the path means the same to every process. Throws if it
/// is no folder.
std::string folder(const std::string& path) {
  auto absolute = std::filesystem::canonical(path);
  if (!std::filesystem::is_directory(absolute)) {
    throw std::filesystem::filesystem_error("not a folder", absolute,
                                            std::make_error_code(std::errc::not_a_directory));
  }
  return absolute.string();
}

int demo(const std::vector<std::string>& arguments) {
  indexer::DemoOptions options{.seed = std::random_device{}()};
  bool has_root = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--keep") {
      options.keep = true;
    } else if (arguments[i] == "--seed" && i + 1 < arguments.size()) {
      if (!parse(arguments[++i], options.seed)) return usage();
    } else if (!has_root && !arguments[i].starts_with("--")) {
      options.root = arguments[i];
      has_root = true;
    } else {
      return usage();
    }
  }
  options.root = folder(options.root);
  return indexer::demo(options);
}

int work(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2 || arguments.size() > 3) return usage();
  std::uint64_t hold = 0;
  if (arguments.size() == 3 && !parse(arguments[2], hold)) return usage();
  return indexer::work({.journal = std::filesystem::absolute(arguments[0]).string(),
                        .root = folder(arguments[1]),
                        .hold = std::chrono::microseconds(hold)});
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto command = arguments.empty() ? std::string() : arguments.front();
  if (!arguments.empty()) arguments.erase(arguments.begin());
  try {
    if (command == "demo") return demo(arguments);
    if (command == "work") return work(arguments);
    return usage();
  } catch (const indexer::Interrupted&) {
    return kInterrupted;
  } catch (const std::exception& error) {
    std::cerr << "indexer: " << indexer::printable(error.what()) << '\n';
    return 1;
  }
}
