// SPDX-License-Identifier: MIT
// The record of paused event types, of which a journal has one or none.

#include "stores.h"

namespace holdfast::testing {
namespace {

using namespace journal;

class PausedTypesRecord : public JournalTest {
 protected:
  std::vector<model::PausedTypesRecord> stored() {
    return scan_all<model::PausedTypesRecord>(*journal_, PausedTypes{});
  }
};
HOLDFAST_OVER_ALL_STORES(PausedTypesRecord);

TEST_P(PausedTypesRecord, IsTheOneThatWasWrittenLast) {
  EXPECT_TRUE(stored().empty());
  ASSERT_TRUE(writer_->commit({model::PutPausedTypes{{{"a.*", "b"}, true}}}).ok());
  now_and_after_reopening([&] {
    ASSERT_EQ(stored().size(), 1U);
    EXPECT_EQ(stored()[0], (model::PausedTypesRecord{{"a.*", "b"}, true}));
  });
  ASSERT_TRUE(writer_->commit({model::PutPausedTypes{}}).ok());
  now_and_after_reopening([&] {
    ASSERT_EQ(stored().size(), 1U);
    EXPECT_EQ(stored()[0], model::PausedTypesRecord{});
  });
}

}  // namespace
}  // namespace holdfast::testing
