// SPDX-License-Identifier: MIT
#include "tools/output.h"

#include <cerrno>
#include <cstdlib>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

#include "tools/text.h"

namespace holdfast::tool {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10U;

// Read while there is one thread.
std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr ? value : "";
}

/// All of `text`, or the errno that ended it.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

std::string status_text(const Status& status) {
  return status.message().empty() ? status.to_string() : status.message();
}

}  // namespace

Output::Output(int file) : file_(file) {
  is_terminal_ = ::isatty(file) == 1;
  has_colour_ = is_smart_terminal(file) && environment("NO_COLOR").empty();
  ::winsize size{};
  if (is_terminal_ && ::ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    columns_ = size.ws_col;
  }
}

Output::~Output() { flush(); }

Output& Output::operator<<(std::string_view text) {
  if (!ok()) return *this;
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) flush();
  return *this;
}

bool Output::flush() {
  if (ok()) error_ = write_all(file_, buffer_);
  buffer_.clear();
  return ok();
}

bool Output::reader_is_gone() const noexcept { return error_ == EPIPE; }

std::string Output::coloured(std::string_view sequence, std::string_view text) const {
  if (!has_colour_) return std::string(text);
  return std::string("\x1b[").append(sequence).append("m").append(text).append("\x1b[0m");
}

std::string Output::bold(std::string_view text) const { return coloured("1", text); }

std::string Output::state(std::string_view text) const {
  if (text.starts_with("dead") || text.starts_with("crashed")) return coloured("31", text);
  if (text.starts_with("scheduled") || text.starts_with("paused")) return coloured("33", text);
  if (text.starts_with("ready") || text.starts_with("leased")) return coloured("32", text);
  if (text.starts_with("settled")) return coloured("2", text);
  return std::string(text);
}

ExitCode Output::finish(ExitCode code) {
  flush();
  // Whoever read this had enough. That is how `| head` ends.
  if (ok() || reader_is_gone()) return code;
  complain("writing the output failed: " + std::generic_category().message(error_));
  return code == ExitCode::fine ? ExitCode::unavailable : code;
}

void complain(std::string_view message) {
  // One write, so that lines of several processes do not mix.
  (void)write_all(STDERR_FILENO, "holdfast: " + escape(message) + "\n");
}

ExitCode complain(const Status& status) {
  complain(status_text(status));
  return exit_code_of(status.code());
}

ExitCode complain_of_open(const Status& status) {
  complain(status_text(status));
  return exit_code_of_open(status.code());
}

bool is_smart_terminal(int file) { return ::isatty(file) == 1 && environment("TERM") != "dumb"; }

std::string pad_right(std::string_view text, std::size_t columns) {
  std::string padded(text);
  const auto used = columns_of(text);
  if (used < columns) padded.append(columns - used, ' ');
  return padded;
}

std::string pad_left(std::string_view text, std::size_t columns) {
  const auto used = columns_of(text);
  return std::string(used < columns ? columns - used : 0, ' ').append(text);
}

}  // namespace holdfast::tool
