// SPDX-License-Identifier: MIT
#include "support/own_file_system.h"

#include <fstream>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <unistd.h>

namespace holdfast::testing {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPage = 4'096;

void write_text(const char* path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

bool mount_own_file_system(const fs::path& folder, std::uint64_t bytes) {
  // A user of its own, who may mount; asked before the change, which makes us nobody.
  const auto user = "0 " + std::to_string(getuid()) + " 1";
  const auto group = "0 " + std::to_string(getgid()) + " 1";
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", user);
  write_text("/proc/self/gid_map", group);
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  const auto size = "size=" + std::to_string(bytes);
  if (mount("none", folder.c_str(), "tmpfs", 0, size.c_str()) != 0) return false;
  // Where the maps were not taken nothing can be made in it.
  return std::ofstream(folder / "probe").is_open() && fs::remove(folder / "probe");
}

bool make_own_file_system_read_only(const fs::path& folder) {
  return mount("none", folder.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

void fill_file_system(const fs::path& file, std::uint64_t free) {
  std::ofstream out(file, std::ios::binary | std::ios::app);
  const std::string page(kPage, 'x');
  while (out && (free == 0 || fs::space(file).available > free)) {
    out.write(page.data(), kPage);
    out.flush();
  }
}

}  // namespace holdfast::testing
