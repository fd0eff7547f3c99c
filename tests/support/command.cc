// SPDX-License-Identifier: MIT
#include "support/command.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern char** environ;

namespace holdfast::testing {

namespace {

struct Pipe {
  int read = -1;
  int write = -1;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
  return {ends[0], ends[1]};
}

/// A terminal: what is written to `write` is read from `read`.
Pipe make_terminal() {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) std::abort();
  std::array<char, 128> name{};
  if (::ptsname_r(master, name.data(), name.size()) != 0) std::abort();
  const int slave = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) std::abort();
  return {master, slave};
}

/// What exec wants, made before the fork: the parent may have threads.
struct Words {
  explicit Words(std::vector<std::string> given) : texts(std::move(given)) {
    for (auto& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
  }
  std::vector<std::string> texts;
  std::vector<char*> pointers;
};

std::vector<std::string> environment_with(const std::vector<std::string>& added) {
  std::vector<std::string> all;
  const auto is_replaced = [&](const std::string& entry) {
    const auto name = entry.substr(0, entry.find('=') + 1);
    return std::any_of(added.begin(), added.end(),
                       [&](const auto& each) { return each.starts_with(name); });
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!is_replaced(*entry)) all.emplace_back(*entry);
  }
  all.insert(all.end(), added.begin(), added.end());
  return all;
}

struct Streams {
  int input;
  int out;
  int err;
};

pid_t start(const std::vector<std::string>& arguments, const CommandOptions& options,
            const Streams& streams) {
  // A child that ends early must not end the test.
  (void)std::signal(SIGPIPE, SIG_IGN);
  Words words(arguments);
  Words environment(environment_with(options.environment));
  const auto pid = ::fork();
  if (pid < 0) std::abort();
  if (pid > 0) return pid;
  // Only what is safe between fork and exec.
  (void)::signal(SIGPIPE, SIG_DFL);
  (void)::dup2(streams.input, STDIN_FILENO);
  (void)::dup2(streams.out, STDOUT_FILENO);
  (void)::dup2(streams.err, STDERR_FILENO);
  if (options.user.has_value() && (::setgid(*options.user) != 0 || ::setuid(*options.user) != 0)) {
    ::_exit(126);
  }
  ::execvpe(words.pointers.front(), words.pointers.data(), environment.pointers.data());
  ::_exit(127);
}

void wait_for(pid_t pid, CommandResult& result) {
  int status = 0;
  rusage usage{};
  while (::wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.resident_bytes_max = static_cast<std::size_t>(usage.ru_maxrss) * 1'024;
}

/// Moves what there is to move from and to a child, until both its outputs have ended.
class Pump {
 public:
  Pump(int input, std::string text) : text_(std::move(text)) {
    files_[0] = {input, POLLOUT, 0};
    // Writing must not wait while there may be something to read.
    if (input >= 0) ::fcntl(input, F_SETFL, O_NONBLOCK);
  }
  void collect(std::size_t which, int file, std::string& into) {
    files_[which] = {file, POLLIN, 0};
    into_[which] = &into;
  }
  void run() {
    feed();
    while (files_[1].fd >= 0 || files_[2].fd >= 0) {
      if (::poll(files_.data(), files_.size(), -1) < 0) continue;
      if (files_[0].revents != 0) feed();
      for (const std::size_t which : {1U, 2U}) {
        if (files_[which].revents != 0) collect_more(which);
      }
    }
    end(0);
  }

 private:
  void end(std::size_t which) {
    if (files_[which].fd >= 0) ::close(files_[which].fd);
    files_[which].fd = -1;
  }
  void feed() {
    if (files_[0].fd < 0) return;
    while (written_ < text_.size()) {
      const auto bytes = ::write(files_[0].fd, text_.data() + written_, text_.size() - written_);
      if (bytes < 0 && errno == EAGAIN) return;
      if (bytes < 0) break;
      written_ += static_cast<std::size_t>(bytes);
    }
    end(0);
  }
  void collect_more(std::size_t which) {
    std::array<char, 65'536> bytes{};
    const auto size = ::read(files_[which].fd, bytes.data(), bytes.size());
    // A terminal ends with an error.
    if (size <= 0) return end(which);
    into_[which]->append(bytes.data(), static_cast<std::size_t>(size));
  }

  std::string text_;
  std::size_t written_ = 0;
  std::array<pollfd, 3> files_ = {{{-1, 0, 0}, {-1, 0, 0}, {-1, 0, 0}}};
  std::array<std::string*, 3> into_{};
};

}  // namespace

CommandResult run_command(const std::vector<std::string>& arguments,
                          const CommandOptions& options) {
  const auto input = make_pipe();
  const auto out = options.on_terminal ? make_terminal() : make_pipe();
  const auto err = options.on_terminal ? Pipe{-1, out.write} : make_pipe();
  const auto pid = start(arguments, options, {input.read, out.write, err.write});
  ::close(input.read);
  ::close(out.write);
  if (err.write != out.write) ::close(err.write);
  CommandResult result;
  Pump pump(input.write, options.input);
  pump.collect(1, out.read, result.out);
  if (err.read >= 0) pump.collect(2, err.read, result.err);
  pump.run();
  wait_for(pid, result);
  return result;
}

RunningCommand::RunningCommand(const std::vector<std::string>& arguments) {
  const auto input = make_pipe();
  const auto out = make_pipe();
  const auto err = make_pipe();
  pid_ = start(arguments, {}, {input.read, out.write, err.write});
  for (const int file : {input.read, out.write, err.write}) ::close(file);
  input_ = input.write;
  out_ = out.read;
  err_ = err.read;
}

RunningCommand::~RunningCommand() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    (void)finish();
  }
}

void RunningCommand::write(const std::string& text) const {
  if (::write(input_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
}

std::optional<std::string> RunningCommand::read_line() {
  for (;;) {
    if (const auto end = pending_.find('\n'); end != std::string::npos) {
      auto line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4'096> bytes{};
    const auto size = ::read(out_, bytes.data(), bytes.size());
    if (size <= 0) return std::nullopt;
    pending_.append(bytes.data(), static_cast<std::size_t>(size));
  }
}

void RunningCommand::signal(int number) const { ::kill(pid_, number); }

void RunningCommand::close_input() {
  if (input_ >= 0) ::close(std::exchange(input_, -1));
}

CommandResult RunningCommand::finish() {
  close_input();
  CommandResult result;
  result.out = std::move(pending_);
  Pump pump(-1, {});
  pump.collect(1, std::exchange(out_, -1), result.out);
  pump.collect(2, std::exchange(err_, -1), result.err);
  pump.run();
  wait_for(std::exchange(pid_, -1), result);
  return result;
}

}  // namespace holdfast::testing
