// written_ranges.h: which parts of a file were ever written, as far as its file system can say.
//
// Space that fallocate reserved is there, but not written: the first write to it also changes the
// file system's own records. Knows neither tiers nor segments. Thread: any. Source: FIEMAP, in
// Documentation/filesystems/fiemap.rst of the kernel.
#pragma once

#include <cstdint>
#include <vector>

namespace flash::io {

struct FileRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

/// Of the first `bytes`, in order, neighbours joined. Too few where the file is in more pieces than
/// kPiecesMax; none where the file system does not say.
[[nodiscard]] std::vector<FileRange> WrittenRanges(int fd, uint64_t bytes);

inline constexpr uint32_t kPiecesMax = 1u << 20;

}  // namespace flash::io
