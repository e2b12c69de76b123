// segment_walk_fuzzer.cc: any bytes as a stretch of a segment. The walk must end, stay within the
// bytes, advance, and report only records that verify. The first bytes of the input choose where
// the stretch begins and how much of it is made right beforehand, so that the walk meets good
// records between bad ones.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "store/segment_walk.h"

namespace {

using flash::Bytes;
using flash::MutableBytes;

constexpr flash::store::ChecksumContext kContext = {.hash_seed = 1, .sequence = 2};
constexpr uint32_t kAlignment = 512;
constexpr uint64_t kOffset = 1 << 20;

/// Makes the checksum right of whatever looks like a record, from `at` on, at most `records` times.
void SealSome(std::vector<std::byte>& bytes, size_t at, uint32_t records) {
  for (; at + flash::store::kUnitBytes <= bytes.size() && records > 0;) {
    const auto rest = MutableBytes(bytes).subspan(at);
    const auto header = flash::store::ReadHeader(rest);
    if (!header || header->record_bytes() > rest.size()) {
      at += flash::store::kUnitBytes;
      continue;
    }
    flash::store::SealRecords(rest.first(header->record_bytes()), kOffset + at, kContext);
    at += header->record_bytes();
    --records;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const uint64_t skip = data[0] % (kAlignment / flash::store::kUnitBytes);
  const uint32_t sealed = data[1];
  const bool last_stretch = (data[2] & 1) != 0;
  const Bytes input{reinterpret_cast<const std::byte*>(data) + 3, size - 3};
  std::vector<std::byte> bytes(input.begin(), input.end());
  bytes.resize(flash::base::AlignUp(bytes.size(), kAlignment));
  SealSome(bytes, skip * flash::store::kUnitBytes, sealed);

  const uint64_t end = kOffset + bytes.size();
  const flash::store::WalkInput walk = {.bytes = bytes,
                                        .offset = kOffset,
                                        .first_offset = kOffset + skip * flash::store::kUnitBytes,
                                        .segment_end = last_stretch ? end : end + flash::kMiB,
                                        .alignment = kAlignment,
                                        .context = kContext};
  std::vector<std::byte> copies(bytes.size());
  const auto found = flash::store::CollectRecords(walk, copies);

  FLASH_CHECK(found.next_offset > walk.first_offset && found.next_offset <= walk.segment_end);
  FLASH_CHECK(!last_stretch || found.next_offset == end);
  FLASH_CHECK(found.copied_bytes <= bytes.size());
  uint32_t records = 0;
  uint64_t previous_end = walk.first_offset;
  for (size_t at = 0; at < found.copied_bytes; ++records) {
    const uint64_t offset = flash::store::OffsetOfCopy(copies.data() + at);
    FLASH_CHECK(offset >= previous_end && offset < end);
    const auto header =
        flash::store::VerifyRecord(Bytes(bytes).subspan(offset - kOffset), offset, kContext);
    FLASH_CHECK(header);
    FLASH_CHECK(std::equal(copies.begin() + static_cast<ptrdiff_t>(at) + 8,
                           copies.begin() + static_cast<ptrdiff_t>(at + header->record_bytes()),
                           bytes.begin() + static_cast<ptrdiff_t>(offset - kOffset) + 8));
    at += header->record_bytes();
    previous_end = offset + header->record_bytes();
  }
  FLASH_CHECK(records == found.records);
  return 0;
}
