// glob.cc: see glob.h.
//
// A star is first taken as empty; on a mismatch the last star takes one byte more and matching goes
// on behind it. Earlier stars need not be tried again, so time is at most pattern × text.
// Thread: any.
#include "base/glob.h"

#include <algorithm>
#include <cstddef>

namespace flash::base {
namespace {

/// Matches the class that begins at pattern[*at] == '[' against one byte and moves behind it. A
/// class that does not end in time ends with the pattern.
bool ClassMatches(std::string_view pattern, size_t* at, char byte) {
  size_t i = *at + 1;
  const bool negated = i < pattern.size() && pattern[i] == '^';
  if (negated) ++i;
  bool matches = false;
  while (i < pattern.size() && pattern[i] != ']') {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) {
      matches |= pattern[i + 1] == byte;
      i += 2;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      const auto [low, high] = std::minmax(pattern[i], pattern[i + 2]);
      matches |= low <= byte && byte <= high;
      i += 3;
    } else {
      matches |= pattern[i] == byte;
      ++i;
    }
  }
  *at = std::min(i + 1, pattern.size());
  return matches != negated;
}

/// Matches one byte against what stands at pattern[*at], not a star, and moves behind that.
bool StepMatches(std::string_view pattern, size_t* at, char byte) {
  switch (pattern[*at]) {
    case '?':
      ++*at;
      return true;
    case '[':
      return ClassMatches(pattern, at, byte);
    case '\\':
      if (*at + 1 < pattern.size()) ++*at;
      break;
    default:
      break;
  }
  return pattern[(*at)++] == byte;
}

}  // namespace

bool GlobMatches(std::string_view pattern, std::string_view text) {
  size_t at = 0;
  size_t position = 0;
  size_t behind_star = std::string_view::npos;
  size_t star_position = 0;
  while (position < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      behind_star = ++at;
      star_position = position;
      continue;
    }
    if (at < pattern.size() && StepMatches(pattern, &at, text[position])) {
      ++position;
      continue;
    }
    if (behind_star == std::string_view::npos) return false;
    at = behind_star;
    position = ++star_position;
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

}  // namespace flash::base
