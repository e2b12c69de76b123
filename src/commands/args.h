// args.h: the arguments of a command as text, and words compared as the server compares them.
//
// Parsers work on views alone, so that they are tested without a server; the first argument is the
// command's name, as in argv. Knows no command. Thread: any.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/words.h"

namespace flash::commands {

/// All arguments, args[0] the command's name. The views outlive the parsed request.
using Args = std::span<const std::string_view>;

/// The error replies of parsers carry the whole text, code word first, in Error::message.
[[nodiscard]] inline Error ReplyText(std::string text) {
  return Error{Code::kInvalid, std::move(text)};
}
[[nodiscard]] inline Error SyntaxError() { return ReplyText("ERR syntax error"); }
/// An arity that the command table cannot express.
[[nodiscard]] inline Error ArityError(std::string_view command) {
  return ReplyText("ERR wrong number of arguments for '" + std::string(command) + "' command");
}

/// The text up to its first zero byte: how the server reads words and numbers of some options.
[[nodiscard]] constexpr std::string_view CText(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

/// Is `text` the word `lower_case`, in any case? What follows a zero byte does not count.
[[nodiscard]] constexpr bool IsWord(std::string_view text, std::string_view lower_case) {
  const size_t size = lower_case.size();
  const bool ends_early = text.size() > size && text[size] == '\0';
  return base::IsWord(ends_early ? text.substr(0, size) : text, lower_case);
}

}  // namespace flash::commands
