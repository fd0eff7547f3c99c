// SPDX-License-Identifier: MIT
#include "support/failing_new.h"

#include <cstdlib>
#include <new>

namespace {

enum class Fails : std::uint8_t { never, soon, has };
thread_local Fails t_fails = Fails::never;
thread_local std::uint64_t t_left = 0;

}  // namespace

void* operator new(std::size_t size) {
  if (t_fails == Fails::soon && t_left-- == 0) {
    t_fails = Fails::has;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace holdfast::testing {

FailingAllocation::FailingAllocation(std::uint64_t at) {
  t_left = at;
  t_fails = Fails::soon;
}
FailingAllocation::~FailingAllocation() { t_fails = Fails::never; }
bool FailingAllocation::has_failed() const { return t_fails == Fails::has; }

}  // namespace holdfast::testing
