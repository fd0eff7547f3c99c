// SPDX-License-Identifier: MIT
// Journals that cannot be opened, and why: what another process, the folder and the format have to
// say.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "support/bus_test.h"
#include "support/child_process.h"

namespace holdfast::testing {
namespace {

class Refusing : public DiskBusTest {
 protected:
  Result<std::unique_ptr<Bus>> try_open() { return Bus::open(path(), options); }
};

const ChildRole kHolder("open-holder", [](const ChildArguments& given) {
  const auto bus = must(Bus::open(given.values.at(0)));
  must(bus->publish("a.b", "from the holder"));
  report(given.report_fd, "!", 1);
  while (true) pause();
  return 0;
});

TEST_F(Refusing, SecondProcessIsLockedOutAndToldThePid) {
  auto child = ChildProcess::start("open-holder", {path()});
  ASSERT_TRUE(child.read_one<char>().has_value());
  EXPECT_TRUE(fails(try_open(), StatusCode::locked, {std::to_string(child.pid())}));
  // Looking is allowed.
  const auto view = must(JournalView::open(path()));
  EXPECT_EQ(view->info().owner_pid, child.pid());
  EXPECT_TRUE(must(view->get({Priority::normal, 1})).has_value());
  child.kill();
  ASSERT_TRUE(child.was_killed());
  // The lock dies with its process.
  EXPECT_EQ(must(JournalView::open(path()))->info().owner_pid, 0);
  open();
  EXPECT_FALSE(bus->recovery().clean);
  EXPECT_EQ(scan().size(), 1U);
}

/// Opens the journal as somebody who is not root, and reports how that went.
const ChildRole kNobody("open-nobody", [](const ChildArguments& given) {
  constexpr uid_t kNobodyId = 65'534;
  if (geteuid() == 0 && (setgid(kNobodyId) != 0 || setuid(kNobodyId) != 0)) return 1;
  const auto opened = Bus::open(given.values.at(0));
  const auto text = opened.status().to_string();
  report(given.report_fd, text.data(), text.size());
  return 0;
});

TEST_F(Refusing, FolderWithoutPermissionIsUnavailable) {
  open();
  publish("a.b");
  must(bus->close());
  bus.reset();
  const auto parent = std::filesystem::path(path()).parent_path();
  std::filesystem::permissions(parent, std::filesystem::perms(0755));
  // Its files belong to another, or it may only be read.
  std::filesystem::permissions(path(), std::filesystem::perms(0555));
  auto child = ChildProcess::start("open-nobody", {path()});
  const auto said = child.read_all();
  EXPECT_TRUE(child.succeeded());
  EXPECT_TRUE(said.starts_with("unavailable: ")) << said;
  EXPECT_NE(said.find(path()), std::string::npos) << said;
  // A new journal where nothing may be created.
  auto other = ChildProcess::start("open-nobody", {(parent / "new").string()});
  const auto refused = other.read_all();
  std::filesystem::permissions(path(), std::filesystem::perms(0700));
  if (geteuid() == 0) {
    EXPECT_TRUE(refused.starts_with("unavailable: ")) << refused;
  }
  // Nothing was changed by that.
  open();
  EXPECT_TRUE(bus->recovery().clean);
  EXPECT_EQ(scan().size(), 1U);
}

TEST_F(Refusing, FolderOfAnotherUserIsUnavailable) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make a folder that is not its own";
  open();
  must(bus->close());
  bus.reset();
  std::filesystem::permissions(std::filesystem::path(path()).parent_path(),
                               std::filesystem::perms(0755));
  auto child = ChildProcess::start("open-nobody", {path()});
  const auto said = child.read_all();
  EXPECT_TRUE(said.starts_with("unavailable: ")) << said;
}

/// Looks into the journal likewise.
const ChildRole kNobodyViews("view-nobody", [](const ChildArguments& given) {
  constexpr uid_t kNobodyId = 65'534;
  if (geteuid() == 0 && (setgid(kNobodyId) != 0 || setuid(kNobodyId) != 0)) return 1;
  const auto text = JournalView::open(given.values.at(0)).status().to_string();
  report(given.report_fd, text.data(), text.size());
  return 0;
});

TEST_F(Refusing, ViewOfAFolderWithoutPermissionIsUnavailable) {
  open();
  must(bus->close());
  bus.reset();
  std::filesystem::permissions(std::filesystem::path(path()).parent_path(),
                               std::filesystem::perms(0755));
  std::filesystem::permissions(path(), std::filesystem::perms(0000));
  auto child = ChildProcess::start("view-nobody", {path()});
  const auto said = child.read_all();
  std::filesystem::permissions(path(), std::filesystem::perms(0700));
  EXPECT_TRUE(said.starts_with("unavailable: ")) << said;
  EXPECT_NE(said.find(path()), std::string::npos) << said;
  EXPECT_NE(said.find("Permission denied"), std::string::npos) << said;
}

TEST_F(Refusing, NewerFormatIsRefusedNamingBoth) {
  open();
  publish("a.b");
  must(bus->close());
  bus.reset();
  // Whoever makes format 5 says so in the watermark, first of all.
  std::string bytes;
  {
    std::ifstream in(path() + "/watermark", std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::uint32_t format = 6;
  ASSERT_GT(bytes.size(), 20U);
  std::memcpy(bytes.data() + 8, &format, sizeof(format));
  const auto sum = base::checksum(std::string_view(bytes).substr(0, bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof(sum));
  std::ofstream(path() + "/watermark", std::ios::binary) << bytes;
  EXPECT_TRUE(fails(try_open(), StatusCode::invalid_argument, {path(), "format 6", "up to 5"}));
  EXPECT_TRUE(fails(JournalView::open(path()), StatusCode::invalid_argument, {"format 6"}));
}

TEST_F(Refusing, PathBelowAFileIsRefused) {
  open();
  must(bus->close());
  const auto below = path() + "/IDENTITY/below";
  const auto opened = Bus::open(below);
  ASSERT_FALSE(opened.ok());
  EXPECT_TRUE(opened.status() == StatusCode::unavailable ||
              opened.status() == StatusCode::invalid_argument)
      << opened.status().to_string();
}

TEST_F(Refusing, PathWithANulIsRefusedAndNothingIsMade) {
  const auto cut = path();
  const auto whole = cut + std::string("\0evil", 5);
  EXPECT_TRUE(fails(Bus::open(whole), StatusCode::invalid_argument, {"NUL"}));
  EXPECT_TRUE(fails(JournalView::open(whole), StatusCode::invalid_argument, {"NUL"}));
  EXPECT_FALSE(std::filesystem::exists(cut));
}

TEST_F(Refusing, ParentThatDoesNotExistIsRefused) {
  const auto opened = Bus::open(path() + "/no/such/place");
  ASSERT_FALSE(opened.ok());
  EXPECT_FALSE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace holdfast::testing
