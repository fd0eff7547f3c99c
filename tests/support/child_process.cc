// SPDX-License-Identifier: MIT
#include "support/child_process.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <signal.h>
#include <spawn.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern char** environ;

namespace holdfast::testing {

namespace {

constexpr std::string_view kOption = "--child-role=";
constexpr int kReportFd = 3;

std::map<std::string, ChildRole::Main, std::less<>>& roles() {
  static std::map<std::string, ChildRole::Main, std::less<>> map;
  return map;
}

[[noreturn]] void die(const char* what, int error) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::abort();
}

}  // namespace

ChildRole::ChildRole(const char* name, Main main) {
  if (!roles().emplace(name, main).second) die(name, EEXIST);
}

std::optional<int> run_child_role(int argc, char** argv) {
  if (argc < 2) return std::nullopt;
  const std::string_view first(argv[1]);
  if (!first.starts_with(kOption)) return std::nullopt;
  const auto role = roles().find(first.substr(kOption.size()));
  if (role == roles().end()) die(argv[1], ENOENT);
  // A parent that has stopped reading is told by `report`, not by a signal.
  signal(SIGPIPE, SIG_IGN);
  ChildArguments given;
  given.values.assign(argv + 2, argv + argc);
  given.report_fd = kReportFd;
  return role->second(given);
}

ChildProcess ChildProcess::start(const std::string& role, const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& environment) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die("pipe", errno);
  std::vector<std::string> words = {"/proc/self/exe", std::string(kOption) + role};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> added = environment;
  std::vector<char*> envp;
  for (auto& variable : added) envp.push_back(variable.data());
  for (char** variable = environ; *variable != nullptr; ++variable) envp.push_back(*variable);
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // dup2 onto itself would leave close-on-exec set, so the number is taken out of the way first.
  int writer = ends[1];
  if (writer == kReportFd) writer = fcntl(ends[1], F_DUPFD_CLOEXEC, kReportFd + 1);
  posix_spawn_file_actions_adddup2(&actions, writer, kReportFd);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) die("posix_spawn", error);
  close(ends[1]);
  if (writer != ends[1]) close(writer);
  return {pid, ends[0]};
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      status_(other.status_) {}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !status_.has_value()) {
    kill();
    wait();
  }
  if (fd_ >= 0) close(fd_);
}

std::size_t ChildProcess::read(void* out, std::size_t size) {
  while (true) {
    const auto got = ::read(fd_, out, size);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) die("read from a child", errno);
  }
}

std::string ChildProcess::read_line() {
  std::string line;
  while (const auto c = read_one<char>()) {
    if (*c == '\n') return line;
    line.push_back(*c);
  }
  return {};
}

std::string ChildProcess::read_all() {
  std::string all;
  char buffer[4096];
  while (const auto got = read(buffer, sizeof(buffer))) all.append(buffer, got);
  return all;
}

void ChildProcess::kill() {
  if (!status_.has_value()) ::kill(pid_, SIGKILL);
}

int ChildProcess::wait() {
  while (!status_.has_value()) {
    int status = 0;
    if (waitpid(pid_, &status, 0) == pid_) {
      status_ = status;
    } else if (errno != EINTR) {
      die("waitpid", errno);
    }
  }
  return *status_;
}

bool ChildProcess::was_killed() { return WIFSIGNALED(wait()) && WTERMSIG(wait()) == SIGKILL; }
bool ChildProcess::succeeded() { return WIFEXITED(wait()) && WEXITSTATUS(wait()) == 0; }

bool report(int fd, const void* data, std::size_t size) {
  while (true) {
    const auto written = write(fd, data, size);
    if (written == static_cast<ssize_t>(size)) return true;
    if (written >= 0 || errno != EINTR) return false;
  }
}

void tell(const ChildArguments& given, const std::string& line) {
  const auto text = line + "\n";
  if (!report(given.report_fd, text.data(), text.size())) _exit(0);
}

}  // namespace holdfast::testing
