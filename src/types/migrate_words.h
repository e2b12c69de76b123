// migrate_words.h: where the words of a MIGRATE, the server's or FLASH.MIGRATE, name keys.
//
// Thread: any.
#pragma once

#include <cctype>
#include <string_view>

namespace flash::types {

/// Is `text` the word `lower_case`, in whatever case?
[[nodiscard]] inline bool IsWord(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(text[i])) != lower_case[i]) return false;
  }
  return true;
}

/// Of MIGRATE host port key db timeout: the one key, or "" ahead of KEYS.
inline constexpr int kMigrateKey = 3;
inline constexpr int kMigrateOptions = 6;

/// Index of the first word behind KEYS, of `count` words with the command's name; `word_at(int)`
/// gives a std::string_view. 0: there is no KEYS.
template <typename WordAt>
[[nodiscard]] int FirstOfMigrateKeys(int count, const WordAt& word_at) {
  if (count <= kMigrateKey || !word_at(kMigrateKey).empty()) return 0;
  for (int i = kMigrateOptions; i < count; ++i) {
    const std::string_view word = word_at(i);
    if (IsWord(word, "keys")) return i + 1;
    if (IsWord(word, "auth")) ++i;
    if (IsWord(word, "auth2")) i += 2;
  }
  return 0;
}

}  // namespace flash::types
