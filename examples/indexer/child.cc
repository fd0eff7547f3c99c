// SPDX-License-Identifier: MIT
#include "indexer/child.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace indexer {

namespace {

std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

/// For a call that returned an error: throws, unless it was only a signal that we do not mind.
void check_signal(const char* what) {
  if (interrupted) throw Interrupted();
  if (errno != EINTR) throw std::system_error(errno, std::generic_category(), what);
}

pid_t spawn(const std::vector<std::string>& arguments, const posix_spawn_file_actions_t* actions) {
  std::vector<char*> pointers;
  // posix_spawn takes what exec takes, and changes none of it.
  for (const auto& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  pid_t process = -1;
  const int error = posix_spawnp(&process, pointers[0], actions, nullptr, pointers.data(), environ);
  if (error != 0) throw std::system_error(error, std::generic_category(), arguments[0]);
  return process;
}

int wait_for(pid_t process) {
  int status = 0;
  // Also when interrupted: it has the same signal from the terminal, or is killed already.
  while (waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  return status;
}

}  // namespace

void throw_when_interrupted() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  // Without SA_RESTART: what waits has to be woken.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

Child::Child(const std::vector<std::string>& arguments, Errors errors) {
  std::array<int, 2> ends{};
  // Closed on exec, so that no other child keeps it open and we always see its end.
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  output_ = ends[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (errors == Errors::hidden) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  try {
    process_ = spawn(arguments, &actions);
  } catch (...) {
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    close(ends[1]);
    throw;
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
}

Child::~Child() {
  if (!reaped_) {
    kill();
    int ignored = 0;
    while (waitpid(process_, &ignored, 0) < 0 && errno == EINTR) {
    }
  }
  close(output_);
}

bool Child::read_more() {
  std::array<char, 65'536> piece;
  ssize_t got = 0;
  while ((got = read(output_, piece.data(), piece.size())) < 0) check_signal("read");
  unread_.append(piece.data(), static_cast<std::size_t>(got));
  return got > 0;
}

Child::Got Child::read_line(std::string& line,
                            std::optional<std::chrono::steady_clock::time_point> deadline) {
  while (true) {
    if (interrupted) throw Interrupted();
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return Got::line;
    }
    timespec wait{};
    if (deadline) {
      using std::chrono::nanoseconds;
      const auto left =
          std::chrono::duration_cast<nanoseconds>(*deadline - std::chrono::steady_clock::now());
      const auto nanos = std::max<nanoseconds::rep>(left.count(), 0);
      wait = {.tv_sec = nanos / 1'000'000'000, .tv_nsec = nanos % 1'000'000'000};
    }
    pollfd readable{.fd = output_, .events = POLLIN, .revents = 0};
    const int ready = ppoll(&readable, 1, deadline ? &wait : nullptr, nullptr);
    if (ready < 0) {
      check_signal("ppoll");
      continue;
    }
    if (ready == 0) return Got::nothing;
    if (!read_more()) return Got::end;
  }
}

std::string Child::read_all() {
  while (read_more()) {
    if (interrupted) throw Interrupted();
  }
  return std::move(unread_);
}

void Child::kill() { ::kill(process_, SIGKILL); }

bool Child::succeeded() {
  if (!reaped_) {
    status_ = wait_for(process_);
    reaped_ = true;
  }
  return WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
}

std::string Child::end_in_words() const {
  if (WIFSIGNALED(status_)) return "signal " + std::to_string(WTERMSIG(status_));
  return "status " + std::to_string(WEXITSTATUS(status_));
}

bool run_and_show(const std::vector<std::string>& arguments) {
  const int status = wait_for(spawn(arguments, nullptr));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace indexer
