// SPDX-License-Identifier: MIT
#include "support/child.h"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/measure.h"

namespace holdfast::bench {

Child::Child(const std::vector<std::string>& arguments) {
  std::array<int, 2> pipe{};
  require(pipe2(pipe.data(), O_CLOEXEC) == 0, "cannot make a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::string self = "bench";
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv{self.data()};
  for (auto& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int failed = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  out_ = fdopen(pipe[0], "r");
  require(failed == 0 && out_ != nullptr, "cannot start a child");
}

Child::~Child() {
  std::fclose(out_);
  kill();
}

std::string Child::line() {
  std::array<char, 512> text{};
  require(std::fgets(text.data(), static_cast<int>(text.size()), out_) != nullptr,
          "the child ended without an answer");
  return text.data();
}

void Child::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
}

}  // namespace holdfast::bench
