// log_format.h: the log as bytes: superblock, segment header, pieces of frames.
//
// Encoding and recognition of single structures; how they follow each other, and what to make of a
// bad one, is the scan's (log_scan.h). Knows neither devices nor threads. Nothing decoded is
// believed before its checksum holds. Thread: any. Format: docs/format/log.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace flash::log {

/// Number of an effect, from 1, without gaps; 0: before the first.
using Lsn = uint64_t;
/// Drawn at random when a log is begun; all zero: none.
using LogId = std::array<std::byte, 16>;

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint32_t kPageBytes = 4096;
inline constexpr uint64_t kSegmentsOffset = 2 * kPageBytes;  // Behind the two superblocks.
inline constexpr uint32_t kSegmentBytesMin = 64 * kKiB;
inline constexpr uint32_t kSegmentBytesMax = 1 * kGiB;
inline constexpr uint32_t kPieceHeaderBytes = 40;
inline constexpr uint32_t kPieceAlignment = 8;
inline constexpr uint32_t kPieceBytesMax = 1 * kMiB;  // Header and payload.
inline constexpr uint32_t kSegmentHeaderBytes = 88;
inline constexpr uint32_t kEffectLengthBytesMax = 10;

/// What the checksums of a segment's content are seeded with, besides its position.
struct Origin {
  LogId id{};
  uint64_t generation = 0;  // Of the opening that wrote it.
};
/// A position counts bytes through the log: segment number times segment bytes, and the offset in
/// the segment. It is never used twice within a generation.
[[nodiscard]] uint64_t ChecksumSeed(const Origin& origin, uint64_t position);

/// One log in the file: where its first segment is, and up to where a snapshot holds it.
struct Chain {
  LogId id{};
  uint64_t first_number = 0;  // Of its first segment.
  uint32_t first_slot = 0;
  Lsn cut_lsn = 0;          // A snapshot holds every effect up to here.
  uint64_t generation = 0;  // The newest that its segments may have, and
  uint64_t tail = 0;        // where it ended when that began: only its segments come behind.
  [[nodiscard]] bool none() const { return id == LogId{}; }
};

enum class FileState : uint32_t { kOpen = 1, kClosed = 2 };

struct LogSuperblock {
  uint32_t segment_bytes = 0;
  uint64_t counter = 0;     // The valid one of the two with the higher counter counts.
  uint64_t generation = 0;  // The newest in the file.
  FileState state = FileState::kOpen;
  uint64_t durable = 0;  // Position up to which `current` is known to be durable; closed: its end.
  Lsn last_lsn = 0;      // Closed: the last effect.
  Chain current;
  Chain previous;  // Kept until a snapshot of `current` stands.
};

enum class BlockKind : uint8_t { kOurs, kNewer, kDamaged, kForeign, kEmpty };

struct LogSuperblockFound {
  BlockKind kind = BlockKind::kForeign;
  uint32_t version = 0;
  LogSuperblock superblock;
};

using Page = std::array<std::byte, kPageBytes>;
[[nodiscard]] Page EncodeLogSuperblock(const LogSuperblock& superblock);
/// Judges one page. kEmpty: zeros, or fewer bytes than a page that are all zero.
[[nodiscard]] LogSuperblockFound DecodeLogSuperblock(Bytes bytes);

struct SegmentHeader {
  Origin origin;
  uint64_t number = 0;        // Position of the segment / segment bytes.
  uint32_t next_slot = 0;     // Where the segment with the next number will be.
  bool within_frame = false;  // Begins with a piece that is not the first of its frame.
  Lsn first_lsn = 0;          // Of the frame that the segment begins with or within.
  uint64_t previous_end = 0;  // Position where the content of the segment before ends.
  uint64_t durable = 0;       // Known to be durable when this was written.
};

/// Writes kSegmentHeaderBytes.
void EncodeSegmentHeader(const SegmentHeader& header, uint32_t segment_bytes, std::byte* to);
/// The header of segment `number` of log `id`, of any generation, or nothing.
[[nodiscard]] std::optional<SegmentHeader> DecodeSegmentHeader(Bytes bytes, const LogId& id,
                                                               uint64_t number,
                                                               uint32_t segment_bytes);

/// A frame is one unit: its effects, each a length (varint) and its bytes, cut into pieces.
struct PieceHeader {
  Lsn lsn = 0;           // Of the frame's first effect.
  uint64_t durable = 0;  // Position known to be durable when this was encoded.
  uint32_t bytes = 0;    // Of payload.
  uint32_t effects = 0;  // In the frame; in its last piece, else 0.
  uint32_t number = 0;   // Of the piece in its frame, from 0.
  bool last = false;
  [[nodiscard]] uint64_t piece_bytes() const {
    return base::AlignUp(kPieceHeaderBytes + uint64_t{bytes}, kPieceAlignment);
  }
};

/// Writes the header in front of the payload, which is there, and zeros behind it.
void SealPiece(const PieceHeader& header, const Origin& origin, uint64_t position,
               std::byte* piece);
/// What the header says of itself; nothing if that cannot be. Not yet to be believed.
[[nodiscard]] std::optional<PieceHeader> PeekPiece(Bytes bytes, uint64_t position);
/// Whether `piece` (whole, as its header says) was written by `origin` for `position`.
[[nodiscard]] bool PieceHolds(Bytes piece, const PieceHeader& header, const Origin& origin,
                              uint64_t position);

}  // namespace flash::log
