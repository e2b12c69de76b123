// string_type.h: the data type `flashstr1` as the server knows it.
//
// Its value pointer is a StringValue. Bytes of RDB, DUMP and AOF: docs/format/rdb.md.
// Thread: see string_type.cc; registration on the main thread at load.
#pragma once

#include "base/result.h"
#include "vk/api.h"

namespace flash::types {

/// Registers the type. Once, at load. Errors: kInvalid, the server refused.
[[nodiscard]] Result<void> RegisterStringType(ValkeyModuleCtx* ctx);

namespace internal {
inline ValkeyModuleType* string_type_handle = nullptr;
}
[[nodiscard]] inline ValkeyModuleType* StringTypeHandle() { return internal::string_type_handle; }

}  // namespace flash::types
