// words.h: words of commands and settings, whose case does not count.
//
// Letters are those of ASCII, whatever the locale. Thread: any.
#pragma once

#include <string_view>

namespace flash::base {

[[nodiscard]] constexpr char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Is `text` the word `lower_case`, in any case?
[[nodiscard]] constexpr bool IsWord(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (Lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

}  // namespace flash::base
