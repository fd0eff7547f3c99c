// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/result.h"

/// Kills a program over and over and sees what it finds again: how holdfast tests itself, for those
/// who want to crash-test their own handlers. Linux; link `holdfast::torture`.
///
/// One process, the parent, forks a child for each round. The child opens a journal in a folder,
/// works, and is killed with SIGKILL at a random moment; the next child goes on with the same
/// folder. What it must not forget it tells the parent by *notes*, which survive it: that it is
/// about to do something, and that it was confirmed. The parent judges by them, and since each
/// child is a fork of the parent, it knows all that earlier children have told. Now and then, and
/// at the end, comes a *quiet* round: nobody kills the child, which works off what is left and
/// looks whether everything is as it has to be. examples/torture.cc is a short one.
namespace holdfast::torture {

/// A note has at most so many bytes: such a write into a pipe is all there or absent.
inline constexpr std::size_t kNoteBytesMax = 4'000;
/// So many violations are kept with their text; a run ends at the first round that has any.
inline constexpr std::size_t kViolationsKept = 100;

struct KillOptions {
  /// Handed to every child; new or empty, and made if it is not there. The parent writes nothing
  /// into it, and deletes nothing in it: after a violation it is what there is to look at.
  std::string folder{};
  std::uint64_t rounds = 100;    ///< 1 or more; the last one is quiet.
  std::chrono::seconds time{0};  ///< The round that begins after so long is the last; 0 = no limit.
  /// What is drawn by chance is drawn from it: the moment of each kill, counted in notes, and what
  /// children draw from `Child::seed`. How threads interleave is the machine's. 0 = a random one,
  /// which `Report` tells.
  std::uint64_t seed = 0;
  std::uint64_t quiet_every = 50;  ///< Every that many rounds one is quiet; 0 = the last alone.
  /// A child is killed some time after it was `ready`: after 1 to so many notes, or when
  /// `kill_after_max` is over, and up to 5 ms later than that.
  std::uint32_t notes_max = 2'000;
  std::chrono::milliseconds kill_after_max{500};
  /// Of a hundred kills so many come before `ready`, while the bus is being opened.
  std::uint32_t before_ready_percent = 4;
  /// A round that takes longer, quiet or not, is a violation: what hangs is killed.
  std::chrono::seconds round_time_max{120};
};

/// What a child knows of itself. Threads: any.
class Child {
 public:
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
  [[nodiscard]] std::uint64_t round() const noexcept { return round_; }  ///< From 1.
  /// Nobody kills it: it has to come to an end by itself.
  [[nodiscard]] bool is_quiet() const noexcept { return is_quiet_; }
  /// Different in each round, and the same when `KillOptions::seed` is.
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  /// Tells the parent. What this has returned from reaches it, whatever comes. Blocks while the
  /// pipe is full; a child whose parent has gone ends here.
  void note(std::string_view bytes) const;
  /// The bus is open, and the work begins: from here on it may be killed.
  void ready() const;
  /// Something is wrong: the run ends with this round.
  void violation(std::string_view what) const;

 private:
  friend class Rounds;
  Child(std::string folder, std::uint64_t round, std::uint64_t seed, bool is_quiet, int fd)
      : folder_(std::move(folder)), round_(round), seed_(seed), is_quiet_(is_quiet), fd_(fd) {}
  void send(char kind, std::string_view bytes) const;

  std::string folder_;
  std::uint64_t round_;
  std::uint64_t seed_;
  bool is_quiet_;
  int fd_;
};

/// How a child ended. Any other end (another signal, an exit code, a hang) is a violation.
enum class Ending : std::uint8_t {
  killed,         ///< By the parent.
  killed_itself,  ///< By SIGKILL, and not from the parent: a fail point, or an event that kills.
  returned,       ///< `Workload::run` returned, in a quiet round or in another.
};

/// What the parent's functions report to. Threads: the one that called `run`.
class Judge {
 public:
  [[nodiscard]] std::uint64_t round() const noexcept { return round_; }
  void violation(std::string what) {
    ++count_;
    if (violations_.size() < kViolationsKept) violations_.push_back(std::move(what));
  }

 private:
  friend class Rounds;
  std::uint64_t round_ = 0;
  std::uint64_t count_ = 0;
  std::vector<std::string> violations_;
};

struct Workload {
  /// A child's life. What it throws is a violation. The process ends when it returns, without
  /// running what was registered with `atexit`.
  std::function<void(Child&)> run{};
  /// In the parent: each note, in the order in which they were written. May be empty.
  std::function<void(Judge&, std::string_view note)> on_note{};
  /// In the parent: the child has ended, and all its notes were heard. May be empty.
  std::function<void(Judge&, Ending)> on_end{};
};

struct Report {
  std::uint64_t seed = 0;
  std::uint64_t rounds = 0;
  std::uint64_t kills = 0;  ///< By the parent.
  std::uint64_t kills_before_ready = 0;
  std::uint64_t killed_itself = 0;
  std::uint64_t returned = 0;
  std::uint64_t notes = 0;
  std::uint64_t violations = 0;
  std::vector<std::string> first_violations;  ///< At most `kViolationsKept`.
};

/// Runs the rounds; blocks until they are over. `invalid_argument` for options that make no sense,
/// `unavailable` when the system has no pipe or no process. Violations are no error: see the
/// report.
///
/// It forks without exec: the calling process must have one thread, and must not have opened a
/// journal before (RocksDB's threads do not exist in a fork). A child whose parent dies is killed.
Result<Report> run(const KillOptions& options, const Workload& workload);

}  // namespace holdfast::torture
