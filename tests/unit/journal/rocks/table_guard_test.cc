// SPDX-License-Identifier: MIT
// Tables whose way to their properties is wrong, however well its checksums hold.
#include "journal/rocks/table_guard.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "base/checksum.h"
#include "support/fault_fs.h"
#include "support/journal_image.h"
#include "support/temp_folder.h"

namespace holdfast::journal {
namespace {

using ::testing::HasSubstr;

template <typename T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7U) bytes += static_cast<char>(value | 0x80U);
  return bytes + static_cast<char>(value);
}
std::string handle(std::uint64_t offset, std::uint64_t size) {
  return varint(offset) + varint(size);
}
/// As it lies in a table: not compressed, with its checksum.
std::string block(const std::string& content) {
  return content + '\0' + bytes_of(base::checksum32(content));
}
std::string entry(const std::string& key, const std::string& value, std::uint64_t shared = 0) {
  return varint(shared) + varint(key.size()) + varint(value.size()) + key + value;
}
std::string index_of(const std::string& entries, std::uint32_t restarts = 1) {
  return entries + bytes_of(std::uint32_t{0}) + bytes_of(restarts);
}
std::string footer(const std::string& handles, char checksum = 4) {
  std::string bytes = checksum + handles;
  bytes.resize(45);
  return bytes + bytes_of(std::uint64_t{0x88e241b785f4cff7U});
}

const std::string kProperties = "properties";
const std::string kName = "rocksdb.properties";

class TableGuardTest : public ::testing::Test {
 protected:
  /// A table of properties at its beginning, and an index behind them with this content.
  static std::string table(const std::string& index) {
    const auto properties = block(kProperties);
    return properties + block(index) + footer(handle(properties.size(), index.size()));
  }
  static std::string table_of(const std::string& entries) { return table(index_of(entries)); }

  /// What an open of these bytes says; empty when it lets the engine have them.
  std::string open(const std::string& bytes, const std::string& name = "000007.sst") {
    const auto path = folder_.inside(name);
    testing::write_bytes(path, bytes);
    TableGuard guard(files_);
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    const auto status = guard.NewRandomAccessFile(path, {}, &file, nullptr);
    EXPECT_EQ(status.ok(), file != nullptr);
    EXPECT_TRUE(status.ok() || status.IsCorruption()) << status.ToString();
    return status.ok() ? "" : status.ToString();
  }

  testing::TempFolder folder_;
  std::shared_ptr<testing::FaultFs> files_ =
      std::make_shared<testing::FaultFs>(rocksdb::Env::Default()->GetFileSystem());
  const std::string place_ = handle(0, kProperties.size());
};

TEST_F(TableGuardTest, LetsAWholeTableThrough) {
  EXPECT_EQ(open(table_of(entry(kName, place_))), "");
  EXPECT_EQ(open(table_of(entry("rocksdb.other", "x") + entry(kName, place_))), "");
}

TEST_F(TableGuardTest, LeavesToTheEngineWhatIsNoTable) {
  EXPECT_EQ(open(""), "");
  EXPECT_EQ(open(std::string(100, 'x')), "");
  EXPECT_EQ(open(table_of(entry(kName, place_, 1)), "MANIFEST-000001"), "");
}

TEST_F(TableGuardTest, RefusesAnotherChecksum) {
  EXPECT_THAT(open(footer(handle(0, 0), 1)), HasSubstr("another checksum"));
}

TEST_F(TableGuardTest, RefusesAnIndexThatIsNotWhereTheFooterSays) {
  const auto properties = block(kProperties);
  for (const auto& wrong :
       {std::string(40, '\xff'), std::string("\1") + std::string(39, '\xff'), handle(0, 1U << 21U),
        handle(0, 10'000), handle(100'000, 4), handle(20, 40), handle(1, kProperties.size())}) {
    EXPECT_THAT(open(properties + footer(wrong)), HasSubstr("damaged index of its blocks"));
  }
  EXPECT_THAT(open(table("abc")), HasSubstr("damaged index of its blocks"));
}

TEST_F(TableGuardTest, RefusesAnIndexThatEndsBeforeItsEntries) {
  EXPECT_THAT(open(table(index_of("", 7))), HasSubstr("impossible index of its blocks"));
  EXPECT_THAT(open(table(index_of("", 0xffffffff))), HasSubstr("impossible index of its blocks"));
}

TEST_F(TableGuardTest, RefusesEntriesThatDoNotLeadToTheProperties) {
  const auto long_varint = std::string(10, '\xff');
  for (const auto& entries :
       {std::string(), entry("rocksdb.other", place_), entry(kName, place_, 1), long_varint,
        std::string("\0", 1), std::string("\0\1", 2), std::string("\0\x7f\1abc", 6),
        std::string("\0\1\x7f"
                    "abc",
                    6),
        entry(kName, ""), entry(kName, "\1"), entry(kName, long_varint)}) {
    EXPECT_THAT(open(table_of(entries)), HasSubstr("does not say where its properties are"))
        << ::testing::PrintToString(entries);
  }
}

TEST_F(TableGuardTest, RefusesDamagedProperties) {
  auto bytes = table_of(entry(kName, place_));
  bytes[3] ^= 1;
  EXPECT_THAT(open(bytes), HasSubstr("damaged properties"));
  EXPECT_THAT(open(table_of(entry(kName, handle(1, kProperties.size())))),
              HasSubstr("damaged properties"));
}

TEST_F(TableGuardTest, AFailedReadIsNoDamage) {
  for (int good = 0; good < 3; ++good) {
    int left = good;
    files_->set_read_hook([&](const std::string& operation, const std::string&) {
      return operation == "read" && left-- <= 0 ? rocksdb::IOStatus::IOError("input/output error")
                                                : rocksdb::IOStatus::OK();
    });
    EXPECT_EQ(open(table_of(entry(kName, place_))), "") << good;
  }
}

}  // namespace
}  // namespace holdfast::journal
