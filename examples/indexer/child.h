// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

namespace indexer {

/// What a call below throws after SIGINT or SIGTERM, once `throw_when_interrupted` was called. So
/// the destructors run, and neither a process nor a file is left behind.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};
void throw_when_interrupted();

/// A program that was started, and the pipe that its standard output goes into.
///
/// Started by posix_spawn, which is fork and exec in one: between the two a child must not touch
/// anything of a process with threads, and least of all an open bus.
class Child {
 public:
  enum class Errors { shown, hidden };

  /// `arguments[0]` is looked for in PATH. Throws `std::system_error` when it cannot be started.
  explicit Child(const std::vector<std::string>& arguments, Errors errors = Errors::shown);
  /// Kills it, if it still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  enum class Got { line, end, nothing };
  /// Waits for the next line of its output; `nothing` when there is none by `deadline`.
  Got read_line(std::string& line, std::optional<std::chrono::steady_clock::time_point> deadline);
  /// All of its output from here on.
  std::string read_all();

  void kill();
  /// Waits for its end. True if it ended by itself, with status 0.
  bool succeeded();
  /// How it ended, in words; after `succeeded`.
  [[nodiscard]] std::string end_in_words() const;

 private:
  /// False at the end of the output.
  bool read_more();

  pid_t process_ = -1;
  int output_ = -1;
  int status_ = -1;
  bool reaped_ = false;
  std::string unread_;
};

/// Starts a program that writes to our own standard output, and waits for it. True if it succeeded.
bool run_and_show(const std::vector<std::string>& arguments);

}  // namespace indexer
