// parse_list_test.cc: counts, ends and indexes of the list commands, and their error replies.
//
// Texts were seen on valkey 8.0 and 9.1.
#include "commands/parse_list.h"

#include <gtest/gtest.h>

#include <vector>

namespace flash::commands {
namespace {

using List = std::vector<std::string_view>;

TEST(ParsePopCount, OptionalAndNotNegative) {
  EXPECT_EQ(*ParsePopCount(List{"FLASH.LPOP", "k"}), std::nullopt);
  EXPECT_EQ(*ParsePopCount(List{"FLASH.LPOP", "k", "0"}), 0);
  EXPECT_EQ(*ParsePopCount(List{"FLASH.LPOP", "k", "7"}), 7);
  EXPECT_EQ(ParsePopCount(List{"FLASH.LPOP", "k", "-1"}).error().message,
            "ERR value is out of range, must be positive");
  EXPECT_EQ(ParsePopCount(List{"FLASH.LPOP", "k", "x", "y"}).error().message,
            "ERR wrong number of arguments for 'FLASH.LPOP' command");
}

TEST(ParseMoveEnds, LeftOrRightInAnyCase) {
  const auto ends = ParseMoveEnds(List{"FLASH.LMOVE", "a", "b", "Left", "RIGHT"});
  ASSERT_TRUE(ends.ok());
  EXPECT_EQ(ends->from, ListEnd::kHead);
  EXPECT_EQ(ends->to, ListEnd::kTail);
  EXPECT_EQ(ParseMoveEnds(List{"c", "a", "b", "up", "left"}).error().message, "ERR syntax error");
  EXPECT_EQ(ParseMoveEnds(List{"c", "a", "b", "left", ""}).error().message, "ERR syntax error");
}

TEST(ParseInsertAfter, Words) {
  EXPECT_TRUE(*ParseInsertAfter(List{"c", "k", "AFTER", "p", "e"}));
  EXPECT_FALSE(*ParseInsertAfter(List{"c", "k", "before", "p", "e"}));
  EXPECT_EQ(ParseInsertAfter(List{"c", "k", "x", "p", "e"}).error().message, "ERR syntax error");
}

TEST(ParseRemoveCount, HasNoSmallestInteger) {
  EXPECT_EQ(*ParseRemoveCount(List{"c", "k", "-9223372036854775807", "e"}), -INT64_MAX);
  EXPECT_EQ(ParseRemoveCount(List{"c", "k", "-9223372036854775808", "e"}).error().message,
            "ERR value is out of range, value must between -9223372036854775807 and "
            "9223372036854775807");
  EXPECT_EQ(ParseRemoveCount(List{"c", "k", "a", "e"}).error().message,
            "ERR value is not an integer or out of range");
}

TEST(ParseIndexBounds, FirstErrorWins) {
  const auto bounds = ParseIndexBounds(List{"c", "k", "-3", "7"}, 2);
  ASSERT_TRUE(bounds.ok());
  EXPECT_EQ(bounds->start, -3);
  EXPECT_EQ(bounds->stop, 7);
  EXPECT_FALSE(ParseIndexBounds(List{"c", "k", "0", "x"}, 2).ok());
  EXPECT_FALSE(ParseIndexBounds(List{"c", "k", "x", "0"}, 2).ok());
}

TEST(RangeOf, ClampsAndCountsFromTheEnd) {
  const struct {
    IndexBounds bounds;
    uint64_t begin;
    uint64_t count;
  } rows[] = {
      {{0, -1}, 0, 5},     {{0, 0}, 0, 1},       {{-2, -1}, 3, 2},
      {{-100, 100}, 0, 5}, {{3, 1}, 0, 0},       {{5, 9}, 0, 0},
      {{-1, -2}, 0, 0},    {{-100, -100}, 0, 0}, {{INT64_MIN, INT64_MAX}, 0, 5},
      {{4, 4}, 4, 1},
  };
  for (const auto& row : rows) {
    const IndexRange range = RangeOf(row.bounds, 5);
    EXPECT_EQ(range.begin, row.begin) << row.bounds.start << " " << row.bounds.stop;
    EXPECT_EQ(range.count, row.count) << row.bounds.start << " " << row.bounds.stop;
  }
  EXPECT_EQ(RangeOf({0, -1}, 0).count, 0u);
}

TEST(PositionOf, InsideOnly) {
  EXPECT_EQ(PositionOf(0, 3), 0u);
  EXPECT_EQ(PositionOf(-1, 3), 2u);
  EXPECT_EQ(PositionOf(-3, 3), 0u);
  EXPECT_EQ(PositionOf(3, 3), std::nullopt);
  EXPECT_EQ(PositionOf(-4, 3), std::nullopt);
  EXPECT_EQ(PositionOf(INT64_MIN, 3), std::nullopt);
}

}  // namespace
}  // namespace flash::commands
