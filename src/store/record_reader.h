// record_reader.h: from the bytes that a read brought to a verified payload in memory of its own.
//
// Pure but for the allocation. Nothing is allocated for a record that does not verify.
// Knows neither segments nor buffers. Thread: any (I/O threads, a forked child).
//
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "store/record_format.h"
#include "store/record_store.h"

namespace flash::store {

/// What a read expects to find.
struct RecordExpectation {
  BlockId id = kNoBlock;
  Place place;
  ChecksumContext context;
};

/// The aligned range of the file that holds a record.
struct Extent {
  uint64_t offset = 0;
  uint32_t bytes = 0;
};
[[nodiscard]] Extent ExtentOf(Place place, uint32_t alignment);

/// The record in `extent_bytes`, which were read from `extent_offset`, verified: header and what is
/// stored. Errors: kCorrupt.
[[nodiscard]] Result<Bytes> FindRecord(const RecordExpectation& expected, Bytes extent_bytes,
                                       uint64_t extent_offset);

/// The same, unpacked into a new buffer with `prefix_bytes` of room before it. Errors: kCorrupt.
[[nodiscard]] Result<ReadBuffer> UnpackRecord(const RecordExpectation& expected, Bytes extent_bytes,
                                              uint64_t extent_offset, uint32_t prefix_bytes);

/// The payload of the record in `extent_bytes`, verified likewise, without memory of its own: in
/// the extent itself, or unpacked to `scratch`. Errors: kCorrupt.
[[nodiscard]] Result<Bytes> ViewRecord(const RecordExpectation& expected, Bytes extent_bytes,
                                       uint64_t extent_offset, std::vector<std::byte>* scratch);

/// Unpacks a record that was verified, or never left this process, from its header and the bytes
/// stored behind it, wherever those are: the header must fit, the checksum is not looked at (a
/// write task may be filling it in). Errors: kCorrupt.
[[nodiscard]] Result<ReadBuffer> UnpackTrusted(BlockId id, Place place, Bytes header_bytes,
                                               const std::byte* stored, uint32_t prefix_bytes);

}  // namespace flash::store
