// SPDX-License-Identifier: MIT
#include "tools/input.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace holdfast::tool {

namespace {

// A line is looked at as soon as it is there; this only bounds how much is read ahead of it.
constexpr std::size_t kReadBytes = std::size_t{256} << 10U;

std::string errno_text() { return std::generic_category().message(errno); }

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Waiter::Waiter() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  sigset_t ending;
  sigemptyset(&ending);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // A blocked signal is delivered here even when it is ignored otherwise.
    if (!is_ignored(signal)) sigaddset(&ending, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  signals_ = ::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
  if (wake_ < 0 || signals_ < 0) throw std::system_error(errno, std::generic_category());
}

Waiter::~Waiter() {
  ::close(signals_);
  ::close(wake_);
}

Waiter::Ready Waiter::wait(int input) {
  std::array<pollfd, 3> files = {{{wake_, POLLIN, 0}, {signals_, POLLIN, 0}, {input, POLLIN, 0}}};
  while (::poll(files.data(), files.size(), -1) < 0 && errno == EINTR) {
  }
  Ready ready;
  std::uint64_t count = 0;
  ready.woken = ::read(wake_, &count, sizeof count) > 0;
  ::signalfd_siginfo signal{};
  ready.signalled = ::read(signals_, &signal, sizeof signal) > 0;
  // The end and errors count as readable: reading tells which.
  ready.input = files[2].revents != 0;
  return ready;
}

void Waiter::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

Result<std::unique_ptr<Input>> Input::open(const std::string& path, std::size_t line_bytes_max) {
  if (path == "-") return std::unique_ptr<Input>(new Input(STDIN_FILENO, line_bytes_max));
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Status(StatusCode::invalid_argument, path + ": " + errno_text());
  return std::unique_ptr<Input>(new Input(file, line_bytes_max));
}

Input::Input(int file, std::size_t line_bytes_max)
    : file_(file), is_terminal_(::isatty(file) == 1), buffer_(kReadBytes), lines_(line_bytes_max) {
  struct stat facts {};
  if (::fstat(file, &facts) == 0 && S_ISREG(facts.st_mode)) {
    bytes_total_ = static_cast<std::uint64_t>(facts.st_size);
  }
}

Input::~Input() {
  if (file_ != STDIN_FILENO) ::close(file_);
}

bool Input::read_more() {
  const auto bytes = ::read(file_, buffer_.data(), buffer_.size());
  if (bytes > 0) {
    bytes_read_ += static_cast<std::uint64_t>(bytes);
    lines_.feed({buffer_.data(), static_cast<std::size_t>(bytes)});
    return true;
  }
  if (bytes < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (bytes < 0) error_ = errno_text();
  return false;
}

Input::Ended Input::each_line(Waiter& waiter, const Visitor& visitor) {
  for (;;) {
    while (const auto line = lines_.next()) {
      if (!visitor.line(*line)) return Ended::by_visitor;
    }
    if (!visitor.between()) return Ended::by_visitor;
    if (has_ended_) return error_.empty() ? Ended::at_end : Ended::by_error;
    const auto ready = waiter.wait(file_);
    if (ready.signalled) return Ended::by_signal;
    if (!ready.input || read_more()) continue;
    has_ended_ = true;
    // What a broken input left behind is no line.
    if (error_.empty()) lines_.finish();
  }
}

}  // namespace holdfast::tool
