// segment_walk.h: finds the records in a stretch of a segment, for compaction.
//
// A pure function over bytes read from flash, which may be anything: torn, stale, flipped, foreign.
// What it reports has been verified. Does not know which records still count: their owner does.
// Thread: any (it runs on I/O threads). Bytes: docs/format/segment.md.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "store/record_format.h"

namespace flash::store {

/// A stretch of a segment's file range and where to look in it.
struct WalkInput {
  Bytes bytes;                 // From file offset `offset`.
  uint64_t offset = 0;         // Multiple of `alignment`.
  uint64_t first_offset = 0;   // The first record is expected here; within `bytes`.
  uint64_t segment_end = 0;    // Nothing was written at or behind this.
  uint32_t alignment = 0;      // The device's: chunks begin at multiples of it.
  bool in_the_middle = false;  // What lies before could not be read: a record may be cut there.
  ChecksumContext context;
};

struct WalkOutput {
  uint32_t records = 0;  // Verified and copied.
  uint32_t copied_bytes = 0;
  uint64_t next_offset = 0;    // Where the next stretch goes on; segment_end: all was walked.
  uint32_t corrupt_bytes = 0;  // Stepped over without finding a record in them.
};

/// Walks `input` and copies each verified record that lies wholly in it, back to back, to `to` (at
/// least as large as the stretch). In a copy the first 8 bytes hold the record's file offset
/// instead of its checksum. Given at least the largest record's bytes and alignment, or all
/// up to segment_end, next_offset advances.
[[nodiscard]] WalkOutput CollectRecords(const WalkInput& input, MutableBytes to);

/// Where a copy made by CollectRecords came from.
[[nodiscard]] inline uint64_t OffsetOfCopy(const std::byte* copy) {
  return base::LoadLe<uint64_t>(copy);
}

}  // namespace flash::store
