// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <string>
#include <sys/types.h>
#include <vector>

namespace holdfast::bench {

/// This program once more, as a child with other arguments: to be killed, or to have its own
/// memory. Started afresh rather than forked, since no engine survives a fork.
class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// The next line that it prints. Throws when it ends without one.
  std::string line();
  void kill();

 private:
  pid_t pid_ = 0;
  std::FILE* out_ = nullptr;
};

}  // namespace holdfast::bench
