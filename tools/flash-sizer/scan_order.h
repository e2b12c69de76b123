// scan_order.h: what a SCAN cursor says about where in the keyspace a server is.
//
// A server visits the buckets of its hash table in the order of their reversed index, so a cursor
// is a place in the interval [0, 1): the keys between two cursors are those whose hash, reversed,
// lies between them. The hash is keyed and random (SipHash), so every such stretch is a random
// sample of the keys, whatever they hold. Nodes of a cluster have, since Valkey 8.0 and Redis 7.4,
// one table for each slot and the slot in the low 14 bits of the cursor. Method: docs/sizing.md.
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>

#include "tools/common/slots.h"

namespace flash::tools::sizer {

/// The part of the table before `cursor`, which holds no slot: reversed bits as a binary fraction.
[[nodiscard]] double Place(uint64_t cursor);

/// One of 2^bits equal cells of the table, as the cursor at which it begins.
[[nodiscard]] uint64_t CellCursor(uint64_t cell, unsigned bits);

/// How to read the cursors of one node.
class CursorForm {
 public:
  /// One table for all keys.
  static CursorForm Whole() { return CursorForm(false); }
  /// A table for each slot.
  static CursorForm PerSlot() { return CursorForm(true); }

  [[nodiscard]] bool per_slot() const { return per_slot_; }

  /// The cursor at which the cell (of `slot`, if tables are per slot) begins.
  [[nodiscard]] uint64_t Begin(uint64_t cell, unsigned bits, uint16_t slot) const;

  /// The part of the table (of `slot`) that lies between `begin` and the cursor that a SCAN
  /// returned: up to the end if that is 0 or has gone on to another slot.
  [[nodiscard]] double Covered(uint64_t begin, uint64_t returned) const;

  /// True when the SCAN has come to the end of the table (of the slot) that `begin` is in.
  [[nodiscard]] bool AtEnd(uint64_t begin, uint64_t returned) const;

 private:
  explicit CursorForm(bool per_slot) : per_slot_(per_slot) {}

  bool per_slot_;
};

}  // namespace flash::tools::sizer
