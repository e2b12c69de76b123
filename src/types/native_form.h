// native_form.h: a value of ours becomes a native one of the same content, in one execution unit.
//
// By the server's own commands, which also replicate and stand in the AOF as such, within one
// transaction, in bounded pieces. Knows no command of ours. Thread: main.
// Decision: docs/adr/0016.
#pragma once

#include "base/result.h"
#include "types/contents.h"
#include "vk/api.h"

namespace flash::types {

/// RAM that the native form of a value will take at most, roughly: `bytes` of content.
[[nodiscard]] uint64_t NativeBytes(uint64_t bytes);

/// `maxmemory`, as far as it counts here; 0: none.
[[nodiscard]] uint64_t Maxmemory(ValkeyModuleCtx* ctx);

/// Would so many bytes more take the server over `maxmemory` (0: none)?
[[nodiscard]] bool Exceeds(uint64_t maxmemory, uint64_t bytes);

/// A command that makes native values of such ones, and is hidden from modules (rename-command);
/// null: all of them are there.
[[nodiscard]] const char* HiddenCommand(ValkeyModuleCtx* ctx, const FlashType& type);

/// Replaces the value of `key`, whose content `contents` holds, by its native counterpart. The time
/// to live stays. Uses the contents up. `ctx` must be one whose calls form a unit: of a command, of
/// a reply callback, of a timer. The key must not be open, and none of the commands hidden.
void BecomeNative(ValkeyModuleCtx* ctx, ValkeyModuleString* key, Contents* contents);

/// Told of each value that is about to become native, and then asked not to look: what happens to
/// the key until the value is native is this. One; at load.
using ConversionHook = void (*)(ValkeyModuleCtx* ctx, ValkeyModuleString* key);
void SetConversionHook(ConversionHook hook);
[[nodiscard]] bool IsConverting();

/// Does a value of this type have no blocks, and always lives in RAM?
[[nodiscard]] bool IsResident(const FlashType& type, const void* value);

/// As BecomeNative, of a resident value.
void BecomeNativeResident(ValkeyModuleCtx* ctx, ValkeyModuleString* key, const void* value);

}  // namespace flash::types
