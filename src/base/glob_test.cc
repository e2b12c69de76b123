// glob_test.cc: patterns as the server understands them.
//
// Thread: any.
#include "base/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace flash::base {
namespace {

TEST(GlobMatches, AsTheServerDoes) {
  const struct {
    const char* pattern;
    const char* text;
    bool matches;
  } rows[] = {
      {"*", "", true},
      {"*", "abc", true},
      {"", "", true},
      {"", "a", false},
      {"a", "", false},
      {"a*c", "abbc", true},
      {"a*c", "abbd", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"[abc]x", "bx", true},
      {"[^abc]x", "bx", false},
      {"[^abc]x", "dx", true},
      {"[a-c]", "b", true},
      {"[c-a]", "b", true},
      {"[a-c]", "d", false},
      {"[\\]]", "]", true},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"a\\", "a\\", true},
      {"[abc", "c", true},
      {"**a**", "bab", true},
      {"*a*b*c", "xaybzc", true},
      {"*a*b*c", "xaybz", false},
      {"h?llo*", "hello world", true},
      {"A", "a", false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(GlobMatches(row.pattern, row.text), row.matches) << row.pattern << " " << row.text;
  }
}

TEST(GlobMatches, ManyStarsTakeNoForever) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  EXPECT_FALSE(GlobMatches(pattern + "b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace flash::base
