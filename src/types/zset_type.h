// zset_type.h: the data type `flashzst1`.
//
// Bytes in RDB files and AOFs: docs/format/rdb.md. Thread: main, but for the callbacks that
// collection_type.h names.
#pragma once

#include <string>

#include "base/result.h"
#include "vk/api.h"

namespace flash::types {

/// Once, at load. Errors: kInvalid.
[[nodiscard]] Result<void> RegisterZSetType(ValkeyModuleCtx* ctx);

/// Null before it is registered.
[[nodiscard]] ValkeyModuleType* ZSetTypeHandle();

/// Reads back as the same double.
[[nodiscard]] std::string ScoreText(double score);

}  // namespace flash::types
