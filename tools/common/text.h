// text.h: numbers as people read them in reports, always with a unit, rounded to three digits.
//
// Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flash::tools {

[[nodiscard]] std::string BytesText(double bytes);     ///< "1.50 GiB"
[[nodiscard]] std::string CountText(double count);     ///< "1.50 M"
[[nodiscard]] std::string PercentText(double share);   ///< "12.3 %"
[[nodiscard]] std::string DurationText(uint64_t sec);  ///< "10 min", "1 h", "7 d"
[[nodiscard]] std::string MoneyText(double amount, std::string_view currency);
[[nodiscard]] std::string SettingBytes(uint64_t bytes);  ///< As a setting takes it: "64mb", "3gb"
[[nodiscard]] std::string Fixed(double number, int decimals);

/// Escaped for HTML and SVG text and attributes.
[[nodiscard]] std::string HtmlEscaped(std::string_view text);
/// Escaped for a cell of a Markdown table.
[[nodiscard]] std::string MarkdownEscaped(std::string_view text);

}  // namespace flash::tools
