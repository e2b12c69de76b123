// list_parts.h: taking elements off lists and moving them, for plain and blocking commands.
//
// Knows no single command. Thread: main.
#pragma once

#include "commands/collection_parts.h"
#include "commands/parse_list.h"
#include "types/list_type.h"

namespace flash::commands {

using dispatch::ListKey;
using values::ListValue;

inline constexpr int kListClass = VALKEYMODULE_NOTIFY_LIST;

[[nodiscard]] inline ListValue::End EndOf(ListEnd end) {
  return end == ListEnd::kHead ? ListValue::End::kFront : ListValue::End::kBack;
}

/// What Take of `count` elements needs.
void PlanTake(ListKey& key, ListEnd end, uint64_t count, Missing* missing);
/// The same; true: that is more than a command pins, and not all of it is named.
[[nodiscard]] bool IsLongTake(ListKey& key, ListEnd end, uint64_t count, Missing* missing);

/// Replies `count` elements one after the other, the outermost first, and takes them off. Commit
/// after.
void Take(Context& ctx, ListKey& key, ListEnd end, uint64_t count);

/// LMOVE from argument 1 to argument 2. `command`: how it replicates; null: as typed. Absent: there
/// is no source, and nothing was replied.
[[nodiscard]] std::optional<Outcome> Move(Context& ctx, MoveEnds ends, const char* command,
                                          const char* event);

}  // namespace flash::commands
