// parse_number.h: numbers in arguments and replies, accepted, refused and written as the server's.
//
// What counts as a number differs from the C library's idea in many small ways (no leading zeros or
// plus sign in integers, no NaN, hexadecimal doubles only on some versions); each rule is a test.
// Thread: any; SetLenientDoubles once, at load.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flash::commands {

/// Servers before 9.1 take hexadecimal doubles, and white space before the bounds of a score range;
/// later ones do not. Lenient unless said otherwise; module load asks the server.
void SetLenientDoubles(bool lenient);

/// A decimal integer of 64 bits: "-12"; not "+1", "01", "-0", " 1" or "1.0".
[[nodiscard]] std::optional<int64_t> ParseInteger(std::string_view text);

/// A double, also "inf" and "-Infinity" in any case; not NaN, nothing before or after the number,
/// no overflow, no underflow to zero.
[[nodiscard]] std::optional<double> ParseDouble(std::string_view text);

/// A bound of a score range, without its "(": as ParseDouble, but what follows a zero byte does not
/// count, empty is 0, overflow is infinity.
[[nodiscard]] std::optional<double> ParseScoreBound(std::string_view text);

/// Errors of these three are the server's replies.
[[nodiscard]] Result<int64_t> IntegerArgument(std::string_view text);
/// At least 0.
[[nodiscard]] Result<int64_t> CountArgument(std::string_view text);
[[nodiscard]] Result<double> DoubleArgument(std::string_view text);

/// The time limit of a blocking command, in seconds with fractions: milliseconds, rounded up, 0 for
/// no limit. `now_ms` is what the limit is added to and must not overflow.
[[nodiscard]] Result<int64_t> TimeoutArgument(std::string_view text, int64_t now_ms);

/// Shortest text that reads back as the same double: "0.1", "1e+25", "3", "inf". As scores appear
/// in replies.
[[nodiscard]] std::string FormatDouble(double value);

/// With 17 digits: as ZSCAN shows scores of larger sorted sets.
[[nodiscard]] std::string FormatDoubleLong(double value);

/// Minus zero made zero.
[[nodiscard]] inline double WithoutMinusZero(double score) { return score + 0.0; }

}  // namespace flash::commands
