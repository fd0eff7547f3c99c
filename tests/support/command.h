// SPDX-License-Identifier: MIT
#pragma once

// Running programs as a shell would, for tests of the real binary.

#include <cstddef>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace holdfast::testing {

struct CommandOptions {
  std::string input{};                     ///< What its standard input gives.
  std::vector<std::string> environment{};  ///< Added to this process's, as NAME=VALUE.
  std::optional<uid_t> user{};             ///< Runs as that user; for tests that are root.
  bool on_terminal = false;  ///< Its two outputs are a terminal, and both end up in `out`.
};

struct CommandResult {
  int exit_code = 0;  ///< 128 + the signal that ended it, as the shell has it.
  std::string out;
  std::string err;
  std::size_t resident_bytes_max =
      0;  ///< The most that it, or a process it waited for, had in memory.
};

/// Runs `arguments` to its end.
CommandResult run_command(const std::vector<std::string>& arguments,
                          const CommandOptions& options = {});

/// A program that is talked to while it runs. Killed at the end if it still does.
class RunningCommand {
 public:
  explicit RunningCommand(const std::vector<std::string>& arguments);
  ~RunningCommand();
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;

  void write(const std::string& text) const;
  /// The next line of its standard output; waits for it. Nothing when there are no more.
  std::optional<std::string> read_line();
  void signal(int number) const;
  /// Ends its input and waits for it. `out` has what was not read by `read_line`.
  CommandResult finish();

 private:
  void close_input();

  pid_t pid_;
  int input_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::string pending_;
};

}  // namespace holdfast::testing
