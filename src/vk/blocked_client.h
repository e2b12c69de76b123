// blocked_client.h: a client that waits for a reply, and the duty to end its wait exactly once.
//
// Even a client that disconnected must be unblocked, or the server keeps its handle for ever. Where
// a client may not be blocked the server asserts or answers null, depending on its version: test
// CanBlock first and still expect null (clients with subscriptions). Thread: main.
#pragma once

#include <utility>

#include "base/result.h"
#include "vk/api.h"

namespace flash::vk {

/// Context flags under which a client must not be blocked.
inline constexpr uint32_t kNoBlockingFlags =
    VALKEYMODULE_CTX_FLAGS_MULTI | VALKEYMODULE_CTX_FLAGS_LUA |
    VALKEYMODULE_CTX_FLAGS_DENY_BLOCKING | VALKEYMODULE_CTX_FLAGS_REPLICATED |
    VALKEYMODULE_CTX_FLAGS_LOADING;

class [[nodiscard]] BlockedClient {
 public:
  BlockedClient() = default;

  /// Blocks the client of `ctx` without a time limit. `on_reply` runs when it was unblocked, on the
  /// main thread, as a unit of execution of its own; `free_privdata` after it, and also for a
  /// client that left. Empty if the server refuses. Only where ContextFlags has none of
  /// kNoBlockingFlags.
  static BlockedClient Block(ValkeyModuleCtx* ctx, ValkeyModuleCmdFunc on_reply,
                             void (*free_privdata)(ValkeyModuleCtx*, void*)) {
    return BlockedClient(ValkeyModule_BlockClient(ctx, on_reply, nullptr, free_privdata, 0));
  }

  BlockedClient(BlockedClient&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  BlockedClient& operator=(BlockedClient&& other) noexcept {
    FLASH_CHECK(handle_ == nullptr);
    handle_ = std::exchange(other.handle_, nullptr);
    return *this;
  }
  ~BlockedClient() { FLASH_CHECK(handle_ == nullptr); }

  [[nodiscard]] explicit operator bool() const { return handle_ != nullptr; }
  [[nodiscard]] ValkeyModuleBlockedClient* get() const { return handle_; }

  /// Called when the client leaves before it was unblocked; `on_reply` then never runs.
  void OnDisconnect(ValkeyModuleDisconnectFunc callback) {
    ValkeyModule_SetDisconnectCallback(handle_, callback);
  }
  /// Makes slow log and latency figures count the time from Start to End.
  void MeasureStart() { ValkeyModule_BlockedClientMeasureTimeStart(handle_); }
  void MeasureEnd() { ValkeyModule_BlockedClientMeasureTimeEnd(handle_); }

  /// Ends the wait: `on_reply` runs soon, with `privdata` for GetBlockedClientPrivateData.
  void Unblock(void* privdata) {
    FLASH_CHECK(handle_ != nullptr);
    ValkeyModule_UnblockClient(std::exchange(handle_, nullptr), privdata);
  }
  /// Ends the wait without any callback: the command has replied, or will, by itself.
  void Abort() {
    FLASH_CHECK(handle_ != nullptr);
    ValkeyModule_AbortBlock(std::exchange(handle_, nullptr));
  }

 private:
  explicit BlockedClient(ValkeyModuleBlockedClient* handle) : handle_(handle) {}
  ValkeyModuleBlockedClient* handle_ = nullptr;
};

}  // namespace flash::vk
