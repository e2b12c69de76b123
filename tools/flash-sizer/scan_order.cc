// scan_order.cc: see scan_order.h.
//
// Source: the cluster specification (hash tags, CRC16/XMODEM).
#include "tools/flash-sizer/scan_order.h"

namespace flash::tools::sizer {
namespace {

constexpr unsigned kSlotBits = 14;

uint64_t Reversed(uint64_t bits) {
  uint64_t reversed = 0;
  for (unsigned i = 0; i < 64; i++) reversed |= ((bits >> i) & 1) << (63 - i);
  return reversed;
}

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

double Place(uint64_t cursor) {
  return static_cast<double>(Reversed(cursor)) / 18446744073709551616.0;
}

uint64_t CellCursor(uint64_t cell, unsigned bits) {
  return bits == 0 ? 0 : Reversed(cell) >> (64 - bits);
}

uint64_t CursorForm::Begin(uint64_t cell, unsigned bits, uint16_t slot) const {
  const uint64_t cursor = CellCursor(cell, bits);
  return per_slot_ ? cursor << kSlotBits | slot : cursor;
}

double CursorForm::Covered(uint64_t begin, uint64_t returned) const {
  if (!per_slot_) return (returned == 0 ? 1.0 : Place(returned)) - Place(begin);
  const double from = Place(begin >> kSlotBits);
  return (AtEnd(begin, returned) ? 1.0 : Place(returned >> kSlotBits)) - from;
}

bool CursorForm::AtEnd(uint64_t begin, uint64_t returned) const {
  if (returned == 0) return true;
  return per_slot_ && (returned & (kSlots - 1)) != (begin & (kSlots - 1));
}

}  // namespace flash::tools::sizer
