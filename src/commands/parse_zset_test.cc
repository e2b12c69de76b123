// parse_zset_test.cc: options of the sorted set commands, their conflicts and error replies.
//
// Texts and the order of checks were seen on valkey 8.0 and 9.1.
#include "commands/parse_zset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace flash::commands {
namespace {

using testing::ElementsAre;
using List = std::vector<std::string_view>;
constexpr double kInf = std::numeric_limits<double>::infinity();

Result<ZAddRequest> Add(List rest, bool incr = false) {
  rest.insert(rest.begin(), {"FLASH.ZADD", "key"});
  return ParseZAdd(rest, incr);
}

TEST(ParseZAdd, OptionsThenPairs) {
  const auto request = Add({"xx", "GT", "Ch", "1.5", "a", "-inf", "nx"});
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->xx && request->gt && request->ch);
  EXPECT_FALSE(request->nx || request->lt || request->incr);
  EXPECT_EQ(request->first_pair, 5u);
  EXPECT_THAT(request->scores, ElementsAre(1.5, -kInf));
}

TEST(ParseZAdd, ManyPairsKeepTheirOrder) {
  const auto request = Add({"1", "a", "2", "b", "3", "c", "4", "d", "5", "e", "6", "f", "7", "g"});
  ASSERT_TRUE(request.ok());
  EXPECT_THAT(request->scores, ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

TEST(ParseZAdd, MinusZeroKeepsItsSign) { EXPECT_TRUE(std::signbit(Add({"-0", "a"})->scores[0])); }

TEST(ParseZAdd, ErrorsInTheServersOrder) {
  const std::pair<List, const char*> rows[] = {
      {{"nx", "xx"}, "ERR syntax error"},
      {{"gt", "lt", "1"}, "ERR syntax error"},
      {{"1", "a", "2"}, "ERR syntax error"},
      {{"nx", "xx", "gt", "x", "a"}, "ERR XX and NX options at the same time are not compatible"},
      {{"nx", "gt", "1", "a"}, "ERR GT, LT, and/or NX options at the same time are not compatible"},
      {{"lt", "nx", "1", "a"}, "ERR GT, LT, and/or NX options at the same time are not compatible"},
      {{"gt", "lt", "1", "a"}, "ERR GT, LT, and/or NX options at the same time are not compatible"},
      {{"incr", "1", "a", "2", "b"}, "ERR INCR option supports a single increment-element pair"},
      {{"x", "a"}, "ERR value is not a valid float"},
      {{"1", "a", "nan", "b"}, "ERR value is not a valid float"},
  };
  for (const auto& [rest, text] : rows) EXPECT_EQ(Add(rest).error().message, text);
}

TEST(ParseZAdd, IncrByIsZAddWithIncr) {
  EXPECT_TRUE(Add({"1", "a"}, true)->incr);
  EXPECT_EQ(Add({"nx", "a"}, true).error().message, "ERR syntax error");
  EXPECT_EQ(Add({"a", "b"}, true).error().message, "ERR value is not a valid float");
}

TEST(ParseZPopCount, ThreeIsASyntaxError) {
  EXPECT_EQ(*ParseZPopCount(List{"c", "k"}), std::nullopt);
  EXPECT_EQ(*ParseZPopCount(List{"c", "k", "0"}), 0);
  EXPECT_EQ(ParseZPopCount(List{"c", "k", "1", "2"}).error().message, "ERR syntax error");
  EXPECT_EQ(ParseZPopCount(List{"c", "k", "a"}).error().message,
            "ERR value is out of range, must be positive");
}

TEST(ParseZRankWithScore, Word) {
  EXPECT_FALSE(*ParseZRankWithScore(List{"c", "k", "m"}));
  EXPECT_TRUE(*ParseZRankWithScore(List{"c", "k", "m", "WithScore"}));
  EXPECT_EQ(ParseZRankWithScore(List{"c", "k", "m", "x"}).error().message, "ERR syntax error");
  EXPECT_EQ(ParseZRankWithScore(List{"c", "k", "m", "withscore", "y"}).error().message,
            "ERR wrong number of arguments for 'c' command");
}

TEST(ParseStoreKeys, NumberOfKeys) {
  EXPECT_EQ(ParseStoreKeys(List{"c", "d", "2", "a", "b"})->count, 2u);
  EXPECT_EQ(ParseStoreKeys(List{"c", "d", "2", "a"}).error().message, "ERR syntax error");
  EXPECT_EQ(ParseStoreKeys(List{"c", "d", "x", "a"}).error().message,
            "ERR value is not an integer or out of range");
  for (const char* count : {"0", "-1"}) {
    EXPECT_EQ(ParseStoreKeys(List{"FLASH.ZUNIONSTORE", "d", count, "a"}).error().message,
              "ERR at least 1 input key is needed for 'FLASH.ZUNIONSTORE' command");
  }
}

Result<StoreOptions> Store(List rest, bool is_diff = false) {
  rest.insert(rest.begin(), {"c", "d", "2", "a", "b"});
  return ParseStoreOptions(rest, StoreKeys{3, 2}, is_diff);
}

TEST(ParseStoreOptions, WeightsAndAggregate) {
  EXPECT_EQ(Store({})->weights, (std::vector<double>{1, 1}));
  const auto options = Store({"AGGREGATE", "Max", "weights", "2", "inf"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->weights, (std::vector<double>{2, kInf}));
  EXPECT_EQ(options->aggregate, Aggregate::kMax);

  const std::pair<List, const char*> rows[] = {
      {{"weights", "1"}, "ERR syntax error"},
      {{"weights", "1", "x"}, "ERR weight value is not a float"},
      {{"weights", "1", "nan"}, "ERR weight value is not a float"},
      {{"aggregate"}, "ERR syntax error"},
      {{"aggregate", "avg"}, "ERR syntax error"},
      {{"withscores"}, "ERR syntax error"},
  };
  for (const auto& [rest, text] : rows) EXPECT_EQ(Store(rest).error().message, text);
  EXPECT_EQ(Store({"weights", "1", "2"}, true).error().message, "ERR syntax error");
  EXPECT_TRUE(Store({}, true).ok());
}

TEST(Aggregated, NeverNaN) {
  EXPECT_EQ(Aggregated(Aggregate::kSum, 1, 2), 3);
  EXPECT_EQ(Aggregated(Aggregate::kSum, kInf, -kInf), 0);
  EXPECT_EQ(Aggregated(Aggregate::kMin, 1, 2), 1);
  EXPECT_EQ(Aggregated(Aggregate::kMax, 1, 2), 2);
  EXPECT_EQ(Weighted(kInf, 0), 0);
  EXPECT_EQ(Weighted(3, -2), -6);
}

TEST(ParseCursor, IsAnUnsignedNumber) {
  const auto parse = [](std::string_view text) { return ParseCursor(List{"c", "k", text}); };
  EXPECT_EQ(*parse("0"), 0u);
  EXPECT_EQ(*parse("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(*parse(" 0"), 0u);
  EXPECT_EQ(*parse("+5"), 5u);
  EXPECT_EQ(*parse("007"), 7u);
  for (const char* text : {"", "a", "-1", "18446744073709551616", "1x", "1 "}) {
    EXPECT_EQ(parse(text).error().message, "ERR invalid cursor") << text;
  }
}

TEST(ParseZScanOptions, Options) {
  const auto parse = [](List rest) {
    rest.insert(rest.begin(), {"c", "k", "0"});
    return ParseZScanOptions(rest);
  };
  EXPECT_EQ(parse({})->count, 10);
  const auto options = parse({"match", "a*", "COUNT", "5", "noscores"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->match, "a*");
  EXPECT_EQ(options->count, 5);
  EXPECT_TRUE(options->no_scores);
  EXPECT_EQ(parse({"match", "*"})->match, std::nullopt);

  const std::pair<List, const char*> rows[] = {
      {{"count", "0"}, "ERR syntax error"},
      {{"count", "x"}, "ERR value is not an integer or out of range"},
      {{"count"}, "ERR syntax error"},
      {{"match"}, "ERR syntax error"},
      {{"novalues"}, "ERR NOVALUES option can only be used in HSCAN"},
      {{"type", "string"}, "ERR syntax error"},
  };
  for (const auto& [rest, text] : rows) EXPECT_EQ(parse(rest).error().message, text);
}

}  // namespace
}  // namespace flash::commands
