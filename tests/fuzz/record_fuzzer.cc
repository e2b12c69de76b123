// record_fuzzer.cc: any bytes as a record. Decoding stays within them and believes nothing that the
// checksum does not cover; what was written comes back. Each input is decoded as it is and again
// with its checksum made right: else nothing behind the checksum would ever be reached.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/memory.h"
#include "store/record_format.h"
#include "store/record_reader.h"

namespace {

using flash::Bytes;
using flash::MutableBytes;
using flash::store::RecordHeader;

constexpr flash::store::ChecksumContext kContext = {.hash_seed = 1, .sequence = 2};
constexpr uint64_t kOffset = 4096;

/// A record of these bytes with its checksum made right, if its header is plausible and it is
/// whole.
std::vector<std::byte> Sealed(Bytes input) {
  std::vector<std::byte> record(input.begin(), input.end());
  const auto header = flash::store::ReadHeader(record);
  if (!header || header->record_bytes() > record.size()) return {};
  record.resize(header->record_bytes());
  flash::store::SealRecords(record, kOffset, kContext);
  return record;
}

void Decode(Bytes record) {
  const auto header = flash::store::VerifyRecord(record, kOffset, kContext);
  if (!header) return;
  const auto units = static_cast<uint32_t>(header->record_bytes() / flash::store::kUnitBytes);
  const flash::store::Place place(kOffset / flash::store::kUnitBytes, units);
  auto read = flash::store::UnpackRecord({.id = header->id(), .place = place, .context = kContext},
                                         record, kOffset, 8);
  if (!read) return;
  FLASH_CHECK(read->payload_bytes == header->raw_bytes);
  // Every byte of the payload is there to be read.
  volatile std::byte last = read->memory[8 + read->payload_bytes - 1];
  (void)last;
  flash::base::Release(read->memory);
}

void RoundTrip(Bytes payload) {
  if (payload.empty() || payload.size() > flash::store::kPayloadBytesMax) return;
  std::vector<std::byte> packed(payload.size());
  const uint32_t saved = flash::store::PackPayload(payload, packed);
  const auto raw = static_cast<uint32_t>(payload.size());
  const RecordHeader header =
      flash::store::MakeHeader(7, saved != 0, raw, saved != 0 ? saved : raw);
  std::vector<std::byte> record(header.record_bytes());
  flash::store::WriteRecord(header, saved != 0 ? packed.data() : payload.data(), record.data());
  flash::store::SealRecords(record, kOffset, kContext);
  FLASH_CHECK(flash::store::VerifyRecord(record, kOffset, kContext));
  std::vector<std::byte> back(payload.size());
  FLASH_CHECK(flash::store::UnpackPayload(header, record.data() + flash::store::kRecordHeaderBytes,
                                          back.data()));
  FLASH_CHECK(std::memcmp(back.data(), payload.data(), back.size()) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input{reinterpret_cast<const std::byte*>(data), size};
  Decode(input);
  Decode(Sealed(input));
  RoundTrip(input);
  return 0;
}
