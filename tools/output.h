// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "holdfast/status.h"
#include "tools/exit_code.h"

namespace holdfast::tool {

/// Standard output: collects what is written and hands it on in large pieces. Its first error
/// sticks, and everything after it is dropped; a reader that went away (`| head`) is such an error
/// too, but not one to complain about. Threads: one.
class Output {
 public:
  explicit Output(int file);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Output& operator<<(std::string_view text);
  /// Hands everything on. Returns `ok()`.
  bool flush();
  [[nodiscard]] bool ok() const noexcept { return error_ == 0; }
  [[nodiscard]] bool reader_is_gone() const noexcept;
  [[nodiscard]] bool is_terminal() const noexcept { return is_terminal_; }
  /// Columns of the terminal; a usual number when it is none.
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }

  /// `text` as a heading, or in the colour of an event state; as it is when colour is not wanted.
  [[nodiscard]] std::string bold(std::string_view text) const;
  [[nodiscard]] std::string state(std::string_view text) const;

  /// Flushes, complains of output that could not be written, and says what the process ends with if
  /// the command itself ended with `code`.
  ExitCode finish(ExitCode code);

 private:
  [[nodiscard]] std::string coloured(std::string_view sequence, std::string_view text) const;

  int file_;
  int error_ = 0;  // An errno.
  bool is_terminal_ = false;
  bool has_colour_ = false;
  std::size_t columns_ = 200;
  std::string buffer_;
};

/// "holdfast: MESSAGE" on standard error, escaped.
void complain(std::string_view message);
/// Complains of `status` and returns its exit code.
ExitCode complain(const Status& status);
/// The same where `status` came from opening a journal.
ExitCode complain_of_open(const Status& status);

/// Whether `file` is a terminal that understands more than lines.
[[nodiscard]] bool is_smart_terminal(int file);

/// `text`, filled up with spaces to `columns`; on the left side for numbers.
[[nodiscard]] std::string pad_right(std::string_view text, std::size_t columns);
[[nodiscard]] std::string pad_left(std::string_view text, std::size_t columns);

}  // namespace holdfast::tool
