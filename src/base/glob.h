// glob.h: glob-style patterns as the server matches them: * ? [a-z] [^a] and \ for the next byte.
//
// Bytes, not characters; no case folding. Knows nothing else. Thread: any.
#pragma once

#include <string_view>

namespace flash::base {

/// Does all of `text` match `pattern`?
[[nodiscard]] bool GlobMatches(std::string_view pattern, std::string_view text);

}  // namespace flash::base
