// call_reply.h: the reply of a command run through the server, freed at the end of its scope.
//
// Views point into the reply. Thread: main.
#pragma once

#include <string_view>
#include <utility>

#include "vk/api.h"

namespace flash::vk {

class CallReply {
 public:
  CallReply() = default;
  explicit CallReply(ValkeyModuleCallReply* reply) : reply_(reply) {}
  CallReply(CallReply&& other) noexcept : reply_(std::exchange(other.reply_, nullptr)) {}
  CallReply& operator=(CallReply&& other) noexcept {
    if (this != &other) {
      Free();
      reply_ = std::exchange(other.reply_, nullptr);
    }
    return *this;
  }
  ~CallReply() { Free(); }

  [[nodiscard]] ValkeyModuleCallReply* get() const { return reply_; }
  /// VALKEYMODULE_REPLY_*; a call that failed without reply counts as an error.
  [[nodiscard]] int type() const {
    return reply_ == nullptr ? VALKEYMODULE_REPLY_ERROR : ValkeyModule_CallReplyType(reply_);
  }
  [[nodiscard]] bool is_error() const { return type() == VALKEYMODULE_REPLY_ERROR; }
  /// Text of a string, status or error reply; empty for others.
  [[nodiscard]] std::string_view text() const {
    size_t bytes = 0;
    const char* text =
        reply_ == nullptr ? nullptr : ValkeyModule_CallReplyStringPtr(reply_, &bytes);
    return text == nullptr ? std::string_view() : std::string_view(text, bytes);
  }
  /// The caller frees it.
  [[nodiscard]] ValkeyModuleCallReply* Release() { return std::exchange(reply_, nullptr); }
  [[nodiscard]] long long integer() const { return ValkeyModule_CallReplyInteger(reply_); }

 private:
  void Free() {
    if (reply_ != nullptr) ValkeyModule_FreeCallReply(reply_);
  }
  ValkeyModuleCallReply* reply_ = nullptr;
};

}  // namespace flash::vk
