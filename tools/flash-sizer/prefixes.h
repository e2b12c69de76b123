// prefixes.h: the group that a key belongs to by its name, for the report's table by prefix.
//
// `user:1000:cart` and `user:7:cart` belong to `user:*`. Parts that are numbers or identifiers are
// no names and become `*`, and a hash tag {…} counts by its place, not by its text; so reports show
// how keys are named, not whose they are. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flash::tools::sizer {

struct PrefixRule {
  std::string delimiters = ":";  ///< Any of these characters ends a part.
  uint32_t depth = 1;            ///< How many parts a group's name has.
};

/// What names without a delimiter are counted under.
inline constexpr std::string_view kNoPrefix = "(no prefix)";

[[nodiscard]] std::string PrefixOf(std::string_view name, const PrefixRule& rule);

}  // namespace flash::tools::sizer
