// SPDX-License-Identifier: MIT
#include "fuzz/targets.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace holdfast::fuzz {

namespace {

constexpr std::array kTargets = {
    Target{"chunk", run_chunk, 4096},
    Target{"event", run_event, 1024},
    Target{"event_line", run_event_line, 512},
    Target{"key", run_key, 64},
    Target{"lines", run_lines, 96},
    Target{"log", run_log, 512},
    Target{"record", run_record, 2048},
    Target{"slots", run_slots, 1024},
    Target{"text", run_text, 96},
    Target{"watermark", run_watermark, 256},
};

std::atomic<std::uint64_t> accepted_count{0};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target& target(std::string_view name) {
  const auto* const found = std::find_if(kTargets.begin(), kTargets.end(),
                                         [&](const Target& each) { return each.name == name; });
  if (found == kTargets.end()) fail("there is a target of that name", __FILE__, __LINE__);
  return *found;
}

std::uint64_t accepted() { return accepted_count.load(std::memory_order_relaxed); }
void note_accepted() { accepted_count.fetch_add(1, std::memory_order_relaxed); }

void fail(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  std::abort();
}

}  // namespace holdfast::fuzz
