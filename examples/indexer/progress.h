// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace indexer {

/// A progress bar in the last line of a terminal. Writes nothing at all where there is no terminal.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void draw(std::uint64_t done, std::uint64_t total, std::string_view note);
  /// Takes the bar away, so that a line may be written in its place.
  void clear();

 private:
  bool is_terminal_;
  bool drawn_ = false;
};

/// `bytes` with everything but printable ASCII as \n or \xHH: a file name must not be able to steer
/// the terminal, nor to look like two lines.
[[nodiscard]] std::string printable(std::string_view bytes);

}  // namespace indexer
