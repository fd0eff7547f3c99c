// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>

namespace holdfast::testing {

/// Puts a file system of `bytes` over `folder`, in memory, that only this process sees and that
/// goes with it. False if this machine does not let it. The process must have one thread; as it
/// changes what the process may do elsewhere, it is for children.
bool mount_own_file_system(const std::filesystem::path& folder, std::uint64_t bytes);

/// Nothing can be changed in it any more. False when it does not let itself, as while a file is
/// open to be written.
bool make_own_file_system_read_only(const std::filesystem::path& folder);

/// Makes `file` so large that no more than `free` bytes of its file system are left, or less by
/// some pages.
void fill_file_system(const std::filesystem::path& file, std::uint64_t free);

}  // namespace holdfast::testing
