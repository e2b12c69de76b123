// args_test.cc: words of the server's grammar are told in any case, and end at a zero byte.
//
// Knows no command. Thread: any.
#include "commands/args.h"

#include <gtest/gtest.h>

namespace flash::commands {
namespace {

TEST(IsWord, TakesAnyCaseAndWhatFollowsAZeroByte) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text : {"nx"sv, "NX"sv, "nX"sv, "nx\0"sv, "nx\0rest"sv}) {
    EXPECT_TRUE(IsWord(text, "nx")) << text;
  }
  for (const std::string_view text : {""sv, "n"sv, "nxx"sv, "xx"sv, "n\0"sv, "n\0x"sv, "\0nx"sv}) {
    EXPECT_FALSE(IsWord(text, "nx")) << text;
  }
}

}  // namespace
}  // namespace flash::commands
