// adoption.h: a native value becomes one of ours of the same content, in one stretch.
//
// Built element by element in bounded memory first, then put in the native one's place. Knows no
// command; whoever adopts tells replicas, clients and events. Thread: main.
// Decision: docs/adr/0019.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "vk/api.h"

namespace flash::types {

struct AdoptOptions {
  /// Was acknowledged once, elsewhere: goes beyond the bound where there is no room.
  bool must = false;
};

/// True: the key holds the FLASH form now; time to live and access history stayed. False: there is
/// no such key, or it is one of ours. Errors, the key is untouched: kUnsupported, a value that has
/// no counterpart here, the message is the reply; kNoSpace; of reads while a large value is put in
/// order: kIo, kCorrupt, kTimeout.
[[nodiscard]] Result<bool> Adopt(ValkeyModuleCtx* ctx, ValkeyModuleString* name,
                                 const AdoptOptions& options);

/// A log that cannot see native values: what would make the adopted one from nothing. At load.
struct AdoptionLog {
  /// A value is about to be adopted; false: nobody needs to know how it is made.
  bool (*begin)(ValkeyModuleCtx* ctx) = nullptr;
  void (*command)(ValkeyModuleCtx* ctx, std::span<const std::string_view> words) = nullptr;
  void (*expiry)(ValkeyModuleCtx* ctx, std::string_view key, mstime_t at_ms) = nullptr;
};
void SetAdoptionLog(const AdoptionLog& log);

}  // namespace flash::types
