// record_reader.cc: see record_reader.h. Thread: any.
//
//
#include "store/record_reader.h"

#include "base/memory.h"

namespace flash::store {
namespace {

Result<ReadBuffer> Unpack(const RecordHeader& header, const std::byte* stored,
                          uint32_t prefix_bytes) {
  auto* memory = static_cast<std::byte*>(base::Allocate(size_t{prefix_bytes} + header.raw_bytes));
  if (!UnpackPayload(header, stored, memory + prefix_bytes)) {
    base::Release(memory);
    return Code::kCorrupt;
  }
  return ReadBuffer{.memory = memory, .payload_bytes = header.raw_bytes};
}

struct Found {
  RecordHeader header;
  const std::byte* stored;
};

Result<Found> Verify(const RecordExpectation& expected, Bytes extent_bytes,
                     uint64_t extent_offset) {
  const uint64_t at = expected.place.offset() - extent_offset;
  if (at + expected.place.bytes() > extent_bytes.size()) return Code::kCorrupt;
  const Bytes record = extent_bytes.subspan(at, expected.place.bytes());
  const auto header = VerifyRecord(record, expected.place.offset(), expected.context);
  if (!header || header->id() != expected.id || header->record_bytes() != record.size()) {
    return Code::kCorrupt;
  }
  return Found{*header, record.data() + kRecordHeaderBytes};
}

}  // namespace

Extent ExtentOf(Place place, uint32_t alignment) {
  const uint64_t begin = base::AlignDown(place.offset(), alignment);
  const uint64_t end = base::AlignUp(place.offset() + place.bytes(), alignment);
  return {.offset = begin, .bytes = static_cast<uint32_t>(end - begin)};
}

Result<Bytes> FindRecord(const RecordExpectation& expected, Bytes extent_bytes,
                         uint64_t extent_offset) {
  const auto found = Verify(expected, extent_bytes, extent_offset);
  if (!found) return found.error();
  return Bytes(found->stored - kRecordHeaderBytes, expected.place.bytes());
}

Result<ReadBuffer> UnpackRecord(const RecordExpectation& expected, Bytes extent_bytes,
                                uint64_t extent_offset, uint32_t prefix_bytes) {
  const auto found = Verify(expected, extent_bytes, extent_offset);
  if (!found) return found.error();
  return Unpack(found->header, found->stored, prefix_bytes);
}

Result<Bytes> ViewRecord(const RecordExpectation& expected, Bytes extent_bytes,
                         uint64_t extent_offset, std::vector<std::byte>* scratch) {
  const auto found = Verify(expected, extent_bytes, extent_offset);
  if (!found) return found.error();
  if (!found->header.compressed()) return Bytes(found->stored, found->header.raw_bytes);
  scratch->resize(found->header.raw_bytes);
  if (!UnpackPayload(found->header, found->stored, scratch->data())) return Code::kCorrupt;
  return Bytes(*scratch);
}

Result<ReadBuffer> UnpackTrusted(BlockId id, Place place, Bytes header_bytes,
                                 const std::byte* stored, uint32_t prefix_bytes) {
  const auto header = ReadHeader(header_bytes);
  if (!header || header->id() != id || header->record_bytes() != place.bytes()) {
    return Code::kCorrupt;
  }
  return Unpack(*header, stored, prefix_bytes);
}

}  // namespace flash::store
