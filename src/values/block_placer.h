// block_placer.h: where the blocks go of a value that is made at once: loaded, restored, built from
// a command's arguments.
//
// The values layer makes leaves and large elements one after the other and asks for a block for
// each; whoever builds says whether it is hot or goes straight to flash, and waits. Knows no value
// class. Decision: docs/adr/0018. Thread: main.
#pragma once

#include <cstdint>

#include "values/family.h"

namespace flash::values {

class BlockPlacer {
 public:
  virtual ~BlockPlacer() = default;

  /// A new block of `family` with a copy of `payload`, hot or on its way to flash. May wait for
  /// room, so that unpinned blocks leave RAM. Errors: kNoSpace.
  [[nodiscard]] virtual Result<BlockId> Place(Bytes payload, Family* family) = 0;
  /// Waits until a small value of `bytes` may become hot. Errors: kNoSpace.
  [[nodiscard]] virtual Result<void> AwaitRoom(uint64_t bytes) = 0;
  /// What the build may keep in RAM beside blocks, or, while it merges, pinned.
  [[nodiscard]] virtual uint64_t memory_bytes_max() const = 0;
  /// So much it is about to keep, beside blocks and in pinned ones. May wait as Place does.
  virtual void Hold(uint64_t /*bytes*/, uint64_t /*pinned_bytes*/) {}
  /// Under which waits for reads are counted.
  [[nodiscard]] virtual blocks::WaitCause cause() const = 0;
};

/// Of values that are in RAM already and stay there: everything is hot; or, with `to_flash`, goes
/// straight to flash, waiting for buffers, and is hot where flash is full.
class DirectPlacer final : public BlockPlacer {
 public:
  DirectPlacer(const LeafStore& store, bool to_flash) : store_(store), to_flash_(to_flash) {}
  [[nodiscard]] Result<BlockId> Place(Bytes payload, Family* family) override;
  [[nodiscard]] Result<void> AwaitRoom(uint64_t /*bytes*/) override { return {}; }
  [[nodiscard]] uint64_t memory_bytes_max() const override {
    return to_flash_ ? kToFlashBytesMax : ~uint64_t{0};
  }
  [[nodiscard]] blocks::WaitCause cause() const override { return blocks::WaitCause::kHardMark; }

 private:
  static constexpr uint64_t kToFlashBytesMax = 8 * kMiB;
  const LeafStore& store_;
  bool to_flash_;
};

/// A new hot block with a copy of `payload`.
[[nodiscard]] BlockId MakeHot(const LeafStore& store, Bytes payload, Family* family);

}  // namespace flash::values
