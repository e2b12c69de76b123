// log_format.cc: the layouts of docs/format/log.md, field by field.
// The superblock's version is read before its checksum: a newer format may change all behind it.
// Thread: any.
#include "log/log_format.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/format_ahead.h"
#include "base/result.h"

namespace flash::log {
namespace {

constexpr std::string_view kFileMagic = "VKFLASHL";
constexpr std::string_view kSegmentMagic = "VKFLASHS";
constexpr uint64_t kSuperblockSeed = 0x666c6173682d6c67ULL;  // "flash-lg"
constexpr uint32_t kNewestVersion = kFormatVersion + FLASH_FORMAT_AHEAD;
constexpr size_t kVersionAt = 8;
constexpr size_t kCurrentAt = 56;
constexpr size_t kPreviousAt = 112;
constexpr size_t kChecksumAt = 504;  // In the first sector, which is never torn.
constexpr size_t kSegmentChecksumAt = kSegmentHeaderBytes - 8;
constexpr uint32_t kLastFlag = 1;
constexpr uint32_t kWithinFrameFlag = 1;
constexpr size_t kPieceChecksummedAt = 8;

void PutId(const LogId& id, std::byte* to) { std::copy(id.begin(), id.end(), to); }

LogId GetId(const std::byte* from) {
  LogId id;
  std::copy_n(from, id.size(), id.begin());
  return id;
}

void PutChain(const Chain& chain, std::byte* to) {
  PutId(chain.id, to);
  base::StoreLe<uint64_t>(to + 16, chain.first_number);
  base::StoreLe<uint64_t>(to + 24, chain.cut_lsn);
  base::StoreLe<uint64_t>(to + 32, chain.generation);
  base::StoreLe<uint64_t>(to + 40, chain.tail);
  base::StoreLe<uint32_t>(to + 48, chain.first_slot);
}

Chain GetChain(const std::byte* from) {
  return {.id = GetId(from),
          .first_number = base::LoadLe<uint64_t>(from + 16),
          .first_slot = base::LoadLe<uint32_t>(from + 48),
          .cut_lsn = base::LoadLe<uint64_t>(from + 24),
          .generation = base::LoadLe<uint64_t>(from + 32),
          .tail = base::LoadLe<uint64_t>(from + 40)};
}

bool IsZero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// Never 0, which marks padding.
uint64_t PieceChecksum(Bytes covered, const Origin& origin, uint64_t position) {
  const uint64_t sum = base::Checksum(covered, ChecksumSeed(origin, position));
  return sum != 0 ? sum : 1;
}

bool IsPowerOfTwo(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

}  // namespace

uint64_t ChecksumSeed(const Origin& origin, uint64_t position) {
  std::array<std::byte, 32> bytes{};
  PutId(origin.id, bytes.data());
#ifndef FLASH_LOG_BREAK_SEED  // The simulator must notice when this is missing.
  base::StoreLe<uint64_t>(&bytes[16], origin.generation);
  base::StoreLe<uint64_t>(&bytes[24], position);
#else
  (void)position;
#endif
  return base::Checksum(bytes, 0);
}

Page EncodeLogSuperblock(const LogSuperblock& superblock) {
  Page page{};
  std::copy_n(base::AsBytes(kFileMagic).begin(), kFileMagic.size(), page.begin());
  base::StoreLe<uint32_t>(&page[kVersionAt], kNewestVersion);
  base::StoreLe<uint32_t>(&page[12], superblock.segment_bytes);
  base::StoreLe<uint64_t>(&page[16], superblock.counter);
  base::StoreLe<uint64_t>(&page[24], superblock.generation);
  base::StoreLe<uint64_t>(&page[32], superblock.durable);
  base::StoreLe<uint64_t>(&page[40], superblock.last_lsn);
  base::StoreLe<uint32_t>(&page[48], static_cast<uint32_t>(superblock.state));
  PutChain(superblock.current, &page[kCurrentAt]);
  PutChain(superblock.previous, &page[kPreviousAt]);
  base::StoreLe<uint64_t>(&page[kChecksumAt],
                          base::Checksum({page.data(), kChecksumAt}, kSuperblockSeed));
  return page;
}

LogSuperblockFound DecodeLogSuperblock(Bytes bytes) {
  LogSuperblockFound found;
  if (IsZero(bytes)) {
    found.kind = BlockKind::kEmpty;
    return found;
  }
  if (bytes.size() < kPageBytes) return found;
  if (base::AsText(bytes.first(kFileMagic.size())) != kFileMagic) return found;
  found.version = base::LoadLe<uint32_t>(&bytes[kVersionAt]);
  if (found.version > kNewestVersion) {
    found.kind = BlockKind::kNewer;
    return found;
  }
  found.kind = BlockKind::kDamaged;
  const uint64_t sum = base::Checksum(bytes.first(kChecksumAt), kSuperblockSeed);
  if (base::LoadLe<uint64_t>(&bytes[kChecksumAt]) != sum) return found;
  LogSuperblock& block = found.superblock;
  block.segment_bytes = base::LoadLe<uint32_t>(&bytes[12]);
  block.counter = base::LoadLe<uint64_t>(&bytes[16]);
  block.generation = base::LoadLe<uint64_t>(&bytes[24]);
  block.durable = base::LoadLe<uint64_t>(&bytes[32]);
  block.last_lsn = base::LoadLe<uint64_t>(&bytes[40]);
  block.state = static_cast<FileState>(base::LoadLe<uint32_t>(&bytes[48]));
  block.current = GetChain(&bytes[kCurrentAt]);
  block.previous = GetChain(&bytes[kPreviousAt]);
  const bool sound = IsPowerOfTwo(block.segment_bytes) && block.segment_bytes >= kSegmentBytesMin &&
                     block.segment_bytes <= kSegmentBytesMax &&
                     (block.state == FileState::kOpen || block.state == FileState::kClosed) &&
                     !block.current.none() && found.version >= kFormatVersion;
  if (sound) found.kind = BlockKind::kOurs;
  return found;
}

void EncodeSegmentHeader(const SegmentHeader& header, uint32_t segment_bytes, std::byte* to) {
  std::memset(to, 0, kSegmentHeaderBytes);
  std::copy_n(base::AsBytes(kSegmentMagic).begin(), kSegmentMagic.size(), to);
  PutId(header.origin.id, to + 8);
  base::StoreLe<uint64_t>(to + 24, header.origin.generation);
  base::StoreLe<uint64_t>(to + 32, header.number);
  base::StoreLe<uint64_t>(to + 40, header.first_lsn);
  base::StoreLe<uint64_t>(to + 48, header.previous_end);
  base::StoreLe<uint64_t>(to + 56, header.durable);
  base::StoreLe<uint32_t>(to + 64, header.next_slot);
  base::StoreLe<uint32_t>(to + 68, header.within_frame ? kWithinFrameFlag : 0);
  const uint64_t seed = ChecksumSeed(header.origin, header.number * segment_bytes);
  base::StoreLe<uint64_t>(to + kSegmentChecksumAt, base::Checksum({to, kSegmentChecksumAt}, seed));
}

std::optional<SegmentHeader> DecodeSegmentHeader(Bytes bytes, const LogId& id, uint64_t number,
                                                 uint32_t segment_bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return std::nullopt;
  const std::byte* from = bytes.data();
  if (base::AsText(bytes.first(kSegmentMagic.size())) != kSegmentMagic) return std::nullopt;
  SegmentHeader header;
  header.origin = {.id = GetId(from + 8), .generation = base::LoadLe<uint64_t>(from + 24)};
  header.number = base::LoadLe<uint64_t>(from + 32);
  header.first_lsn = base::LoadLe<uint64_t>(from + 40);
  header.previous_end = base::LoadLe<uint64_t>(from + 48);
  header.durable = base::LoadLe<uint64_t>(from + 56);
  header.next_slot = base::LoadLe<uint32_t>(from + 64);
  header.within_frame = (base::LoadLe<uint32_t>(from + 68) & kWithinFrameFlag) != 0;
  if (header.origin.id != id || header.number != number) return std::nullopt;
  const uint64_t seed = ChecksumSeed(header.origin, number * segment_bytes);
  const uint64_t sum = base::Checksum(bytes.first(kSegmentChecksumAt), seed);
  if (base::LoadLe<uint64_t>(from + kSegmentChecksumAt) != sum) return std::nullopt;
  return header;
}

void SealPiece(const PieceHeader& header, const Origin& origin, uint64_t position,
               std::byte* piece) {
  base::StoreLe<uint64_t>(piece + 8, header.lsn);
  base::StoreLe<uint64_t>(piece + 16, header.durable);
  base::StoreLe<uint32_t>(piece + 24, header.bytes);
  base::StoreLe<uint32_t>(piece + 28, header.effects);
  base::StoreLe<uint32_t>(piece + 32, header.number);
  base::StoreLe<uint32_t>(piece + 36, header.last ? kLastFlag : 0);
  const uint64_t whole = header.piece_bytes();
  const uint64_t used = kPieceHeaderBytes + uint64_t{header.bytes};
  std::memset(piece + used, 0, whole - used);
  const Bytes covered{piece + kPieceChecksummedAt, whole - kPieceChecksummedAt};
  base::StoreLe<uint64_t>(piece, PieceChecksum(covered, origin, position));
}

std::optional<PieceHeader> PeekPiece(Bytes bytes, uint64_t position) {
  if (bytes.size() < kPieceHeaderBytes) return std::nullopt;
  const std::byte* from = bytes.data();
  const uint32_t flags = base::LoadLe<uint32_t>(from + 36);
  const PieceHeader header = {.lsn = base::LoadLe<uint64_t>(from + 8),
                              .durable = base::LoadLe<uint64_t>(from + 16),
                              .bytes = base::LoadLe<uint32_t>(from + 24),
                              .effects = base::LoadLe<uint32_t>(from + 28),
                              .number = base::LoadLe<uint32_t>(from + 32),
                              .last = (flags & kLastFlag) != 0};
  if ((flags & ~kLastFlag) != 0 || header.lsn == 0 || header.durable > position) {
    return std::nullopt;
  }
  if (header.bytes > kPieceBytesMax - kPieceHeaderBytes) return std::nullopt;
  // The last piece of a frame, and only that one, says how many effects there were.
  if ((header.effects != 0) != header.last) return std::nullopt;
  return header;
}

bool PieceHolds(Bytes piece, const PieceHeader& header, const Origin& origin, uint64_t position) {
  if (piece.size() < header.piece_bytes()) return false;
  const Bytes covered =
      piece.subspan(kPieceChecksummedAt, header.piece_bytes() - kPieceChecksummedAt);
  return base::LoadLe<uint64_t>(piece.data()) == PieceChecksum(covered, origin, position);
}

}  // namespace flash::log
