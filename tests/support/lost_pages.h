// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace holdfast::testing {

/// Makes of `content`, of which the first `synced` bytes were fsynced, what a disk may hold after a
/// power loss: those bytes, and of the others nothing, a part, or some of the pages, with a torn
/// one at the end. Without `random` nothing. Returns how many holes there are before something that
/// was kept.
std::uint64_t lose_pages(std::string& content, std::uint64_t synced, std::mt19937_64* random);

}  // namespace holdfast::testing
