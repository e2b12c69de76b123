// migrate_words.h: where the words of a MIGRATE, the server's or FLASH.MIGRATE, name keys.
//
// Thread: any.
#pragma once

#include <string_view>

#include "base/words.h"

namespace flash::types {

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
    if (base::IsWord(word, "keys")) return i + 1;
    if (base::IsWord(word, "auth")) ++i;
    if (base::IsWord(word, "auth2")) i += 2;
  }
  return 0;
}

}  // namespace flash::types
