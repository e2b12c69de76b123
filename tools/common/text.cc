// text.cc: see text.h.
//
// Numbers keep three digits, percentages one decimal. Thread: any.
#include "tools/common/text.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace flash::tools {
namespace {

/// Three digits, whatever the size.
std::string Short(double number) {
  const double magnitude = std::fabs(number);
  return Fixed(number, magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2);
}

std::string Replaced(std::string_view text, std::string_view specials,
                     std::string_view (*replacement)(char)) {
  std::string result;
  for (const char c : text) {
    if (specials.find(c) == specials.npos) {
      result.push_back(c);
    } else {
      result += replacement(c);
    }
  }
  return result;
}

}  // namespace

std::string Fixed(double number, int decimals) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, number);
  return text.data();
}

std::string BytesText(double bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (std::fabs(bytes) >= 1023.5 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    unit++;
  }
  return (unit == 0 ? Fixed(bytes, 0) : Short(bytes)) + " " + kUnits[unit];
}

std::string CountText(double count) {
  if (count < 9999.5) return Fixed(count, 0);
  if (count < 999'500) return Short(count / 1e3) + " k";
  if (count < 999'500'000) return Short(count / 1e6) + " M";
  return Short(count / 1e9) + " G";
}

std::string PercentText(double share) { return Fixed(share * 100, 1) + " %"; }

std::string DurationText(uint64_t sec) {
  if (sec >= 86400 && sec % 86400 == 0) return std::to_string(sec / 86400) + " d";
  if (sec >= 3600 && sec % 3600 == 0) return std::to_string(sec / 3600) + " h";
  if (sec >= 60 && sec % 60 == 0) return std::to_string(sec / 60) + " min";
  if (sec >= 2 * 86400) return Short(static_cast<double>(sec) / 86400) + " d";
  if (sec >= 2 * 3600) return Short(static_cast<double>(sec) / 3600) + " h";
  if (sec >= 120) return Short(static_cast<double>(sec) / 60) + " min";
  return std::to_string(sec) + " s";
}

std::string MoneyText(double amount, std::string_view currency) {
  return std::string(currency) + (std::fabs(amount) < 100 ? Fixed(amount, 2) : Fixed(amount, 0));
}

std::string SettingBytes(uint64_t bytes) {
  if (bytes % (1U << 30) == 0) return std::to_string(bytes >> 30) + "gb";
  return std::to_string(bytes >> 20) + "mb";
}

std::string HtmlEscaped(std::string_view text) {
  return Replaced(text, "&<>\"'", [](char c) -> std::string_view {
    switch (c) {
      case '&':
        return "&amp;";
      case '<':
        return "&lt;";
      case '>':
        return "&gt;";
      case '"':
        return "&quot;";
      default:
        return "&#39;";
    }
  });
}

std::string MarkdownEscaped(std::string_view text) {
  return Replaced(text, "|`*<_", [](char c) -> std::string_view {
    switch (c) {
      case '|':
        return "\\|";
      case '`':
        return "\\`";
      case '*':
        return "\\*";
      case '_':
        return "\\_";
      default:
        return "&lt;";
    }
  });
}

}  // namespace flash::tools
