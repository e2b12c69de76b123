// superblock.cc: the layout of docs/format/tier-file.md, field by field.
// The version is read before the checksum, because a newer format may place its checksum elsewhere.
// Thread: any.
#include "io/superblock.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/format_ahead.h"

namespace flash::io {
namespace {

constexpr std::string_view kMagic = "VKFLASHT";
constexpr uint32_t kNewestVersion = kTierFormatVersion + FLASH_FORMAT_AHEAD;
constexpr size_t kVersionAt = 8;
constexpr size_t kDataOffsetAt = 12;  // Of version 1: always kSuperblockBytes.
constexpr size_t kIdAt = 16;
constexpr size_t kCapacityAt = 32;
constexpr size_t kHashSeedAt = 40;
constexpr size_t kChecksumAt = kSuperblockBytes - 8;
constexpr uint64_t kChecksumSeed = 0x7469657266696c65ULL;  // "tierfile"

}  // namespace

std::array<std::byte, kSuperblockBytes> EncodeSuperblock(const Superblock& superblock) {
  std::array<std::byte, kSuperblockBytes> bytes{};
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  base::StoreLe<uint32_t>(&bytes[kVersionAt], kNewestVersion);
  std::copy(superblock.id.begin(), superblock.id.end(), &bytes[kIdAt]);
  base::StoreLe<uint64_t>(&bytes[kCapacityAt], superblock.capacity_bytes);
  base::StoreLe<uint64_t>(&bytes[kHashSeedAt], superblock.hash_seed);
  base::StoreLe<uint64_t>(&bytes[kChecksumAt],
                          base::Checksum({bytes.data(), kChecksumAt}, kChecksumSeed));
  return bytes;
}

SuperblockFound DecodeSuperblock(Bytes bytes) {
  SuperblockFound found;
  if (bytes.size() < kDataOffsetAt) return found;
  if (base::AsText(bytes.first(kMagic.size())) != kMagic) return found;
  found.version = base::LoadLe<uint32_t>(&bytes[kVersionAt]);
  if (found.version > kNewestVersion) {
    found.kind = SuperblockKind::kNewer;
    return found;
  }
  found.kind = SuperblockKind::kDamaged;
  if (found.version == 0 || bytes.size() < kSuperblockBytes) return found;
  const uint64_t sum = base::Checksum(bytes.first(kChecksumAt), kChecksumSeed);
  if (base::LoadLe<uint64_t>(&bytes[kChecksumAt]) != sum) return found;
  const uint32_t data_offset = found.version == 1 ? kSuperblockBytes : 0;
  if (base::LoadLe<uint32_t>(&bytes[kDataOffsetAt]) != data_offset) return found;
  found.kind = SuperblockKind::kOurs;
  found.current = found.version == kNewestVersion;
  std::copy_n(&bytes[kIdAt], found.superblock.id.size(), found.superblock.id.begin());
  found.superblock.capacity_bytes = base::LoadLe<uint64_t>(&bytes[kCapacityAt]);
  found.superblock.hash_seed = base::LoadLe<uint64_t>(&bytes[kHashSeedAt]);
  return found;
}

}  // namespace flash::io
