// SPDX-License-Identifier: MIT
#pragma once

// What a child lets itself be bound by, for tests of what the system may refuse.

#include <cstdint>
#include <filesystem>

namespace holdfast::testing {

/// Becomes somebody whom permissions bind, if this is root. False when that is not possible.
bool become_nobody();
/// Gives the folder and everything in it to whoever `become_nobody` makes of this process.
void give_to_nobody(const std::filesystem::path& folder);

/// No descriptor with this number or a higher one can be had any more; those there are stay.
void limit_descriptors(std::uint64_t first_refused);
/// As many as the system allows again.
void unlimit_descriptors();

/// The address space may grow by so many bytes more than it has now. Not under a sanitizer, which
/// reserves more of it than there is.
bool limit_address_space(std::uint64_t more);

}  // namespace holdfast::testing
