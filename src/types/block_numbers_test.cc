// block_numbers_test.cc: numbers are ranks, for any set of ids.
//
// Thread: one.
#include "types/block_numbers.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace flash::types {
namespace {

TEST(BlockNumbersTest, NumbersAreRanks) {
  base::Random random(3);
  for (const uint64_t one_in : {1, 2, 50, 3000}) {
    constexpr BlockId kEnd = 20'000;
    BlockNumbers numbers(kEnd);
    std::set<BlockId> members;
    for (BlockId id = 1; id < kEnd; ++id) {
      if (random.Next() % one_in != 0) continue;
      members.insert(id);
      numbers.Add(id, id % 3 == 0);
    }
    EXPECT_EQ(numbers.Number(), members.size());
    uint64_t rank = 0;
    for (const BlockId id : members) {
      ASSERT_EQ(numbers.NumberOf(id), rank++);
      ASSERT_EQ(numbers.FlagOf(id), id % 3 == 0);
    }
    for (BlockId id = 1; id < kEnd; ++id) ASSERT_EQ(numbers.Has(id), members.contains(id));
  }
}

TEST(BlockNumbersTest, OnlyWhatWasDoneIsDone) {
  BlockNumbers numbers(100);
  numbers.Add(64, true);
  numbers.Add(99, true);
  EXPECT_EQ(numbers.Number(), 2u);
  numbers.SetDone(99);
  EXPECT_FALSE(numbers.IsDone(64));
  EXPECT_TRUE(numbers.IsDone(99));
  EXPECT_FALSE(numbers.IsDone(98));
  EXPECT_FALSE(numbers.IsDone(1'000'000));  // Created after the set was made.
}

}  // namespace
}  // namespace flash::types
