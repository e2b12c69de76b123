// string.h: strings of the server: views of borrowed ones, and an owner for those we keep.
//
// A view is valid as long as the ValkeyModuleString; arguments live as long as their command. The
// reference counts of the server are not atomic: never own a shared string on another thread, copy
// bytes.
// Thread: main.
#pragma once

#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "vk/api.h"

namespace flash::vk {

/// The text of a borrowed string; binary safe.
[[nodiscard]] inline std::string_view TextOf(const ValkeyModuleString* string) {
  size_t bytes = 0;
  const char* text = ValkeyModule_StringPtrLen(string, &bytes);
  return {text, bytes};
}

/// The bytes of a borrowed string.
[[nodiscard]] inline Bytes BytesOf(const ValkeyModuleString* string) {
  return base::AsBytes(TextOf(string));
}

/// Owns one reference to a string. Move-only.
class String {
 public:
  String() = default;
  /// A new string with a copy of `text`.
  [[nodiscard]] static String Copy(std::string_view text) {
    return String(ValkeyModule_CreateString(nullptr, text.data(), text.size()));
  }
  /// Keeps `string` beyond its command: another reference, or a copy where the server wants one.
  /// When the command returns the server trims arguments that are held (module.c,
  /// ValkeyModuleCommandDispatcher), so a view taken before may dangle: take views anew.
  [[nodiscard]] static String Hold(ValkeyModuleString* string) {
    return String(ValkeyModule_HoldString(nullptr, string));
  }
  /// Takes over the caller's reference.
  [[nodiscard]] static String Adopt(ValkeyModuleString* string) { return String(string); }

  String(String&& other) noexcept : string_(std::exchange(other.string_, nullptr)) {}
  String& operator=(String&& other) noexcept {
    if (this != &other) {
      Free();
      string_ = std::exchange(other.string_, nullptr);
    }
    return *this;
  }
  ~String() { Free(); }

  [[nodiscard]] explicit operator bool() const { return string_ != nullptr; }
  [[nodiscard]] ValkeyModuleString* get() const { return string_; }
  [[nodiscard]] std::string_view text() const { return TextOf(string_); }
  /// Gives the reference away, to an API function that takes it over.
  [[nodiscard]] ValkeyModuleString* Release() { return std::exchange(string_, nullptr); }

 private:
  explicit String(ValkeyModuleString* string) : string_(string) {}
  void Free() {
    if (string_ != nullptr) ValkeyModule_FreeString(nullptr, string_);
  }
  ValkeyModuleString* string_ = nullptr;
};

}  // namespace flash::vk
