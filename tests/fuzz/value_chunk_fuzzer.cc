// value_chunk_fuzzer.cc: arbitrary bytes as a chunk of a snapshot's table: nothing beyond them is
// read, and what is read packs to bytes that read the same.
//
// Format: docs/format/rdb.md. Thread: one.
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "values/value_chunk.h"

namespace flash::values {
namespace {

void TestOne(const uint8_t* data, size_t size) {
  // An allocation of exactly this size: reading past it is an error of the sanitizer.
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(data[i]);
  ChunkOfValues chunk(bytes);
  while (const std::optional<PackedValue> value = chunk.Next()) {
    std::vector<std::byte> again;
    PackValue(*value, &again);
    ChunkOfValues second(again);
    const std::optional<PackedValue> same = second.Next();
    FLASH_CHECK(same && same->number == value->number && same->kind == value->kind &&
                same->bytes.size() == value->bytes.size());
    for (size_t i = 0; i < same->bytes.size(); ++i) FLASH_CHECK(same->bytes[i] == value->bytes[i]);
  }
  FLASH_CHECK(!(chunk.damaged() && chunk.ended()));
}

}  // namespace
}  // namespace flash::values

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  flash::values::TestOne(data, size);
  return 0;
}
