// SPDX-License-Identifier: MIT
#include "journal/rocks/watermark.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "support/temp_folder.h"

namespace holdfast::journal {
namespace {

Watermark some() {
  Watermark watermark;
  watermark.uuid[3] = std::byte{7};
  watermark.epoch = 5;
  watermark.boot_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  watermark.writer = Watermark::Writer::closed;
  watermark.durable = {99};
  watermark.next.values = {1, 2, 3, 4};
  watermark.reserved_number = {1000};
  watermark.reserved.values = {11, 12, 13, 14};
  return watermark;
}

TEST(Watermark, ComesBackAsItWas) {
  const auto back = decode_watermark(encode(some()));
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->uuid, some().uuid);
  EXPECT_EQ(back->epoch, 5U);
  EXPECT_EQ(back->boot_id, some().boot_id);
  EXPECT_EQ(back->writer, Watermark::Writer::closed);
  EXPECT_EQ(back->durable, CommitNumber{99});
  EXPECT_EQ(back->next, some().next);
  EXPECT_EQ(back->reserved_number, CommitNumber{1000});
  EXPECT_EQ(back->reserved, some().reserved);
}

TEST(Watermark, WithAnyBitFlippedOrByteMissingIsRefused) {
  const auto whole = encode(some());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1U << bit));
      EXPECT_FALSE(decode_watermark(bytes).ok()) << at;
    }
    EXPECT_EQ(decode_watermark(whole.substr(0, at)).status(), StatusCode::data_loss) << at;
  }
  EXPECT_EQ(decode_watermark(whole + "x").status(), StatusCode::data_loss);
}

TEST(Watermark, IsReplacedAsAWhole) {
  const testing::TempFolder folder;
  const Files files(*rocksdb::Env::Default());
  const auto path = folder.path().string();
  const auto none = read_watermark(files, path);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  for (std::uint64_t epoch = 1; epoch < 4; ++epoch) {
    auto watermark = some();
    watermark.epoch = epoch;
    ASSERT_TRUE(write_watermark(files, path, watermark).ok());
    const auto read = read_watermark(files, path);
    ASSERT_TRUE(read.ok() && *read);
    EXPECT_EQ((*read)->epoch, epoch);
  }
  EXPECT_FALSE(files.exists(watermark_path(path) + ".new"));
}

}  // namespace
}  // namespace holdfast::journal
