// replay_native.h: what the server's own commands did to keys of ours, done again to the key space.
//
// Not by those commands: on a node of a cluster calls of modules go by slots, and while a log is
// replayed no cluster is up yet. Thread: main. Decision: docs/adr/0015.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "vk/api.h"

namespace flash::durability {

/// Where a key is.
struct KeyPlace {
  uint64_t db = 0;
  std::string_view name;
};

/// False: there is no such database.
[[nodiscard]] bool SelectDb(ValkeyModuleCtx* ctx, uint64_t db);

/// Deletes a key of any type, if it is there.
void DeleteKey(ValkeyModuleCtx* ctx, std::string_view name);

/// What becomes of the key that is copied.
enum class Source : uint8_t { kStays, kGoes };
/// The key `to` becomes what the key `from` is, with its time to live, whatever was there. Errors:
/// kCorrupt, `from` is no key of ours, or there is no such database.
[[nodiscard]] Result<void> CopyKey(ValkeyModuleCtx* ctx, KeyPlace from, KeyPlace to, Source source);

/// Makes a key of what DUMP gave, without a time to live, in the place of whatever is there. The
/// bytes are trusted as the log's are. Errors: kCorrupt.
[[nodiscard]] Result<void> RestoreKey(ValkeyModuleCtx* ctx, std::string_view name,
                                      std::string_view dump);

}  // namespace flash::durability
