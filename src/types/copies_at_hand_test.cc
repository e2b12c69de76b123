// copies_at_hand_test.cc: what was read ahead is taken once, within a bound, and can be dropped.
//
// Thread: one.
#include "types/copies_at_hand.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace flash::types {
namespace {

class CopiesAtHandTest : public testing::Test {
 protected:
  bool Add(BlockId id, std::string_view text, uint64_t bytes_max = 1000) {
    return copies_.Add(id, base::AsBytes(text), bytes_max);
  }
  std::string Taken(BlockId id) {
    std::vector<std::byte> bytes;
    return copies_.Take(id, &bytes) ? std::string(base::AsText(bytes)) : "none";
  }

  CopiesAtHand copies_;
};

TEST_F(CopiesAtHandTest, EachIsTakenOnce) {
  EXPECT_EQ(Taken(7), "none");
  EXPECT_TRUE(Add(7, "seven"));
  EXPECT_TRUE(Add(8, "eight"));
  EXPECT_TRUE(copies_.Has(7));
  EXPECT_EQ(Taken(7), "seven");
  EXPECT_EQ(Taken(7), "none");
  EXPECT_FALSE(copies_.Has(7));
  EXPECT_EQ(copies_.bytes(), 5u);
  EXPECT_EQ(Taken(8), "eight");
  EXPECT_EQ(copies_.bytes(), 0u);
}

TEST_F(CopiesAtHandTest, TheBoundHoldsAndASecondCopyChangesNothing) {
  EXPECT_TRUE(Add(1, "12345", 9));
  EXPECT_FALSE(Add(2, "12345", 9));
  EXPECT_FALSE(Add(1, "other", 99));
  EXPECT_TRUE(Add(2, "1234", 9));
  EXPECT_EQ(copies_.bytes(), 9u);
  EXPECT_EQ(Taken(1), "12345");
}

TEST_F(CopiesAtHandTest, NothingIsLeftAfterDrop) {
  EXPECT_TRUE(Add(1, "a"));
  copies_.Drop();
  EXPECT_EQ(copies_.bytes(), 0u);
  EXPECT_EQ(Taken(1), "none");
  EXPECT_TRUE(Add(1, "b"));
  EXPECT_EQ(Taken(1), "b");
}

}  // namespace
}  // namespace flash::types
