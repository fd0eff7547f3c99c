// SPDX-License-Identifier: MIT
#include "indexer/demo.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "indexer/check.h"
#include "indexer/child.h"
#include "indexer/progress.h"
#include "indexer/system_tools.h"

namespace indexer {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kKillsNeeded = 3;
constexpr std::uint64_t kKillsWanted = 5;
// A kill that hits nothing does not count, and another one follows; but not for ever.
constexpr std::uint64_t kKillsMax = 25;
constexpr int kRoundsMax = 5;

/// A folder that goes with its owner.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(bool keep)
      : path_((fs::canonical(fs::temp_directory_path()) / "holdfast-demo-XXXXXX").string()),
        keep_(keep) {
    if (mkdtemp(path_.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), path_);
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!keep_) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool keep_;
};

/// How long each handler keeps its file, so that a run lasts about two seconds however small the
/// tree is.
std::chrono::microseconds hold_for(std::size_t files) {
  constexpr std::size_t kFilesEnough = 4'000;
  constexpr std::size_t kHandlers = 4;
  if (files == 0 || files >= kFilesEnough) return {};
  return std::chrono::microseconds(std::min<std::size_t>(2'000'000 * kHandlers / files, 100'000));
}

class Demo {
 public:
  explicit Demo(const DemoOptions& options)
      : options_(options), folder_(options.keep), random_(options.seed) {}

  int run();

 private:
  void run_until_indexed();
  bool run_worker();
  std::optional<std::uint64_t> opened(std::istream& message);
  std::uint64_t choose_target();

  const DemoOptions& options_;
  TemporaryFolder folder_;
  std::mt19937_64 random_;
  Progress progress_;
  std::vector<std::string> files_;
  std::string journal_;         ///< A new one for each round.
  std::uint64_t done_ = 0;      ///< Files that are not pending any more.
  bool killed_ = false;         ///< The last worker was, and what it hit is not known yet.
  std::uint64_t kills_ = 0;     ///< In this round.
  std::uint64_t counting_ = 0;  ///< Kills that hit a running handler, over all rounds.
};

/// The number of files after which the next kill comes, so that the kills that are still wanted
/// spread over what is still to be done.
std::uint64_t Demo::choose_target() {
  const auto left = files_.size() - std::min<std::uint64_t>(done_, files_.size());
  const auto wanted = kKillsWanted - std::min(counting_, kKillsWanted - 1);
  return done_ + std::uniform_int_distribution<std::uint64_t>(0, 2 * left / (wanted + 2))(random_);
}

/// The worker has recovered, and tells what the kill before has hit. Only the journal's own word
/// counts: whether a handler was running cannot be seen from outside, nor arranged without
/// cheating. Returns after how many files this worker is to be killed, if it is.
std::optional<std::uint64_t> Demo::opened(std::istream& message) {
  std::uint64_t recovered = 0;
  std::uint64_t running = 0;
  message >> recovered >> running;
  if (killed_) {
    killed_ = false;
    if (running > 0) ++counting_;
    progress_.clear();
    std::cout << "kill " << kills_ << " after " << done_ << " of " << files_.size()
              << " files: handlers running " << running << ", events recovered " << recovered
              << (running > 0 ? "" : "; hit nothing and does not count") << std::endl;
  }
  const bool has_work = recovered > 0 || kills_ == 0;
  if (!has_work || counting_ >= kKillsWanted || kills_ >= kKillsMax) return std::nullopt;
  return choose_target();
}

/// Lets a worker run until it is done or killed. True when it is done.
bool Demo::run_worker() {
  Child worker({fs::read_symlink("/proc/self/exe").string(), "work", journal_, options_.root,
                std::to_string(hold_for(files_.size()).count())});
  std::optional<std::uint64_t> target;
  std::optional<steady_clock::time_point> kill_at;
  std::string line;
  while (true) {
    const auto got = worker.read_line(line, kill_at);
    if (got == Child::Got::end) break;
    if (kill_at && steady_clock::now() >= *kill_at) {
      worker.kill();
      killed_ = true;
      ++kills_;
      break;
    }
    std::istringstream message(line);
    std::string kind;
    message >> kind;
    if (kind == "open") {
      target = opened(message);
    } else if (kind == "progress") {
      message >> done_;
      progress_.draw(done_, files_.size(), ", " + std::to_string(counting_) + " kills");
      // A moment later, since right after a report the worker is always at the same place.
      if (target && done_ >= *target && !kill_at) {
        kill_at = steady_clock::now() +
                  std::chrono::microseconds(std::uniform_int_distribution<int>(0, 10'000)(random_));
      }
    }
  }
  // It may have ended by itself just before the signal.
  const bool is_done = worker.succeeded();
  if (is_done && killed_) {
    killed_ = false;
    --kills_;
  }
  if (!is_done && !killed_) {
    throw std::runtime_error("the worker ended with " + worker.end_in_words());
  }
  return is_done;
}

void Demo::run_until_indexed() {
  done_ = 0;
  kills_ = 0;
  while (!run_worker()) {
  }
  progress_.clear();
}

int Demo::run() {
  files_ = find_files(options_.root, folder_.path());
  std::cout << "indexing " << printable(options_.root) << ": " << files_.size() << " files; seed "
            << options_.seed << "; journal in " << folder_.path() << std::endl;
  if (files_.empty()) {
    std::cout << "FAILED: there is nothing to index" << std::endl;
    return 1;
  }
  if (const auto hold = hold_for(files_.size()); hold.count() > 0) {
    std::cout << "a small tree: each handler keeps its file for " << hold.count()
              << " us longer, or there would be nothing to kill" << std::endl;
  }

  bool agree = true;
  for (int round = 1; round == 1 || (counting_ < kKillsNeeded && round <= kRoundsMax && agree);
       ++round) {
    if (round > 1) {
      std::cout << "\nonly " << counting_ << " kills hit a handler; once more, with a new journal"
                << std::endl;
    }
    journal_ = folder_.path() + "/journal-" + std::to_string(round);
    run_until_indexed();
    std::cout << "indexed; " << counting_ << " kills hit running handlers" << std::endl;
    const auto findings = check(journal_, options_.root, files_);
    findings.print();
    agree = findings.agree();
  }

  const auto tool = fs::read_symlink("/proc/self/exe").parent_path() / "../tools/holdfast";
  if (fs::exists(tool)) {
    std::cout << "\n$ holdfast stat " << journal_ << std::endl;
    if (!run_and_show({tool.string(), "stat", journal_})) {
      std::cout << "holdfast stat failed\n";
      agree = false;
    }
  } else {
    std::cout << "\nholdfast stat is not shown: the tool is not built beside this program ("
              << tool.lexically_normal().string() << ")\n";
  }

  if (counting_ < kKillsNeeded) {
    std::cout << "\nFAILED: only " << counting_ << " kills hit a running handler, and "
              << kKillsNeeded << " are needed to show anything\n";
    return 1;
  }
  std::cout << (agree ? "\nOK: all agree, after " : "\nFAILED: not all agree, after ") << counting_
            << " kills in the middle of handlers\n";
  if (options_.keep) std::cout << "the journal is kept: " << journal_ << '\n';
  return agree ? 0 : 1;
}

}  // namespace

int demo(const DemoOptions& options) {
  throw_when_interrupted();
  return Demo(options).run();
}

}  // namespace indexer
