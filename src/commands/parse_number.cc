// parse_number.cc: see parse_number.h.
//
// Thread: any.
#include "commands/parse_number.h"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "commands/args.h"

namespace flash::commands {
namespace {

bool lenient_doubles = true;

/// Longest text of a time limit.
constexpr size_t kTimeoutCharsMax = 5 * 1024;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

bool LooksHexadecimal(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

struct Converted {
  double value = 0;
  bool whole = false;         // All of the text was read.
  bool out_of_range = false;  // Overflowed, or vanished.
};

/// The C library's reading of a text without zero bytes.
Converted Convert(std::string_view text) {
  const std::string terminated(text);
  Converted result;
  char* end = nullptr;
  errno = 0;
  result.value = std::strtod(terminated.c_str(), &end);
  result.whole = end == terminated.c_str() + terminated.size();
  result.out_of_range = errno == ERANGE && (std::isinf(result.value) || result.value == 0.0);
  return result;
}

/// A whole number of so few digits that a double holds each exactly.
std::optional<double> ConvertWhole(std::string_view text) {
  constexpr size_t kDigitsMax = 15;
  if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
  int64_t value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return static_cast<double>(value);
}

/// Plain decimals, which is nearly all there is, without a copy.
std::optional<double> ConvertPlain(std::string_view text) {
  if (const std::optional<double> whole = ConvertWhole(text)) return whole;
  if (text.empty() || !(IsDigit(text[0]) || text[0] == '-')) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

void SetLenientDoubles(bool lenient) { lenient_doubles = lenient; }

std::optional<int64_t> ParseInteger(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::string_view digits = text;
  if (digits[0] == '-') digits.remove_prefix(1);
  if (digits.empty() || !IsDigit(digits[0])) return std::nullopt;
  if (digits[0] == '0' && text.size() > 1) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  if (const std::optional<double> plain = ConvertPlain(text)) return plain;
  if (text.empty() || IsSpace(text[0]) || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  if (!lenient_doubles && LooksHexadecimal(text)) return std::nullopt;
  const Converted converted = Convert(text);
  if (!converted.whole || converted.out_of_range || std::isnan(converted.value)) {
    return std::nullopt;
  }
  return converted.value;
}

std::optional<double> ParseScoreBound(std::string_view text) {
  if (const std::optional<double> plain = ConvertPlain(text)) return plain;
  text = CText(text);
  if (!lenient_doubles && (LooksHexadecimal(text) || (!text.empty() && IsSpace(text[0])))) {
    return std::nullopt;
  }
  const Converted converted = Convert(text);
  if (!converted.whole || std::isnan(converted.value)) return std::nullopt;
  return converted.value;
}

Result<int64_t> IntegerArgument(std::string_view text) {
  if (const std::optional<int64_t> value = ParseInteger(text)) return *value;
  return ReplyText("ERR value is not an integer or out of range");
}

Result<int64_t> CountArgument(std::string_view text) {
  const std::optional<int64_t> value = ParseInteger(text);
  if (value && *value >= 0) return *value;
  return ReplyText("ERR value is out of range, must be positive");
}

Result<double> DoubleArgument(std::string_view text) {
  if (const std::optional<double> value = ParseDouble(text)) return *value;
  return ReplyText("ERR value is not a valid float");
}

Result<int64_t> TimeoutArgument(std::string_view text, int64_t now_ms) {
  const Error malformed = ReplyText("ERR timeout is not a float or out of range");
  if (text.empty() || text.size() >= kTimeoutCharsMax || IsSpace(text[0])) return malformed;
  const std::string terminated(text);
  char* end = nullptr;
  errno = 0;
  const long double seconds = std::strtold(terminated.c_str(), &end);
  const bool whole = end == terminated.c_str() + terminated.size();
  const bool vanished_or_overflowed =
      errno == ERANGE && (std::isinf(seconds) || std::fpclassify(seconds) == FP_ZERO);
  if (!whole || vanished_or_overflowed || std::isnan(seconds)) return malformed;

  const long double ms = seconds * 1000.0L;
  if (ms > static_cast<long double>(LLONG_MAX)) return ReplyText("ERR timeout is out of range");
  if (ms <= -1.0L) return ReplyText("ERR timeout is negative");
  const auto rounded = static_cast<int64_t>(std::ceil(ms));
  if (rounded > INT64_MAX - now_ms) return ReplyText("ERR timeout is out of range");
  return rounded;
}

std::string FormatDouble(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";

  constexpr double kIntegerMax = static_cast<double>(INT64_MAX / 2);
  if (value >= -kIntegerMax && value <= kIntegerMax) {
    const auto integer = static_cast<int64_t>(value);
    if (static_cast<double>(integer) == value) return std::to_string(integer);
  }

  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), std::fabs(value),
                                          std::chars_format::scientific);
  FLASH_CHECK(error == std::errc());
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t mark = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, mark)) {
    if (c != '.') digits += c;
  }
  const int exponent = std::atoi(std::string(text.substr(mark + 1)).c_str());
  const int count = static_cast<int>(digits.size());
  const int last = exponent - (count - 1);  // Power of ten of the last digit.

  std::string result = value < 0 ? "-" : "";
  if (last >= 0 && std::abs(exponent) < count + 7) {
    return result + digits + std::string(static_cast<size_t>(last), '0');
  }
  if (last < 0 && (last > -7 || std::abs(exponent) < 4)) {
    const int before_point = count + last;
    if (before_point <= 0) {
      return result + "0." + std::string(static_cast<size_t>(-before_point), '0') + digits;
    }
    return result + digits.substr(0, static_cast<size_t>(before_point)) + "." +
           digits.substr(static_cast<size_t>(before_point));
  }
  result += digits[0];
  if (count > 1) result += "." + digits.substr(1);
  result += exponent < 0 ? "e-" : "e+";
  return result + std::to_string(std::abs(exponent));
}

std::string FormatDoubleLong(double value) {
  if (std::isinf(value) || std::isnan(value)) return FormatDouble(value);
  char buffer[64];
  const int length = std::snprintf(buffer, sizeof(buffer), "%.17g", value);
  return {buffer, static_cast<size_t>(length)};
}

}  // namespace flash::commands
