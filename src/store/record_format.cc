// record_format.cc: see record_format.h. The only place that knows the field order of a record, the
// only one that calls xxHash and, with piece_packer, LZ4.
// Thread: any. Bytes: docs/format/segment.md.
#include "store/record_format.h"

#include <lz4.h>
#include <xxhash.h>

#include <array>
#include <cstring>

namespace flash::store {
namespace {

constexpr uint64_t kKnownBits = kBlockIdMax | RecordHeader::kCompressedFlag;

}  // namespace

uint32_t RecordHeader::record_bytes() const { return RecordBytes(stored_bytes); }

bool IsPlausible(const RecordHeader& header) {
  if ((header.id_and_flags & ~kKnownBits) != 0 || header.id() == kNoBlock) return false;
  if (header.raw_bytes == 0 || header.raw_bytes > kPayloadBytesMax) return false;
  if (header.compressed()) {
    return header.stored_bytes >= 1 && header.stored_bytes < header.raw_bytes;
  }
  return header.stored_bytes == header.raw_bytes;
}

std::optional<RecordHeader> ReadHeader(Bytes from) {
  if (from.size() < kRecordHeaderBytes) return std::nullopt;
  RecordHeader header;
  header.id_and_flags = base::LoadLe<uint64_t>(from.data() + 8);
  header.raw_bytes = base::LoadLe<uint32_t>(from.data() + 16);
  header.stored_bytes = base::LoadLe<uint32_t>(from.data() + 20);
  if (!IsPlausible(header)) return std::nullopt;
  return header;
}

bool IsChunkEnd(Bytes from) {
  return from.size() >= kUnitBytes && base::LoadLe<uint64_t>(from.data()) == 0 &&
         base::LoadLe<uint64_t>(from.data() + 8) == 0;
}

RecordHeader MakeHeader(BlockId id, bool compressed, uint32_t raw_bytes, uint32_t stored_bytes) {
  RecordHeader header;
  header.id_and_flags = id | (compressed ? RecordHeader::kCompressedFlag : 0);
  header.raw_bytes = raw_bytes;
  header.stored_bytes = stored_bytes;
  FLASH_DCHECK(IsPlausible(header));
  return header;
}

void WriteRecordFrame(const RecordHeader& header, std::byte* to) {
  base::StoreLe<uint64_t>(to, 0);
  base::StoreLe(to + 8, header.id_and_flags);
  base::StoreLe(to + 16, header.raw_bytes);
  base::StoreLe(to + 20, header.stored_bytes);
  const uint32_t end = kRecordHeaderBytes + header.stored_bytes;
  std::memset(to + end, 0, header.record_bytes() - end);
}

void WriteRecord(const RecordHeader& header, const std::byte* stored, std::byte* to) {
  WriteRecordFrame(header, to);
  std::memcpy(to + kRecordHeaderBytes, stored, header.stored_bytes);
}

uint64_t RecordChecksum(const std::byte* record, const RecordHeader& header, uint64_t offset,
                        const ChecksumContext& context) {
  const std::array<uint64_t, 4> identity = {context.hash_seed, header.id(), context.sequence,
                                            offset};
  const uint64_t seed = XXH3_64bits(identity.data(), sizeof(identity));
  const size_t covered = kRecordHeaderBytes - sizeof(header.checksum) + header.stored_bytes;
  return XXH3_64bits_withSeed(record + sizeof(header.checksum), covered, seed);
}

void SealRecords(MutableBytes chunk, uint64_t offset, const ChecksumContext& context) {
  size_t at = 0;
  while (at < chunk.size()) {
    const auto header = ReadHeader(chunk.subspan(at));
    FLASH_CHECK(header && header->record_bytes() <= chunk.size() - at);
    std::byte* record = chunk.data() + at;
    base::StoreLe(record, RecordChecksum(record, *header, offset + at, context));
    at += header->record_bytes();
  }
}

std::optional<RecordHeader> VerifyRecord(Bytes from, uint64_t offset,
                                         const ChecksumContext& context) {
  auto header = ReadHeader(from);
  if (!header || header->record_bytes() > from.size()) return std::nullopt;
  header->checksum = base::LoadLe<uint64_t>(from.data());
  if (header->checksum != RecordChecksum(from.data(), *header, offset, context)) {
    return std::nullopt;
  }
  return header;
}

uint32_t PackPayload(Bytes raw, MutableBytes to) {
  const size_t room = PackedBytesMax(raw.size());
  if (room == 0 || to.size() < room) return 0;
  const int packed = LZ4_compress_default(reinterpret_cast<const char*>(raw.data()),
                                          reinterpret_cast<char*>(to.data()),
                                          static_cast<int>(raw.size()), static_cast<int>(room));
  return packed > 0 ? static_cast<uint32_t>(packed) : 0;
}

bool UnpackPayload(const RecordHeader& header, const std::byte* stored, std::byte* to) {
  if (!header.compressed()) {
    std::memcpy(to, stored, header.raw_bytes);
    return true;
  }
  const int raw = LZ4_decompress_safe(
      reinterpret_cast<const char*>(stored), reinterpret_cast<char*>(to),
      static_cast<int>(header.stored_bytes), static_cast<int>(header.raw_bytes));
  return raw >= 0 && static_cast<uint32_t>(raw) == header.raw_bytes;
}

}  // namespace flash::store
