// dump_payload.cc: see dump_payload.h.
//
// Thread: any.
#include "durability/dump_payload.h"

#include <cstddef>
#include <cstdint>

namespace flash::durability {
namespace {

constexpr unsigned char kModuleValue = 7;        // RDB_TYPE_MODULE_2
constexpr unsigned char kLengthOf64Bits = 0x81;  // RDB_64BITLEN, big endian behind it.
constexpr size_t kHeadBytes = 1 + 1 + 8;
constexpr size_t kTailBytes = 1 + 2 + 8;  // End mark, RDB version, checksum.
constexpr size_t kNameLetters = 9;
constexpr int kLetterBits = 6;
constexpr int kEncodingBits = 10;
constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr char kTail[kTailBytes] = {};

}  // namespace

std::string DumpHead(std::string_view type_name, int encoding) {
  uint64_t id = 0;
  for (const char letter : type_name) id = id << kLetterBits | kLetters.find(letter);
  id = id << kEncodingBits | static_cast<uint64_t>(encoding);
  std::string head = {static_cast<char>(kModuleValue), static_cast<char>(kLengthOf64Bits)};
  for (int shift = 56; shift >= 0; shift -= 8) head += static_cast<char>(id >> shift & 0xff);
  return head;
}

std::string_view DumpTail() { return {kTail, sizeof kTail}; }

std::optional<DumpPayload> ParseDump(std::string_view payload) {
  if (payload.size() < kHeadBytes + kTailBytes) return std::nullopt;
  const auto byte_at = [payload](size_t at) { return static_cast<unsigned char>(payload[at]); };
  if (byte_at(0) != kModuleValue || byte_at(1) != kLengthOf64Bits) return std::nullopt;
  uint64_t id = 0;
  for (size_t i = 2; i < kHeadBytes; ++i) id = id << 8 | byte_at(i);
  DumpPayload parsed;
  parsed.encoding = static_cast<int>(id & ((1U << kEncodingBits) - 1));
  for (size_t i = 0; i < kNameLetters; ++i) {
    const size_t shift = kEncodingBits + kLetterBits * (kNameLetters - 1 - i);
    parsed.type_name += kLetters[id >> shift & (kLetters.size() - 1)];
  }
  parsed.value = payload.substr(kHeadBytes, payload.size() - kHeadBytes - kTailBytes);
  return parsed;
}

}  // namespace flash::durability
