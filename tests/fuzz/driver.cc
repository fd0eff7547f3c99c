// SPDX-License-Identifier: MIT
// One target as libFuzzer wants it; FUZZ_TARGET is its name.
#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& target = holdfast::fuzz::target(FUZZ_TARGET);
  if (size <= target.input_bytes_max) {
    target.run({reinterpret_cast<const char*>(data), size});
  }
  return 0;
}
