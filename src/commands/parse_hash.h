// parse_hash.h: the arguments of the hash commands.
//
// Only FLASH.HSET has any grammar: pairs, and at the very end a clause about the key's time to
// live. Knows no key and no value. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "commands/args.h"

namespace flash::commands {

/// FLASH.HSET key f v [f v …] [EX s|PX ms|EXAT t|PXAT t|KEEPTTL].
///
/// The clause is one only where it stands last and leaves at least one pair: the last two of an
/// even number of arguments, a word and an integer, or the last of an odd number, KEEPTTL. Anywhere
/// else these words are fields and values like others.
struct HSetRequest {
  size_t pairs_end = 0;      ///< Pairs are args[2, pairs_end).
  bool sets_expiry = false;  ///< False: the time to live stays as it is.
  int64_t expire_at_ms = 0;  ///< Absolute Unix time.
};

/// `now_ms` is the time of the command. Errors: arity; invalid expire time.
[[nodiscard]] Result<HSetRequest> ParseHSet(Args args, int64_t now_ms);

}  // namespace flash::commands
