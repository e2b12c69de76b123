// dump_ahead.h: the server's MIGRATE ... KEYS has the small cold values of its keys read together.
//
// The server saves one value after the other, and each save would wait for a read of its own. A
// command filter, there only while such values are many, remembers which keys a MIGRATE names. The
// first of its values that is found cold, and each that is not at hand later, has the next ones of
// those keys read with it. Names are hints: a wrong one costs a read, and what was read is gone
// when the command ends. Knows nothing of what a payload looks like. Thread: main.
// Decision: docs/adr/0027.
#pragma once

#include "store/place.h"

namespace flash::types {

class DumpAhead {
 public:
  /// From rdb_save in the server itself, ahead of the payload of a value that consists of the one
  /// block `id` (kNoBlock: of none or many): perhaps CopyForSave has it at hand afterwards.
  static void Prepare(BlockId id);

  /// Decides whether there is to be a filter. Once per turn of the event loop.
  static void Turn();
};

}  // namespace flash::types
