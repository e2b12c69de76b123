// written_ranges.cc: see written_ranges.h. Asks for the file's extents, a portion at a time.
// Thread: any.
//
#include "io/written_ranges.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>
#include <memory>

namespace flash::io {
namespace {

constexpr uint32_t kPortion = 512;
/// Reserved only, in memory only, or nobody knows where.
constexpr uint32_t kNotWritten =
    FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN;

void Add(const fiemap_extent& extent, uint64_t end, std::vector<FileRange>* ranges) {
  if ((extent.fe_flags & kNotWritten) != 0 || extent.fe_logical >= end) return;
  const uint64_t bytes = std::min<uint64_t>(extent.fe_length, end - extent.fe_logical);
  if (!ranges->empty() && ranges->back().offset + ranges->back().bytes == extent.fe_logical) {
    ranges->back().bytes += bytes;
  } else {
    ranges->push_back({extent.fe_logical, bytes});
  }
}

}  // namespace

std::vector<FileRange> WrittenRanges(int fd, uint64_t bytes) {
  std::vector<FileRange> ranges;
  const auto memory =
      std::make_unique<std::byte[]>(sizeof(fiemap) + kPortion * sizeof(fiemap_extent));
  auto* const map = new (memory.get()) fiemap();
  uint64_t at = 0;
  for (uint32_t pieces = 0; at < bytes && pieces < kPiecesMax; pieces += kPortion) {
    *map = fiemap();
    map->fm_start = at;
    map->fm_length = bytes - at;
    map->fm_extent_count = kPortion;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents == 0) break;
    for (uint32_t i = 0; i < map->fm_mapped_extents; ++i) Add(map->fm_extents[i], bytes, &ranges);
    const fiemap_extent& last = map->fm_extents[map->fm_mapped_extents - 1];
    if ((last.fe_flags & FIEMAP_EXTENT_LAST) != 0) break;
    at = last.fe_logical + last.fe_length;
  }
  return ranges;
}

}  // namespace flash::io
