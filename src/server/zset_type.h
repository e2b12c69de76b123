// zset_type.h: the data type `flashzst1`.
//
// Bytes in RDB files and AOFs: docs/format/rdb.md. Thread: main, but for the callbacks that
// collection_type.h names.
#pragma once

#include "base/result.h"
#include "server/collection_key.h"
#include "values/zset_value.h"
#include "vk/api.h"

namespace flash::server {

/// Once, at load. Errors: kInvalid.
[[nodiscard]] Result<void> RegisterZSetType(ValkeyModuleCtx* ctx);

/// Null before it is registered.
[[nodiscard]] ValkeyModuleType* ZSetTypeHandle();

/// A key opened as a sorted set.
using ZSetKey = KeyOf<values::ZSetValue, ZSetTypeHandle>;

}  // namespace flash::server
