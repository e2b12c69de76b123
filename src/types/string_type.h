// string_type.h: the data type `flashstr1` as the server knows it.
//
// Its value pointer is a StringValue. Bytes of RDB, DUMP and AOF: docs/format/rdb.md.
// Thread: see string_type.cc; registration on the main thread at load.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "vk/api.h"

namespace flash::types {

/// Registers the type. Once, at load. Errors: kInvalid, the server refused.
[[nodiscard]] Result<void> RegisterStringType(ValkeyModuleCtx* ctx);

namespace internal {
inline ValkeyModuleType* string_type_handle = nullptr;
}
[[nodiscard]] inline ValkeyModuleType* StringTypeHandle() { return internal::string_type_handle; }

/// A value with a copy of `bytes`, as if it had been loaded: hot while there is room, else straight
/// to flash, waiting for it; with `must` in RAM where neither has room. Errors: kNoSpace.
[[nodiscard]] Result<void*> BuildString(Bytes bytes, bool must);

}  // namespace flash::types
