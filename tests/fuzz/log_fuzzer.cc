// log_fuzzer.cc: any bytes as a log file. Opening reads within them, changes nothing, and either
// refuses or shows whole units. Each input is opened as it is and, with a sound superblock, segment
// header and piece put around it, again: else nothing behind the checksums would ever be reached.
#include <cstdint>
#include <cstring>
#include <vector>

#include "log/log_test_support.h"

namespace {

using flash::Bytes;
using flash::kKiB;
namespace base = flash::base;
namespace log = flash::log;

constexpr uint32_t kSegmentBytes = 64 * kKiB;

void Open(Bytes content) {
  log::Disk disk;
  const base::ManualClock clock;
  disk.file->Resize(content.size());
  disk.file->WriteAt(0, content, true);
  log::Options options;
  options.thread = false;
  options.segment_bytes = kSegmentBytes;
  auto opened =
      log::Log::Open(std::make_unique<log::MemoryStorage>(&disk, &clock), options, &clock);
  if (!opened) return;
  for (const log::Found& found : (*opened)->found()) {
    FLASH_CHECK(found.last_lsn >= found.cut_lsn);
    auto seen = log::ReadEffects(**opened, found.id, found.cut_lsn);
    if (seen && !seen->empty()) FLASH_CHECK(seen->back().lsn == found.last_lsn);
  }
}

/// A log of one segment whose pieces are cut out of the input: a byte of flags, two of length.
std::vector<std::byte> Dressed(Bytes input) {
  std::vector<std::byte> file(log::kSegmentsOffset + 2 * kSegmentBytes);
  log::LogSuperblock block;
  block.segment_bytes = kSegmentBytes;
  block.counter = block.generation = 1;
  block.current = {.id = {std::byte{1}}, .first_number = 1, .generation = 1, .tail = kSegmentBytes};
  const log::Page page = log::EncodeLogSuperblock(block);
  std::memcpy(file.data(), page.data(), page.size());
  const log::Origin origin = {.id = block.current.id, .generation = 1};
  std::byte* segment = file.data() + log::kSegmentsOffset;
  log::EncodeSegmentHeader({.origin = origin, .number = 1, .next_slot = 1, .first_lsn = 1},
                           kSegmentBytes, segment);
  uint64_t at = log::kPageBytes;
  log::Lsn lsn = 1;
  uint32_t number = 0;
  while (input.size() >= 3) {
    const auto flags = std::to_integer<uint32_t>(input[0]);
    const size_t wanted = std::to_integer<size_t>(input[1]) + 256 * (flags & 3);
    const auto effects = std::to_integer<uint32_t>(input[2]) % 8 + 1;
    input = input.subspan(3);
    const size_t length = std::min(wanted, input.size());
    const bool last = (flags & 4) != 0;
    if ((flags & 8) != 0) at = base::AlignUp(at + 1, log::kPageBytes);
    const log::PieceHeader header = {.lsn = lsn + ((flags & 16) != 0 ? 1 : 0),
                                     .durable = (flags & 32) != 0 ? kSegmentBytes + at : 0,
                                     .bytes = static_cast<uint32_t>(length),
                                     .effects = last ? effects : 0,
                                     .number = number,
                                     .last = last};
    if (at + header.piece_bytes() > kSegmentBytes) break;
    std::memcpy(segment + at + log::kPieceHeaderBytes, input.data(), length);
    log::SealPiece(header, origin, kSegmentBytes + at, segment + at);
    at += header.piece_bytes();
    number = last ? 0 : number + 1;
    if (last) lsn = header.lsn + effects;
    input = input.subspan(length);
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input{reinterpret_cast<const std::byte*>(data), size};
  if (size > 64 * kKiB) return 0;
  Open(input);
  Open(Dressed(input));
  return 0;
}
