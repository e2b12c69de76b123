// parse_number_test.cc: which texts are numbers, and how doubles are written, as native servers do.
//
// Every row was seen on valkey 8.0 and 9.1.
#include "commands/parse_number.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/random.h"

namespace flash::commands {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(ParseInteger, TakesCanonicalDecimalsOnly) {
  EXPECT_EQ(ParseInteger("0"), 0);
  EXPECT_EQ(ParseInteger("-12"), -12);
  EXPECT_EQ(ParseInteger("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ParseInteger("-9223372036854775808"), INT64_MIN);
  for (const char* text :
       {"", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "0x1", "a", "1a", "9223372036854775808",
        "-9223372036854775809", "99999999999999999999999999"}) {
    EXPECT_EQ(ParseInteger(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseInteger(std::string_view("1\0", 2)), std::nullopt);
}

TEST(ParseDouble, TakesWhatTheServerTakes) {
  EXPECT_EQ(ParseDouble("0.1"), 0.1);
  EXPECT_EQ(ParseDouble("+5"), 5.0);
  EXPECT_EQ(ParseDouble(".5"), 0.5);
  EXPECT_EQ(ParseDouble("5."), 5.0);
  EXPECT_EQ(ParseDouble("-1.5e-10"), -1.5e-10);
  EXPECT_EQ(ParseDouble("5e-324"), 5e-324);
  EXPECT_EQ(ParseDouble("inf"), kInf);
  EXPECT_EQ(ParseDouble("+inf"), kInf);
  EXPECT_EQ(ParseDouble("-Infinity"), -kInf);
  EXPECT_EQ(ParseDouble("007"), 7.0);
  EXPECT_EQ(ParseDouble("999999999999999"), 999999999999999.0);
  EXPECT_EQ(ParseDouble("9007199254740993"), 9007199254740992.0);
  EXPECT_TRUE(std::signbit(ParseDouble("-0").value_or(1)));
  for (const char* text : {"", " 1", "1 ", "nan", "-nan", "nan(1)", "1e400", "-1e400", "1e-400",
                           "0x1p-1080", "5e", "1,5", "1_0", "--1", "infx"}) {
    EXPECT_EQ(ParseDouble(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseDouble(std::string_view("1\0002", 3)), std::nullopt);
}

TEST(ParseDouble, HexadecimalDependsOnTheServer) {
  EXPECT_EQ(ParseDouble("0x10"), 16.0);
  EXPECT_EQ(ParseScoreBound("0x1"), 1.0);
  EXPECT_EQ(ParseScoreBound(" 1"), 1.0);
  SetLenientDoubles(false);
  EXPECT_EQ(ParseDouble("0x10"), std::nullopt);
  EXPECT_EQ(ParseDouble("-0X10"), std::nullopt);
  EXPECT_EQ(ParseScoreBound("0x1"), std::nullopt);
  EXPECT_EQ(ParseScoreBound(" 1"), std::nullopt);
  SetLenientDoubles(true);
}

TEST(ParseScoreBound, IsReadAsACString) {
  EXPECT_EQ(ParseScoreBound(""), 0.0);
  EXPECT_EQ(ParseScoreBound(std::string_view("1\0zz", 4)), 1.0);
  EXPECT_EQ(ParseScoreBound("1e999"), kInf);
  EXPECT_EQ(ParseScoreBound("-inf"), -kInf);
  for (const char* text : {"(1", "nan", "1 ", "a"}) {
    EXPECT_EQ(ParseScoreBound(text), std::nullopt) << text;
  }
}

TEST(TimeoutArgument, RoundsUpAndBounds) {
  EXPECT_EQ(*TimeoutArgument("0", 0), 0);
  EXPECT_EQ(*TimeoutArgument("1.5", 0), 1500);
  EXPECT_EQ(*TimeoutArgument("0.0001", 0), 1);
  EXPECT_EQ(*TimeoutArgument("-0.0001", 0), 0);  // Rounded up: no limit, as natively.
  EXPECT_EQ(*TimeoutArgument("1e3", 0), 1'000'000);
  for (const char* text : {"", "a", "nan", " 1", "1e99999"}) {
    EXPECT_EQ(TimeoutArgument(text, 0).error().message,
              "ERR timeout is not a float or out of range")
        << text;
  }
  EXPECT_EQ(TimeoutArgument("-1", 0).error().message, "ERR timeout is negative");
  EXPECT_EQ(TimeoutArgument("inf", 0).error().message, "ERR timeout is out of range");
  EXPECT_EQ(TimeoutArgument("1e18", 0).error().message, "ERR timeout is out of range");
  EXPECT_EQ(TimeoutArgument("9223372036854775", 2000).error().message,
            "ERR timeout is out of range");
}

TEST(Arguments, ErrorsAreTheServersReplies) {
  EXPECT_EQ(IntegerArgument("x").error().message, "ERR value is not an integer or out of range");
  EXPECT_EQ(CountArgument("x").error().message, "ERR value is out of range, must be positive");
  EXPECT_EQ(CountArgument("-1").error().message, "ERR value is out of range, must be positive");
  EXPECT_EQ(DoubleArgument("x").error().message, "ERR value is not a valid float");
  EXPECT_EQ(*CountArgument("0"), 0);
}

TEST(FormatDouble, WritesAsRepliesDo) {
  const std::pair<double, const char*> rows[] = {
      {0.1, "0.1"},
      {1e25, "1e+25"},
      {1e20, "1e+20"},
      {1e-5, "0.00001"},
      {1e-7, "1e-7"},
      {1.5e-7, "1.5e-7"},
      {0.00001234, "1.234e-5"},
      {123456789012345680000.0, "123456789012345680000"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {5e-324, "5e-324"},
      {3.0, "3"},
      {12345678.9e3, "12345678900"},
      {1.1e22, "1.1e+22"},
      {1e18, "1000000000000000000"},
      {1e19, "1e+19"},
      {4.7e18, "4.7e+18"},
      {-1.5e-10, "-1.5e-10"},
      {0.1e-3, "0.0001"},
      {2.5, "2.5"},
      {-123.456, "-123.456"},
      {kInf, "inf"},
      {-kInf, "-inf"},
      {-0.0, "-0"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(FormatDouble(value), text);
  EXPECT_EQ(FormatDoubleLong(0.1), "0.10000000000000001");
  EXPECT_EQ(FormatDoubleLong(1e18), "1e+18");
  EXPECT_EQ(FormatDoubleLong(-kInf), "-inf");
  EXPECT_FALSE(std::signbit(WithoutMinusZero(-0.0)));
}

TEST(FormatDouble, ReadsBackAsTheSameDouble) {
  base::Random random(7);
  for (int i = 0; i < 50'000; ++i) {
    const uint64_t bits = random.Next();
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(ParseDouble(FormatDouble(value)), value) << FormatDouble(value);
    ASSERT_EQ(ParseDouble(FormatDoubleLong(value)), value);
  }
}

}  // namespace
}  // namespace flash::commands
