// hash_type.h: the data type `flashhsh1`.
//
// Bytes in RDB files and AOFs: docs/format/rdb.md. Thread: main, but for the callbacks that
// collection_type.h names.
#pragma once

#include "base/result.h"
#include "vk/api.h"

namespace flash::types {

/// Once, at load. Errors: kInvalid.
[[nodiscard]] Result<void> RegisterHashType(ValkeyModuleCtx* ctx);

/// Null before it is registered.
[[nodiscard]] ValkeyModuleType* HashTypeHandle();

}  // namespace flash::types
