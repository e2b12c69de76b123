// slots.cc: see slots.h.
//
// Source: the cluster specification (hash tags, CRC16/XMODEM).
#include "tools/common/slots.h"

namespace flash::tools {
namespace {

uint16_t Crc16(std::string_view bytes) {
  uint32_t crc = 0;
  for (const char byte : bytes) {
    crc ^= static_cast<uint32_t>(static_cast<unsigned char>(byte)) << 8;
    for (int bit = 0; bit < 8; bit++) crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return static_cast<uint16_t>(crc & 0xffff);
}

}  // namespace

uint16_t SlotOf(std::string_view name) {
  if (const size_t open = name.find('{'); open != name.npos) {
    const size_t close = name.find('}', open + 1);
    if (close != name.npos && close > open + 1) name = name.substr(open + 1, close - open - 1);
  }
  return static_cast<uint16_t>(Crc16(name) % kSlots);
}

}  // namespace flash::tools
