// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace holdfast::testing {

/// What a child is told, and where it reports to.
struct ChildArguments {
  std::vector<std::string> values;
  int report_fd =
      -1;  ///< A pipe that the parent reads. A write of up to 4 KiB is all there or absent.
};

/// A part that a test program plays when it runs itself again: define one at namespace scope, and
/// give the program a main that asks `run_child_role` first.
///
///     const ChildRole kPublisher("publisher", [](const ChildArguments& given) { ...; return 0; });
class ChildRole {
 public:
  using Main = int (*)(const ChildArguments&);
  ChildRole(const char* name, Main main);
};

/// The exit code of the role that the command line asks for; nothing when it asks for none.
std::optional<int> run_child_role(int argc, char** argv);

/// This program, run again in a role: a fork with exec at once, so that nothing of a bus that this
/// process has open is shared. Killed at the end if it still runs.
class ChildProcess {
 public:
  /// `environment` is added to this process's, as NAME=VALUE.
  static ChildProcess start(const std::string& role, const std::vector<std::string>& arguments,
                            const std::vector<std::string>& environment = {});
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Reads what the child has reported, at most `size` bytes; 0 = it has ended and all has been
  /// read.
  std::size_t read(void* out, std::size_t size);
  /// Reads exactly one `T`; nothing when the child has ended.
  template <typename T>
  std::optional<T> read_one() {
    T value;
    std::size_t got = 0;
    while (got < sizeof(T)) {
      const auto more = read(reinterpret_cast<char*>(&value) + got, sizeof(T) - got);
      if (more == 0) return std::nullopt;
      got += more;
    }
    return value;
  }
  /// The next line of what the child tells; empty when it has ended.
  std::string read_line();
  /// Everything until the child ends.
  std::string read_all();

  void kill();
  /// As `waitpid` gives it.
  int wait();
  /// Waits; whether it ended by SIGKILL.
  bool was_killed();
  /// Waits; whether it ended by itself with 0.
  bool succeeded();

 private:
  ChildProcess(pid_t pid, int fd) : pid_(pid), fd_(fd) {}
  pid_t pid_;
  int fd_;
  std::optional<int> status_;
};

/// Writes all of `data` in one go; false when nobody reads any more.
bool report(int fd, const void* data, std::size_t size);

/// In a child: reports `line`, and ends it when nobody reads any more.
void tell(const ChildArguments& given, const std::string& line);

}  // namespace holdfast::testing
