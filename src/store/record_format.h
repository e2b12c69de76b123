// record_format.h: the bytes of one record, written, verified and unpacked.
//
// Pure functions over byte ranges. Knows neither segments in use nor buffers nor owners. Nothing of
// a record may be believed before VerifyRecord holds; the functions say which need that. Thread:
// any. Bytes: docs/format/segment.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "store/place.h"

namespace flash::store {

inline constexpr uint32_t kRecordHeaderBytes = 24;
inline constexpr uint32_t kRecordBytesMax = 1u << 20;
/// Largest payload on any file; a small segment lowers it further.
inline constexpr uint32_t kPayloadBytesMax = kRecordBytesMax - 64;

/// The first bytes of a record, as they lie on flash.
struct RecordHeader {
  uint64_t checksum = 0;
  uint64_t id_and_flags = 0;
  uint32_t raw_bytes = 0;
  uint32_t stored_bytes = 0;

  static constexpr uint64_t kCompressedFlag = uint64_t{1} << kBlockIdBits;

  [[nodiscard]] BlockId id() const { return id_and_flags & kBlockIdMax; }
  [[nodiscard]] bool compressed() const { return (id_and_flags & kCompressedFlag) != 0; }
  /// Header, stored bytes and padding.
  [[nodiscard]] uint32_t record_bytes() const;
};
static_assert(sizeof(RecordHeader) == kRecordHeaderBytes);
static_assert(offsetof(RecordHeader, checksum) == 0);
static_assert(offsetof(RecordHeader, id_and_flags) == 8);
static_assert(offsetof(RecordHeader, raw_bytes) == 16);
static_assert(offsetof(RecordHeader, stored_bytes) == 20);
static_assert(kRecordBytesMax / kUnitBytes == 1u << kPlaceLengthBits);

/// What every checksum of a segment's present life is seeded with, besides id and offset.
struct ChecksumContext {
  uint64_t hash_seed = 0;
  uint64_t sequence = 0;
};

/// Bytes a record of `stored_bytes` takes: a multiple of kUnitBytes.
[[nodiscard]] constexpr uint32_t RecordBytes(uint32_t stored_bytes) {
  return static_cast<uint32_t>(base::AlignUp(kRecordHeaderBytes + stored_bytes, kUnitBytes));
}

/// Could these fields have been written by us? Says nothing about whether they were.
[[nodiscard]] bool IsPlausible(const RecordHeader& header);

/// Everything but the checksum of the record at `from`: id, flags and lengths. The checksum bytes
/// are not touched, so this may run while a write task fills them in. Nullopt: too short or not
/// plausible.
[[nodiscard]] std::optional<RecordHeader> ReadHeader(Bytes from);

/// Is the first unit zero: the end of a chunk? (A record's id is never 0.)
[[nodiscard]] bool IsChunkEnd(Bytes from);

/// Writes a record without its checksum (zero): header, `stored`, padding. `to` has
/// header.record_bytes(). The frame is all but `stored`.
void WriteRecordFrame(const RecordHeader& header, std::byte* to);
void WriteRecord(const RecordHeader& header, const std::byte* stored, std::byte* to);

/// The header of a record about to be written.
[[nodiscard]] RecordHeader MakeHeader(BlockId id, bool compressed, uint32_t raw_bytes,
                                      uint32_t stored_bytes);

/// The checksum of the record that begins at `record` and will lie, or lies, at file offset
/// `offset`.
[[nodiscard]] uint64_t RecordChecksum(const std::byte* record, const RecordHeader& header,
                                      uint64_t offset, const ChecksumContext& context);

/// Fills in the checksums of the records in `chunk`, back to back up to its end, all written by
/// WriteRecord. `offset`: where the chunk lies in the file.
void SealRecords(MutableBytes chunk, uint64_t offset, const ChecksumContext& context);

/// Reads the record at the start of `from`: nullopt unless it is whole, plausible and its checksum
/// holds for this offset and context.
[[nodiscard]] std::optional<RecordHeader> VerifyRecord(Bytes from, uint64_t offset,
                                                       const ChecksumContext& context);

/// What `raw_bytes` may be packed to at most: an eighth less.
[[nodiscard]] constexpr size_t PackedBytesMax(size_t raw_bytes) {
  return raw_bytes - (raw_bytes + 7) / 8;
}

/// Compresses `raw` into `to` (at least raw.size() bytes). Returns the bytes used, or 0 when that
/// would not save an eighth.
[[nodiscard]] uint32_t PackPayload(Bytes raw, MutableBytes to);

/// Copies or decompresses the payload of a record (its stored bytes at `stored`) to `to`, which has
/// header.raw_bytes. False: the stored bytes are not what the header says. Safe for any bytes.
[[nodiscard]] bool UnpackPayload(const RecordHeader& header, const std::byte* stored,
                                 std::byte* to);

}  // namespace flash::store
