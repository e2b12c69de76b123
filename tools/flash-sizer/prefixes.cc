// prefixes.cc: see prefixes.h.
//
// What is no name is found by its letters alone: no list of known schemes. Thread: any.
#include "tools/flash-sizer/prefixes.h"

#include <algorithm>
#include <cctype>

namespace flash::tools::sizer {
namespace {

constexpr size_t kPartBytesMax = 40;
constexpr size_t kIdentifierBytesMin = 12;

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// A number, or a word of hexadecimal digits and dashes long enough to be an identifier.
bool IsIdentifier(std::string_view part) {
  if (part.empty()) return false;
  if (std::all_of(part.begin(), part.end(), IsDigit)) return true;
  const bool hexadecimal = std::all_of(part.begin(), part.end(), [](char c) {
    return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == '-';
  });
  return hexadecimal && part.size() >= kIdentifierBytesMin &&
         std::any_of(part.begin(), part.end(), IsDigit);
}

/// Bytes that a report can show: anything else becomes `?`.
std::string Printable(std::string_view part) {
  std::string shown(part.substr(0, kPartBytesMax));
  for (char& c : shown) {
    if (std::isprint(static_cast<unsigned char>(c)) == 0) c = '?';
  }
  return shown;
}

std::string NameOfPart(std::string_view part) {
  if (part.starts_with('{')) {
    if (const size_t close = part.find('}'); close != part.npos) {
      return "{*}" + Printable(part.substr(close + 1));
    }
  }
  return IsIdentifier(part) ? "*" : Printable(part);
}

}  // namespace

std::string PrefixOf(std::string_view name, const PrefixRule& rule) {
  std::string prefix;
  for (uint32_t i = 0; i < rule.depth; i++) {
    // A delimiter within a hash tag ends no part.
    size_t from = 0;
    if (name.starts_with('{')) {
      if (const size_t close = name.find('}'); close != name.npos) from = close;
    }
    const size_t end = name.find_first_of(rule.delimiters, from);
    if (end == name.npos) break;
    prefix += NameOfPart(name.substr(0, end));
    prefix += Printable(name.substr(end, 1));
    name.remove_prefix(end + 1);
  }
  return prefix.empty() ? std::string(kNoPrefix) : prefix + "*";
}

}  // namespace flash::tools::sizer
