// parse_list.h: the arguments of the list commands, in the order in which the server checks them.
//
// Where a command looks at its key before it reads an argument, that argument is parsed by a
// function of its own. Knows no key and no value. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "commands/args.h"

namespace flash::commands {

enum class ListEnd : uint8_t { kHead, kTail };

/// LPOP/RPOP key [count]: the count, absent for a single element. Errors: arity; not a count.
[[nodiscard]] Result<std::optional<int64_t>> ParsePopCount(Args args);

struct MoveEnds {
  ListEnd from = ListEnd::kTail;
  ListEnd to = ListEnd::kHead;
};
/// The words LEFT or RIGHT of LMOVE and BLMOVE: args[3] and args[4].
[[nodiscard]] Result<MoveEnds> ParseMoveEnds(Args args);

/// BEFORE or AFTER, args[2] of LINSERT: true for AFTER.
[[nodiscard]] Result<bool> ParseInsertAfter(Args args);

struct IndexBounds {
  int64_t start = 0;
  int64_t stop = 0;
};
/// The two indexes of LRANGE, LTRIM and ZRANGE: args[first] and the next.
[[nodiscard]] Result<IndexBounds> ParseIndexBounds(Args args, size_t first);

/// args[2] of LREM: how many, from the tail when negative, all when 0.
[[nodiscard]] Result<int64_t> ParseRemoveCount(Args args);

/// The part of `length` elements that inclusive bounds, negative ones from the end, select.
struct IndexRange {
  uint64_t begin = 0;
  uint64_t count = 0;  // 0: nothing.
};
[[nodiscard]] IndexRange RangeOf(IndexBounds bounds, uint64_t length);

/// The element an index names, negative from the end; absent outside.
[[nodiscard]] std::optional<uint64_t> PositionOf(int64_t index, uint64_t length);

}  // namespace flash::commands
