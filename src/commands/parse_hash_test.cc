// parse_hash_test.cc: where FLASH.HSET's clause begins, and where its words are data.
//
// The grammar is the contract's; there is no native counterpart.
#include "commands/parse_hash.h"

#include <gtest/gtest.h>

#include <vector>

namespace flash::commands {
namespace {

constexpr int64_t kNow = 1'000'000;

Result<HSetRequest> Parse(const std::vector<std::string_view>& rest) {
  std::vector<std::string_view> args = {"FLASH.HSET", "key"};
  args.insert(args.end(), rest.begin(), rest.end());
  return ParseHSet(args, kNow);
}

TEST(ParseHSet, PairsWithoutClauseKeepTheExpiry) {
  const auto request = Parse({"f", "v", "g", "w"});
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->pairs_end, 6u);
  EXPECT_FALSE(request->sets_expiry);
}

TEST(ParseHSet, ClauseAtTheEnd) {
  const std::pair<std::vector<std::string_view>, int64_t> rows[] = {
      {{"f", "v", "EX", "10"}, kNow + 10'000},  {{"f", "v", "px", "10"}, kNow + 10},
      {{"f", "v", "ExAt", "10"}, 10'000},       {{"f", "v", "PXAT", "10"}, 10},
      {{"ex", "1", "ex", "10"}, kNow + 10'000},
  };
  for (const auto& [rest, at] : rows) {
    const auto request = Parse(rest);
    ASSERT_TRUE(request.ok());
    EXPECT_EQ(request->pairs_end, 4u);
    EXPECT_TRUE(request->sets_expiry);
    EXPECT_EQ(request->expire_at_ms, at);
  }
}

TEST(ParseHSet, KeepTtlMakesTheWordsData) {
  const auto request = Parse({"f", "v", "EX", "10", "KeepTTL"});
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->pairs_end, 6u);
  EXPECT_FALSE(request->sets_expiry);
}

TEST(ParseHSet, ElsewhereTheWordsAreData) {
  const std::vector<std::string_view> rows[] = {
      {"EX", "10"},             // Would leave no pair.
      {"PX", "0"},              // The same, whatever the number.
      {"EX", "10", "f", "v"},   // Not at the end.
      {"f", "v", "EX", "ten"},  // No integer.
      {"f", "v", "EX", "1.5"},
      {"f", "v", "EX", "+1"},
      {"f", "v", "EXX", "10"},
      {"f", "v", "KEEPTTL", "x"},
      {"KEEPTTL", "x"},
  };
  for (const auto& rest : rows) {
    const auto request = Parse(rest);
    ASSERT_TRUE(request.ok()) << rest[0];
    EXPECT_EQ(request->pairs_end, 2 + rest.size());
    EXPECT_FALSE(request->sets_expiry);
  }
}

TEST(ParseHSet, RefusesBadTimesAndArities) {
  const std::vector<std::string_view> times[] = {
      {"f", "v", "EX", "0"},
      {"f", "v", "PX", "-1"},
      {"f", "v", "EX", "9223372036854775807"},
      {"f", "v", "PX", "9223372036854775807"},
      {"f", "v", "EXAT", "9223372036854775807"},
  };
  for (const auto& rest : times) {
    EXPECT_EQ(Parse(rest).error().message, "ERR invalid expire time in 'FLASH.HSET' command");
  }
  const std::vector<std::string_view> arities[] = {{"KEEPTTL"}, {"f"}, {"f", "v", "g"}};
  for (const auto& rest : arities) {
    EXPECT_EQ(Parse(rest).error().message,
              "ERR wrong number of arguments for 'FLASH.HSET' command");
  }
  EXPECT_EQ(Parse({"f", "v", "PXAT", "9223372036854775807"})->expire_at_ms, INT64_MAX);
}

}  // namespace
}  // namespace flash::commands
