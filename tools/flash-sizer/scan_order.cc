// scan_order.cc: see scan_order.h.
//
// Source: the server's dict.c and kvstore.c (order of a scan).
#include "tools/flash-sizer/scan_order.h"

namespace flash::tools::sizer {
namespace {

constexpr unsigned kSlotBits = 14;

uint64_t Reversed(uint64_t bits) {
  uint64_t reversed = 0;
  for (unsigned i = 0; i < 64; i++) reversed |= ((bits >> i) & 1) << (63 - i);
  return reversed;
}

}  // namespace

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
