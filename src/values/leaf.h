// leaf.h: the bytes of a leaf: entries packed in order, slots that say where each one ends.
//
// Knows where entries lie and how to move them, not what they mean (element.h does), nor trees.
// Everything but Validate trusts the bytes: they are ours, or were verified by the store.
// Format: docs/format/leaf.md. Why packed: docs/adr/0007. Thread: any (pure functions).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace flash::values {

enum class LeafKind : uint8_t { kHash = 1, kList = 2, kScores = 3 };

inline constexpr uint8_t kLeafVersion = 1;
inline constexpr uint32_t kLeafHeaderBytes = 4;
inline constexpr uint32_t kSlotBytes = 2;
inline constexpr uint16_t kSlotEndMask = 0x1fff;
inline constexpr uint16_t kScoreInt = 0x2000;    ///< Slot flag: the score is a 32-bit integer.
inline constexpr uint16_t kValueLarge = 0x4000;  ///< Slot flag: value or list element.
inline constexpr uint16_t kKeyLarge = 0x8000;    ///< Slot flag: field or member.
inline constexpr uint16_t kLargeFlags = kValueLarge | kKeyLarge;
inline constexpr uint16_t kSlotFlags = kLargeFlags | kScoreInt;

/// Header of a hot block, in the same allocation.
inline constexpr uint32_t kBlockHeaderBytes = 24;
/// What a block of a tree has behind the leaf: whose it is.
inline constexpr uint32_t kBlockOwnerBytes = 8;
/// Bytes in use above which a leaf is split: with what a hot block has around it 4 KiB.
inline constexpr uint32_t kLeafBytesMax = 4096 - kBlockHeaderBytes - kBlockOwnerBytes;
/// Bytes that no leaf exceeds; the slots cannot say more.
inline constexpr uint32_t kLeafBytesLimit = 8191;

/// One entry's bytes and its slot flags.
struct EntryView {
  Bytes bytes;
  uint16_t flags = 0;
};

/// Bytes in use by a leaf of `count` entries that take `heap_bytes` together.
constexpr uint32_t LeafUsed(uint32_t count, uint32_t heap_bytes) {
  return kLeafHeaderBytes + heap_bytes + count * kSlotBytes;
}

/// A leaf to read. A view: valid as long as the block's bytes.
class LeafView {
 public:
  LeafView() = default;
  explicit LeafView(Bytes block)
      : data_(block.data()), size_(static_cast<uint32_t>(block.size())) {}

  [[nodiscard]] uint32_t count() const { return base::LoadLe<uint16_t>(data_ + 2); }
  [[nodiscard]] LeafKind kind() const {
    return static_cast<LeafKind>(static_cast<uint8_t>(data_[0]) & 0x0f);
  }
  /// Where the first entry begins.
  [[nodiscard]] const std::byte* heap() const { return data_ + kLeafHeaderBytes; }
  [[nodiscard]] uint32_t heap_bytes() const { return Begin(count()); }
  [[nodiscard]] uint32_t used() const { return LeafUsed(count(), heap_bytes()); }
  [[nodiscard]] uint32_t size() const { return size_; }

  [[nodiscard]] uint16_t Slot(uint32_t i) const {
    return base::LoadLe<uint16_t>(data_ + size_ - kSlotBytes * (i + 1));
  }
  /// Where entry `i` begins behind the header; for i == count, where the last one ends.
  [[nodiscard]] uint32_t Begin(uint32_t i) const {
    return i == 0 ? 0 : Slot(i - 1) & uint32_t{kSlotEndMask};
  }
  [[nodiscard]] EntryView At(uint32_t i) const {
    const uint16_t slot = Slot(i);
    const uint32_t begin = Begin(i);
    const uint32_t end = slot & uint32_t{kSlotEndMask};
    return {{data_ + kLeafHeaderBytes + begin, end - begin},
            static_cast<uint16_t>(slot & kSlotFlags)};
  }
  /// Does an entry in [begin, end) refer to a large element?
  [[nodiscard]] bool HasLarge(uint32_t begin, uint32_t end) const;

 private:
  const std::byte* data_ = nullptr;
  uint32_t size_ = 0;
};

/// Block size for a leaf that uses `used` bytes: a little more, so that not every insertion needs
/// another, but never so much that the allocator would give a larger class. `owned`: it is in a
/// tree.
[[nodiscard]] uint32_t LeafCapacity(uint32_t used, bool owned);

/// Makes `block` an empty leaf.
void LeafInit(MutableBytes block, LeafKind kind);

/// Makes room for an entry of `bytes` bytes before entry `i` and returns it, to be filled. The
/// block must be large enough.
[[nodiscard]] MutableBytes LeafInsert(MutableBytes block, uint32_t i, uint32_t bytes,
                                      uint16_t flags);

/// Gives entry `i` another size and flags; returns its bytes, to be filled anew.
[[nodiscard]] MutableBytes LeafResizeEntry(MutableBytes block, uint32_t i, uint32_t bytes,
                                           uint16_t flags);

/// Removes the entries [begin, end).
void LeafErase(MutableBytes block, uint32_t begin, uint32_t end);

/// Appends a copy of the entries [begin, end) of another leaf.
void LeafAppendRange(MutableBytes block, const LeafView& from, uint32_t begin, uint32_t end);

/// Moves the slots of a leaf whose block has, or is about to have, another size. `block` covers the
/// larger of both sizes.
void LeafMoveSlots(MutableBytes block, uint32_t size_before, uint32_t size_after);

/// Are these bytes a leaf of this kind that every function here and in element.h may read? Reads
/// only within `block`, whatever it holds. Does not check the order of the keys.
[[nodiscard]] bool LeafValidate(Bytes block, LeafKind kind);

}  // namespace flash::values
