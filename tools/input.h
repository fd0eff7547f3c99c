// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/result.h"
#include "tools/line_reader.h"

namespace holdfast::tool {

/// Turns the signals that ask a program to end into something to wait for, so that it can end in
/// good order. To be made before any thread is: they inherit that these signals do not interrupt
/// them. A signal that was ignored before (nohup) stays ignored. Threads: one.
class Waiter {
 public:
  Waiter();
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  struct Ready {
    bool input = false;
    bool woken = false;
    bool signalled = false;
  };
  /// Blocks until `input` can be read (-1: is not waited for), somebody called `wake`, or a signal
  /// came.
  [[nodiscard]] Ready wait(int input);
  /// Threads: any.
  void wake() const;

 private:
  int signals_;
  int wake_;
};

/// A file, or standard input, line by line.
/// Threads: one.
class Input {
 public:
  /// "-" is standard input. Fails with `invalid_argument`.
  static Result<std::unique_ptr<Input>> open(const std::string& path, std::size_t line_bytes_max);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  [[nodiscard]] bool is_terminal() const noexcept { return is_terminal_; }
  /// 0 when nobody knows.
  [[nodiscard]] std::uint64_t bytes_total() const noexcept { return bytes_total_; }
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

  struct Visitor {
    /// Returns false to stop.
    std::function<bool(const LineReader::Line&)> line;
    /// Called whenever somebody called `Waiter::wake`, and before every wait. False to stop.
    std::function<bool()> between;
  };
  enum class Ended : std::uint8_t { at_end, by_visitor, by_signal, by_error };
  Ended each_line(Waiter& waiter, const Visitor& visitor);
  /// What ended it `by_error`.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

 private:
  Input(int file, std::size_t line_bytes_max);
  /// False when there will be no more.
  bool read_more();

  int file_;
  bool is_terminal_ = false;
  bool has_ended_ = false;
  std::uint64_t bytes_total_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::vector<char> buffer_;
  LineReader lines_;
  std::string error_;
};

}  // namespace holdfast::tool
