// block_table.h: BlockId to one 8-byte entry: state, three flags, and a pointer, a place or the
// next free id.
//
// A flat array in pages, so that it grows without copying entries and counts in the server's
// memory. The one place that changes a block's state: Apply. Knows neither queues nor the store.
// Thread: main; a forked child reads its own copy. Decision: docs/adr/0004.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "blocks/block_state.h"
#include "blocks/hot_block.h"
#include "store/place.h"

namespace flash::blocks {

class BlockTable {
 public:
  enum class Flag : uint8_t {
    kShared = 1u << 3,  ///< More than one holder: the side table knows how many.
    kOwned =
        1u << 4,  ///< Belongs to a value of several blocks: a word behind its payload says which.
    kHeld = 1u << 5,  ///< Somebody outside remembers the id: not recycled before that ends.
  };

  BlockTable() = default;
  ~BlockTable();
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;

  /// An id in kFree that nobody uses; the lowest never used one if none was recycled.
  [[nodiscard]] BlockId Allocate();

  /// Gives an id in kFree without flags back.
  void Recycle(BlockId id);

  [[nodiscard]] BlockState StateOf(BlockId id) const {
    return static_cast<BlockState>(At(id) & kStateMask);
  }
  [[nodiscard]] bool IsHot(BlockId id) const { return blocks::IsHot(StateOf(id)); }

  /// Is it kHotDirty with one holder: can its bytes be changed and nothing else has to be?
  [[nodiscard]] bool IsDirtyAlone(BlockId id) const {
    constexpr uint64_t kLookedAt = kStateMask | static_cast<uint64_t>(Flag::kShared);
    return (At(id) & kLookedAt) == static_cast<uint64_t>(BlockState::kHotDirty);
  }

  /// Asks the processor for the entry; changes nothing.
  void Prefetch(BlockId id) const { __builtin_prefetch(&pages_[id >> kPageShift][id & kPageMask]); }

  [[nodiscard]] HotBlock* HotOf(BlockId id) const {
    const uint64_t entry = At(id);
    FLASH_DCHECK(blocks::IsHot(static_cast<BlockState>(entry & kStateMask)));
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<HotBlock*>(entry >> kPayloadShift);
  }
  [[nodiscard]] store::Place PlaceOf(BlockId id) const {
    FLASH_DCHECK(StateOf(id) == BlockState::kCold);
    return store::Place::FromBits(At(id) >> kPayloadShift);
  }

  [[nodiscard]] bool Has(BlockId id, Flag flag) const {
    return (At(id) & static_cast<uint64_t>(flag)) != 0;
  }
  void Set(BlockId id, Flag flag, bool on);

  /// Changes the state by a row of docs/adr/0004; a row that does not exist ends the process.
  /// Returns the new state. Where the copies change, Point at the remaining one in the same call of
  /// the owner.
  BlockState Apply(BlockId id, BlockEvent event);
  void Point(BlockId id, const HotBlock* hot);
  void Point(BlockId id, store::Place place);

  /// Blocks by state; kFree: ids that can be handed out again.
  [[nodiscard]] const std::array<uint64_t, 5>& counts() const { return counts_; }
  [[nodiscard]] uint64_t bytes() const {
    return pages_.size() * kPageBytes + pages_.capacity() * sizeof(uint64_t*);
  }
  /// Behind the highest id ever given out.
  [[nodiscard]] BlockId end() const { return next_unused_; }
  /// Calls `visit(BlockId, store::Place)` for each cold block of one holder that nobody owns.
  template <typename Visit>
  void ForEachColdSingle(const Visit& visit) const {
    constexpr uint64_t kUnlike =
        static_cast<uint64_t>(Flag::kShared) | static_cast<uint64_t>(Flag::kOwned) | kStateMask;
    for (BlockId id = 1; id < next_unused_; ++id) {
      const uint64_t entry = At(id);
      if ((entry & kUnlike) != static_cast<uint64_t>(BlockState::kCold)) continue;
      visit(id, store::Place::FromBits(entry >> kPayloadShift));
    }
  }
  [[nodiscard]] bool Knows(BlockId id) const { return id != kNoBlock && id < next_unused_; }

 private:
  static constexpr size_t kPageBytes = 64 * 1024;
  static constexpr int kPageShift = 13;  // 8192 entries a page.
  static constexpr uint64_t kPageMask = (uint64_t{1} << kPageShift) - 1;
  static constexpr uint64_t kStateMask = 7;
  static constexpr int kPayloadShift = 6;
  static constexpr uint64_t kLowMask = (uint64_t{1} << kPayloadShift) - 1;

  [[nodiscard]] uint64_t& At(BlockId id) {
    FLASH_DCHECK(Knows(id));
    return pages_[id >> kPageShift][id & kPageMask];
  }
  [[nodiscard]] uint64_t At(BlockId id) const {
    FLASH_DCHECK(Knows(id));
    return pages_[id >> kPageShift][id & kPageMask];
  }

  std::vector<uint64_t*, base::CountedAllocator<uint64_t*>> pages_;
  BlockId next_unused_ = 1;
  BlockId free_head_ = kNoBlock;
  std::array<uint64_t, 5> counts_{};
};

}  // namespace flash::blocks
