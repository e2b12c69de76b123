// duration.h: durations as people type them: 90s, 10m, 6h, 2d, or plain seconds.
//
// Thread: any.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace flash::tools {

/// Seconds, 1 to 194 days (as far as a server's clock of idle times reaches). Errors: kInvalid.
[[nodiscard]] inline Result<uint32_t> ParseDuration(std::string_view text) {
  constexpr uint64_t kSecondsMax = 194ULL * 86400;
  const Error wrong{Code::kInvalid, "expected a duration as 90s, 10m, 6h or 2d, up to 194d"};
  uint64_t factor = 1;
  if (text.ends_with('s') || text.ends_with('m') || text.ends_with('h') || text.ends_with('d')) {
    const char unit = text.back();
    factor = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 86400;
    text.remove_suffix(1);
  }
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return wrong;
  if (number == 0 || number > kSecondsMax / factor) return wrong;
  return static_cast<uint32_t>(number * factor);
}

}  // namespace flash::tools
