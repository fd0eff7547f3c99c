// SPDX-License-Identifier: MIT
#pragma once

// What is fuzzed: everything that takes bytes apart which somebody else may have made or damaged.
// Each target is a function of bytes that ends the process when a property does not hold; libFuzzer
// calls one of them (driver.cc), and the tests call all of them with the corpus and mutations of it
// (fuzz_test.cc).
//
// Adding one (whatever reads bytes next: requests, plug-in structs): a function in target_NAME.cc,
// its line in targets.cc and in CMakeLists.txt, and seeds for it in seeds.cc.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::fuzz {

struct Target {
  const char* name;
  void (*run)(std::string_view input);
  std::size_t input_bytes_max;  ///< More than that has nothing new.
};
std::span<const Target> targets();
const Target& target(std::string_view name);

/// Inputs to begin with, some of each kind that the target tells apart; the checked-in corpus is
/// made of them. The same every time.
std::vector<std::string> seeds(std::string_view target);

void run_chunk(std::string_view input);
void run_event(std::string_view input);
void run_key(std::string_view input);
void run_record(std::string_view input);
void run_watermark(std::string_view input);
void run_slots(std::string_view input);
void run_log(std::string_view input);
void run_event_line(std::string_view input);
void run_lines(std::string_view input);
void run_text(std::string_view input);

/// How often the input came through the decoder of the target since the process began: a fuzzer
/// whose inputs are all refused at the door shows nothing.
std::uint64_t accepted();
void note_accepted();

[[noreturn]] void fail(const char* what, const char* file, int line);

}  // namespace holdfast::fuzz

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define FUZZ_CHECK(holds) \
  ((holds) ? static_cast<void>(0) : ::holdfast::fuzz::fail(#holds, __FILE__, __LINE__))
