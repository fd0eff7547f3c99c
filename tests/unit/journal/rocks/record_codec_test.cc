// SPDX-License-Identifier: MIT
// Records whose checksum holds, and which are not what their key says.
#include "journal/rocks/record_codec.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "journal/rocks/keys.h"
#include "model/state_codec.h"
#include "support/chunks.h"

namespace holdfast::journal {
namespace {

using ::testing::HasSubstr;
using testing::make_chunk;

constexpr EventId kEvent{Priority::high, 11};

TEST(RecordCodec, ACopyOfOneEventHoldsNoOther) {
  const auto key = keys::parked({1}, kEvent);
  EXPECT_TRUE(decode_record(key, make_chunk(kEvent, 1)->bytes()).ok());
  const auto two = decode_record(key, make_chunk(kEvent, 2)->bytes());
  ASSERT_FALSE(two.ok());
  EXPECT_EQ(two.status().code(), StatusCode::data_loss);
  EXPECT_THAT(two.status().message(), HasSubstr("more than its own event"));
  EXPECT_THAT(two.status().message(), HasSubstr("subscription 1"));
  EXPECT_THAT(two.status().message(), HasSubstr(to_string(kEvent)));
}

TEST(RecordCodec, ASubscriptionIsTheOneItsKeySays) {
  model::SubscriptionRecord record;
  record.id = {1};
  record.name = "mail";
  for (const std::uint32_t id : {1U, 2U}) {
    const auto key = keys::subscription({id});
    const auto decoded = decode_record(key, model::encode(record, key));
    EXPECT_EQ(decoded.ok(), id == 1);
    EXPECT_EQ(decoded.status().code(), id == 1 ? StatusCode::ok : StatusCode::data_loss);
  }
}

TEST(RecordCodec, AKeyOfNoTableIsDamage) {
  EXPECT_EQ(decode_record("?", "value").status().code(), StatusCode::data_loss);
}

}  // namespace
}  // namespace holdfast::journal
