// superblock.h: the first 4 KiB of a tier file, as bytes.
//
// Encoding and recognition only; which file to refuse, and with which words, is FlashFile's.
// Thread: any. Format: docs/format/tier-file.md.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "io/flash_file.h"

namespace flash::io {

inline constexpr size_t kSuperblockBytes = 4096;
inline constexpr uint32_t kTierFormatVersion = 2;

struct Superblock {
  FileId id{};
  uint64_t capacity_bytes = 0;
  uint64_t hash_seed = 0;  // 0: none yet.
};

enum class SuperblockKind : uint8_t { kOurs, kNewer, kDamaged, kForeign };

struct SuperblockFound {
  SuperblockKind kind = SuperblockKind::kForeign;
  uint32_t version = 0;  // The number the file carries.
  bool current = false;  // kOurs: not one of an earlier version.
  Superblock superblock;
};

[[nodiscard]] std::array<std::byte, kSuperblockBytes> EncodeSuperblock(
    const Superblock& superblock);

/// Judges the first bytes of a file, which may be fewer than a superblock.
[[nodiscard]] SuperblockFound DecodeSuperblock(Bytes bytes);

}  // namespace flash::io
