// key.h: an open key of the keyspace, closed at the end of its scope.
//
// Opening for writing deletes an expired key and propagates that. The module runs with
// NO_IMPLICIT_SIGNAL_MODIFIED, so closing signals nothing: writers call SignalModifiedKey
// themselves. A handle must not stay open over a Call that may touch the same key. Thread: main.
#pragma once

#include <utility>

#include "vk/api.h"

namespace flash::vk {

class Key {
 public:
  /// For looks that nobody may notice: no LRU, no expiry, no events, no statistics.
  static constexpr int kPeek = VALKEYMODULE_READ | VALKEYMODULE_OPEN_KEY_NOTOUCH |
                               VALKEYMODULE_OPEN_KEY_NONOTIFY | VALKEYMODULE_OPEN_KEY_NOSTATS |
                               VALKEYMODULE_OPEN_KEY_NOEXPIRE | VALKEYMODULE_OPEN_KEY_NOEFFECTS;

  /// For the second look of a command that has looked already: it was counted, and told, once.
  static constexpr int kAgain = VALKEYMODULE_OPEN_KEY_NOTOUCH | VALKEYMODULE_OPEN_KEY_NONOTIFY |
                                VALKEYMODULE_OPEN_KEY_NOSTATS;

  Key() = default;
  /// `mode`: VALKEYMODULE_READ, VALKEYMODULE_READ | VALKEYMODULE_WRITE, or kPeek.
  Key(ValkeyModuleCtx* ctx, ValkeyModuleString* name, int mode)
      : key_(ValkeyModule_OpenKey(ctx, name, mode)) {}
  Key(Key&& other) noexcept : key_(std::exchange(other.key_, nullptr)) {}
  Key& operator=(Key&& other) noexcept {
    if (this != &other) {
      Close();
      key_ = std::exchange(other.key_, nullptr);
    }
    return *this;
  }
  ~Key() { Close(); }

  void Close() {
    if (key_ != nullptr) ValkeyModule_CloseKey(std::exchange(key_, nullptr));
  }

  [[nodiscard]] ValkeyModuleKey* get() const { return key_; }
  /// VALKEYMODULE_KEYTYPE_*; a key that does not exist is _EMPTY.
  [[nodiscard]] int type() const { return ValkeyModule_KeyType(key_); }
  [[nodiscard]] bool exists() const { return type() != VALKEYMODULE_KEYTYPE_EMPTY; }
  /// Null unless the key holds a value of a module's.
  [[nodiscard]] ValkeyModuleType* module_type() const {
    return ValkeyModule_ModuleTypeGetType(key_);
  }
  [[nodiscard]] void* module_value() const { return ValkeyModule_ModuleTypeGetValue(key_); }
  /// Absolute Unix time in milliseconds, or VALKEYMODULE_NO_EXPIRE.
  [[nodiscard]] mstime_t expire_at_ms() const { return ValkeyModule_GetAbsExpire(key_); }

 private:
  ValkeyModuleKey* key_ = nullptr;
};

}  // namespace flash::vk
