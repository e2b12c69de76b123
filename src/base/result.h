// result.h: what a function that can fail returns, and CHECK for what cannot fail.
//
// Error carries a code the caller can act on and, where a person may read it, a message. The codes
// are few on purpose: each says what the caller may do next. No exceptions anywhere in the project.
// Thread: any.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

/// Ends the process with a message when a statement that must hold does not: a bug, never bad
/// input.
#define FLASH_CHECK(condition)                                    \
  do {                                                            \
    if (!(condition)) [[unlikely]] {                              \
      ::flash::base::CheckFailed(#condition, __FILE__, __LINE__); \
    }                                                             \
  } while (false)

#ifdef NDEBUG
#define FLASH_DCHECK(condition) \
  do {                          \
  } while (false)
#else
#define FLASH_DCHECK(condition) FLASH_CHECK(condition)
#endif

namespace flash::base {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "valkey-flash: check failed: %s at %s:%d\n", condition, file, line);
  std::abort();
}

enum class Code : uint8_t {
  kBusy,         ///< A bounded resource is in use: drive completions, then retry.
  kNoSpace,      ///< No room on the device or in the tier: free something first.
  kInvalid,      ///< The request itself is wrong: do not retry.
  kCorrupt,      ///< Bytes read are not the bytes written: never retried, never shown.
  kIo,           ///< The device failed the request.
  kTimeout,      ///< The device did not answer within the limit.
  kGone,         ///< The thing asked for was freed meanwhile.
  kForeign,      ///< A file belongs to something else or to a newer version.
  kLocked,       ///< Another process holds the file.
  kUnsupported,  ///< The kernel or the sandbox refuses the facility.
};

struct Error {
  Code code = Code::kInvalid;
  std::string message;  ///< For people; may be empty on hot paths.
};

/// A value or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT
  Result(Code code) : state_(std::in_place_index<1>, Error{code, {}}) {}     // NOLINT

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }
  [[nodiscard]] Code code() const { return error().code; }
  [[nodiscard]] T Take() && { return std::get<0>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT
  Result(Code code) : failed_(true), error_{code, {}} {}            // NOLINT

  [[nodiscard]] bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] Code code() const { return error_.code; }

 private:
  bool failed_ = false;
  Error error_;
};

}  // namespace flash::base

namespace flash {
using base::Code;
using base::Error;
using base::Result;
}  // namespace flash
