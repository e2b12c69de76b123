// parse_zset_range_test.cc: the ZRANGE grammar, bounds by score and member, and their errors.
//
// Texts and the order of checks were seen on valkey 8.0 and 9.1.
#include "commands/parse_zset_range.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace flash::commands {
namespace {

using List = std::vector<std::string_view>;
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(ParseScoreRange, ExclusiveBoundsAndInfinities) {
  const auto range = ParseScoreRange("(1.5", "+inf");
  ASSERT_TRUE(range.ok());
  EXPECT_FALSE(range->AboveMin(1.5));
  EXPECT_TRUE(range->AboveMin(1.6));
  EXPECT_TRUE(range->BelowMax(kInf));
  EXPECT_FALSE(range->empty());
  EXPECT_TRUE(ParseScoreRange("2", "1")->empty());
  EXPECT_TRUE(ParseScoreRange("(1", "1")->empty());
  EXPECT_FALSE(ParseScoreRange("1", "1")->empty());
  EXPECT_TRUE(ParseScoreRange("-inf", "(-inf")->empty());
  EXPECT_EQ(ParseScoreRange("(", "")->min, 0);
  for (const char* text : {"((1", "(nan", "1 ", "x"}) {
    EXPECT_EQ(ParseScoreRange(text, "5").error().message, "ERR min or max is not a float");
    EXPECT_EQ(ParseScoreRange("5", text).error().message, "ERR min or max is not a float");
  }
}

TEST(ParseLexRange, Bounds) {
  const auto range = ParseLexRange("(b", "[d");
  ASSERT_TRUE(range.ok());
  EXPECT_FALSE(range->AboveMin("b"));
  EXPECT_TRUE(range->AboveMin("ba"));
  EXPECT_TRUE(range->BelowMax("d"));
  EXPECT_FALSE(range->BelowMax("da"));
  EXPECT_FALSE(range->empty());

  const auto all = ParseLexRange("-", "+");
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(all->AboveMin("") && all->BelowMax("\xff\xff") && !all->empty());
  EXPECT_TRUE(ParseLexRange("[", "+")->AboveMin(""));
  EXPECT_FALSE(ParseLexRange("(", "+")->AboveMin(""));
  EXPECT_EQ(ParseLexRange(std::string_view("-\0x", 3), "+")->min.kind, LexBound::Kind::kBeforeAll);
  for (const char* text : {"", "a", "-x", "+x", "1"}) {
    EXPECT_EQ(ParseLexRange(text, "+").error().message,
              "ERR min or max not valid string range item");
    EXPECT_EQ(ParseLexRange("-", text).error().message,
              "ERR min or max not valid string range item");
  }
}

TEST(LexRange, Emptiness) {
  const std::tuple<const char*, const char*, bool> rows[] = {
      {"-", "-", true},   {"+", "+", true},   {"+", "-", true},    {"-", "[a", false},
      {"[a", "-", true},  {"[a", "+", false}, {"+", "[a", true},   {"[a", "[a", false},
      {"(a", "[a", true}, {"[b", "[a", true}, {"[a", "(b", false},
  };
  for (const auto& [min, max, empty] : rows) {
    EXPECT_EQ(ParseLexRange(min, max)->empty(), empty) << min << " " << max;
  }
}

Result<ZRangeRequest> ZRange(List rest, const ZRangeShape& shape = {}) {
  rest.insert(rest.begin(), {"FLASH.ZRANGE", "key"});
  return ParseZRange(rest, shape);
}

TEST(ParseZRange, ByRankScoreAndLex) {
  const auto by_rank = ZRange({"0", "-1", "rev", "WITHSCORES"});
  ASSERT_TRUE(by_rank.ok());
  EXPECT_EQ(by_rank->by, RangeBy::kRank);
  EXPECT_TRUE(by_rank->reverse && by_rank->with_scores);
  EXPECT_EQ(by_rank->stop, -1);

  const auto by_score = ZRange({"5", "(1", "BYSCORE", "REV", "LIMIT", "2", "3"});
  ASSERT_TRUE(by_score.ok());
  EXPECT_EQ(by_score->scores.min, 1);
  EXPECT_TRUE(by_score->scores.min_exclusive);
  EXPECT_EQ(by_score->scores.max, 5);
  EXPECT_EQ(by_score->offset, 2);
  EXPECT_EQ(by_score->limit, 3);

  const auto by_lex = ZRange({"-", "[b", "bylex"});
  ASSERT_TRUE(by_lex.ok());
  EXPECT_EQ(by_lex->members.max.text, "b");
}

TEST(ParseZRange, ErrorsInTheServersOrder) {
  const std::pair<List, const char*> rows[] = {
      {{"a", "b"}, "ERR value is not an integer or out of range"},
      {{"a", "b", "FOO"}, "ERR syntax error"},
      {{"0", "1", "LIMIT", "0"}, "ERR syntax error"},
      {{"0", "1", "LIMIT", "a", "1"}, "ERR value is not an integer or out of range"},
      {{"0", "1", "LIMIT", "0", "1"},
       "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"},
      {{"0", "1", "BYLEX", "WITHSCORES"},
       "ERR syntax error, WITHSCORES not supported in combination with BYLEX"},
      {{"0", "1", "BYSCORE", "BYLEX"}, "ERR syntax error"},
      {{"0", "1", "REV", "REV"}, "ERR syntax error"},
      {{"x", "1", "BYSCORE"}, "ERR min or max is not a float"},
      {{"x", "1", "BYLEX"}, "ERR min or max not valid string range item"},
  };
  for (const auto& [rest, text] : rows) EXPECT_EQ(ZRange(rest).error().message, text);
  EXPECT_TRUE(ZRange({"0", "1", "LIMIT", "5", "-1"}).ok());
}

TEST(ParseZRange, OlderCommandsHaveFewerWords) {
  const ZRangeShape by_score{1, false, true, true, RangeBy::kScore, true};
  const auto request = ZRange({"9", "1", "withscores", "limit", "0", "2"}, by_score);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->scores.min, 1);
  EXPECT_EQ(request->scores.max, 9);
  for (const char* word : {"REV", "BYSCORE", "BYLEX"}) {
    EXPECT_EQ(ZRange({"9", "1", word}, by_score).error().message, "ERR syntax error");
  }
}

TEST(ParseZRange, StoringHasNoScoresToShow) {
  const List args = {"FLASH.ZRANGESTORE", "dst", "src", "0", "1", "WITHSCORES"};
  const ZRangeShape shape{2, true, false, false, RangeBy::kRank, false};
  EXPECT_EQ(ParseZRange(args, shape).error().message, "ERR syntax error");
  EXPECT_EQ(ParseZRange(Args(args).first(5), shape)->stop, 1);
}

}  // namespace
}  // namespace flash::commands
