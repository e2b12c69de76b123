// leaf.cc: see leaf.h. Slots lie behind the entries in reverse, so "behind slot i" is below it.
//
// Thread: any.
#include "values/leaf.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "values/element.h"

namespace flash::values {
namespace {

std::byte* Heap(MutableBytes block) { return block.data() + kLeafHeaderBytes; }

std::byte* SlotAddress(MutableBytes block, uint32_t i) {
  return block.data() + block.size() - kSlotBytes * (i + 1);
}

void SetCount(MutableBytes block, uint32_t count) {
  base::StoreLe<uint16_t>(block.data() + 2, static_cast<uint16_t>(count));
}

/// Eight slots as the processor adds them: each by itself, without a carry to the next.
using EightSlots = uint16_t __attribute__((vector_size(8 * kSlotBytes)));

/// Adds `delta` (which may be negative) to the slots [begin, end): no sum leaves the 13 bits of an
/// end, so the flags stay as they are.
void ShiftSlots(MutableBytes block, uint32_t begin, uint32_t end, int32_t delta) {
  if (begin >= end) return;
  const auto step = static_cast<uint16_t>(delta);
  const EightSlots steps = {step, step, step, step, step, step, step, step};
  std::byte* at = SlotAddress(block, end - 1);
  uint32_t left = end - begin;
  for (; left >= 8; left -= 8, at += sizeof(EightSlots)) {
    EightSlots slots;
    std::memcpy(&slots, at, sizeof(slots));
    slots += steps;
    std::memcpy(at, &slots, sizeof(slots));
  }
  for (; left > 0; --left, at += kSlotBytes) {
    base::StoreLe<uint16_t>(at, static_cast<uint16_t>(base::LoadLe<uint16_t>(at) + step));
  }
}

bool ValidEntry(LeafKind kind, const EntryView& entry) {
  const bool key_large = (entry.flags & kKeyLarge) != 0;
  const bool value_large = (entry.flags & kValueLarge) != 0;
  size_t rest = entry.bytes.size();
  if (kind == LeafKind::kList) return !key_large && (!value_large || rest == kLargeRefBytes);
  if (kind == LeafKind::kScores) {
    const size_t score_bytes = ScoreBytes(entry);
    if (value_large || rest < score_bytes) return false;
    const double score = ParseScore(entry);
    return score == score && (!key_large || rest == score_bytes + kLargeRefBytes);
  }
  size_t key_bytes = kLargeRefBytes;
  if (!key_large) {
    if (rest < 1) return false;
    const auto low = static_cast<uint8_t>(entry.bytes[0]);
    const size_t head = low < 0x80 ? 1 : 2;
    if (rest < head) return false;
    key_bytes = low < 0x80 ? low : (low & 0x7fU) | static_cast<size_t>(entry.bytes[1]) << 7;
    rest -= head;
  }
  if (rest < key_bytes) return false;
  return !value_large || rest - key_bytes == kLargeRefBytes;
}

}  // namespace

bool LeafView::HasLarge(uint32_t begin, uint32_t end) const {
  for (uint32_t i = begin; i < end; ++i) {
    if ((Slot(i) & kLargeFlags) != 0) return true;
  }
  return false;
}

uint32_t LeafCapacity(uint32_t used, bool owned) {
  const uint64_t step = used < 256 ? 16 : used < 1024 ? 32 : 128;
  // Size classes of jemalloc: four to each doubling above 128 bytes.
  const uint32_t around = kBlockHeaderBytes + (owned ? kBlockOwnerBytes : 0);
  const uint32_t whole = used + around;
  const uint64_t class_step = whole <= 128 ? 16 : uint64_t{1} << (std::bit_width(whole - 1U) - 3);
  const uint64_t class_bytes = base::AlignUp(whole, class_step) - around;
  return static_cast<uint32_t>(std::min(base::AlignUp(used, step), class_bytes));
}

void LeafInit(MutableBytes block, LeafKind kind) {
  FLASH_DCHECK(block.size() >= kLeafHeaderBytes);
  std::memset(block.data(), 0, block.size());
  block[0] = static_cast<std::byte>(static_cast<unsigned>(kind) | kLeafVersion << 4U);
}

MutableBytes LeafInsert(MutableBytes block, uint32_t i, uint32_t bytes, uint16_t flags) {
  const LeafView leaf(block);
  const uint32_t count = leaf.count();
  const uint32_t heap = leaf.heap_bytes();
  const uint32_t begin = leaf.Begin(i);
  FLASH_DCHECK(i <= count && LeafUsed(count + 1, heap + bytes) <= block.size());
  std::byte* entry = Heap(block) + begin;
  if (i < count) {
    std::memmove(entry + bytes, entry, heap - begin);
    std::byte* last = SlotAddress(block, count - 1);
    std::memmove(last - kSlotBytes, last, size_t{kSlotBytes} * (count - i));
    ShiftSlots(block, i + 1, count + 1, static_cast<int32_t>(bytes));
  }
  base::StoreLe<uint16_t>(SlotAddress(block, i), static_cast<uint16_t>((begin + bytes) | flags));
  SetCount(block, count + 1);
  return {entry, bytes};
}

MutableBytes LeafResizeEntry(MutableBytes block, uint32_t i, uint32_t bytes, uint16_t flags) {
  const LeafView leaf(block);
  const uint32_t count = leaf.count();
  const uint32_t heap = leaf.heap_bytes();
  const uint32_t begin = leaf.Begin(i);
  const uint32_t end = leaf.Begin(i + 1);
  std::byte* entry = Heap(block) + begin;
  if (end - begin != bytes) {
    std::memmove(entry + bytes, Heap(block) + end, heap - end);
    ShiftSlots(block, i + 1, count, static_cast<int32_t>(bytes - (end - begin)));
  }
  base::StoreLe<uint16_t>(SlotAddress(block, i), static_cast<uint16_t>((begin + bytes) | flags));
  return {entry, bytes};
}

void LeafErase(MutableBytes block, uint32_t begin, uint32_t end) {
  const LeafView leaf(block);
  const uint32_t count = leaf.count();
  FLASH_DCHECK(begin <= end && end <= count);
  if (begin == end) return;
  const uint32_t from = leaf.Begin(begin);
  const uint32_t to = leaf.Begin(end);
  const uint32_t heap = leaf.heap_bytes();
  std::memmove(Heap(block) + from, Heap(block) + to, heap - to);
  if (end < count) {
    ShiftSlots(block, end, count, static_cast<int32_t>(from - to));
    std::byte* last = SlotAddress(block, count - 1);
    std::memmove(last + size_t{kSlotBytes} * (end - begin), last,
                 size_t{kSlotBytes} * (count - end));
  }
  SetCount(block, count - (end - begin));
}

void LeafAppendRange(MutableBytes block, const LeafView& from, uint32_t begin, uint32_t end) {
  if (begin == end) return;
  const LeafView leaf(block);
  const uint32_t count = leaf.count();
  const uint32_t heap = leaf.heap_bytes();
  const uint32_t source = from.Begin(begin);
  const uint32_t bytes = from.Begin(end) - source;
  const uint32_t added = end - begin;
  FLASH_DCHECK(LeafUsed(count + added, heap + bytes) <= block.size());
  const EntryView first = from.At(begin);
  std::memcpy(Heap(block) + heap, first.bytes.data(), bytes);
  const std::byte* slots =
      first.bytes.data() - source - kLeafHeaderBytes + from.size() - size_t{kSlotBytes} * end;
  std::memcpy(SlotAddress(block, count + added - 1), slots, size_t{kSlotBytes} * added);
  ShiftSlots(block, count, count + added, static_cast<int32_t>(heap - source));
  SetCount(block, count + added);
}

void LeafMoveSlots(MutableBytes block, uint32_t size_before, uint32_t size_after) {
  const LeafView leaf(Bytes(block).first(size_before));
  const size_t bytes = size_t{kSlotBytes} * leaf.count();
  std::memmove(block.data() + size_after - bytes, block.data() + size_before - bytes, bytes);
}

bool LeafValidate(Bytes block, LeafKind kind) {
  if (block.size() < kLeafHeaderBytes || block.size() > kLeafBytesLimit + 128) return false;
  const auto first = static_cast<uint8_t>(block[0]);
  if (first != (static_cast<unsigned>(kind) | kLeafVersion << 4U)) return false;
  if (block[1] != std::byte{0}) return false;
  const LeafView leaf(block);
  const uint32_t count = leaf.count();
  if (LeafUsed(count, 0) > block.size()) return false;
  const auto room = static_cast<uint32_t>(block.size()) - LeafUsed(count, 0);
  uint32_t end_before = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t slot = leaf.Slot(i);
    const uint32_t end = slot & uint32_t{kSlotEndMask};
    if (end < end_before || end > room) return false;
    if ((slot & kScoreInt) != 0 && kind != LeafKind::kScores) return false;
    end_before = end;
    if (!ValidEntry(kind, leaf.At(i))) return false;
  }
  return true;
}

}  // namespace flash::values
